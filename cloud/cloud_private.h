/* cloud_private.h - the parts of the collector's daemon. Inside cloud*.c only. */
#ifndef FOGLINE_CLOUD_CLOUD_PRIVATE_H
#define FOGLINE_CLOUD_CLOUD_PRIVATE_H

#include "base/log.h"
#include "cloud/cloud.h"
#include "cloud/cloud_config.h"
#include "cloud/cloud_tier.h"
#include "cloud/intake.h"
#include "ctl/commands.h"
#include "ctl/nodes.h"
#include "ctl/status.h"

enum {
    CLOUD_TICK_MS = 1000,
    CLOUD_READERS_MS = 10000,
    CLOUD_REPLIES_MAX = 256,
    CLOUD_REFUSALS_MAX = GATE_REFUSED_MAX
};

enum cloud_counter {
    CLOUD_COMMITS,
    CLOUD_COMMITS_FULL,
    CLOUD_MAP_GROWN,
    CLOUD_STORES_QUARANTINED,
    CLOUD_NODE_LISTS,
    CLOUD_DOCUMENTS_SENT,
    CLOUD_REPLIES,
    CLOUD_HELLOS_OTHER_ARCHIVE,
    CLOUD_COUNTERS
};
extern const struct counter_info cloud_counter_info[CLOUD_COUNTERS];

/* A reply in the open transaction: its command is forgotten after the commit. */
struct cloud_reply {
    char node[GATE_NAME_BYTES];
    uint64_t counter;
};

struct cloud {
    struct daemon *d;
    const struct cloud_config *config;
    void *zmq_ctx;
    struct archive *archive;
    struct intake *intake;
    struct upper_port *port;
    struct status *status;
    struct loop_timer *tick;
    int64_t next_readers_ms;
    int failed;
    uint8_t operator_public[KEY_BYTES];
    struct nodes nodes;
    struct nodes_watch nodes_watch, commands_watch;
    struct buf nodes_packed; /* the signed list as it is handed down */
    struct cloud_word word;
    int64_t other_archive_ms; /* when a node last said that it knows another archive; INT64_MIN: never */
    struct commands commands;
    struct cloud_reply replies[CLOUD_REPLIES_MAX];
    size_t n_replies;
    uint64_t refused_mark;
    struct log_latch full_latch, grow_latch, refused_latch, other_latch, status_latch;
    uint64_t counter[CLOUD_COUNTERS];
};

void cloud_fail(struct cloud *c, int error, const char *what);
/* Writes what is open; tells those concerned. 0 or negative errno. */
must_check int cloud_commit(struct cloud *c);

must_check int cloud_store_open(struct cloud *c, struct errmsg *err);
void cloud_store_grow(
    struct cloud *c);                 /* when it is nearly full and the disk has room; no transaction open */
unsigned cloud_store_fill(void *ctx); /* inbox op */

must_check int cloud_nodes_start(struct cloud *c, struct errmsg *err);
void cloud_nodes_tick(struct cloud *c);
size_t cloud_documents(void *ctx, struct wire_arena *a, const char *peer, const Fogline__V1__Hello *hello,
                       Fogline__V1__Document **out, size_t max); /* inbox op */
void cloud_on_reply(void *ctx, const char *origin, uint64_t counter);
void cloud_replies_done(struct cloud *c); /* after the commit */

/* cloud_archive.c */
void cloud_archive_start(struct cloud *c); /* after the operator's key is known */
/* Does the peer lack the word? Then its document, borrowed. */
size_t cloud_archive_word(struct cloud *c, const char *peer, const Fogline__V1__Hello *hello,
                          const struct buf **ret_packed);
void cloud_archive_status(const struct cloud *c, struct json *j);

void cloud_status_write(struct cloud *c);

#endif
