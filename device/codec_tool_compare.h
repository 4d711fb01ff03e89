/* codec_tool_compare.h - what `fogline-codec compare` measured, and how it is told. */
#ifndef FOGLINE_DEVICE_CODEC_TOOL_COMPARE_H
#define FOGLINE_DEVICE_CODEC_TOOL_COMPARE_H

#include "device/codec_measure.h"
#include "device/codec_tool.h"

enum { COMPARE_LIST_MAX = 16, COMPARE_ENCODINGS = 2, COMPARE_BLOCK_ROWS = 4 };

extern const uint32_t compare_block_rows[COMPARE_BLOCK_ROWS];
extern const enum block_encoding compare_encodings[COMPARE_ENCODINGS];

struct compare_list {
    double at[COMPARE_LIST_MAX];
    unsigned n;
};

struct comparison {
    struct ctl *ctl;
    struct codec_set set;
    uint32_t rows;
    bool cold, has_zstd;
    size_t start_bytes;
    struct codec_measured_plain plain;
    struct codec_measured exact[COMPARE_ENCODINGS];
    struct compare_list percents;
    struct codec_measured bounded[COMPARE_LIST_MAX][COMPARE_ENCODINGS];
    double of_rows[COMPARE_BLOCK_ROWS][COMPARE_ENCODINGS][2]; /* bytes a sample: learned, cold */
    struct compare_list intervals;
    struct {
        uint64_t n_rows, n_samples;
        double per_sample[COMPARE_ENCODINGS], bytes_per_day[COMPARE_ENCODINGS];
    } of_interval[COMPARE_LIST_MAX];
};

/* All that was decoded was as it should be. */
bool comparison_is_exact(const struct comparison *c);
int comparison_show(const struct comparison *c); /* returns enum ctl_exit */

static inline double per_sample(double bytes, uint64_t n)
{
    return n > 0 ? bytes / (double)n : 0;
}

#endif
