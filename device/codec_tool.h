/* codec_tool.h - the commands of `fogline-codec`; each file adds a table. */
#ifndef FOGLINE_DEVICE_CODEC_TOOL_H
#define FOGLINE_DEVICE_CODEC_TOOL_H

#include "ctl/cmd.h"
#include "device/codec_file.h"

extern const struct cmd codec_tool_encode[], codec_tool_decode[], codec_tool_inspect[], codec_tool_compare[];
extern const struct ctl_tier codec_tool_tier;

enum { CODEC_TOOL_ROWS = 1000 }; /* of a block, when not said */

/* Rows of a table of options: how a CSV file is to be read. */
#define CODEC_TOOL_CSV_OPTIONS                                                                               \
    {"time", 0, "COL[,COL]", "columns that make the time"},                                                  \
        {"int", 0, "COL[,COL]", "columns to keep as int64"},                                                 \
    {                                                                                                        \
        "tz", 0, "ZONE", "zone of times that do not say theirs (UTC)"                                        \
    }

#define CODEC_TOOL_BOUND_OPTION                                                                              \
    {                                                                                                        \
        "bound", 0, "CHANNEL=EPS", "let the doubles of a channel be off by up to EPS; again for others"      \
    }

/* Each returns CTL_OK, or what to exit with, said on ctl->err. */
must_check int codec_tool_load(struct ctl *ctl, const char *path, struct codec_table **ret_t);
/* --bound, one for each column; NULL when none is given. free() it. */
must_check int codec_tool_bounds(struct ctl *ctl, const struct codec_table *t, const char *path,
                                 double **ret_bounds);
must_check int codec_tool_encoding(struct ctl *ctl,
                                   enum block_encoding *ret_encoding); /* --encoding, or small */
must_check int codec_tool_rows(struct ctl *ctl, uint32_t *ret_rows);   /* --rows, or 1000 */
/* The whole file into *bytes, and opened; f borrows bytes. */
must_check int codec_tool_open(struct ctl *ctl, const char *path, struct buf *bytes,
                               struct codec_file **ret_f);
/* -o FILE: must be given and be another file than `input`. */
must_check int codec_tool_output(struct ctl *ctl, const char *input, const char **ret_path);

#endif
