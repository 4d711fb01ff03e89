/* TensorProto: values from raw bytes or from the field of their type. */
#include "model/onnx_private.h"

#include <stdlib.h>

enum {
    T_DIMS = 1,
    T_TYPE = 2,
    T_SEGMENT = 3,
    T_FLOAT = 4,
    T_INT32 = 5,
    T_STRING = 6,
    T_INT64 = 7,
    T_NAME = 8,
    T_RAW = 9,
    T_DOUBLE = 10,
    T_UINT64 = 11,
    T_EXTERNAL = 13,
    T_LOCATION = 14,
};

struct layout {
    uint8_t bytes;       /* of an element; 0: not read */
    uint8_t field;       /* typed */
    uint8_t field_bytes; /* of an element of that field, 0: varints */
    int64_t lowest, highest;
};

static const struct layout layouts[] = {
    [ONNX_FLOAT] = {4, T_FLOAT, 4, 0, 0},
    [ONNX_DOUBLE] = {8, T_DOUBLE, 8, 0, 0},
    [ONNX_UINT8] = {1, T_INT32, 0, 0, UINT8_MAX},
    [ONNX_INT8] = {1, T_INT32, 0, INT8_MIN, INT8_MAX},
    [ONNX_UINT16] = {2, T_INT32, 0, 0, UINT16_MAX},
    [ONNX_INT16] = {2, T_INT32, 0, INT16_MIN, INT16_MAX},
    [ONNX_INT32] = {4, T_INT32, 0, INT32_MIN, INT32_MAX},
    [ONNX_INT64] = {8, T_INT64, 0, INT64_MIN, INT64_MAX},
    [ONNX_BOOL] = {1, T_INT32, 0, 0, 1},
};

struct parts {
    struct span raw;
    bool has_raw;
};

static int refuse(const struct onnx_reading *in, const struct onnx_tensor *t, const char *why)
{
    char name[ONNX_NAME_TEXT];

    return errmsg_set(in->err, -EINVAL, "tensor \"%s\": %s", onnx_name_text(t->name, name), why);
}

static int read_head(const struct onnx_reading *in, struct span message, struct onnx_tensor *t,
                     struct parts *p)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    bool outside = false, segment = false;
    int rc = 0;

    while (rc == 0 && pb_next(&r, &f)) {
        switch (f.number) {
        case T_TYPE:
            t->type = (int32_t)f.value;
            break;
        case T_NAME:
            rc = onnx_read_name(in, &f, "a tensor", &t->name);
            break;
        case T_RAW:
            if (f.wire != PB_BYTES)
                return onnx_damaged(in, "a tensor");
            p->raw = f.bytes;
            p->has_raw = true;
            break;
        case T_SEGMENT:
            segment = true;
            break;
        case T_EXTERNAL:
            outside = true;
            break;
        case T_LOCATION:
            outside |= f.value != 0;
            break;
        default:
            break;
        }
    }
    if (rc != 0)
        return rc;
    if (r.bad)
        return onnx_damaged(in, "a tensor");
    if (outside)
        return refuse(
            in, t,
            "its values stand in another file (external data), which is not read; save the model with "
            "all values inside");
    return segment ? refuse(in, t, "its values are in segments, which are not read") : 0;
}

static int read_dims(const struct onnx_reading *in, struct span message, struct onnx_tensor *t)
{
    int64_t dims[ONNX_DIMS_MAX];
    size_t n = pb_count_numbers(message, T_DIMS, 0);

    if (n == SIZE_MAX)
        return onnx_damaged(in, "a tensor");
    if (n > ONNX_DIMS_MAX)
        return refuse(in, t, "it has more than 8 dimensions");
    if (pb_read_numbers(message, T_DIMS, 0, dims) != 0)
        return onnx_damaged(in, "a tensor");
    t->rank = (uint8_t)n;
    t->n_elements = 1;
    for (size_t i = 0; i < n; i++) {
        if (dims[i] < 0 || dims[i] > ONNX_ELEMENTS_MAX)
            return refuse(in, t, "a dimension is negative or above 67108864");
        t->dims[i] = (uint32_t)dims[i];
        t->n_elements *= t->dims[i];
        if (t->n_elements > ONNX_ELEMENTS_MAX)
            return refuse(in, t, "it has more than 67108864 elements");
    }
    return 0;
}

static int wrong_count(const struct onnx_reading *in, const struct onnx_tensor *t, size_t given)
{
    char name[ONNX_NAME_TEXT];

    if (given == SIZE_MAX)
        return onnx_damaged(in, "a tensor");
    return errmsg_set(in->err, -EINVAL, "tensor \"%s\": the file has %zu values for %zu elements",
                      onnx_name_text(t->name, name), given, t->n_elements);
}

