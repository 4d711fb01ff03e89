/* run_op.h - one operator at a time: its tensors, checked, computed into memory with guards around it. */
#ifndef FOGLINE_TESTS_RUN_OP_H
#define FOGLINE_TESTS_RUN_OP_H

#include "infer/op.h"

enum { RUN_OP_TENSORS = INFER_NODE_INPUTS_MAX + INFER_NODE_OUTPUTS_MAX };

struct run_op {
    struct infer_node node;
    struct infer_tensor tensors[RUN_OP_TENSORS]; /* inputs, then outputs */
    const void *x[INFER_NODE_INPUTS_MAX];
    void *y[INFER_NODE_OUTPUTS_MAX]; /* owned */
    struct errmsg err;
};

/* Shapes: SHAPE(2, 3); SHAPE() is a scalar. */
#define SHAPE(...)                                                                                           \
    ((struct infer_shape){.rank = sizeof((uint32_t[]){0, ##__VA_ARGS__}) / sizeof(uint32_t) - 1,             \
                          .dim = {__VA_ARGS__}})

/* A node of `op` with one output; inputs are added one by one. */
void run_op_init(struct run_op *t, enum infer_op op);
/* The values are a constant as well: checks may read them. Borrowed; aligned or not. */
void run_op_input(struct run_op *t, enum infer_type type, struct infer_shape shape, const void *values);
void run_op_computed(struct run_op *t, enum infer_type type, struct infer_shape shape, const void *values);
void run_op_left_out(struct run_op *t);
/* The check alone; 0 or what it returned, with the sentence in t->err. */
int run_op_check(struct run_op *t);
/* Fails the test when the check refuses or when something beyond the outputs was written. */
void run_op_run(struct run_op *t);
void run_op_deinit(struct run_op *t);

/* Compares output i: type, shape, values; floats within 1e-5, relative or absolute. */
void run_op_expect(const struct run_op *t, size_t i, enum infer_type type, struct infer_shape shape,
                   const void *values);
/* The check refuses with a sentence that has `word` in it. */
void run_op_expect_refused(struct run_op *t, const char *word);

#endif
