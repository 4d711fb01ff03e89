/* Compiled with -mavx2 -mavxvnni, hence nothing in here may run before kernel.c has asked the processor.
 * Only convolutions: dense layers would be up to 1.9 times as fast, but a convolution has more to do for its
 * bytes of weights. */
#define KERNEL_DOT(sums, a, b) _mm256_dpbusd_avx_epi32(sums, a, b)
#include "infer/kernel_x86_conv_body.h"

const struct kernel_table kernel_avx_vnni =
    KERNEL_X86_TABLE(KERNEL_VNNI, "avx-vnni", kernel_avx2_sweep_f32, 4);
const struct kernel_table kernel_avx512_vnni =
    KERNEL_X86_TABLE(KERNEL_AVX512_VNNI, "avx512-vnni", kernel_avx512_sweep_f32, 8);
