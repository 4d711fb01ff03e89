/* compare.h - how far two models are apart on the same rows.
 *
 * Both have to have the same inputs and outputs, as a model has that was made smaller. Pure; one thread. */
#ifndef FOGLINE_MODEL_COMPARE_H
#define FOGLINE_MODEL_COMPARE_H

#include "infer/model.h"
#include "model/rows.h"

struct output_difference {
    char name[64];
    enum infer_type type;
    double worst, rms;          /* of the difference; of numbers */
    double reference_rms;       /* of the first model's values */
    uint64_t n_odd;             /* values that are finite in one of them only; not in the figures above */
    uint64_t n_rows, n_decided; /* decided: rows in which both decide the same (is_decision) */
    /* Integers or texts: all equal; several numbers: the same one is the greatest; a single one: both on the
     * same side of the threshold. */
    bool is_decision;
};

struct model_difference {
    struct output_difference outputs[INFER_IO_MAX];
    size_t n_outputs;
};

/* The text `threshold` of a model, from which on its score is an alarm; NaN: it has none that is a number. */
double model_threshold(const struct infer_model *m);

/* threshold: from there on an output of a single number decides for an alarm. NaN: 0.5 for one that is a
 * probability, within 0 and 1 in all rows of `a`; any other decides nothing. -EINVAL when they cannot be
 * compared, -EMSGSIZE, -ENOMEM, with a sentence. */
must_check int models_compare(const struct infer_graph *a, const struct infer_graph *b,
                              const struct model_rows *rows, double threshold, struct model_difference *ret,
                              struct errmsg *err);

/* Element i of values of a type as a number; text: 0. */
double model_number_at(const void *values, enum infer_type type, size_t i);

#endif
