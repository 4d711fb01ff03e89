/* inbox.h - the upper side of a hop: takes records once, makes them durable, says so.
 *
 * Pure core over a real spool (the cloud's archive environment is one too). Per (origin, epoch, lane) the set
 * of counts ever made durable stands in the spool's `seen` rows and changes in the transaction of the data.
 * Acknowledgements are statements of that set, made after the commit; nothing is retransmitted from here, the
 * lower side asks again. Host contract: inbox_on_up for each message of a round, then the host's stages and
 * spool_commit, then inbox_committed. A failed commit: inbox_reload, and no State was said. Limits: windows
 * as a share of memory_bytes; 257th interval of a stream refused; 16 epochs in a Hello. Threads: the spool's
 * owner. */
#ifndef FOGLINE_HOP_INBOX_H
#define FOGLINE_HOP_INBOX_H

#include "base/counter.h"
#include "hop/hop.h"
#include "spool/spool.h"
#include "wire/wire.h"

enum { INBOX_REFUSED = 1, INBOX_DUPLICATE = 2 };

struct inbox_ops {
    void *ctx;
    /* Seals and publishes a Down message to a node; may be lost. */
    void (*send)(void *ctx, const char *node, struct span down);
    /* May this peer bring records of this origin? (A device: its own; a fog: those of its site.) */
    bool (*may_carry)(void *ctx, const char *peer, const char *origin);
    /* A record not seen before, inside the transaction. 0: keep it (the inbox then writes the seen row).
     * INBOX_REFUSED: not taken, counted, never acknowledged. INBOX_DUPLICATE: known under another rule.
     * Negative errno: fatal. */
    int (*record)(void *ctx, struct spool_stream *s, const struct record *r);
    /* What a peer reported of a stream (its own and, from a fog, those it asks for). Inside the transaction.
     * May be NULL. */
    int (*reported)(void *ctx, const char *peer, struct spool_stream *s, const Fogline__V1__LaneReport *r);
    /* Marks for one stream and lane within [from, to], for a State to `peer`. Appends at most max pointers;
     * returns how many. */
    size_t (*marks)(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                    struct interval range, Fogline__V1__Mark **out, size_t max);
    /* Documents this peer lacks, given what its Hello says it has (NULL outside a Hello). May be NULL. */
    size_t (*documents)(void *ctx, struct wire_arena *a, const char *peer, const Fogline__V1__Hello *hello,
                        Fogline__V1__Document **out, size_t max);
    /* How full the store below is, in thousandths: 900 closes backlog windows, 970 live ones. May be NULL. */
    unsigned (*fill)(void *ctx);
    /* Weight of a peer's backlog among that of the peers whose turn it is, from 1. May be NULL: all 1. */
    unsigned (*weight)(void *ctx, const char *node);
    /* A peer said Hello (session, role, clocks); before the `reported` of its streams. May be NULL. */
    void (*hello)(void *ctx, const char *peer, const Fogline__V1__Hello *hello);
    /* Is something of the stream yet to be said, so that it must stay? 0: no; 1: yes; negative errno. Inside
     * the transaction. May be NULL. */
    int (*is_needed)(void *ctx, struct spool_stream *s);
    /* A stream is about to be forgotten (forget_epochs): drop what points to it (outbox_stream_drop). May be
     * NULL. */
    void (*forgetting)(void *ctx, struct spool_stream *s);
};

struct inbox_options {
    struct spool *spool; /* borrowed */
    const char *node;    /* copied */
    struct inbox_ops ops;
    uint64_t seed;                  /* of the run number; from the system in daemons */
    uint64_t memory_bytes;          /* sum of all windows */
    uint64_t window_max_bytes;      /* of one class of one peer */
    const struct id128 *archive_id; /* cloud only; copied. NULL: not the archive */
    bool forget_epochs; /* a fog: a stream not listed by its owner and not held is forgotten. The cloud: false
                         */
    uint32_t rules_off; /* enum hop_rule bits; simulator only */
};

struct inbox;

must_check int inbox_new(struct inbox **ret_ib, const struct inbox_options *options);
struct inbox *inbox_free(struct inbox *ib);

/* One Up message. user_id is what the gate authenticated. Writes into the spool's transaction. 0 or negative
 * errno; bad messages are counted and answered as the protocol says. */
must_check int inbox_on_up(struct inbox *ib, const char *user_id, struct span up, int64_t now_ms);
/* Bytes and records taken since the last commit: the host ends a batch at HOP_BATCH_BYTES. */
uint64_t inbox_batch_bytes(const struct inbox *ib);
uint64_t inbox_batch_records(const struct inbox *ib);
bool inbox_wants_commit(const struct inbox *ib); /* an answer waits for it, records or not */
/* The transaction was committed: States go out to everyone concerned. */
void inbox_committed(struct inbox *ib, int64_t now_ms);
must_check int inbox_reload(struct inbox *ib); /* after a failed commit: forgets the batch */
/* Fresh marks exist for a stream (a commit archived it, a mark came from above): tell its peer soon. */
void inbox_marks_changed(struct inbox *ib, struct spool_stream *s, unsigned lane);
/* There are other documents than before: every peer is answered once more, with the next commit, not first
 * when it asks again. */
void inbox_documents_changed(struct inbox *ib);
/* Forgets a stream of which nothing is held, in the open transaction. 0; -EBUSY: something is, is on the
 * account, or is_needed says so. */
must_check int inbox_forget(struct inbox *ib, struct spool_stream *s);
/* Leases, pushes of marks. */
void inbox_tick(struct inbox *ib, int64_t now_ms, int64_t *ret_next_ms);

/* Another run, as after a start: what is under way to this one is not taken, and the lower sides say Hello
 * again. */
void inbox_new_run(struct inbox *ib);
uint64_t inbox_run(const struct inbox *ib);
struct inbox_peer_info {
    const char *node, *role, *software; /* borrowed until the next inbox call */
    uint64_t session;
    int64_t last_heard_ms;
    uint64_t records, bytes;
    bool linked; /* its lease has not run out */
};
size_t inbox_n_peers(const struct inbox *ib);
void inbox_peer_at(const struct inbox *ib, size_t i, int64_t now_ms, struct inbox_peer_info *ret_p);
/* The reports the peers linked now made of their own streams: what a fog asks the cloud about. Gives copies
 * in the arena. */
size_t inbox_asks(struct inbox *ib, struct wire_arena *a, int64_t now_ms, Fogline__V1__EpochReport **out,
                  size_t max);

enum inbox_counter {
    INBOX_HELLOS,
    INBOX_DATA,
    INBOX_RECORDS,
    INBOX_SAMPLES,
    INBOX_PAYLOAD_BYTES,
    INBOX_DUPLICATES,
    INBOX_RECORDS_REFUSED,
    INBOX_RECORDS_INTERVALS,
    INBOX_DROPPED_SENDER,
    INBOX_DROPPED_SESSION,
    INBOX_DROPPED_RUN,
    INBOX_DROPPED_EPOCH,
    INBOX_DROPPED_CARRY,
    INBOX_DROPPED_WINDOW,
    INBOX_DROPPED_OBJECT,
    INBOX_MALFORMED,
    INBOX_STATES_SENT,
    INBOX_COUNTERS
};
extern const struct counter_info inbox_counter_info[INBOX_COUNTERS];
const uint64_t *inbox_counters(const struct inbox *ib);

#endif
