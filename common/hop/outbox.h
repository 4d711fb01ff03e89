/* outbox.h - the lower side of a hop: gives the spool's records to the upper side, keeps them until they are
 * settled.
 *
 * Pure core over a real spool: times come in as monotonic milliseconds, bytes go out through ops. One outbox
 * per upstream. Order: urgent lane, then live, then backlog oldest first, then what was asked for; never
 * waits for order. Un-acknowledged bytes never pass the window the upper side gave. A record leaves the spool
 * only when settled (own) or archived (relayed), or by eviction with an entry on the account. What survives a
 * crash: everything in the spool; phase, stored sets and flights do not and are asked for again. Host
 * contract: outbox_tick and outbox_on_down are called with no transaction open (outbox commits session and
 * cut itself, and so never sends what is not durable); outbox_added, apply and make_room belong inside the
 * transaction of the batch. Threads: the spool's owner. */
#ifndef FOGLINE_HOP_OUTBOX_H
#define FOGLINE_HOP_OUTBOX_H

#include "base/counter.h"
#include "base/interval.h"
#include "hop/hop.h"
#include "link/keys.h"
#include "spool/spool.h"
#include "wire/wire.h"

enum { OUTBOX_BLOCKED = 1, OUTBOX_CLASSES_MAX = 4 };

struct outbox_ops {
    void *ctx;
    /* Hands an Up message to the link. 0; OUTBOX_BLOCKED: nothing taken, try when writable. */
    int (*send)(void *ctx, struct span up);
    /* The watchdog asks for new sockets. */
    void (*reset_link)(void *ctx);
    /* Fills clocks (pointers into static or arena memory). May be NULL. */
    void (*clocks)(void *ctx, Fogline__V1__Clocks *ret_clocks);
    /* A relay adds what it asks for its devices (inbox_asks); what it holds of others the outbox asks about
     * itself. NULL: not a relay. Returns how many reports were put at out (max entries); those that do not
     * fit into a Hello are left out. */
    size_t (*asks)(void *ctx, struct wire_arena *a, Fogline__V1__EpochReport **out, size_t max);
    /* Versions of documents held here, besides the one of kind "archive". May be NULL. */
    size_t (*documents_held)(void *ctx, struct wire_arena *a, Fogline__V1__DocumentVersion **out, size_t max);
    /* A document of another kind than "archive" came; the host verifies it. May be NULL. */
    void (*document)(void *ctx, const Fogline__V1__Document *d);
    /* A mark about another origin, already applied to relayed records: pass it on. May be NULL. */
    void (*mark)(void *ctx, const Fogline__V1__MarkBody *body, const Fogline__V1__Mark *mark);
    /* Inside the transaction in which the operator's word names another archive than before: what a relay let
     * go on the former one's word may be missing in the new one, so its own upper side begins a new life
     * (spool_new_store). 0, DB_FULL (the word comes again), negative errno. NULL: not a relay. */
    int (*archive_changes)(void *ctx);
    /* Inside the transaction in which a record that turned out damaged is let go. A relayed one its origin
     * takes for stored here and gives again only to a new life of this store (spool_new_store); on an own one
     * the explanation of others may rest, and only what they explain can stand for it. 0, DB_FULL, negative
     * errno. NULL: not a relay. */
    int (*relay_damaged)(void *ctx);
    /* Bytes of records of a class that may go now, by what the link may cost; beside the windows. class: 0
     * urgent, 1 live, 2 backlog, and so on in the order of sending. NULL: no limit. */
    uint64_t (*allowed)(void *ctx, unsigned class);
    /* A message was handed to the link, with so much of each class in it (its records and 64 bytes for each),
     * or one came (class_bytes NULL). NULL: nobody counts. */
    void (*moved)(void *ctx, uint64_t up_bytes, const uint64_t class_bytes[OUTBOX_CLASSES_MAX],
                  uint64_t down_bytes);
};

struct outbox_options {
    struct spool *spool;            /* borrowed */
    const char *role, *software;    /* borrowed for ever */
    const struct end_keys *keys;    /* borrowed: tag key for ledger records, mark key */
    const uint8_t *operator_public; /* borrowed, KEY_BYTES: who may name another archive. NULL: nobody */
    struct outbox_ops ops;
    uint64_t seed;
    uint32_t poll_ms;   /* 0: HOP_POLL_MS */
    uint32_t rules_off; /* enum hop_rule bits; simulator only */
};

enum outbox_phase { OUTBOX_HELLO, OUTBOX_OPEN };

struct outbox;

must_check int outbox_new(struct outbox **ret_ob, const struct outbox_options *options, int64_t now_ms);
struct outbox *outbox_free(struct outbox *ob);

