#include "infer/kernel_trees.h"

enum { SIDE_BY_SIDE = KERNEL_TREES_SIDE_BY_SIDE };

/* The nodes that n trees begin with. A tree that is a leaf walks from node 0, for nothing, and so do lanes
 * beyond the last tree. Is there any node? */
static bool begin(const int32_t *root, size_t n, size_t node[SIDE_BY_SIDE])
{
    bool any = false;

    for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
        bool is_node = i < n && root[i] >= 0;

        node[i] = is_node ? (size_t)root[i] : 0;
        any |= is_node;
    }
    return any;
}

/* A leaf of each tree, as nodes refer to it; of a tree that is one the only one. */
static int32_t leaf_at(int32_t root, int32_t child)
{
    return -1 - (root < 0 ? root : child);
}

/* A tree that has come to a leaf, a child below 0, stays at the node before, which leads there again. */
__attribute__((always_inline)) static inline void walk_f32(const struct kernel_trees_f32 *t, const float *x,
                                                           size_t node[SIDE_BY_SIDE],
                                                           int32_t child[SIDE_BY_SIDE], bool is_less)
{
    int32_t all;

    do {
        all = -1;
#pragma GCC unroll 8
        for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
            float v = x[t->feature[node[i]]], threshold = t->threshold[node[i]];
            int32_t yes = t->yes[node[i]], no = t->no[node[i]];
            int32_t next = (is_less ? v < threshold : v <= threshold) ? yes : no;

            child[i] = next;
            node[i] = next < 0 ? node[i] : (size_t)next;
            all &= next;
        }
    } while (all >= 0);
}

void kernel_trees_f32(const struct kernel_trees_f32 *t, size_t tree, size_t n, const float *x,
                      size_t ret_leaves[SIDE_BY_SIDE])
{
    const int32_t *root = t->root + tree;
    int32_t child[SIDE_BY_SIDE] = {0};
    size_t node[SIDE_BY_SIDE];

    if (begin(root, n, node)) {
        if (t->is_less)
            walk_f32(t, x, node, child, true);
        else
            walk_f32(t, x, node, child, false);
    }
    for (size_t i = 0; i < n; i++)
        ret_leaves[i] = (size_t)leaf_at(root[i], child[i]);
}

void kernel_trees_i16(const struct kernel_trees_i16 *t, size_t tree, size_t n, const int16_t *x,
                      size_t ret_leaves[SIDE_BY_SIDE])
{
    const int32_t *root = t->root + tree;
    int32_t child[SIDE_BY_SIDE] = {0}, all;
    size_t node[SIDE_BY_SIDE];
    const int16_t(*nodes)[4] = t->nodes;

    if (begin(root, n, node))
        do {
            all = -1;
#pragma GCC unroll 8
            for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
                const int16_t *at = nodes[node[i]];
                ptrdiff_t next = at[2 + (x[at[0]] > at[1])];

                child[i] = (int32_t)next;
                node[i] += (size_t)(next < 0 ? 0 : next);
                all &= (int32_t)next;
            }
        } while (all >= 0);
    for (size_t i = 0; i < n; i++)
        ret_leaves[i] = (size_t)t->first[tree + i] + (size_t)leaf_at(root[i], child[i]);
}
