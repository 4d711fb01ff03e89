/* feed.h - what travels through the ring: groups, rows, events, receipts, decisions and marks, written by the
 * act thread and read by the io thread.
 *
 * The producer's half is the sink that sources write into. A live row that finds no room is dropped, and the
 * loss is told as a DROPPED event as soon as there is room again: how many samples, and from when to when.
 * Events that find no room are held until there is some.
 * Threads: feed_* of the producer by the act thread, feed_read by the io thread; counters are atomic.
 * Limits: all memory is taken in feed_new. */
#ifndef FOGLINE_DEVICE_FEED_H
#define FOGLINE_DEVICE_FEED_H

#include "device/ring.h"
#include "device/source.h"
#include "pack/pack.h"

#include <stdatomic.h>

enum {
    FEED_TEXT_BYTES = 200,
    FEED_ADDRESS_BYTES = 112,
    FEED_VALUE_BYTES = 40,
    FEED_HELD_MAX = 32, /* events that wait for room */
};

enum feed_kind {
    FEED_GROUP = 1,
    FEED_ROW = 2,
    FEED_EVENT = 3,
    FEED_RECEIPT = 4,
    FEED_DECISION = 5,
    FEED_MARK = 6
};

struct feed_event {
    uint32_t type;     /* proto EventType */
    uint32_t severity; /* 0 info, 1 warning, 2 error */
    int64_t time_ns, blind_from_ns, blind_to_ns;
    uint64_t count;
    char channel[SOURCE_NAME_BYTES]; /* of the source that it is about; empty: the source itself */
    char text[FEED_TEXT_BYTES];
};

struct feed_receipt {
    int fd;
    uint32_t samples, address_bytes;
    uint8_t address[FEED_ADDRESS_BYTES];
};

/* A rule was raised or cleared. */
struct feed_decision {
    uint32_t instance; /* of the rules */
    bool raised, has_value;
    uint8_t type; /* enum rule_type */
    uint8_t text_bytes;
    int64_t time_ns, since_ns; /* of the change; of the raise */
    union {
        double f64;
        int64_t i64;
    };
    uint8_t text[FEED_VALUE_BYTES]; /* cut */
};
enum { FEED_DECISION_BYTES = sizeof(struct feed_decision) + 32 }; /* in the ring, at most */

struct feed_counters {
    _Atomic uint64_t rows, samples, rows_dropped, samples_dropped, ticks_missed, events_dropped;
};

struct feed;

struct feed_options {
    struct ring *live; /* borrowed: what is said by live sources */
    struct ring
        *replay;    /* borrowed: by replayable ones. Apart, so that a replay that waits holds up nobody */
    bool wake_each; /* the consumer is woken for every row, not only when the ring is half full */
    unsigned n_sources;
};

must_check int feed_new(struct feed **ret_f, const struct feed_options *options);
struct feed *feed_free(struct feed *f); /* accepts NULL */
struct feed_counters *feed_counters(struct feed *f);

/* ---- producer ---- */
/* Sink of source no; borrowed for the life of the feed. */
const struct source_sink *feed_sink(struct feed *f, unsigned source, bool replayable);
/* Held when there is no room now, and in the ring by a later feed_flush, in order. false: FEED_HELD_MAX wait
 * already, lost and counted. */
bool feed_event(struct feed *f, unsigned source, const struct feed_event *e);
/* Into the ring now, or not at all: false. Not before those that are held. */
bool feed_try_event(struct feed *f, unsigned source, const struct feed_event *e);
bool feed_decision(struct feed *f, unsigned source, const struct feed_decision *d);
/* What stands before it in the ring is what images of memory.h know. false: no room now. */
bool feed_mark(struct feed *f, bool replay);
/* Was something said since feed_flush that is not to wait? */
bool feed_is_urgent(const struct feed *f);
/* Is there room now for the row of that source and for `more` bytes before it? At most half the ring is asked
 * for. */
bool feed_has_room(struct feed *f, unsigned source, const struct source_row *r, size_t more);
/* Tells events and losses that wait, then wakes the consumer where that is due. After each round of steps.
 * false: some wait still, call again soon. */
bool feed_flush(struct feed *f, int64_t wall_unix_ns);
/* What was not told so far: the first event that is held, or what the first source that has lost anything has
 * lost; false when there is nothing. Takes it. Also for the consumer, after the producer's thread has ended.
 */
bool feed_take_untold(struct feed *f, unsigned *ret_source, struct feed_event *ret_e);

/* ---- consumer ---- */
struct feed_message {
    enum feed_kind kind;
    unsigned source;
    uint32_t group;
    /* FEED_GROUP */
    const struct pack_channel *channels;
    uint32_t n_channels;
    /* FEED_ROW */
    int64_t time_ns;
    uint64_t mono_ns;
    const struct cell *cells; /* text borrows from the ring */
    uint32_t n_cells, n_samples;
    bool has_position;
    struct source_position position;
    struct keep_counts reduced; /* left out of this row and of those before it */
    bool is_account;            /* no row: position and reduced alone */
    /* FEED_EVENT, FEED_RECEIPT */
    struct feed_event event;
    struct feed_receipt receipt;
    struct feed_decision decision;
};
/* Its value as text: cut to n bytes, which are ended by NUL. */
void feed_decision_value(const struct feed_decision *d, char *out, size_t n);
/* The oldest message of one of the two rings, borrowed until ring_release; false when there is none. */
bool feed_read(struct feed *f, struct ring *ring, struct feed_message *ret_m);

#endif
