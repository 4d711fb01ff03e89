/* what_if.h - what policies would make of a recording: bytes, samples, and how far off a reader would be.
 *
 * Each policy of the ladder goes the whole way: the recording through keep.h, the rows that are left through
 * the codec in blocks, back, and each reading of the recording against what stands for it: the last one sent,
 * or the mean of its window. Errors are in parts of the range of their channel. Numbers only. Threads:
 * values; one owner. */
#ifndef FOGLINE_DEVICE_WHAT_IF_H
#define FOGLINE_DEVICE_WHAT_IF_H

#include "device/codec_table.h"
#include "keep/keep.h"

enum {
    WHAT_IF_NAME_CHARS = 48,
    WHAT_IF_POLICIES_MAX = 16,
    WHAT_IF_AGGREGATES_MAX = 3,
    WHAT_IF_SILENCE_READINGS = 60
};

struct what_if_policy {
    enum keep_policy policy;
    double percent;  /* of the range: of bound and change */
    int64_t span_ns; /* max_silence of change, window of aggregate */
    char name[WHAT_IF_NAME_CHARS];
};

struct what_if_options {
    const struct codec_table *table; /* borrowed */
    int only_column;                 /* -1: all with numbers */
    uint32_t block_rows;
    int64_t pack_ns;        /* a block is closed when its first row is so old; 0: by its rows alone */
    int64_t max_silence_ns; /* 0: a minute, and at least WHAT_IF_SILENCE_READINGS */
};

struct what_if_result {
    uint64_t rows, samples, bytes; /* sent; bytes: payloads of block records */
    uint32_t blocks;
    double worst, rms; /* in parts of the range; infinite: something is not there at all */
    uint32_t worst_column;
    double worst_absolute; /* in the unit of that channel */
};

/* What is measured against. */
struct what_if_recording {
    uint64_t rows, samples;
    uint32_t n_columns;
    int64_t interval_ns;    /* median */
    int64_t max_silence_ns; /* as tried */
    double days;
    double range; /* of its only channel, 0 with several */
};

struct what_if;
/* 0; -ENODATA: not two rows or no numbers in it; -ENOMEM. */
must_check int what_if_new(struct what_if **ret_w, const struct what_if_options *options);
struct what_if *what_if_free(struct what_if *w); /* accepts NULL */
void what_if_freep(struct what_if **w);
const struct what_if_recording *what_if_recording(const struct what_if *w);
/* Policies worth a look: fills at most WHAT_IF_POLICIES_MAX, returns how many. */
unsigned what_if_ladder(const struct what_if *w, struct what_if_policy out[WHAT_IF_POLICIES_MAX]);
/* 0 or negative errno. */
must_check int what_if_run(struct what_if *w, const struct what_if_policy *policy,
                           struct what_if_result *ret);

#endif
