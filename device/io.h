/* io.h - the io thread: from the ring to durable records to the link.
 *
 * One loop. Rows are packed as they come; closed blocks and everything else that becomes a record wait in a
 * batch, which is written and committed at once (the store has no open transaction in between, as common/hop
 * asks). A replayed source's position goes into the transaction of its last row. At the quota, live readings
 * push out the oldest records (the ledger says so), replayed ones wait. Where sources are computed from
 * replayed ones, nothing of these is committed but up to a mark (infer/memory.h), all of it at once, with
 * what the computed ones knew then. Threads: the main thread. Crash: what
 * a commit held is there, and for a replayed source nothing else ever was. */
#ifndef FOGLINE_DEVICE_IO_H
#define FOGLINE_DEVICE_IO_H

#include "base/log.h"
#include "ctl/daemon.h"
#include "ctl/orders.h"
#include "ctl/status.h"
#include "device/act.h"
#include "device/batch.h"
#include "device/decide/decide.h"
#include "device/device_config.h"
#include "device/health.h"
#include "device/infer/memory.h"
#include "device/sampler.h"
#include "hop/lower_port.h"
#include "hop/maker.h"

enum {
    IO_BATCH_BYTES = 512 * 1024, /* payloads that wait at most before a commit is due */
    IO_RECEIPTS_MAX = 256,
    IO_APPLY_MS = 2000,         /* settled records are let go at the first boundary of commit_ms after this */
    IO_LEFT_OPEN_MS = 1000,     /* a commit that is made at once leaves no block open that is older */
    IO_RETRY_MS = 1000,         /* a full store is tried again */
    IO_ALIVE_MS = 10000,        /* the last sign of life is written this often, into commits that there are */
    IO_NOT_ACCEPTED_MS = 10000, /* reached, but not accepted, for so long: say what to do */
    IO_OLD_SETS_MAX = 7,
    IO_HEALTH_NAME_BYTES = 64,
    IO_REDUCED_FACT_BYTES = ID128_BYTES + 2 * 8 * KEEP_REASONS,
};

enum io_counter {
    IO_ROWS,
    IO_SAMPLES,
    IO_BLOCKS,
    IO_BLOCK_BYTES,
    IO_PLAIN_BYTES,
    IO_COLUMN_BYTES,
    IO_BLOCKS_RAW,
    IO_SETS_LEARNT,
    IO_EVENTS,
    IO_COMMITS,
    IO_COMMIT_US,
    IO_STORE_FULL,
    IO_SAMPLES_REFUSED,
    IO_ROWS_TOO_BIG,
    IO_COMMANDS,
    IO_COMMANDS_REFUSED,
    IO_STORES_QUARANTINED,
    IO_COUNTERS
};
extern const struct counter_info io_counter_info[IO_COUNTERS];

/* Samples that were not sent in this epoch, by reason; and those of them that were after all. */
struct io_reduced {
    struct id128 epoch;
    uint64_t samples[KEEP_REASONS], sent_later[KEEP_REASONS];
};

struct io_source {
    char name[SOURCE_NAME_BYTES];
    const struct source_kind *kind;
    void *self; /* the act's */
    bool replayable, has_ended, has_failed;
    bool is_stuck; /* its oldest payload found no room in this commit */
    uint64_t rows, samples;
    uint32_t last_group;                     /* of its last row */
    uint64_t last_entry;                     /* of the batch: its last block */
    struct io_reduced reduced, reduced_next; /* durable; with the commit under way */
    struct buf memory, memory_next;          /* what it knows: durable; with the next commit */
    bool memory_is_new, memory_is_refused;
    size_t memory_missed; /* bytes of the last image that had no room; told */
};

/* A set that is no longer in use, but that blocks which are still held may name. */
struct io_old_set {
    struct buf descriptor;
    struct id128 epoch;
    uint64_t until; /* blocks from this number on, and of later epochs, do not name it */
};

struct io_group {
    struct pack *pack;
    unsigned source;
    /* Left out since the last block was closed, and the read position behind it when no row came after it. */
    struct keep_counts pending;
    bool has_position; /* of the last row in the pack */
    struct source_position position;
    bool pending_has_position, is_pending_taken; /* taken: by the commit under way */
    struct source_position pending_position;
    uint64_t taken_before; /* records evicted, archives and stores changed when its descriptor was written */
    uint64_t set_written;
    struct id128 epoch; /* that it was written in; zero: not yet */
    bool is_to_keep;    /* its sets changed: with the next commit */
    unsigned n_old;
    struct io_old_set old[IO_OLD_SETS_MAX]; /* the newest first */
};

/* A rule on a channel that no source gives. */
struct io_unheard {
    const struct rule_config *rule;
    bool is_window;                  /* its channel is one that a policy makes */
    char near[DECIDE_CHANNEL_CHARS]; /* what may be meant; empty: nothing is like it */
};

struct io_receipt {
    struct feed_receipt to;
    uint64_t entry; /* of the batch */
};

