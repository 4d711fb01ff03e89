/* The wire format of protobuf, and what all messages need. */
#include "model/onnx_private.h"

bool pb_next(struct reader *r, struct pb_field *ret_f)
{
    uint64_t key, len;

    if (r->bad || reader_left(r) == 0)
        return false;
    key = reader_varint(r);
    *ret_f = (struct pb_field){.number = (uint32_t)(key >> 3), .wire = key & 7};
    if (key >> 3 == 0 || key >> 32 != 0)
        r->bad = true;
    switch (ret_f->wire) {
    case PB_VARINT:
        ret_f->value = reader_varint(r);
        break;
    case PB_64:
        ret_f->value = reader_le64(r);
        break;
    case PB_32:
        ret_f->value = reader_le32(r);
        break;
    case PB_BYTES:
        len = reader_varint(r);
        if (len > reader_left(r))
            r->bad = true;
        else
            ret_f->bytes = span_of(reader_take(r, (size_t)len), (size_t)len);
        break;
    default:
        r->bad = true;
    }
    return !r->bad;
}

size_t pb_count(struct span message, uint32_t number, uint8_t wire)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    size_t n = 0;

    while (pb_next(&r, &f))
        n += f.number == number && f.wire == wire;
    return r.bad ? SIZE_MAX : n;
}

static uint8_t wire_of(size_t element_bytes)
{
    return element_bytes == 0 ? PB_VARINT : element_bytes == 4 ? PB_32 : PB_64;
}

size_t pb_count_numbers(struct span message, uint32_t number, size_t element_bytes)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    size_t n = 0;

    while (pb_next(&r, &f)) {
        if (f.number != number)
            continue;
        if (f.wire == wire_of(element_bytes))
            n++;
        else if (f.wire != PB_BYTES || (element_bytes > 0 && f.bytes.len % element_bytes != 0))
            return SIZE_MAX;
        else if (element_bytes > 0)
            n += f.bytes.len / element_bytes;
        else
            for (size_t i = 0; i < f.bytes.len; i++)
                n += f.bytes.data[i] < 0x80;
    }
    return r.bad ? SIZE_MAX : n;
}

int pb_read_numbers(struct span message, uint32_t number, size_t element_bytes, void *ret_values)
{
    struct reader r = reader_of(message);
    struct pb_field f;
    uint8_t *at = ret_values;
    size_t step = element_bytes == 0 ? sizeof(int64_t) : element_bytes;

    while (pb_next(&r, &f)) {
        if (f.number != number)
            continue;
        if (f.wire != PB_BYTES) {
            memcpy(at, &f.value, step);
            at += step;
        } else if (element_bytes > 0) {
            if (f.bytes.len > 0)
                memcpy(at, f.bytes.data, f.bytes.len);
            at += f.bytes.len;
        } else {
            struct reader in = reader_of(f.bytes);

            while (reader_left(&in) > 0 && !in.bad) {
                uint64_t v = reader_varint(&in);

                if (in.bad)
                    return -EINVAL;
                memcpy(at, &v, step);
                at += step;
            }
        }
    }
    return r.bad ? -EINVAL : 0;
}

int onnx_damaged(const struct onnx_reading *in, const char *what)
{
    return errmsg_set(in->err, -EINVAL,
                      "%s: the bytes are cut off, damaged or no ONNX at all; export the model again", what);
}

int onnx_no_memory(const struct onnx_reading *in, const char *what)
{
    return errmsg_set(in->err, -ENOMEM, "%s: no memory, or more of it than a file of this size may ask for",
                      what);
}

void *onnx_array(const struct onnx_reading *in, size_t n, size_t max, size_t bytes, const char *what)
{
    void *p;
    int r = 0;

    if (n == SIZE_MAX)
        r = onnx_damaged(in, what);
    else if (n > max)
        r = errmsg_set(in->err, -EMSGSIZE, "%s: %zu of them, at most %zu are read", what, n, max);
    if (r != 0)
        return NULL;
    p = pool_alloc(in->pool, n, bytes);
    if (p == NULL)
        r = onnx_no_memory(in, what);
    return r != 0 ? NULL : p;
}

int onnx_read_name(const struct onnx_reading *in, const struct pb_field *f, const char *what,
                   struct span *ret_name)
{
    if (f->wire != PB_BYTES)
        return onnx_damaged(in, what);
    if (f->bytes.len > ONNX_NAME_BYTES_MAX)
        return errmsg_set(in->err, -EMSGSIZE, "%s: a name of %zu bytes, at most %d are read", what,
                          f->bytes.len, ONNX_NAME_BYTES_MAX);
    *ret_name = f->bytes;
    return 0;
}

const char *onnx_name_text(struct span name, char text[ONNX_NAME_TEXT])
{
    size_t n = name.len < ONNX_NAME_TEXT ? name.len : ONNX_NAME_TEXT - 1;

    for (size_t i = 0; i < n; i++)
        text[i] = name.data[i] >= 0x20 && name.data[i] < 0x7f ? (char)name.data[i] : '?';
    text[n] = '\0';
    return text;
}

const char *onnx_type_name(int32_t type)
{
    static const char *const names[] = {
        "no type",        "float",      "uint8",          "int8",       "uint16",   "int16",
        "int32",          "int64",      "string",         "bool",       "float16",  "double",
        "uint32",         "uint64",     "complex64",      "complex128", "bfloat16", "float8e4m3fn",
        "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4",      "int4",     "float4e2m1"};

    return type >= 0 && (size_t)type < sizeof names / sizeof names[0] ? names[type] : "an unknown type";
}
