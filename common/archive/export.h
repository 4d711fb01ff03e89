/* export.h - samples out of the archive as text, every bit of them.
 *
 * csv: long form, one line per present cell: site,device,channel,time,value,quality,epoch,seq,row.
 * jsonl: one object per row: {"site","device","group","time","epoch","seq","row","values":{...}} and
 * "quality":{...} for the cells that are not good; absent cells are left out. Doubles are the shortest text
 * that reads back to the same bits (in JSON NaN and infinities are strings), int64 and bool exact. Order:
 * site, device, set, first time of the block, epoch, seq, row. (epoch, seq, row) names a row for ever: an
 * export never has one twice. Threads: the view's owner. */
#ifndef FOGLINE_ARCHIVE_EXPORT_H
#define FOGLINE_ARCHIVE_EXPORT_H

#include "archive/view.h"

#include <stdio.h>

enum export_format { EXPORT_CSV, EXPORT_JSONL };

struct export_options {
    enum export_format format;
    const char *pattern; /* checked by the caller */
    struct view_range range;
    bool unix_ns;   /* times as nanoseconds since 1970 instead of RFC 3339 */
    bool no_header; /* csv */
    FILE *out;      /* borrowed; flushed at the end */
};

struct export_counts {
    uint64_t rows, samples, blocks;
};

/* 0; negative errno (-EPIPE and the like from the file). ret_counts may be NULL. */
must_check int export_run(struct view *v, const struct export_options *options,
                          struct export_counts *ret_counts);

/* Rows of one block that was read elsewhere (tail). Appends. */
must_check int export_block(struct view *v, const struct export_options *options, const struct view_block *vb,
                            struct export_counts *counts);

#endif
