/* nodes.h - the list of nodes that may connect, signed by the operator, and what a fog accepted alone.
 *
 * Trust starts at the cloud: nodes.doc is a packed Document of kind "nodes" with a NodeList in it, signed
 * with operator.key by cloudctl; each change has the next version. A fog gets it from above, checks the
 * signature and keeps a newer one only. nodes.local (a packed NodeList, not signed) holds what `fogctl enroll
 * accept` let in while the cloud could not be asked: provisional; what the signed list says of a node (or of
 * a key) wins over it. Crash: files are replaced atomically. Limits: NODES_BODY_MAX_BYTES of packed list,
 * some 1 000 nodes. Threads: values. */
#ifndef FOGLINE_CTL_NODES_H
#define FOGLINE_CTL_NODES_H

#include "hop/upper_port.h"
#include "link/keys.h"
#include "wire/wire.h"

#include <stdint.h>

enum { NODES_BODY_MAX_BYTES = 160 * 1024 };

/* Zero-initialised is the empty list of version 0. */
struct nodes {
    uint64_t version;           /* of the signed list */
    struct upper_port_node *at; /* sorted by id */
    size_t n;
};

void nodes_deinit(struct nodes *l);
const struct upper_port_node *nodes_find(const struct nodes *l, const char *id);
const struct upper_port_node *nodes_find_key(const struct nodes *l, const uint8_t transport[KEY_BYTES]);
/* Adds, or replaces the one of the same id. -ENOMEM. */
must_check int nodes_set(struct nodes *l, const struct upper_port_node *node);

enum { NODES_MISSING = 1, NODES_FORGED = 2, NODES_OLD = 3 };
/* Reads a signed list. 0; NODES_MISSING: no such file (*ret_l empty); NODES_FORGED: not signed by this
 * operator, or not a node list (*err filled); negative errno. */
must_check int nodes_load(const char *path, const uint8_t operator_public[KEY_BYTES], struct nodes *ret_l,
                          struct errmsg *err);
/* Reads a list without signature: every node of it is provisional. 0, NODES_MISSING, -EINVAL ... */
must_check int nodes_load_local(const char *path, struct nodes *ret_l, struct errmsg *err);
/* Adds those of `local` that `l` does not speak of, neither by id nor by key. */
must_check int nodes_add_local(struct nodes *l, const struct nodes *local);
/* Cloud: version + 1, sign, replace. Only on success is l->version raised. -EFBIG: too many nodes. */
must_check int nodes_save(const char *path, struct nodes *l, const struct operator_keys *k,
                          struct errmsg *err);
must_check int nodes_save_local(const char *path, const struct nodes *l, struct errmsg *err);
/* Fog: a document came from above. Written when it is well signed and newer than `version_held`.
 * 0; NODES_OLD (ignored); NODES_FORGED; negative errno. */
must_check int nodes_take_document(const char *path, const Fogline__V1__Document *d,
                                   const uint8_t operator_public[KEY_BYTES], uint64_t version_held,
                                   struct errmsg *err);
/* Version and packed bytes of the document in a file, for handing it down. Appends to ret_packed. 0,
 * NODES_MISSING, ... */
must_check int nodes_read_document(const char *path, struct buf *ret_packed, uint64_t *ret_version);

/* Has one of two files changed since the last call? The first call says yes. path_b may be NULL. */
struct nodes_watch {
    uint64_t mark_a, mark_b;
    bool known;
};
bool nodes_watch_changed(struct nodes_watch *w, const char *path_a, const char *path_b);

/* run_dir/refused.json, written when something in it changed: keys that were turned away, with the command to
 * run. */
struct nodes_refused_view {
    const char *cli;    /* "fogctl" */
    const char *config; /* configuration file, for the command to run */
    const struct gate_refusal *at;
    size_t n;
};
must_check int nodes_write_refused(const char *path, const struct nodes_refused_view *v);

#endif
