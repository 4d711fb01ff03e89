/* decode.h - from the tree of a file to the struct of a tier, by the rows of its table. Inside common/config
 * only.
 *
 * Two passes per map: the rows fetch their values (absent ones take the default), then the map's keys are
 * held against the rows (unknown, twice). Each complaint names its place; nothing stops at the first one. */
#ifndef FOGLINE_CONFIG_DECODE_H
#define FOGLINE_CONFIG_DECODE_H

#include "config/problem.h"
#include "config/schema.h"
#include "config/tree.h"

struct load {
    const struct tree *tree;
    const char *folder;
    struct config_problems *problems;
    bool unsound; /* lists are not complete: no cross-field checks */
    bool no_memory;
};

/* One map that fills one struct. */
struct target {
    const struct row_table *table;
    const struct tree_node *node;
    void *values;
    const char *prefix; /* of fields: "", "sources[2]." */
    bool typed;         /* the key `type` belongs to the list */
};

/* A row and what the file has for it. */
struct found {
    const struct config_row *row;
    const struct tree_node *node;
    const char *field;
};

enum shape { SHAPE_VALUE, SHAPE_MAP, SHAPE_LIST };

static inline struct problem_at at_value(const struct tree_node *node, const char *field)
{
    return (struct problem_at){node->line, node->column, field};
}

static inline struct problem_at at_key(const struct tree_node *node, const char *field)
{
    return (struct problem_at){node->key_line, node->key_column, field};
}

void decode_map(struct load *l, const struct target *t);
void decode_list(struct load *l, const struct found *f, struct config_list *ret);
void decode_strings(struct load *l, const struct found *f, struct config_strings *ret);
void decode_wrong_shape(struct load *l, const struct tree_node *node, const char *field, enum shape want);
/* Follows a dotted path down. *ret_stuck is the deepest map reached, or the node that is no map. */
const struct tree_node *decode_lookup(const struct load *l, const struct tree_node *from, const char *path,
                                      const struct tree_node **ret_stuck);

#endif
