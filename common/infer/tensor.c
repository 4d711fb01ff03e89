#include "infer/tensor.h"

static const struct {
    uint8_t bytes;
    const char *name;
} types[] = {
    [INFER_F32] = {4, "float32"}, [INFER_I8] = {1, "int8"},   [INFER_U8] = {1, "uint8"},
    [INFER_I32] = {4, "int32"},   [INFER_I64] = {8, "int64"}, [INFER_F64] = {8, "float64"},
    [INFER_I16] = {2, "int16"},   [INFER_BOOL] = {1, "bool"}, [INFER_TEXT] = {INFER_TEXT_BYTES, "text"},
};

size_t infer_type_bytes(enum infer_type type)
{
    return (size_t)type < sizeof types / sizeof types[0] ? types[type].bytes : 0;
}

const char *infer_type_name(enum infer_type type)
{
    return (size_t)type < sizeof types / sizeof types[0] ? types[type].name : NULL;
}

size_t infer_shape_elements(const struct infer_shape *shape)
{
    size_t n = 1;

    for (unsigned i = 0; i < shape->rank; i++)
        n *= shape->dim[i];
    return n;
}

bool infer_shape_equal(const struct infer_shape *a, const struct infer_shape *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, a->rank * sizeof a->dim[0]) == 0;
}

int infer_shape_check(const struct infer_shape *shape, struct errmsg *err)
{
    uint64_t n = 1;

    if (shape->rank > INFER_RANK_MAX)
        return errmsg_set(err, -EINVAL, "a tensor of %u dimensions: at most %d are allowed", shape->rank,
                          INFER_RANK_MAX);
    /* Dimensions other than 0 multiply to at most the limit, so that no product of some of them is beyond. */
    for (unsigned i = 0; i < shape->rank; i++) {
        n *= shape->dim[i] == 0 ? 1 : shape->dim[i];
        if (n > INFER_ELEMENTS_MAX)
            return errmsg_set(err, -EINVAL, "a tensor has more than %d elements", INFER_ELEMENTS_MAX);
    }
    return 0;
}
