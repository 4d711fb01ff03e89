#include "infer/kernel_private.h"

/* INFER_HAVE_X86, INFER_HAVE_NEON: the files of these levels are part of this build. */
const struct kernel_table *kernel_at(enum kernel_level level)
{
    switch (level) {
    case KERNEL_PLAIN:
        return &kernel_plain;
#ifdef INFER_HAVE_X86
    case KERNEL_AVX2:
        return __builtin_cpu_supports("avx2") ? &kernel_avx2 : NULL;
    case KERNEL_VNNI:
        return __builtin_cpu_supports("avxvnni") ? &kernel_avx_vnni : NULL;
#endif
#ifdef INFER_HAVE_NEON
    case KERNEL_NEON:
        return &kernel_neon;
#endif
    default:
        return NULL;
    }
}

/* Set once, to the same by whoever comes first. */
static const struct kernel_table *best;

const struct kernel_table *kernel_best(void)
{
    static const enum kernel_level order[] = {KERNEL_VNNI, KERNEL_AVX2, KERNEL_NEON, KERNEL_PLAIN};
    const struct kernel_table *found = __atomic_load_n(&best, __ATOMIC_RELAXED);

    for (size_t i = 0; found == NULL; i++)
        found = kernel_at(order[i]);
    __atomic_store_n(&best, found, __ATOMIC_RELAXED);
    return found;
}

void kernel_use(enum kernel_level level)
{
    const struct kernel_table *table = kernel_at(level);

    if (table != NULL)
        __atomic_store_n(&best, table, __ATOMIC_RELAXED);
}
