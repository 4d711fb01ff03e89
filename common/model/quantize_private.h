/* quantize_private.h - how quantising is divided. Private to common/model.
 *
 * quantize_flow.c decides which item works on int8, quantize_ranges.c learns scales of rows,
 * quantize_numbers.c makes integers of the numbers of a layer, quantize_emit.c makes the graph,
 * quantize_measure.c compares it with the first one. */
#ifndef FOGLINE_MODEL_QUANTIZE_PRIVATE_H
#define FOGLINE_MODEL_QUANTIZE_PRIVATE_H

#include "model/plan.h"
#include "model/quantize.h"

enum q_mode {
    Q_FLOAT = 0,
    Q_LAYER, /* a layer of integers */
    Q_TABLE, /* a function of one value, by a table of 256 */
    Q_MOVE,  /* values move, none changes; MaxPool as well */
    Q_DONE,  /* a layer before took it along */
};

struct q_scale {
    float scale;
    int32_t zero;
};

/* x becomes round((x - offset) / scale) in each column: int8 without a zero point. */
struct q_columns {
    float *offset, *scale;
    struct range_observer *observers;
    size_t n;
};

struct q_tensor {
    bool is_integer;                /* what gives it works on integers */
    bool wants_i8, wants_f32;       /* what uses it does */
    uint16_t group;                 /* tensors of one scale: the number of the first */
    struct q_scale q;               /* of the group */
    struct range_observer observer; /* of the group */
    struct q_columns *columns;      /* NULL: one scale for all */
    double *mean;                   /* of each input of the layers that read it, as int8 has it */
    /* In the build, INFER_NONE: not there (yet): its own type; int8; int8 as [N,L,C]; int8 by columns. */
    uint16_t own, i8, i8_last, i8_columns;
};

struct q_item {
    enum q_mode mode;
    uint16_t given; /* the tensor it gives, with what it took along */
    const char *why;
};

struct quantizer {
    struct plan plan;
    struct plan_map map; /* of constants */
    const struct model_rows *rows;
    const struct quantize_options *options;
    struct q_tensor *tensors;
    struct q_item *items;
    struct infer_build *build;
    struct errmsg *err;
};

must_check int q_no_memory(struct quantizer *q);

/* Modes of items, groups and wishes of tensors. */
void q_flow(struct quantizer *q);
bool q_is_dense_input(const struct quantizer *q, uint16_t tensor);
/* Scales of all tensors that are wanted as int8. */
must_check int q_learn(struct quantizer *q);
static inline struct q_scale q_scale_of(const struct quantizer *q, uint16_t tensor)
{
    return q->tensors[q->tensors[tensor].group].q;
}
int8_t q_quantize(struct q_scale s, double v);

/* What the integer forms of a layer are made of; memory is the plan's. */
struct q_numbers {
    int8_t *w;      /* as the layer has it, [m][k][taps] */
    int32_t *bias;  /* at the scale of the sums */
    float *w_scale; /* [m] */
    int64_t *w_sum; /* [m] */
};
/* x: of the input; with columns: scale 1, zero 0. */
must_check int q_numbers_of(struct quantizer *q, const struct plan_layer *l, struct q_scale x,
                            const struct q_columns *columns, struct q_numbers *ret);

must_check int q_emit(struct quantizer *q);
/* A tensor of the graph in the build, in its own type; as int8; with the channels last. */
must_check int q_own(struct quantizer *q, uint16_t tensor, uint16_t *ret_tensor);
must_check int q_i8(struct quantizer *q, uint16_t tensor, uint16_t *ret_tensor);
must_check int q_i8_last(struct quantizer *q, uint16_t tensor, uint16_t *ret_tensor);
must_check int q_i8_columns(struct quantizer *q, uint16_t tensor, uint16_t *ret_tensor);
/* One node that gives one tensor. */
must_check int q_node(struct quantizer *q, struct infer_node *node, size_t n_inputs, uint16_t *ret_tensor);
must_check int q_emit_layer(struct quantizer *q, struct q_item *item, const struct plan_layer *l);
must_check int q_scalar(struct quantizer *q, enum infer_type type, const void *value, uint16_t *ret_tensor);

must_check int q_measure(struct quantizer *q, struct quantize_report *report);

#endif
