/* model_use.h - a model file that was read, checked and made ready for the inputs of a source.
 *
 * Owns the model, what its features remember and a place for what it is given. One thread at a time. */
#ifndef FOGLINE_DEVICE_INFER_MODEL_USE_H
#define FOGLINE_DEVICE_INFER_MODEL_USE_H

#include "device/infer/derived.h"

#include "infer/feature.h"
#include "infer/model.h"

enum { MODEL_KEYS_MAX = 8, MODEL_ID_CHARS = 64 };

struct model_settings {
    char file[512];
    uint8_t keys[MODEL_KEYS_MAX][32]; /* one of these must have signed it, when there are any */
    size_t n_keys, arena_bytes;
    bool allow_unsigned;
    unsigned n_inputs; /* rows have so many values */
};

struct model_output {
    char name[SOURCE_NAME_BYTES];
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
    struct model_output outputs[DERIVED_OUTPUTS_MAX];
    char id[MODEL_ID_CHARS]; /* for people: name, version, the begin of its hash */
};

/* -errno with a sentence that names the file. */
must_check int model_use_load(const struct model_settings *settings, struct model_use **ret,
                              struct errmsg *err);
struct model_use *model_use_free(struct model_use *u);                            /* accepts NULL */
bool model_use_is_like(const struct model_use *u, const struct model_use *other); /* has the same outputs */
/* Fills `values`. DERIVED_ROW; DERIVED_NOTHING: not yet; DERIVED_FAILED: *ret_missing is not there. */
enum derived_said model_use_prepare(struct model_use *u, const double *values, const bool *present,
                                    unsigned *ret_missing);
/* After a run; DERIVED_ODD: some are no numbers, the first in *ret_odd. */
enum derived_said model_use_cells(const struct model_use *u, struct cell *cells, uint32_t *ret_odd);

#endif
