/* onnx_private.h - what the files of the ONNX reader share. Private to common/model.
 *
 * A message is looked at twice: once to count what repeats, once to fill. */
#ifndef FOGLINE_MODEL_ONNX_PRIVATE_H
#define FOGLINE_MODEL_ONNX_PRIVATE_H

#include "model/onnx_reader.h"
#include "model/pool.h"

struct onnx_model {
    struct pool pool;
    struct onnx_graph graph;
    struct span producer;
    struct {
        struct span domain;
        int64_t version;
    } opsets[ONNX_OPSETS_MAX];
    size_t n_opsets;
    bool has_functions;
};

/* What reading a file carries along. */
struct onnx_reading {
    struct pool *pool;
    struct errmsg *err;
};

enum { PB_VARINT = 0, PB_64 = 1, PB_BYTES = 2, PB_32 = 5 };

struct pb_field {
    uint32_t number;
    uint8_t wire;
    uint64_t value;    /* of PB_VARINT, PB_64, PB_32 */
    struct span bytes; /* of PB_BYTES */
};

/* true: a field; false: the end, or damage, which sets r->bad. */
bool pb_next(struct reader *r, struct pb_field *ret_f);
/* How often field `number` of this wire type stands in the message; damage: SIZE_MAX. */
size_t pb_count(struct span message, uint32_t number, uint8_t wire);
/* Elements of field `number` in all its packed and single forms; element_bytes 0: varints. Damage: SIZE_MAX.
 */
size_t pb_count_numbers(struct span message, uint32_t number, size_t element_bytes);
/* Fills what pb_count_numbers counted: varints as int64_t, others as they lie. */
must_check int pb_read_numbers(struct span message, uint32_t number, size_t element_bytes, void *ret_values);

/* -EINVAL and "<what>: the bytes are no ONNX model ..." */
must_check int onnx_damaged(const struct onnx_reading *in, const char *what);
must_check int onnx_no_memory(const struct onnx_reading *in, const char *what);
/* Room for n things; NULL and the sentence in *in->err: beyond `max` or the memory of the file. */
void *onnx_array(const struct onnx_reading *in, size_t n, size_t max, size_t bytes, const char *what);
must_check int onnx_read_name(const struct onnx_reading *in, const struct pb_field *f, const char *what,
                              struct span *ret_name);

/* onnx_tensor.c */
must_check int onnx_read_tensor(const struct onnx_reading *in, struct span message,
                                struct onnx_tensor *ret_t);
/* onnx_node.c */
must_check int onnx_read_node(const struct onnx_reading *in, struct span message, struct onnx_node *ret_n);
/* onnx_graph.c */
must_check int onnx_read_graph(const struct onnx_reading *in, struct span message, struct onnx_graph *ret_g);

#endif