/* Samples that became no record. */
struct io_loss {
    uint64_t samples;
    int64_t from_ns, to_ns;
};

struct io {
    struct daemon *daemon;
    const struct device_config *config; /* the daemon's; changes in place on a reload */
    struct spool *spool;
    struct end_keys keys;
    struct link_key trust;
    void *zmq_ctx;
    struct lower_port *port;
    struct outbox *outbox;
    struct ring *live, *replay; /* replay: NULL without such a source */
    struct feed *feed;
    struct sampler *sampler;
    struct memory *live_memory, *replay_memory; /* NULL: none of its sources is computed */
    bool memory_is_written;                     /* in the open transaction */
    uint64_t mark_no; /* of the batch: the last entry of replayed sources that may be committed */
    struct act *act;
    struct worker *worker;
    struct decide *decide;
    struct decide_raised alarms[DECIDE_INSTANCES_MAX]; /* raised now, as far as is known here */
    unsigned n_alarms;
    struct decide_raised orphans[DECIDE_INSTANCES_MAX]; /* were raised by rules that are gone */
    unsigned n_orphans;
    struct io_unheard unheard[RULES_MAX + 1]; /* the last is room to look */
    unsigned n_unheard;
    uint32_t groups_looked_at; /* for them */
    bool is_unheard_said[RULES_MAX];
    struct batch *batch;
    struct pack_tools tools;
    struct status *status;
    struct health *health;
    double measures[HEALTH_MEASURES]; /* NaN: not known */
    struct loop_timer *timer;

    struct io_source sources[SOURCES_MAX];
    unsigned n_sources;
    struct io_group groups[SOURCE_GROUPS_MAX];
    uint32_t n_groups;
    struct io_receipt receipts[IO_RECEIPTS_MAX];
    unsigned n_receipts;
    struct orders orders; /* commands that came */
    struct io_loss loss;

    bool polls_ring;        /* the ring is looked at by time, not woken for each row */
    bool is_stuck;          /* replayed payloads found no room: the replay waits */
    size_t stuck_bytes;     /* of them, in the batch */
    bool has_more;          /* the ring was left with messages, since the batch is full */
    bool urgent;            /* commit in this round */
    bool is_reduced_untold; /* totals of what was not sent are durable and in no Health yet */
    bool own_is_stuck;      /* a record of the device itself found no room */
    bool waits;             /* something new waits for a commit */
    int64_t began_ms;       /* what boundaries count from */
    int64_t looked_ms;      /* when the round before this one was: boundaries after it are of this one */
    int64_t apply_at_ms, retry_at_ms, replay_at_ms, health_at_ms, status_at_ms,
        alive_at_ms;         /* INT64_MAX: none */
    int64_t batch_oldest_ns; /* when the first reading of the batch was taken, monotonic; INT64_MAX: none */
    struct pack_clock clock;
    int64_t clock_read_ms;
    struct log_latch full_latch;
    bool said_not_accepted;
    int last_link;
    int error; /* why the loop ends; 0: asked to */
    uint64_t counter[IO_COUNTERS];
};

/* io_open.c: what it is made of */
must_check int io_new(struct io **ret_io, struct daemon *d, const struct device_tier *tier,
                      struct errmsg *err);
struct io *io_free(struct io *io); /* accepts NULL */

/* io.c: its rounds */
must_check int io_run(struct io *io); /* until a signal or a fatal error; ends with the last commit */
/* Everything that was read becomes durable, as far as there is room, and so does the end. */
void io_finish(struct io *io);
void io_fail(struct io *io, int error);
/* What is done every so often is done at multiples of its period since the start, so that blocks, reports and
 * deletions share one commit. The first one that is not before at_ms; at_ms when the period is 0. */
int64_t io_boundary_ms(const struct io *io, int64_t period_ms, int64_t at_ms);
/* Does one fall into the round that is now? What comes after that round waits for the next, however late it
 * comes: it would make a commit of its own. */
bool io_is_boundary(const struct io *io, int64_t period_ms, int64_t now_ms);

int64_t io_pack_ms(const struct io *io); /* between two times at which all blocks are closed */

/* io_rows.c: from the ring to the batch */
void io_drain(struct io *io);
/* What a source, or the feed for it, said. */
void io_source_event(struct io *io, unsigned source, const struct feed_event *e);
/* Those whose time has come; when a commit is made at once, also those that would be left open for long:
 * what a commit costs does not depend on what is in it. */
void io_close_packs(struct io *io, int64_t now_ms);
void io_close_all_packs(struct io *io);
int64_t io_next_pack_ms(const struct io *io); /* when the next block is to be closed; INT64_MAX: none */
/* Of those that wait for no mark; INT64_MAX: none has a row. */
int64_t io_oldest_pack_ns(const struct io *io);
bool io_waits_for_mark(const struct io *io, const struct io_group *g); /* its block is closed by marks */
void io_close_pack(struct io *io, struct io_group *g);

