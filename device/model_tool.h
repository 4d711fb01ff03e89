/* model_tool.h - the commands of `fogline-model`; each file adds a table. */
#ifndef FOGLINE_DEVICE_MODEL_TOOL_H
#define FOGLINE_DEVICE_MODEL_TOOL_H

#include "ctl/cmd.h"
#include "device/codec_table.h"
#include "device/model_feed.h"
#include "infer/build.h"
#include "infer/model.h"
#include "infer/recipe.h"

#include <limits.h>

extern const struct cmd model_tool_import[], model_tool_inspect[], model_tool_run[], model_tool_bench[],
    model_tool_keygen[], model_tool_sign[], model_tool_verify[], model_tool_quantize[], model_tool_prune[],
    model_tool_eval[];
extern const struct ctl_tier model_tool_tier;

/* Rows of a table of options: how a CSV file is to be read, and which of its columns the model gets. */
#define MODEL_TOOL_CSV_OPTIONS                                                                               \
    {"inputs", 0, "COL[,COL]", "columns for the inputs of the model, in their order"},                       \
        {"time", 0, "COL[,COL]", "columns that make the time"},                                              \
    {                                                                                                        \
        "tz", 0, "ZONE", "zone of times that do not say theirs (UTC)"                                        \
    }

enum {
    MODEL_TOOL_NAMES_MAX = 512,
    MODEL_TOOL_ARENA_MAX_BYTES = 1 << 30, /* a tool may take more than a device */
};

/* Names of an option, given more than once or joined by commas. */
struct model_tool_names {
    char memory[16384];
    const char *at[MODEL_TOOL_NAMES_MAX];
    size_t n;
};

/* Each returns CTL_OK, or what to exit with, said on ctl->err. */
must_check int model_tool_names(struct ctl *ctl, const char *option, struct model_tool_names *ret);
/* A model file; free with infer_model_freep. */
must_check int model_tool_open(struct ctl *ctl, const char *path, struct infer_model **ret_m);
/* What infer_build_write made, as a model: how a device will read it. free() *ret_copy behind the model. */
must_check int model_tool_read_back(struct ctl *ctl, const struct buf *bytes, void **ret_copy,
                                    struct infer_model **ret_m);
/* A CSV file, with times or without. What could not be read is noted. */
must_check int model_tool_load(struct ctl *ctl, const char *path, struct codec_table **ret_t);
/* model_tool_load, and its rows for the model: --inputs, or by the names in the recipe. The feed borrows
 * both. `path` is that of the table. */
must_check int model_tool_feed(struct ctl *ctl, struct infer_model *m, const char *path,
                               struct codec_table **ret_t, struct model_feed **ret_f);
/* -o FILE, or `input` with another suffix (".fogmodel"): not the input itself, and no folder. */
must_check int model_tool_output(struct ctl *ctl, const char *input, const char *suffix,
                                 char ret_path[PATH_MAX]);
/* Replaces the file whole, or not at all. */
must_check int model_tool_write(struct ctl *ctl, const char *path, const struct buf *bytes);
/* A recipe as bytes of a model file, from a file of text; `width`: numbers that the model takes. */
must_check int model_tool_recipe(struct ctl *ctl, const char *path, size_t width, struct buf *out);

uint64_t model_tool_operations(const struct infer_graph *g); /* of a run */
/* The path without its folder. */
const char *model_tool_base(const char *path);
/* "1x3x32", "scalar" */
enum { MODEL_TOOL_SHAPE_CHARS = 80 };
const char *model_tool_shape(const struct infer_shape *shape, char text[MODEL_TOOL_SHAPE_CHARS]);
void model_tool_hex(const uint8_t *bytes, size_t n, char *ret_text); /* 2 n + 1 chars */

void infer_model_freep(struct infer_model **m); /* for owned() */
void infer_build_freep(struct infer_build **b);

#endif
