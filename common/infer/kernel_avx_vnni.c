/* Compiled with -mavx2 -mavxvnni, hence nothing in here may run before kernel.c has asked the processor. */
#define KERNEL_DOT(sums, a, b) _mm256_dpbusd_avx_epi32(sums, a, b)
#include "infer/kernel_x86_body.h"

const struct kernel_table kernel_avx_vnni = KERNEL_TABLE(KERNEL_VNNI, "avx-vnni");
