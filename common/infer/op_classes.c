/* Labels: from scores to one, and from one to another. */
#include "infer/op_private.h"

#include <math.h>

/* ---- label encoder ---- */

enum { X, KEYS, VALUES, DEFAULT, LABEL_TYPES = OP_I64 | OP_F32 | OP_F64 | OP_TEXT };

int op_label_check(struct op_check *c)
{
    if (op_takes(c, X, LABEL_TYPES) != 0 || op_takes(c, KEYS, 1U << c->in[X]->type) != 0 ||
        op_takes(c, VALUES, LABEL_TYPES) != 0 || op_takes(c, DEFAULT, 1U << c->in[VALUES]->type) != 0 ||
        op_takes_rank(c, KEYS, 1, 1) != 0 ||
        op_takes_vector(c, VALUES, op_elements(c->in[KEYS]), false) != 0 || op_takes_one(c, DEFAULT) != 0)
        return -EINVAL;
    op_gives(c, 0, c->in[VALUES]->type, &c->in[X]->shape);
    return 0;
}

uint64_t op_label_operations(const struct op_call *c)
{
    return op_product(op_elements(c->in[X]), op_elements(c->in[KEYS]) + 1);
}

/* No number is the same as no number. */
static bool same_label(const void *a, const void *b, enum infer_type type)
{
    if (type == INFER_TEXT)
        return strncmp(a, b, INFER_TEXT_BYTES) == 0;
    if (type == INFER_I64)
        return memcmp(a, b, sizeof(int64_t)) == 0;
    if (type == INFER_F32) {
        float x = *(const float *)a, y = *(const float *)b;

        return x == y || (isnan(x) && isnan(y));
    }
    return *(const double *)a == *(const double *)b ||
           (isnan(*(const double *)a) && isnan(*(const double *)b));
}

void op_label_run(const struct op_call *c)
{
    size_t n = op_elements(c->in[X]), n_keys = op_elements(c->in[KEYS]);
    size_t x_bytes = infer_type_bytes(c->in[X]->type), y_bytes = infer_type_bytes(c->out[0]->type);

    for (size_t i = 0; i < n; i++) {
        const char *found = c->x[DEFAULT];

        for (size_t k = 0; k < n_keys; k++)
            if (same_label((const char *)c->x[X] + i * x_bytes, (const char *)c->x[KEYS] + k * x_bytes,
                           c->in[X]->type)) {
                found = (const char *)c->x[VALUES] + k * y_bytes;
                break;
            }
        memcpy((char *)c->y[0] + i * y_bytes, found, y_bytes);
    }
}

/* ---- classifiers ---- */

enum { KIND = 0, POST = 1, SECOND = 2, KIND_GREATEST = 0, KIND_THRESHOLD = 1 };
enum { SECOND_COMPLEMENT = 1, SECOND_OPPOSITE = 2, SECOND_BY_LABEL = 3 };

int op_classify_check(struct op_check *c)
{
    struct infer_shape label = {.rank = 1}, scores = {.rank = 2};
    uint32_t m, classes;

    if (op_takes(c, 0, OP_F32) != 0 || op_takes(c, 1, OP_I64 | OP_TEXT) != 0 ||
        op_takes_rank(c, 0, 2, 2) != 0 || op_takes_rank(c, 1, 1, 1) != 0 ||
        op_takes_setting(c, KIND, KIND_GREATEST, KIND_THRESHOLD) != 0 ||
        op_takes_setting(c, POST, INFER_POST_NONE, INFER_POST_PROBIT) != 0)
        return -EINVAL;
    m = c->in[0]->shape.dim[1];
    classes = c->in[1]->shape.dim[0];
    if (c->node->ints[KIND] == KIND_GREATEST && (m != classes || m == 0))
        return op_refuse(c, "%u scores for %u classes", m, classes);
    if (c->node->ints[KIND] == KIND_THRESHOLD) {
        if (m != 1 || classes != 2)
            return op_refuse(c, "%u scores for %u classes, with a threshold it has to be 1 for 2", m,
                             classes);
        if (op_takes_setting(c, SECOND, SECOND_COMPLEMENT, SECOND_BY_LABEL) != 0)
            return -EINVAL;
    }
    label.dim[0] = scores.dim[0] = c->in[0]->shape.dim[0];
    scores.dim[1] = classes;
    op_gives(c, 0, c->in[1]->type, &label);
    if (c->node->n_outputs > 1)
        op_gives(c, 1, INFER_F32, &scores);
    return 0;
}

/* Both scores from one, by the rules of ONNX Runtime for models of two classes. */
static void two_scores(const struct infer_node *node, float s, float y[2])
{
    int how = node->ints[SECOND];

    if (node->ints[POST] == INFER_POST_PROBIT) {
        y[1] = op_probit(s);
        y[0] = 1 - y[1];
    } else if (how == SECOND_COMPLEMENT) {
        y[0] = 1 - s;
        y[1] = s;
    } else if (node->ints[POST] == INFER_POST_LOGISTIC) {
        y[0] = op_logistic(-s);
        y[1] = op_logistic(s);
    } else {
        bool is_second = how == SECOND_OPPOSITE || s > node->floats[0];

        y[0] = is_second ? -s : s;
        y[1] = is_second ? s : -s;
    }
}

static size_t class_of(const struct infer_node *node, const float *scores, size_t m)
{
    size_t best = 0;

    if (node->ints[KIND] == KIND_THRESHOLD)
        return scores[0] > node->floats[0];
    for (size_t i = 1; i < m; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}

void op_classify_run(const struct op_call *c)
{
    size_t m = c->in[0]->shape.dim[1], classes = c->in[1]->shape.dim[0];
    size_t bytes = infer_type_bytes(c->in[1]->type);
    const float *x = c->x[0];
    float *y = c->y[1];

    for (size_t n = 0; n < c->in[0]->shape.dim[0]; n++, x += m) {
        memcpy((char *)c->y[0] + n * bytes, (const char *)c->x[1] + class_of(c->node, x, m) * bytes, bytes);
        if (y == NULL)
            continue;
        if (c->node->ints[KIND] == KIND_THRESHOLD) {
            two_scores(c->node, *x, y);
        } else {
            memcpy(y, x, m * sizeof *y);
            op_post((enum infer_post)c->node->ints[POST], y, m);
        }
        y += classes;
    }
}
