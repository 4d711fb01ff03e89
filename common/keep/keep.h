/* keep.h - which samples of a channel are sent: policies as arithmetic, without clock and without I/O.
 *
 * keep_judge says what is to become of a sample and changes nothing; keep_took is told what became of it, so
 * that a sample which found no room is judged again. Times are those of the samples.
 *
 * change: a sample is sent when it is further from the last one sent than the deadband (absolute, or percent
 * of the last one sent), so the last one sent stands for every sample until the next within the deadband: at
 * every sample time, in the arithmetic of doubles. That holds for samples in the order of their times and
 * without min_interval, which goes before it. Sent in any case: the first, one of another quality, one after
 * a row without this channel, one after max_silence, and one older than the newest sent, with the one after
 * it. A channel that says nothing for longer than max_silence and an interval is dead, not flat. NaN equals
 * the same bits only; a text, and a bool, any change. aggregate: numbers go into windows (keep_window) and
 * are not sent themselves; bools and texts are sent. local: never sent.
 *
 * A clock set back by more than KEEP_LATE_NS begins anew; less is a sample that came late. Threads: values;
 * one owner. Limits: a channel is a fixed number of bytes, a text one KEEP_TEXT_BYTES beside it. */
#ifndef FOGLINE_KEEP_KEEP_H
#define FOGLINE_KEEP_KEEP_H

#include "codec/block.h"

#include <stdbool.h>
#include <stdint.h>

/* Numbers as in proto/record.proto, KeepPolicy. */
enum keep_policy { KEEP_RAW, KEEP_CHANGE, KEEP_BOUND, KEEP_AGGREGATE, KEEP_LOCAL };

/* What becomes of a sample: it is sent, or it is not, and why. */
enum keep_verdict {
    KEEP_NO_CHANGE,  /* within the deadband of the last one sent */
    KEEP_TOO_SOON,   /* min_interval */
    KEEP_AGGREGATED, /* in a window */
    KEEP_STAYS,      /* local */
    KEEP_REASONS,
    KEEP_SEND = KEEP_REASONS,
};

#define KEEP_LATE_NS (INT64_C(3600) * 1000000000)
enum { KEEP_TEXT_BYTES = BLOCK_TEXT_MAX_BYTES };

struct keep_rule {
    enum keep_policy policy;
    enum column_type type;
    double deadband;         /* in the unit of the channel */
    double deadband_percent; /* of the last one sent; 0: deadband counts */
    int64_t max_silence_ns;  /* 0: none */
    int64_t min_interval_ns; /* 0: none */
    int64_t aggregate_ns;    /* length of a window, which begins at a multiple of it */
    bool rows_are_partial;   /* a row without the channel says nothing of it */
};

/* Zero is a channel that nothing was sent of. text: NULL, or KEEP_TEXT_BYTES borrowed for a channel of texts.
 */
struct keep_channel {
    bool has_sent, was_absent, after_late;
    uint8_t quality, text_bytes;
    int64_t sent_ns, newest_ns; /* the last one sent; the newest of them */
    union {
        double f64;
        int64_t i64;
    };
    uint8_t *text;
};

/* false: every sample is sent as it is. */
bool keep_does_anything(const struct keep_rule *r);
/* cell: present. */
enum keep_verdict keep_judge(const struct keep_rule *r, const struct keep_channel *c, int64_t time_ns,
                             const struct cell *cell);
/* The sample was sent, or was not and will not be. */
void keep_took(const struct keep_rule *r, struct keep_channel *c, int64_t time_ns, const struct cell *cell,
               bool sent);
/* A row came without the channel. */
void keep_was_absent(const struct keep_rule *r, struct keep_channel *c);

/* Samples between start and start + aggregate_ns. Numbers that are not finite, and those of bad or stale
 * quality, are seen and not counted. Integers are doubles here. */
struct keep_window {
    int64_t start_ns;
    uint64_t n, n_seen;
    double min, max, mean;
    bool is_doubtful; /* one of them was not good */
};
int64_t keep_window_start(int64_t time_ns, int64_t length_ns);
/* An empty window (n_seen 0) begins with it. */
void keep_window_add(struct keep_window *w, const struct keep_rule *r, int64_t time_ns,
                     const struct cell *cell);
/* good; uncertain: not all of its samples were good; bad: none was to be counted, and only the count is
 * there. */
enum quality keep_window_quality(const struct keep_window *w);
/* What is sent of a window; the cells of a window without numbers are absent but for the count. */
enum { KEEP_COUNT, KEEP_MIN, KEEP_MAX, KEEP_MEAN, KEEP_WINDOW_CELLS };
extern const char *const keep_window_names[KEEP_WINDOW_CELLS]; /* "count", ... */
void keep_window_cells(const struct keep_window *w, struct cell out[KEEP_WINDOW_CELLS]);

/* Samples that were not sent, by reason, and those of them that were sent after all. */
struct keep_counts {
    uint32_t samples[KEEP_REASONS], sent_later[KEEP_REASONS];
};
static inline void keep_counts_add(struct keep_counts *to, const struct keep_counts *c)
{
    for (unsigned i = 0; i < KEEP_REASONS; i++) {
        to->samples[i] += c->samples[i];
        to->sent_later[i] += c->sent_later[i];
    }
}
static inline bool keep_counts_any(const struct keep_counts *c)
{
    uint32_t any = 0;

    for (unsigned i = 0; i < KEEP_REASONS; i++)
        any |= c->samples[i] | c->sent_later[i];
    return any != 0;
}

#endif
