/* recipe.h - what a model wants to be told of channels: values, windows, statistics, bands. Declared in the
 * model file, so that whoever trains and whoever runs it computes the same bits.
 *
 * One step is one row of the model's channels. Everything is counted in steps, not in seconds: whoever runs
 * the model says how far steps are apart. As bytes (a section of a model file; little-endian):
 *
 *   u16 version 1, u16 channels, u16 features, u8 enum recipe_absent, u8 0, u32 hop
 *   channels x 64 bytes: name, NUL padded, the last byte NUL
 *   features x 24 bytes: u8 enum feature_kind, u8 0, u16 channel, u32 n, u32 low, u32 high, f64 alpha
 *
 * As text, a line each, `#` begins a comment; `*` stands for every channel in turn:
 *
 *   channels temperature vibration
 *   hop 4                       # the model runs at each fourth step; without the line at each
 *   absent hold                 # hold, skip, nan
 *   value *
 *   ewma_mean temperature alpha=0.1
 *   band vibration n=256 low=3 high=9
 *
 * Pure: no clock, no I/O. Values; any bytes are safe. */
#ifndef FOGLINE_INFER_RECIPE_H
#define FOGLINE_INFER_RECIPE_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    RECIPE_CHANNELS_MAX = 64,
    RECIPE_FEATURES_MAX = 512,
    RECIPE_NAME_BYTES = 64,
    RECIPE_WINDOW_MAX = 4096, /* steps a feature may look back */
    RECIPE_WIDTH_MAX = 65536, /* numbers it gives the model */
    RECIPE_HOP_MAX = 1 << 20,
};

/* What a step without a reading of the channel (absent, NaN, infinite) is to its features. */
enum recipe_absent {
    RECIPE_HOLD = 0, /* the value before once more */
    RECIPE_SKIP = 1, /* no step for this channel: its windows hold readings only */
    RECIPE_NAN = 2,  /* a hole: NaN for the model; statistics leave it out */
};

/* Numbers stand in model files. x is the value of this step, x[k] the one k steps before. */
enum feature_kind {
    FEATURE_VALUE = 1,
    FEATURE_LAG = 2,        /* x[n] */
    FEATURE_DIFFERENCE = 3, /* x - x[n] */
    FEATURE_WINDOW = 4,     /* x[n-1] ... x: n numbers */
    FEATURE_EWMA_MEAN = 5,  /* m += alpha (x - m), from the first x */
    FEATURE_EWMA_STDDEV =
        6, /* v = (1 - alpha)(v + alpha d^2) with d = x - m before x (Finch 2009, eq. 143); its root */
    FEATURE_ZSCORE = 7, /* d / root of v, both before x; 0 while v is 0 */
    FEATURE_MEAN = 8,   /* of x[n-1] ... x, as the next four */
    FEATURE_STDDEV = 9, /* of the population */
    FEATURE_MIN = 10,
    FEATURE_MAX = 11,
    FEATURE_RMS = 12,
    FEATURE_BAND = 13,   /* power in bins low..high of the Fourier transform of x[n-1] ... x less its mean,
                          * Hann's   window; n a power of 2; a sine of amplitude A in the middle of a bin gives
                          * A^2/2 over   the three bins around it */
    FEATURE_ABSENT = 14, /* how many of the last n steps had no reading */
};

struct feature {
    enum feature_kind kind;
    uint16_t channel;
    uint32_t n;         /* where the kind has one: 1..RECIPE_WINDOW_MAX */
    uint32_t low, high; /* BAND: 1 <= low <= high <= n / 2 */
    double alpha;       /* EWMA, ZSCORE: 0 < alpha <= 1 */
};

struct recipe {
    size_t n_channels, n_features;
    enum recipe_absent absent;
    uint32_t hop;
    char channels[RECIPE_CHANNELS_MAX][RECIPE_NAME_BYTES];
    struct feature features[RECIPE_FEATURES_MAX];
};

/* How many numbers it gives. */
size_t recipe_width(const struct recipe *r);

/* -EINVAL with a sentence: what is wrong and in which feature. */
must_check int recipe_check(const struct recipe *r, struct errmsg *err);
must_check int recipe_decode(struct span bytes, struct recipe *ret, struct errmsg *err);
void recipe_encode(const struct recipe *r, struct buf *out);
/* `file` stands in messages: "features.txt:3: ...". */
must_check int recipe_parse(struct span text, const char *file, struct recipe *ret, struct errmsg *err);
void recipe_print(const struct recipe *r, struct buf *out); /* what recipe_parse reads back as the same */

const char *feature_kind_name(enum feature_kind kind); /* "ewma_mean"; NULL: none */
bool feature_kind_has_n(enum feature_kind kind);
bool feature_kind_has_alpha(enum feature_kind kind);

#endif
