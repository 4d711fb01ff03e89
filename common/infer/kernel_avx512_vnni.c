/* Compiled with -mavx2 -mavx512vl -mavx512vnni, hence nothing in here may run before kernel.c has asked the
 * processor. Vectors of 32 bytes all the same. */
#define KERNEL_DOT(sums, a, b) _mm256_dpbusd_epi32(sums, a, b)
#include "infer/kernel_x86_body.h"

const struct kernel_table kernel_avx512_vnni = KERNEL_TABLE(KERNEL_VNNI, "avx512-vnni");
