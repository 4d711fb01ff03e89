/* outbox_private.h - what the files of the outbox share. Not for others. */
#ifndef FOGLINE_HOP_OUTBOX_PRIVATE_H
#define FOGLINE_HOP_OUTBOX_PRIVATE_H

#include "base/backoff.h"
#include "base/cleanup.h"
#include "hop/outbox.h"

/* In the order in which they are sent. CLASS_DRILL has no window of its own in a State: it takes what the
 * backlog leaves of its. */
enum outbox_class { CLASS_URGENT, CLASS_LIVE, CLASS_BACKLOG, CLASS_DRILL, CLASS_COUNT };

/* Whether what was asked for may go: the upper side is asked first what it has of it. */
enum drill_phase { DRILL_NONE, DRILL_ASK, DRILL_ASKED, DRILL_GO };

struct lane_out {
    struct interval_set unsent;  /* held, not stored above, not in flight, not settled: what may be sent */
    struct interval_set stored;  /* said to be stored by the present store */
    struct interval_set settled; /* to be deleted by the next apply */
    struct interval_set corrupt; /* found damaged when read: to be let go by the next apply */
    struct interval_set drill;   /* held, and asked for by the upper side: in no other class */
    struct interval_set drill_unsent; /* ... of it, what would else be in unsent */
    uint64_t live_from;               /* counts from here on are live, those below backlog */
    uint64_t cut;                     /* own current epoch: counts up to here are `again` */
    struct flight *flights;           /* in no order */
};

struct stream_out {
    struct spool_stream *stream;
    struct lane_out lane[LANE_COUNT];
};

/* A run of records of one lane in one Data message, waiting for its acknowledgement. */
struct flight {
    struct stream_out *owner;
    unsigned lane;
    enum outbox_class class;
    uint64_t from, to, bytes;
    int64_t sent_ms;
    bool resent;
    struct flight *lane_next, **lane_link; /* list of its lane */
    struct flight *time_next, *time_prev;  /* all, oldest first */
};

struct window {
    uint64_t bytes, in_flight;
};

struct outbox {
    struct spool *spool;
    struct outbox_options options;
    struct wire_arena *arena;
    struct buf out;
    struct backoff hello_backoff, reset_backoff;
    struct rng rng;

    enum outbox_phase phase;
    uint64_t session, run;
    struct id128 peer_store, archive_id;
    bool has_peer, has_archive_id;
    uint64_t archive_version;    /* of the operator's word on the archive; 0: none came */
    struct buf archive_document; /* that word, packed */
    int64_t hello_at_ms, poll_at_ms, hello_sent_ms, watch_from_ms, last_state_ms;
    int64_t unanswered_since_ms,
        slowest_answer_ms; /* Data under way and no State since; INT64_MIN: none is */

    struct window window[CLASS_COUNT];
    int64_t lease_until_ms;
    struct flight *oldest, *newest, *spare;
    double smoothed_rtt_ms;
    int64_t rto_ms;

    size_t next_stream;    /* round robin over the streams of a relay */
    size_t next_ask;       /* ... and over those asked about in a Hello */
    unsigned since_lowest; /* records sent since the lowest missing one went */
    bool blocked;
    int64_t blocked_until_ms;
    unsigned epochs_today;
    int64_t epochs_day_ms;
    bool settled_waits;
    enum drill_phase drill_phase;
    bool record_was_damaged; /* in the open transaction: the host does not know yet */
    uint64_t counter[OUTBOX_COUNTERS];
};

static inline bool outbox_rule(const struct outbox *ob, enum hop_rule rule)
{
    return (ob->options.rules_off & (uint32_t)rule) == 0;
}

/* What one record weighs in a window, on both sides of the hop. */
static inline uint64_t hop_charge(size_t payload_bytes)
{
    return payload_bytes + 64;
}

/* outbox.c */
must_check int outbox_stream_out(struct outbox *ob, struct spool_stream *s, struct stream_out **ret_so);
must_check int outbox_begin_session(struct outbox *ob, uint64_t session, int64_t now_ms);
void outbox_flight_end(struct outbox *ob, struct flight *f);
/* unsent = held - stored - settled - in flight, from the spool's mirrors. */
must_check int outbox_refill_unsent(struct stream_out *so, unsigned lane);

/* outbox_drill.c */
must_check int outbox_drill_split(struct stream_out *so, unsigned lane); /* after unsent was made anew */
must_check int outbox_unsent_remove(struct lane_out *lo, uint64_t from, uint64_t to); /* whatever its class */
/* What may be sent of a lane as this class. */
struct interval_set *outbox_unsent_of(struct lane_out *lo, enum outbox_class class);
/* Bytes of the class that may still go out, beside what is in flight. */
uint64_t outbox_room(const struct outbox *ob, enum outbox_class class, const uint64_t more[CLASS_COUNT]);
void outbox_drill_hello_sent(struct outbox *ob);
void outbox_drill_answered(struct outbox *ob);
void outbox_drill_ask_again(struct outbox *ob); /* a new session knows nothing of what is stored */

/* outbox_archive.c */
must_check int outbox_archive_load(struct outbox *ob);
must_check int outbox_take_archive(struct outbox *ob, const Fogline__V1__Document *d);
size_t outbox_archive_held(const struct outbox *ob,
                           Fogline__V1__DocumentVersion **out); /* how many: 0 or 1 */

/* outbox_send.c */
must_check int outbox_send_hello(struct outbox *ob, int64_t now_ms);
must_check int outbox_send_data(struct outbox *ob, int64_t now_ms);

#endif
