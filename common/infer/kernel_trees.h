/* kernel_trees.h - walking ensembles of trees, eight trees side by side and without branches that depend on
 * the data; plain C, no processor needs another form. Pure, no allocation.
 *
 * The constants of INFER_TREES_I16, the small form (8 bytes a node, 2 a leaf):
 *   [1] root I32 [trees]: index of the tree's first node; -1: the tree is its leaf 0. Trees stand one behind
 * the other [2] nodes I16 [nodes, 4]: feature, threshold, child when x[feature] <= threshold, child when not.
 *       A child above 0 is that many nodes further on, in the same tree; below 0 leaf -1 - child of the tree
 *   [3] first I32 [trees + 1]: the first leaf of each tree; the last is the number of leaves
 *   [4] values I16 [leaves, width]; width is 1 or the number of targets
 *   [5] target I32 [trees] with width 1 (and more targets), else [0]
 *   [6] scale F32 [targets], [7] base F32 [targets]
 * ints[0] targets, [2] post transform. y = post(base + scale * sum), sums exact in int32. Node indices are at
 * most INT32_MAX, trees at most KERNEL_TREES_MAX. */
#ifndef FOGLINE_INFER_KERNEL_TREES_H
#define FOGLINE_INFER_KERNEL_TREES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KERNEL_TREES_SIDE_BY_SIDE = 8,
    KERNEL_TREES_MAX = INT32_MAX >> 15, /* so that sums of int16 fit */
};

/* As of INFER_TREES; nodes all compare alike: x <= threshold, or x < threshold. */
struct kernel_trees_f32 {
    const int32_t *root, *feature, *yes, *no;
    const float *threshold;
    bool is_less;
};

struct kernel_trees_i16 {
    const int32_t *root, *first;
    const int16_t (*nodes)[4];
};

/* The leaves that x leads to in `n` (at most KERNEL_TREES_SIDE_BY_SIDE) trees from `tree` on. */
void kernel_trees_f32(const struct kernel_trees_f32 *t, size_t tree, size_t n, const float *x,
                      size_t ret_leaves[KERNEL_TREES_SIDE_BY_SIDE]);
void kernel_trees_i16(const struct kernel_trees_i16 *t, size_t tree, size_t n, const int16_t *x,
                      size_t ret_leaves[KERNEL_TREES_SIDE_BY_SIDE]);

#endif
