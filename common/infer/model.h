/* model.h - a model file: reading it, checking it, running it.
 *
 * The format (model_format.h) is flat and little-endian and can be used where it lies: mapped read-only, its
 * constants are never copied. Reading checks everything once: lengths, the checksum, every node by
 * infer_op_check, the order of nodes. After that a run checks nothing, allocates nothing and cannot fail. A
 * file is hostile until read: any bytes are safe, what is wrong is said.
 *
 * The arena (all computed tensors, placed by their lifetimes, and the scratch of the neediest node) is
 * computed when the model is read, and a model that needs more than allowed is refused. A model is for one
 * thread at a time; two models on one file share nothing but the bytes. */
#ifndef FOGLINE_INFER_MODEL_H
#define FOGLINE_INFER_MODEL_H

#include "infer/tensor.h"

struct infer_model;

struct infer_limits {
    size_t file_bytes;   /* 0: 64 MiB */
    size_t arena_bytes;  /* 0: 16 MiB */
    uint64_t operations; /* of a run, as infer_op_operations counts them; 0: 2^34, about half a minute */
};

/* `bytes` are borrowed until infer_model_free; 64-byte alignment (a mapping has it) lets kernels read whole
 * lines, anything else is refused with -EINVAL. -EINVAL: what is wrong in *err; -EMSGSIZE: beyond a limit,
 * which is named; -ENOMEM. */
must_check int infer_model_read(struct span bytes, const struct infer_limits *limits,
                                struct infer_model **ret, struct errmsg *err);
/* Reads a copy of the file, in memory that nothing writes to: what was checked is what runs, whatever becomes
 * of the file. The message names the path. -errno of open, read and mmap as well. */
must_check int infer_model_open(const char *path, const struct infer_limits *limits, struct infer_model **ret,
                                struct errmsg *err);
void infer_model_free(struct infer_model *model); /* accepts NULL; and the copy of infer_model_open */

enum infer_signature {
    INFER_SIGNATURE_GOOD = 0,
    INFER_SIGNATURE_NONE,
    INFER_SIGNATURE_OTHER_KEY,
    INFER_SIGNATURE_WRONG
};
/* Is the file signed (Ed25519 over everything before the signature) by one of these keys? */
enum infer_signature infer_model_signature(const struct infer_model *model, const uint8_t (*public_keys)[32],
                                           size_t n_keys);

/* The public key, 32 bytes, that stands in the signature; NULL: not signed. Whether the signature is right
 * says infer_model_signature. */
const uint8_t *infer_model_signer(const struct infer_model *model);

const struct infer_graph *infer_model_graph(const struct infer_model *model);
size_t infer_model_file_bytes(const struct infer_model *model);
size_t infer_model_arena_bytes(const struct infer_model *model);
const uint8_t *
infer_model_hash(const struct infer_model *model); /* 32 bytes, its id: BLAKE2b of all but itself and the
                                                    * signature, as it stands in the file */
/* Text that came with it, "name", "version", "labels", "source", ...; empty span: none. Any bytes: whoever
 * prints it takes care. Borrowed from the file. */
struct span infer_model_text(const struct infer_model *model, const char *key);
/* Text number i, in the order of the file; false: there are no more. */
bool infer_model_text_at(const struct infer_model *model, size_t i, struct span *ret_key,
                         struct span *ret_text);
/* The feature recipe (recipe.h), empty: none. Borrowed from the file. */
struct span infer_model_recipe(const struct infer_model *model);

/* Where the values of input or output i lie, from reading until infer_model_free: write inputs, run, read
 * outputs. Inputs keep their values over a run. */
void *infer_model_input(struct infer_model *model, size_t i);
const void *infer_model_output(const struct infer_model *model, size_t i);
void infer_model_run(struct infer_model *model);
/* One node at a time, for profiles: node i of the graph; all in order are a run. */
void infer_model_run_node(struct infer_model *model, size_t i);

#endif
