/* build.h - making a model: a graph that grows node by node, then a file. For tools, not for devices.
 *
 * Owns all it holds; constants are copied. Each function returns 0 or -EINVAL, -ENOMEM, -EMSGSIZE with a
 * sentence. One thread. */
#ifndef FOGLINE_INFER_BUILD_H
#define FOGLINE_INFER_BUILD_H

#include "infer/op.h"

struct infer_build;
struct infer_model;

struct infer_build *infer_build_new(void); /* NULL: no memory */
void infer_build_free(struct infer_build *b);

must_check int infer_build_input(struct infer_build *b, const char *name, enum infer_type type,
                                 const struct infer_shape *shape, uint16_t *ret_tensor, struct errmsg *err);
/* Copies infer_shape_elements * infer_type_bytes bytes of `data`. */
must_check int infer_build_constant(struct infer_build *b, enum infer_type type,
                                    const struct infer_shape *shape, const void *data, uint16_t *ret_tensor,
                                    struct errmsg *err);
/* Adds a node; its outputs' tensors are made (types and shapes by infer_op_check) and stand in ret_outputs.
 * `node->outputs` is not read; n_outputs says how many are wanted. */
must_check int infer_build_node(struct infer_build *b, const struct infer_node *node, uint16_t *ret_outputs,
                                struct errmsg *err);
must_check int infer_build_output(struct infer_build *b, const char *name, uint16_t tensor,
                                  struct errmsg *err);

/* As it stands; borrowed until the next call that adds. */
const struct infer_graph *infer_build_graph(const struct infer_build *b);

must_check int infer_build_text(struct infer_build *b, const char *key, const char *text,
                                struct errmsg *err); /* replaces */
must_check int infer_build_recipe(struct infer_build *b, struct span recipe, struct errmsg *err);
/* Texts and recipe of a model that this one is made of; a text ends at its first NUL. */
must_check int infer_build_about(struct infer_build *b, const struct infer_model *from, struct errmsg *err);

/* Appends the model file. What no output needs is left out. The same graph gives the same bytes. */
must_check int infer_build_write(const struct infer_build *b, struct buf *out, struct errmsg *err);
/* Signs a file that infer_build_write made, in place of a signature that is there: 64-byte Ed25519 secret key
 * (libsodium's). */
must_check int infer_sign(struct buf *file, const uint8_t secret_key[64], struct errmsg *err);

#endif
