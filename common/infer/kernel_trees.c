#include "infer/kernel_trees.h"

enum { SIDE_BY_SIDE = KERNEL_TREES_SIDE_BY_SIDE };

static inline int32_t choose(bool first, int32_t a, int32_t b)
{
    return b ^ ((a ^ b) & -(int32_t)first);
}

/* A tree that has come to its leaf, a negative number, stays there and looks at node 0 meanwhile. */
static inline size_t node_of(int32_t at)
{
    return (size_t)(at & ~(at >> 31));
}

/* The roots of n trees; beyond them leaves. Is there any node? */
static bool begin(const int32_t *root, size_t n, int32_t at[SIDE_BY_SIDE])
{
    int32_t all = -1;

    for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
        at[i] = i < n ? root[i] : -1;
        all &= at[i];
    }
    return all >= 0;
}

__attribute__((always_inline)) static inline void walk_f32(const struct kernel_trees_f32 *t, const float *x,
                                                           int32_t at[SIDE_BY_SIDE], bool is_less)
{
    int32_t all;

    do {
        all = -1;
#pragma GCC unroll 8
        for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
            size_t node = node_of(at[i]);
            float v = x[t->feature[node]], threshold = t->threshold[node];
            int32_t next = choose(is_less ? v < threshold : v <= threshold, t->yes[node], t->no[node]);

            at[i] = choose(at[i] < 0, at[i], next);
            all &= at[i];
        }
    } while (all >= 0);
}

void kernel_trees_f32(const struct kernel_trees_f32 *t, size_t tree, size_t n, const float *x,
                      size_t ret_leaves[SIDE_BY_SIDE])
{
    int32_t at[SIDE_BY_SIDE];

    if (begin(t->root + tree, n, at)) {
        if (t->is_less)
            walk_f32(t, x, at, true);
        else
            walk_f32(t, x, at, false);
    }
    for (size_t i = 0; i < n; i++)
        ret_leaves[i] = (size_t)(-1 - at[i]);
}

void kernel_trees_i16(const struct kernel_trees_i16 *t, size_t tree, size_t n, const int16_t *x,
                      size_t ret_leaves[SIDE_BY_SIDE])
{
    int32_t at[SIDE_BY_SIDE], all;

    if (begin(t->root + tree, n, at))
        do {
            all = -1;
#pragma GCC unroll 8
            for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
                const int16_t *node = t->nodes[node_of(at[i])];
                int32_t child = choose(x[node[0]] <= node[1], node[2], node[3]);

                /* Further on, or a leaf as it is. */
                child += at[i] & ~(child >> 31);
                at[i] = choose(at[i] < 0, at[i], child);
                all &= at[i];
            }
        } while (all >= 0);
    for (size_t i = 0; i < n; i++)
        ret_leaves[i] = (size_t)t->first[tree + i] + (size_t)(-1 - at[i]);
}