/* A new link (other upstream, or the link was made anew by the host): a new session. */
must_check int outbox_new_session(struct outbox *ob, int64_t now_ms);
/* A record was appended or put in the open transaction: it is sent after the commit. */
void outbox_added(struct outbox *ob, struct spool_stream *s, uint64_t seq);
/* The held records of the run were asked for by the upper side: they go after everything else, in what the
 * backlog leaves of its window, and after a Hello has told what is there already. In the transaction that
 * holds them, and after each start. A count that is not held: nothing. 0 or -ENOMEM. */
must_check int outbox_drill(struct outbox *ob, struct spool_stream *s, unsigned lane, struct interval run);
/* Marks of this archive count from now on, no others; archive_changes is called as for a word. Commits.
 * Documents of kind "archive" do it by themselves. */
must_check int outbox_set_archive(struct outbox *ob, const struct id128 *id);
/* Down message, already opened. Malformed ones are counted. 0 or negative errno (spool failure: exit). */
must_check int outbox_on_down(struct outbox *ob, struct span down, int64_t now_ms);
/* Timers and sending. Returns 0 or negative errno; *ret_next_ms is when to call again at the latest. */
must_check int outbox_tick(struct outbox *ob, int64_t now_ms, int64_t *ret_next_ms);

/* Inside the host's transaction: deletes what was settled, and cuts a ledger record when the account asks for
 * it. */
must_check int outbox_apply(struct outbox *ob, int64_t now_ms, int64_t wall_unix_ns);
bool outbox_wants_apply(const struct outbox *ob); /* something is settled or to be cut */
/* More is settled than one transaction lets go of: go on without waiting for an event. */
bool outbox_more_to_apply(const struct outbox *ob);
/* Inside the host's transaction: evicts own records until bytes fit under the quota. 0; SPOOL_FULL: not
 * enough could go. */
must_check int outbox_make_room(struct outbox *ob, uint64_t bytes);
/* The stream is about to be forgotten by the spool. */
void outbox_stream_drop(struct outbox *ob, struct spool_stream *s);
/* The transaction around apply or make_room was rolled back: the sets are taken from the spool anew. */
must_check int outbox_reload(struct outbox *ob, int64_t now_ms);

enum outbox_phase outbox_phase(const struct outbox *ob);
bool outbox_has_archive_id(const struct outbox *ob, struct id128 *ret_id);
/* The operator's word on the archive as it came, packed, for those below; version 0 and empty: none. Borrowed
 * until the next outbox_on_down. */
struct span outbox_archive_document(const struct outbox *ob, uint64_t *ret_version);
int64_t outbox_last_state_ms(const struct outbox *ob); /* monotonic; INT64_MIN: never */
/* For how long Data has been under way and no State came; 0: none is. *ret_slowest_ms: the longest such wait
 * that a State ended. */
int64_t outbox_unanswered_ms(const struct outbox *ob, int64_t now_ms, int64_t *ret_slowest_ms);
double outbox_round_trip_ms(const struct outbox *ob); /* from sending to "stored", smoothed; 0: not known */

struct outbox_waiting {
    uint64_t urgent_records, ordinary_records; /* held and not stored above */
    uint64_t drill_records;                    /* ... that the upper side asked for, in none of the two */
    uint64_t unsettled_records;                /* held */
    uint64_t in_flight_bytes;
    uint64_t window_urgent_bytes, window_live_bytes, window_backlog_bytes;
};
void outbox_waiting(const struct outbox *ob, struct outbox_waiting *ret_w);

enum outbox_counter {
    OUTBOX_RECORDS_SENT,
    OUTBOX_RECORDS_RESENT,
    OUTBOX_RECORDS_DRILLED,
    OUTBOX_DATA_SENT,
    OUTBOX_DATA_BYTES,
    OUTBOX_HELLOS,
    OUTBOX_STATES,
    OUTBOX_STATES_IGNORED,
    OUTBOX_STATES_MALFORMED,
    OUTBOX_SESSIONS,
    OUTBOX_CUTS,
    OUTBOX_WATCHDOG_RESETS,
    OUTBOX_MARKS,
    OUTBOX_MARKS_REFUSED,
    OUTBOX_ARCHIVES_TAKEN,
    OUTBOX_ARCHIVES_REFUSED,
    OUTBOX_RECORDS_SETTLED,
    OUTBOX_RECORDS_EVICTED,
    OUTBOX_SAMPLES_EVICTED,
    OUTBOX_LEDGER_RECORDS,
    OUTBOX_RECORDS_DAMAGED,
    OUTBOX_EPOCHS_FORCED,
    OUTBOX_COUNTERS
};
extern const struct counter_info outbox_counter_info[OUTBOX_COUNTERS];
const uint64_t *outbox_counters(const struct outbox *ob);

#endif