static int read_strings(const struct onnx_reading *in, struct span message, struct onnx_tensor *t)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    struct span *s;
    size_t n = pb_count(message, T_STRING, PB_BYTES);

    if (n != t->n_elements)
        return wrong_count(in, t, n);
    s = onnx_array(in, n, ONNX_LIST_MAX, sizeof *s, "the texts of a tensor");
    if (s == NULL)
        return -EINVAL;
    t->data = s;
    while (pb_next(&r, &f))
        if (f.number == T_STRING && f.wire == PB_BYTES)
            *s++ = f.bytes;
    return 0;
}

static int read_raw(const struct onnx_reading *in, struct onnx_tensor *t, struct span raw, size_t bytes)
{
    void *to;

    if (raw.len != t->n_elements * bytes)
        return wrong_count(in, t, raw.len / bytes);
    to = onnx_array(in, raw.len, SIZE_MAX, 1, "the values of a tensor");
    if (to == NULL)
        return -EINVAL;
    if (raw.len > 0)
        memcpy(to, raw.data, raw.len);
    for (size_t i = 0; t->type == ONNX_BOOL && i < raw.len; i++)
        if (raw.data[i] > 1)
            return refuse(in, t, "a bool is neither 0 nor 1");
    t->data = to;
    return 0;
}

/* The field of integers holds all types of at most 32 bits, one to a varint. */
static int narrow(const struct onnx_reading *in, struct onnx_tensor *t, const int64_t *from,
                  const struct layout *l, void *to)
{
    for (size_t i = 0; i < t->n_elements; i++) {
        if (from[i] < l->lowest || from[i] > l->highest)
            return refuse(in, t, "a value is out of the range of its type");
        memcpy((uint8_t *)to + i * l->bytes, &from[i], l->bytes);
    }
    return 0;
}

static int read_typed(const struct onnx_reading *in, struct span message, struct onnx_tensor *t,
                      const struct layout *l)
{
    size_t n = pb_count_numbers(message, l->field, l->field_bytes);
    void *wide, *to;
    int r;

    if (n != t->n_elements)
        return wrong_count(in, t, n);
    to = onnx_array(in, n, SIZE_MAX, l->bytes, "the values of a tensor");
    if (to == NULL)
        return -EINVAL;
    t->data = to;
    if (l->field_bytes > 0 || l->bytes == 8)
        return pb_read_numbers(message, l->field, l->field_bytes, to) != 0 ? onnx_damaged(in, "a tensor") : 0;
    wide = calloc(n + 1, sizeof(int64_t));
    if (wide == NULL)
        return onnx_no_memory(in, "the values of a tensor");
    r = pb_read_numbers(message, l->field, 0, wide) != 0 ? onnx_damaged(in, "a tensor")
                                                         : narrow(in, t, wide, l, to);
    free(wide);
    return r;
}

int onnx_read_tensor(const struct onnx_reading *in, struct span message, struct onnx_tensor *ret_t)
{
    const struct layout *l;
    struct parts p = {0};
    int r;

    *ret_t = (struct onnx_tensor){0};
    r = read_head(in, message, ret_t, &p);
    if (r == 0)
        r = read_dims(in, message, ret_t);
    if (r != 0)
        return r;
    if (ret_t->type == ONNX_STRING)
        return read_strings(in, message, ret_t);
    if (ret_t->type < 0 || (size_t)ret_t->type >= sizeof layouts / sizeof layouts[0])
        return 0;
    l = &layouts[ret_t->type];
    if (l->bytes == 0)
        return 0;
    return p.has_raw ? read_raw(in, ret_t, p.raw, l->bytes) : read_typed(in, message, ret_t, l);
}

struct onnx_tensor_file {
    struct pool pool;
    struct onnx_tensor tensor;
};

int onnx_tensor_read(struct span bytes, struct onnx_tensor_file **ret, struct errmsg *err)
{
    struct onnx_tensor_file *f = calloc(1, sizeof *f);
    struct onnx_reading in = {f == NULL ? NULL : &f->pool, err};
    int r;

    if (f == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for a tensor");
    f->pool.cap_bytes = bytes.len * ONNX_MEMORY_FACTOR + (1 << 16);
    r = onnx_read_tensor(&in, bytes, &f->tensor);
    if (r != 0) {
        onnx_tensor_free(f);
        return r;
    }
    *ret = f;
    return 0;
}

void onnx_tensor_free(struct onnx_tensor_file *f)
{
    if (f == NULL)
        return;
    pool_deinit(&f->pool);
    free(f);
}

const struct onnx_tensor *onnx_tensor_of(const struct onnx_tensor_file *f)
{
    return &f->tensor;
}
