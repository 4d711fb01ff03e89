/* jtree.h - reads a small JSON text back, and prints it. Inside common/ctl, device/sources/json_path.c and
 * reports about a status only; jtree.c is the one file that reads with yajl. */
#ifndef FOGLINE_CTL_JTREE_H
#define FOGLINE_CTL_JTREE_H

#include "base/bytes.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jtree;

enum { JTREE_MAX_BYTES = 4 << 20 };
enum { JTREE_MISSING = 1, JTREE_BAD = 2 };
must_check int jtree_read(const char *path,
                          struct jtree **ret_t); /* 0, JTREE_MISSING, JTREE_BAD, negative errno */
must_check int jtree_parse(struct span text, struct jtree **ret_t); /* the same from memory */
struct jtree *jtree_free(struct jtree *t);
void jtree_freep(struct jtree **t);

/* A value inside the tree; borrowed. NULL stands for "not there" and is accepted everywhere. */
struct jnode;
enum jkind { J_NONE, J_NULL, J_BOOL, J_NUMBER, J_STRING, J_ARRAY, J_OBJECT };
const struct jnode *jtree_root(const struct jtree *t);
enum jkind jnode_kind(const struct jnode *n);
size_t jnode_n(const struct jnode *n); /* items of an array or members of an object */
const struct jnode *jnode_at(const struct jnode *n, size_t i);
const char *jnode_key(const struct jnode *n, size_t i); /* of an object */
const struct jnode *jnode_get(const struct jnode *n, const char *key);
const char *jnode_text(const struct jnode *n); /* of strings and numbers, as written; "" otherwise */
bool jnode_true(const struct jnode *n);
int64_t jnode_i64(const struct jnode *n); /* 0 when it is none */
/* The same value into a writer. */
void jnode_write(const struct jnode *n, struct json *j);

#endif
