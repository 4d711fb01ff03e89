/* detector.h - detectors of anomalies that need no model: they learn from the first rows and then judge.
 *
 * Streaming and causal: a row in, a verdict out, in constant memory and bounded time. The state is one flat
 * block of bytes without pointers that the caller gives; nothing is allocated. It may be moved, saved and
 * restored at any row: what follows is the same to the last bit, on every machine (doubles, the four
 * operations and sqrt).
 *
 * During commissioning (`commission_rows` rows with a usable cell) a detector learns without labels and says
 * nothing; a minority of odd rows among them only makes it duller. A cell is usable when it is present and
 * finite; beyond +-1e100 it counts as +-1e100. A channel without a usable cell keeps the state it has. A
 * channel that did not move during commissioning, or was absent for most of it, has no scale and is not
 * judged (`n_blind`). Any values, times and saved bytes are safe. Threads: one owner of a state. */
#ifndef FOGLINE_INFER_DETECTOR_H
#define FOGLINE_INFER_DETECTOR_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DETECTOR_CHANNELS_MAX = 32, DETECTOR_WINDOW_MAX = 63 };

enum detector_kind {
    DETECTOR_EWMA,  /* the smoothed value of a channel left its band; channels that drift get a wide one */
    DETECTOR_MEWMA, /* the smoothed values together: T2, with their correlations */
    DETECTOR_CUSUM, /* a small shift that lasts adds up */
    DETECTOR_PAGE_HINKLEY, /* the same, against the mean since the last alarm */
    DETECTOR_HAMPEL,       /* a value far from the median of a window */
    DETECTOR_PCA,          /* T2 within and Q beside the main components */
    DETECTOR_SURPRISE,     /* a value, step or shift rarer than the series has shown, and new extremes */
    DETECTOR_N_KINDS
};

/* Start from detector_defaults. What a kind does not use is 0; units, ranges and defaults: detector_params.
 */
struct detector_spec {
    uint32_t kind, n_channels;
    uint32_t commission_rows, settle_rows;
    uint32_t gap_ms, window_rows;
    uint32_t quiet_rows, change_quiet_rows;
    double limit, clear, weight, follow, floor;
    double change_limit, change_weight;
    double slack, share;
    double variance_weight, tail, tail_weight, cap, extreme;
};

struct detector_param {
    const char *name, *unit, *help;
    uint32_t kinds;  /* bit 1 << kind: whose parameter this row describes */
    uint32_t offset; /* in struct detector_spec */
    bool is_whole;   /* uint32_t; else double */
    double min, max, normal;
};

struct detector_verdict {
    double score;          /* 1: the alarm limit; 0 while commissioning; at most 1e6 */
    bool is_alarm;         /* raised above 1, cleared below `clear` */
    bool is_changepoint;   /* another level than shortly before; needs change_limit > 0 */
    bool is_commissioning; /* still learning */
    double progress;       /* of commissioning, 0..1 */
    uint32_t channel;      /* contributes most to the score; 0 when none does */
    uint32_t n_blind;      /* channels that cannot be judged */
};

struct detector_state; /* detector_state_bytes of it, aligned to 8 */

const char *detector_kind_name(enum detector_kind kind); /* "ewma"; "?" for no kind */
/* All rows, one a parameter and group of kinds; static. */
const struct detector_param *detector_params(size_t *ret_n);
struct detector_spec detector_defaults(enum detector_kind kind, uint32_t n_channels);
/* -EINVAL with the parameter, its value and its range. */
must_check int detector_check(const struct detector_spec *spec, struct errmsg *err);

/* Of a spec that was checked, as for all below. */
size_t detector_state_bytes(const struct detector_spec *spec);
void detector_init(struct detector_state *s, const struct detector_spec *spec);
/* present NULL: all are. time_ns is looked at for gap_ms only. */
void detector_step(struct detector_state *s, int64_t time_ns, const double *values, const bool *present,
                   struct detector_verdict *ret_verdict);

/* Writes detector_state_bytes bytes. */
void detector_save(const struct detector_state *s, uint8_t *ret_image);
/* -EINVAL: not an image of this version, damaged, or of another spec; then *s is what detector_init makes. */
must_check int detector_restore(struct detector_state *s, const struct detector_spec *spec, struct span image,
                                struct errmsg *err);

#endif
