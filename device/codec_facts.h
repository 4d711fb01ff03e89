/* codec_facts.h - how the columns of a file of blocks were written, summed up over its blocks. Threads:
 * values. */
#ifndef FOGLINE_DEVICE_CODEC_FACTS_H
#define FOGLINE_DEVICE_CODEC_FACTS_H

#include "device/codec_file.h"

enum { CODEC_FACTS_KINDS = 12 };

/* A property of a block's column, and in how many blocks it was this. Ordered: the most frequent first. */
struct codec_kind {
    char name[24];
    uint64_t n_blocks;
};
struct codec_kinds {
    struct codec_kind at[CODEC_FACTS_KINDS]; /* more than so many: the last place is shared */
    unsigned n;
};

struct codec_column_facts {
    struct codec_kinds numbers, predictor, ranks;
    unsigned exponent_min, exponent_max;
    bool has_ulps;
    uint32_t n_ranks_max;
    uint64_t n_cells, n_absent, n_exceptions, n_not_good;
    double body_bytes;
};

struct codec_facts {
    uint64_t n_blocks, n_rows, n_samples, n_damaged;
    uint64_t body_bytes, start_bytes;
    struct codec_kinds encodings;
    struct codec_column_facts time, *columns; /* f->n_columns */
};

/* 0 or -ENOMEM. Damaged blocks are counted and skipped. */
must_check int codec_facts_new(struct codec_facts **ret_facts, const struct codec_file *f);
struct codec_facts *codec_facts_free(struct codec_facts *facts); /* accepts NULL */
void codec_facts_freep(struct codec_facts **facts);

#endif
