/* inbox_private.h - what the files of the inbox share. Not for others. */
#ifndef FOGLINE_HOP_INBOX_PRIVATE_H
#define FOGLINE_HOP_INBOX_PRIVATE_H

#include "base/cleanup.h"
#include "base/rng.h"
#include "hop/inbox.h"

enum {
    INBOX_PEERS_MAX = 8192,
    INBOX_HELLO_KEPT_BYTES = WIRE_UP_MAX_BYTES, /* a Hello kept to be answered and asked about */
    INBOX_DIRTY_MAX = 1024,                     /* marks waiting to be pushed to one peer */
    INBOX_LANES_PER_STATE = 256,
    INBOX_DOCUMENTS_MAX = WIRE_DOCUMENTS_MAX,
    SESSION_FACT_BYTES = 32,
    ASKS_STEP = 251, /* peers */
};

struct peer {
    char node[SPOOL_NAME_BYTES];
    char role[16], software[32];
    uint64_t session, session_saved; /* highest heard; as it stands on disk */
    uint64_t stamp;                  /* newest of its Hellos of that session */
    bool has_session;                /* said Hello to this run */
    int64_t lease_until_ms, last_heard_ms, next_push_ms;
    uint64_t granted_bytes;             /* what may come in one round */
    uint64_t live_bytes, backlog_bytes; /* windows of its lease */
    uint64_t backlog_waiting_bytes;     /* as its last Hello says */
    uint32_t fill;                      /* thousandths of its quota, the same */
    uint64_t round;                     /* of its next turn of backlog */
    int64_t turn_until_ms;
    uint64_t backlog_taken_bytes; /* within its backlog window, fading ... */
    uint64_t backlog_window_ms;   /* ... and that window's bytes times the milliseconds they stood */
    int64_t pace_from_ms, paced_ms;
    uint32_t turnaround_us; /* in which a full backlog window goes round; 0: not known */
    uint64_t round_bytes;   /* taken or dropped since the last commit */
    uint64_t records, bytes;
    struct id128 listed[WIRE_EPOCHS_MAX]; /* own epochs of its last Hello */
    size_t n_listed;
    struct buf hello;      /* its last Hello as it came, for inbox_asks and the answer */
    bool answer;           /* wants a State with this round's commit */
    bool answer_hello;     /* ... which answers a Hello */
    struct touch *touched; /* lanes with records this round */
    size_t n_touched, touched_alloc;
    struct dirty *dirty;
    size_t n_dirty;
    struct peer *next; /* of its hash bucket */
    size_t index;
};

/* Records of one lane that came in this round, to be acknowledged. */
struct touch {
    struct spool_stream *stream;
    unsigned lane;
    uint64_t from, to;
};

struct dirty {
    struct spool_stream *stream;
    unsigned lane;
};

struct stream_in {
    uint64_t unlisted_session; /* in whose Hellos the epoch was not listed; 0: none */
    int64_t unlisted_since_ms;
    struct peer *carrier[LANE_COUNT]; /* who brought or asked about it last */
    uint64_t asked_from[LANE_COUNT];  /* lowest held as last reported: where marks begin */
    uint64_t floor[LANE_COUNT]; /* nothing below it can come: lowest held, or next when nothing is held */
    bool dirty[LANE_COUNT];
    size_t touch[LANE_COUNT]; /* index + 1 in the carrier's touched, of this round */
    struct peer *touch_peer[LANE_COUNT];
};

enum { INBOX_BUCKETS = 1024 };

struct inbox {
    struct spool *spool;
    struct inbox_options options;
    char node[SPOOL_NAME_BYTES];
    struct id128 archive_id;
    bool is_archive;
    uint64_t run;
    struct rng rng;              /* of runs */
    struct wire_arena *in, *out; /* of the message taken, of the State built */
    struct buf packed;
    struct peer *bucket[INBOX_BUCKETS];
    struct peer **peers; /* all, in order of arrival */
    size_t n_peers, peers_alloc;
    uint64_t batch_bytes, batch_records;
    size_t n_answers, next_ask;
    uint64_t round; /* of turns of backlog: that of the last one taken */
    uint64_t counter[INBOX_COUNTERS];
};

static inline bool inbox_rule(const struct inbox *ib, enum hop_rule rule)
{
    return (ib->options.rules_off & (uint32_t)rule) == 0;
}

static inline uint64_t inbox_charge(size_t payload_bytes)
{
    return payload_bytes + 64;
}

/* inbox.c */
struct peer *inbox_peer_find(const struct inbox *ib, const char *node);
must_check int inbox_peer_make(struct inbox *ib, const char *node, struct peer **ret_p);
must_check int inbox_stream_in(struct spool_stream *s, struct stream_in **ret_si);
void inbox_answer(struct inbox *ib, struct peer *p, bool to_hello);
must_check int inbox_touch(struct peer *p, struct spool_stream *s, unsigned lane, struct interval range);

/* inbox_hello.c */
/* The stream, made when missing. 0; SPOOL_LIMIT: its origin, or all together, have too many. */
must_check int inbox_stream_make(struct inbox *ib, const char *origin, const struct id128 *epoch,
                                 struct spool_stream **ret_s);
must_check int inbox_load_session(struct inbox *ib, struct peer *p);
must_check int inbox_take_hello(struct inbox *ib, struct peer *p, const Fogline__V1__Up *up, struct span raw,
                                int64_t now_ms);

/* inbox_data.c */
must_check int inbox_take_data(struct inbox *ib, struct peer *p, const Fogline__V1__Data *data,
                               int64_t now_ms);

/* inbox_grants.c */
void inbox_grant(struct inbox *ib, struct peer *p, int64_t now_ms, Fogline__V1__Windows *w);
/* Whose backlog has a free turn and does not know: a State takes it. NULL: nobody; *ret_next_ms is when to
 * look again at the latest. */
struct peer *inbox_next_turn(const struct inbox *ib, int64_t now_ms, int64_t *ret_next_ms);

/* inbox_state.c */
void inbox_send_state(struct inbox *ib, struct peer *p, int64_t now_ms);
void inbox_push_marks(struct inbox *ib, struct peer *p, int64_t now_ms);

#endif
