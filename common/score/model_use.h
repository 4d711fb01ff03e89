/* model_use.h - a model file that was read, checked and made ready for the inputs that are named for it.
 *
 * Owns the model, what its features remember and a place for what it is given. One thread at a time. */
#ifndef FOGLINE_SCORE_MODEL_USE_H
#define FOGLINE_SCORE_MODEL_USE_H

#include "config/config.h"
#include "infer/feature.h"
#include "infer/model.h"
#include "score/model_output.h"

enum { MODEL_KEYS_MAX = 8, MODEL_ID_CHARS = 64, MODEL_OUTPUTS_MAX = 64 };

/* What a row came to. */
enum model_said {
    MODEL_NOTHING, /* not yet */
    MODEL_ROW,
    MODEL_ODD,    /* a row, but with cells of bad quality */
    MODEL_MISSING /* an input that it cannot do without is not there */
};

struct model_settings {
    char file[512];
    uint8_t keys[MODEL_KEYS_MAX][32]; /* one of these must have signed it, when there are any */
    size_t n_keys, arena_bytes;
    bool allow_unsigned;
    unsigned n_inputs; /* rows have so many values */
};

struct model_output {
    char name[NAME_PART_CHARS + 1];
    enum column_type type;
    uint16_t port;
    uint32_t element;
};

struct model_use {
    struct infer_model *model;
    struct features *features; /* NULL: the inputs as they are */
    float *values;             /* n_in: what the model is given next */
    size_t n_in;
    uint64_t operations; /* of a run */
    uint32_t n_outputs;
    struct model_output outputs[MODEL_OUTPUTS_MAX];
    char id[MODEL_ID_CHARS]; /* for people: name, version, the begin of its hash */
};

/* 64 hexadecimal digits. */
bool model_key_parse(const char *hex, uint8_t ret_key[32]);
/* Complains of keys that are none, and of none where one is needed. field: of what has the key `keys`. */
void model_keys_check(const struct config_strings *keys, bool allow_unsigned, const char *field,
                      struct config_check *c);
void model_keys_take(struct model_settings *settings, const struct config_strings *keys);

/* -errno with a sentence that names the file. */
must_check int model_use_load(const struct model_settings *settings, struct model_use **ret,
                              struct errmsg *err);
struct model_use *model_use_free(struct model_use *u);                            /* accepts NULL */
bool model_use_is_like(const struct model_use *u, const struct model_use *other); /* has the same outputs */
/* Fills `values`. MODEL_ROW: it may run; MODEL_NOTHING: not yet; MODEL_MISSING: *ret_missing is not there. */
enum model_said model_use_prepare(struct model_use *u, const double *values, const bool *present,
                                  unsigned *ret_missing);
void model_use_run(struct model_use *u); /* on `values` */
/* After a run; MODEL_ODD: some are no numbers, the first in *ret_odd. */
enum model_said model_use_cells(const struct model_use *u, struct cell *cells, uint32_t *ret_odd);

#endif
