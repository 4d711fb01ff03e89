#include "codec/kernels.h"

/* CODEC_HAVE_AVX2: kernels_avx2.c is part of this build. */
size_t kernels_all(const struct kernels *ret_all[2])
{
    size_t n = 0;

    ret_all[n++] = &kernels_plain;
#ifdef CODEC_HAVE_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        ret_all[n++] = &kernels_avx2;
#endif
    return n;
}

const struct kernels *kernels(void)
{
    const struct kernels *all[2];

    return all[kernels_all(all) - 1];
}
