/* fog_private.h - the inside of a fog, for the files of this folder only. */
#ifndef FOGLINE_FOG_FOG_PRIVATE_H
#define FOGLINE_FOG_FOG_PRIVATE_H

#include "base/counter.h"
#include "base/log.h"
#include "ctl/nodes.h"
#include "ctl/orders.h"
#include "ctl/status.h"
#include "ctl/tap.h"
#include "fog/answer.h"
#include "fog/covers.h"
#include "fog/derived.h"
#include "fog/drill.h"
#include "fog/fog.h"
#include "fog/fog_config.h"
#include "fog/history.h"
#include "fog/letters.h"
#include "fog/marks.h"
#include "fog/meter.h"
#include "fog/models.h"
#include "fog/rules.h"
#include "fog/stage_reader.h"
#include "fog/uplink.h"
#include "hop/lower_port.h"
#include "hop/maker.h"
#include "hop/upper_port.h"

enum fog_counter {
    FOG_COMMITS,
    FOG_COMMITS_FULL,
    FOG_RECORDS_NO_ROOM,
    FOG_OWN_RECORDS,
    FOG_OWN_RECORDS_LOST,
    FOG_STORES_QUARANTINED,
    FOG_DOCUMENTS_TAKEN,
    FOG_DOCUMENTS_FORGED,
    FOG_MARKS_PASSED,
    FOG_NODE_LISTS,
    FOG_RECORDS_REVOKED,
    FOG_COMMANDS,
    FOG_COUNTERS
};
extern const struct counter_info fog_counter_info[FOG_COUNTERS];

enum { FOG_TICK_MS = 1000, FOG_NOT_ACCEPTED_MS = 10000, FOG_REFUSALS_MAX = GATE_REFUSED_MAX };

struct fog {
    struct daemon *d;
    const struct fog_config *config;
    void *zmq_ctx;
    struct archive *archive; /* owns the spool */
    struct spool *spool;
    struct history *history;
    struct derived *derived; /* writes own records */
    struct stage_reader *reader;
    struct drive *drive;              /* outputs */
    struct site_rules *rules;         /* NULL: a reload failed, and the fog ends */
    struct models *models;            /* likewise */
    unsigned rules_user, models_user; /* places in the reader */
    struct covers *covers;
    struct meter *meter;
    struct uplink *uplink; /* NULL: no cloud would know what stands for a record */
    bool is_new_here;      /* the record in hand, to the history */
    enum uplink_way way;   /* of the record in hand */
    uint64_t changes;      /* ... and the own record that has its changes; 0: none */
    uint32_t parts;        /* ... and how many stages will say covers_part of it, after the relay */
    bool wants_new_life;   /* with the commit of the open transaction */
    struct upper_port *upper;
    struct lower_port *lower;
    struct end_keys end_keys;
    struct link_key trust;
    bool has_trust; /* up.keys names a cloud: without its key own records could not be authenticated, so none
                       are made */
    struct marks *marks;
    struct letters letters;
    struct orders orders; /* for this fog itself */
    struct drill *drill;
    struct answer *answer;
    struct nodes nodes; /* signed and provisional ones */
    struct nodes_watch nodes_watch;
    struct status *status;
    struct tap *tap;
    struct loop_timer *tick, *more, *drive_timer;
    int64_t next_health_ms, next_alive_ms, caught_up_ms, up_open_ms;
    bool said_not_accepted;
    enum lower_port_link last_link;
    uint64_t refused_mark; /* what refused.json was written for */
    int failed;            /* the first fatal error */
    struct log_latch full_latch, status_latch, commit_latch;
    struct id128 boot_id;
    uint64_t counter[FOG_COUNTERS];
};

/* fog_store.c */
must_check int fog_store_open(struct fog *f, struct errmsg *err);
void fog_store_limit(struct fog *f); /* by the configuration in force */
/* fog_ops.c: what inbox and outbox ask the fog. */
struct inbox_ops fog_inbox_ops(struct fog *f);
struct outbox_ops fog_outbox_ops(struct fog *f);
/* fog_nodes.c */
must_check int fog_nodes_load(struct fog *f, struct errmsg *err);
void fog_nodes_tick(struct fog *f);
/* fog_covers.c */
must_check int fog_covers_open(struct fog *f, struct errmsg *err);
must_check int fog_covers_flush(struct fog *f); /* in the open transaction, which it begins when needed */
bool fog_covers_want(const struct fog *f);
/* Begins a new life of the store: devices give again what they hold. Not within a batch: its records are not
 * in the seen set yet. */
must_check int fog_new_life(struct fog *f);
/* fog_meter.c: for the outbox, and for the round */
must_check int fog_meter_open(struct fog *f, struct errmsg *err);
uint64_t fog_link_allowed(void *ctx, unsigned class);
void fog_link_moved(void *ctx, uint64_t up_bytes, const uint64_t class_bytes[OUTBOX_CLASSES_MAX],
                    uint64_t down_bytes);
bool fog_meter_wants(const struct fog *f);
must_check int fog_meter_flush(struct fog *f); /* in the open transaction, which it begins when needed */
void fog_meter_put(const struct fog *f, struct json *j);
/* fog_room.c */
unsigned fog_store_fill(void *ctx);          /* thousandths of the quota */
must_check int fog_make_room(struct fog *f); /* in the open transaction, which it begins when needed */
/* fog_records.c: own records; all in the open transaction, which they begin when needed. */
must_check int fog_say_start(struct fog *f, const char *quarantined);
must_check int fog_say_stop(struct fog *f);
must_check int fog_say_note(struct fog *f, unsigned severity, const char *text);
must_check int fog_say_health(struct fog *f);
must_check int fog_note_alive(struct fog *f);
/* 0; DERIVED_NO_ROOM: nothing written; negative errno. */
must_check int fog_say_reply(struct fog *f, uint64_t counter, bool ok, const char *text);
/* The same with a part of a result, live and not in the history. */
must_check int fog_say_result(struct fog *f, uint64_t counter, const char *text, struct span result,
                              uint32_t part, uint32_t parts);
/* fog_orders.c */
must_check int fog_orders_open(struct fog *f, struct errmsg *err);
void fog_take_order(struct fog *f, const Fogline__V1__Document *d);
bool fog_has_orders(struct fog *f);
must_check int fog_orders_round(struct fog *f); /* in the open transaction, which it begins when needed */
/* fog_status.c */
enum { FOG_SETS = 13 };
size_t fog_counter_sets(struct fog *f, struct counter_set out[FOG_SETS], uint64_t gate[4]);
void fog_status_write(struct fog *f);
void fog_link_watch(struct fog *f);
/* fog_stages.c: what stages have in memory follows the transaction. */
must_check int fog_stages_open(struct fog *f, struct errmsg *err);
void fog_stages_close(struct fog *f);
must_check int fog_stages_flush(struct fog *f);  /* before each commit */
must_check int fog_stages_reload(struct fog *f); /* after a rollback */
must_check int fog_stages_round(struct fog *f);  /* once a second */
/* The configuration is about to be this one. */
void fog_stages_renew(struct fog *f, const struct fog_config *config);
/* fog.c */
void fog_fail(struct fog *f, int error, const char *what);
must_check int fog_commit(struct fog *f);

#endif
