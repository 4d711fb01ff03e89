#include "infer/kernel_private.h"

#ifdef INFER_HAVE_X86
#include <cpuid.h>

/* CPUID leaf 7, subleaf 1: EAX bit 4 (Intel SDM, volume 2). Not every compiler knows its name; that the
 * system saves long registers, AVX2 says. */
static bool has_avx_vnni(void)
{
    unsigned a, b, c, d;

    return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 &&
           (a & 1U << 4) != 0;
}
#endif

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
        return has_avx_vnni() ? &kernel_avx_vnni : NULL;
    case KERNEL_AVX512:
        return __builtin_cpu_supports("avx512f") ? &kernel_avx512 : NULL;
    case KERNEL_AVX512_VNNI:
        return __builtin_cpu_supports("avx512f") && has_avx_vnni() ? &kernel_avx512_vnni : NULL;
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
    const struct kernel_table *found = __atomic_load_n(&best, __ATOMIC_RELAXED);

    for (unsigned level = KERNEL_LEVELS; found == NULL;)
        found = kernel_at((enum kernel_level)-- level);
    __atomic_store_n(&best, found, __ATOMIC_RELAXED);
    return found;
}

void kernel_use(enum kernel_level level)
{
    const struct kernel_table *table = kernel_at(level);

    if (table != NULL)
        __atomic_store_n(&best, table, __ATOMIC_RELAXED);
}
