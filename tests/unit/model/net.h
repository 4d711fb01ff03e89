/* net.h - small networks for tests, layer by layer, with numbers of a seeded generator. */
#ifndef FOGLINE_TESTS_NET_H
#define FOGLINE_TESTS_NET_H

#include "base/rng.h"
#include "infer/build.h"
#include "infer/model.h"
#include "model/rows.h"

#define SHAPE(...)                                                                                           \
    ((struct infer_shape){.rank = sizeof((uint32_t[]){0, ##__VA_ARGS__}) / sizeof(uint32_t) - 1,             \
                          .dim = {__VA_ARGS__}})

struct net {
    struct infer_build *b;
    struct rng rng;
    uint16_t at; /* the tensor that the next layer takes */
};

struct net_conv {
    uint32_t outputs, kernel, stride, pad, group; /* 0: 1, but for the pad */
    bool transposed;
};

void net_init(struct net *n, uint64_t seed);
void net_input(struct net *n, struct infer_shape shape);
uint16_t net_floats(struct net *n, struct infer_shape shape, const float *v); /* NULL: by chance */
void net_node(struct net *n, struct infer_node node); /* inputs[0] is n->at; n_inputs counts it */
void net_unary(struct net *n, enum infer_op op);
/* w [m][k], bias [m]; NULL: by chance. */
void net_dense(struct net *n, uint32_t m, const float *w, const float *bias);
void net_conv(struct net *n, struct net_conv c);
void net_norm(struct net *n);
void net_pool(struct net *n, enum infer_op op, int32_t kernel, int32_t stride);
void net_flatten(struct net *n);
void net_output(struct net *n, const char *name);
const struct infer_shape *net_shape(const struct net *n); /* of n->at */

/* A model in memory, by way of its file. */
struct net_model {
    struct infer_model *model;
    struct span file;
};

/* Frees the build. */
struct net_model net_read(struct infer_build *b);
struct net_model net_finish(struct net *n); /* adds the output y when there is none */
void net_free(struct net_model *m);

/* Rows of normal numbers, column k of them `size[k]` times as great and moved by `offset[k]` (NULL: 1, 0). */
void net_rows(const struct infer_graph *g, struct model_rows *rows, size_t n, uint64_t seed,
              const float *size, const float *offset);

#endif