/* io_reduced.c: samples that were not sent */
must_check int io_reduced_load(struct io *io, struct io_source *s);
/* In the open transaction, after the records: the totals, and the positions of rows of which nothing was
 * left. */
must_check int io_keep_reduced(struct io *io, const struct source_position **positions);
void io_reduced_kept(struct io *io);                     /* after its commit */
void io_reduced_mark(struct io *io, struct io_group *g); /* what is left out of no row, as an entry */
bool io_reduced_is_due(const struct io *io);             /* a commit would say something new */
/* Appends what is to be said of it in a Health; list: room for SOURCES_MAX * KEEP_REASONS. */
size_t io_reduced_list(const struct io *io, Fogline__V1__Reduced *list);

/* io_memory.c: what computed sources know */
/* Appends what was kept of a source. */
must_check int io_memory_load(struct io *io, const char *source, struct buf *ret);
must_check int io_memory_open(struct io *io); /* after the sources, the rings and the feed */
void io_memory_tell(struct io *io);           /* of what is too large to be kept */
/* A mark was read. */
void io_mark(struct io *io, bool is_replay);
/* Does it stand behind the last mark? */
bool io_is_behind_mark(const struct io *io, const struct batch_entry *e);
/* In the open transaction, when all up to the mark is in it; and after its commit. */
must_check int io_keep_memory(struct io *io);
void io_memory_kept(struct io *io);

/* io_sets.c: descriptor sets */
/* The record of the group's set into the batch, where it is wanted: it stands in each epoch before the first
 * block that names it. It is written again after a start, and after evictions or when the archive is another
 * one, which may have taken it; then those before it, too. */
must_check int io_add_descriptor(struct io *io, struct io_group *g);
/* After a block was closed: another set, when better starts were learnt. */
must_check int io_learn(struct io *io, struct io_group *g);
/* In the open transaction, and after its commit. */
must_check int io_keep_sets(struct io *io);
void io_sets_kept(struct io *io);
/* The set last in use in the life before this one, for a new group. */
must_check int io_take_up_sets(struct io *io, struct io_group *g);
void io_group_deinit(struct io_group *g);

/* io_commit.c: from the batch to the store */
bool io_commit_is_due(const struct io *io, int64_t now_ms);
void io_commit(struct io *io);
int64_t io_next_commit_ms(const struct io *io);

/* io_event.c: events and replies */
void io_event(struct io *io, const struct feed_event *e, const char *subject);
void io_start_event(struct io *io);
void io_stop_event(struct io *io);
void io_reply(struct io *io, uint64_t counter, bool ok, const char *text);

/* io_report.c: what the device says of itself */
void io_health(struct io *io);
void io_write_status(struct io *io);
void io_watch_link(struct io *io, int64_t now_ms);

/* io_health.c: io->measures anew; those of the machine, which cost file reads, only when asked for. */
void io_measure(struct io *io, bool with_machine);
/* io_work.c: what computing cost, and files of models */
/* Each second, and when asked to look at files again: what is wrong becomes an event. */
void io_tend(struct io *io, bool is_asked);
void io_work_facts(const struct io *io, struct json *j);
enum { IO_WORK_COUNTERS = 4, IO_WORK_MEASURES = 3 }; /* of each source that is computed */
struct io_number {
    char name[IO_HEALTH_NAME_BYTES];
    uint64_t value;
};
/* What a Health says of them; room for so many of each of SOURCES_MAX. */
size_t io_work_numbers(const struct io *io, bool measures, struct io_number *ret);

/* io_decide.c: what rules decided */
/* With what was raised at the last commit of the life before. */
must_check int io_open_decide(struct io *io, struct errmsg *err);
/* The event of a change into the batch, with the state that is kept with it. */
void io_decision(struct io *io, unsigned source, const struct feed_decision *d);
/* Clears what was raised by rules that are no longer configured. */
void io_clear_orphans(struct io *io);
/* In the transaction of the entry. */
must_check int io_keep_decision(struct io *io, const struct batch_entry *e);
void io_alarm_facts(struct io *io, struct json *j);
enum { IO_RULE_COUNTERS = 15 };
extern const struct counter_info io_rule_counter_info[IO_RULE_COUNTERS];
void io_rule_counters(const struct io *io, uint64_t value[IO_RULE_COUNTERS]);

/* io_unheard.c: rules that hear nothing */
void io_look_at_rules(struct io *io, int64_t now_ms);
void io_unheard_facts(const struct io *io, struct json *j);

/* io_command.c: orders from above */
void io_on_document(void *ctx, const Fogline__V1__Document *d);
void io_run_commands(struct io *io);

/* A record of the device itself into the batch: packs m. */
void io_add_message(struct io *io, unsigned lane, uint32_t kind, const ProtobufCMessage *m);
void io_add_entry(struct io *io, const struct batch_entry *like, const ProtobufCMessage *m);

#endif
