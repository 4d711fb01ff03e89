/* Element by element over one operand. */
#include "infer/kernel_loops.h"
#include "infer/op_private.h"

#include <math.h>

int op_float_check(struct op_check *c)
{
    int r = op_takes(c, 0, OP_F32);

    if (r != 0)
        return r;
    op_gives(c, 0, INFER_F32, &c->in[0]->shape);
    return 0;
}

/* RELU, ABS, NEG */
int op_number_check(struct op_check *c)
{
    int r = op_takes(c, 0, c->node->op == INFER_NEG ? OP_ARITHMETIC & ~OP_U8 : OP_ARITHMETIC);

    if (r != 0)
        return r;
    op_gives(c, 0, c->in[0]->type, &c->in[0]->shape);
    return 0;
}

#define FLOATS(name, prepare, expression)                                                                    \
    void name(const struct op_call *c)                                                                       \
    {                                                                                                        \
        size_t n = op_elements(c->out[0]);                                                                   \
        const float *in = c->x[0];                                                                           \
        float *y = c->y[0];                                                                                  \
        prepare;                                                                                             \
                                                                                                             \
        for (size_t i = 0; i < n; i++) {                                                                     \
            float x = in[i];                                                                                 \
            y[i] = (expression);                                                                             \
        }                                                                                                    \
    }

#define ALPHA const float alpha = c->node->floats[0]
#define ALPHA_AND_NEXT const float alpha = c->node->floats[0], next = c->node->floats[1]
#define NOTHING (void)0

FLOATS(op_leaky_relu_run, ALPHA, x < 0 ? alpha * x : x)
FLOATS(op_sigmoid_run, NOTHING, 1 / (1 + expf(-x)))
FLOATS(op_tanh_run, NOTHING, tanhf(x))
FLOATS(op_elu_run, ALPHA, x < 0 ? alpha * expm1f(x) : x)
FLOATS(op_selu_run, ALPHA_AND_NEXT, next *(x > 0 ? x : alpha * expm1f(x)))
FLOATS(op_hard_sigmoid_run, ALPHA_AND_NEXT, fmaxf(0, fminf(1, alpha *x + next)))
FLOATS(op_softplus_run, NOTHING, (x > 0 ? x : 0) + log1pf(expf(-fabsf(x))))
FLOATS(op_exp_run, NOTHING, expf(x))
FLOATS(op_log_run, NOTHING, logf(x))
FLOATS(op_sqrt_run, NOTHING, sqrtf(x))

#define NUMBERS(T, expression)                                                                               \
    do {                                                                                                     \
        const T *in = c->x[0];                                                                               \
        T *y = c->y[0];                                                                                      \
                                                                                                             \
        for (size_t i = 0; i < n; i++) {                                                                     \
            T x = in[i];                                                                                     \
            y[i] = (T)(expression);                                                                          \
        }                                                                                                    \
    } while (0)

void op_relu_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]);

    switch (c->out[0]->type) {
    case INFER_F32:
        kernel_relu_f32(c->x[0], n, c->y[0]);
        break;
    case INFER_I8:
        NUMBERS(int8_t, x < 0 ? 0 : x);
        break;
    case INFER_I32:
        NUMBERS(int32_t, x < 0 ? 0 : x);
        break;
    case INFER_I64:
        NUMBERS(int64_t, x < 0 ? 0 : x);
        break;
    default:
        memcpy(c->y[0], c->x[0], n);
        break;
    }
}

void op_abs_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]);

    switch (c->out[0]->type) {
    case INFER_F32:
        NUMBERS(float, fabsf(x));
        break;
    case INFER_I8:
        NUMBERS(int8_t, x < 0 ? -x : x);
        break;
    case INFER_I32:
        NUMBERS(int32_t, x < 0 ? 0U - (uint32_t)x : (uint32_t)x);
        break;
    case INFER_I64:
        NUMBERS(int64_t, x < 0 ? 0U - (uint64_t)x : (uint64_t)x);
        break;
    default:
        memcpy(c->y[0], c->x[0], n);
        break;
    }
}

void op_neg_run(const struct op_call *c)
{
    size_t n = op_elements(c->out[0]);

    switch (c->out[0]->type) {
    case INFER_F32:
        NUMBERS(float, -x);
        break;
    case INFER_I8:
        NUMBERS(int8_t, -x);
        break;
    case INFER_I32:
        NUMBERS(int32_t, 0U - (uint32_t)x);
        break;
    default:
        NUMBERS(int64_t, 0U - (uint64_t)x);
        break;
    }
}
