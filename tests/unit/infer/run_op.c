#include "unit/infer/run_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { GUARD_BYTES = 64, GUARD = 0xa5 };

void run_op_init(struct run_op *t, enum infer_op op)
{
    memset(t, 0, sizeof *t);
    t->node.op = (uint16_t)op;
    t->node.n_outputs = 1;
    for (size_t i = 0; i < INFER_NODE_OUTPUTS_MAX; i++)
        t->node.outputs[i] = (uint16_t)(INFER_NODE_INPUTS_MAX + i);
}

void run_op_computed(struct run_op *t, enum infer_type type, struct infer_shape shape, const void *values)
{
    uint8_t i = t->node.n_inputs++;

    assert_true(i < INFER_NODE_INPUTS_MAX);
    t->node.inputs[i] = i;
    t->tensors[i] = (struct infer_tensor){type, shape, NULL};
    t->x[i] = values;
}

void run_op_input(struct run_op *t, enum infer_type type, struct infer_shape shape, const void *values)
{
    run_op_computed(t, type, shape, values);
    t->tensors[t->node.n_inputs - 1].constant = values;
}

void run_op_left_out(struct run_op *t)
{
    t->node.inputs[t->node.n_inputs++] = INFER_NONE;
}

int run_op_check(struct run_op *t)
{
    return infer_op_check(&t->node, t->tensors, INFER_NODE_INPUTS_MAX, &t->tensors[INFER_NODE_INPUTS_MAX],
                          &t->err);
}

static size_t output_bytes(const struct run_op *t, size_t i)
{
    const struct infer_tensor *y = &t->tensors[INFER_NODE_INPUTS_MAX + i];

    return infer_shape_elements(&y->shape) * infer_type_bytes(y->type);
}

static uint8_t *guarded(size_t bytes)
{
    uint8_t *p = aligned_alloc(64, (bytes + 63) / 64 * 64 + 2 * (size_t)GUARD_BYTES);

    assert_non_null(p);
    memset(p, GUARD, (bytes + 63) / 64 * 64 + 2 * (size_t)GUARD_BYTES);
    return p + GUARD_BYTES;
}

static void check_guards(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < GUARD_BYTES; i++) {
        assert_int_equal(p[bytes + i], GUARD);
        assert_int_equal(p[-1 - (ptrdiff_t)i], GUARD);
    }
}

void run_op_run(struct run_op *t)
{
    size_t scratch_bytes;
    uint8_t *scratch;

    if (run_op_check(t) != 0)
        fail_msg("%s", t->err.text);
    scratch_bytes = infer_op_scratch_bytes(&t->node, t->tensors);
    scratch = guarded(scratch_bytes);
    for (size_t i = 0; i < t->node.n_outputs; i++)
        t->y[i] = guarded(output_bytes(t, i));
    infer_op_run(&t->node, t->tensors, t->x, t->y, scratch);
    for (size_t i = 0; i < t->node.n_outputs; i++)
        check_guards(t->y[i], output_bytes(t, i));
    check_guards(scratch, scratch_bytes);
    free(scratch - GUARD_BYTES);
    assert_true(infer_op_operations(&t->node, t->tensors) < UINT64_C(1) << 40);
}

void run_op_deinit(struct run_op *t)
{
    for (size_t i = 0; i < INFER_NODE_OUTPUTS_MAX; i++)
        if (t->y[i] != NULL)
            free((uint8_t *)t->y[i] - GUARD_BYTES);
    memset(t->y, 0, sizeof t->y);
}

static bool close_enough(double a, double b)
{
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-5 + 1e-5 * fabs(b);
}

void run_op_expect(const struct run_op *t, size_t i, enum infer_type type, struct infer_shape shape,
                   const void *values)
{
    const struct infer_tensor *y = &t->tensors[INFER_NODE_INPUTS_MAX + i];

    assert_int_equal(y->type, type);
    if (!infer_shape_equal(&y->shape, &shape))
        fail_msg("shape of %u dimensions %u %u %u..., not %u: %u %u %u...", y->shape.rank, y->shape.dim[0],
                 y->shape.dim[1], y->shape.dim[2], shape.rank, shape.dim[0], shape.dim[1], shape.dim[2]);
    if (type != INFER_F32) {
        assert_memory_equal(t->y[i], values, output_bytes(t, i));
        return;
    }
    for (size_t k = 0; k < infer_shape_elements(&shape); k++) {
        double got = ((const float *)t->y[i])[k], want = ((const float *)values)[k];

        if (!close_enough(got, want))
            fail_msg("element %zu is %.9g, not %.9g", k, got, want);
    }
}

void run_op_expect_refused(struct run_op *t, const char *word)
{
    assert_int_equal(run_op_check(t), -EINVAL);
    if (strstr(t->err.text, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", t->err.text, word);
}
