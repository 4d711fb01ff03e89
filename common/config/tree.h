/* tree.h - a YAML text as a tree of scalars, maps and lists with positions. Inside common/config only; tree.c
 * is the one file that knows libyaml. Positions are from 1, columns count characters. */
#ifndef FOGLINE_CONFIG_TREE_H
#define FOGLINE_CONFIG_TREE_H

#include "config/config.h"

enum tree_kind { TREE_SCALAR, TREE_MAP, TREE_LIST };

struct tree_node {
    enum tree_kind kind;
    bool plain;  /* scalar without quotes */
    bool broken; /* already complained about; say no more */
    unsigned line, column;
    unsigned key_line, key_column;
    char *key;  /* NULL when not in a map; NUL terminated */
    char *text; /* scalar; NUL terminated, without other NULs */
    size_t len;
    unsigned first, last, next; /* node indices; 0 is none, because the root is nobody's child */
    unsigned n;                 /* children */
};

/* Node 0 is the root, when n > 0. An empty text gives an empty map. */
struct tree {
    struct tree_node *at;
    size_t n, alloc;
};

void tree_deinit(struct tree *t);
/* 0 (problems may have been added all the same); CONFIG_BAD when the text cannot be read on; -ENOMEM. */
must_check int tree_read(struct tree *t, struct span text, struct config_problems *problems);

/* Value without text: "key:", "~" or "null". */
bool tree_is_null(const struct tree_node *node);
/* Entry of a map by key; NULL when there is none (or node is no map). */
const struct tree_node *tree_get(const struct tree *t, const struct tree_node *map, const char *key,
                                 size_t key_len);
const struct tree_node *tree_item(const struct tree *t, const struct tree_node *list, size_t i);

#endif
