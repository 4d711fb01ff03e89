/* Compiled with -mavx2, hence nothing in here may run before kernel.c has asked the processor. */
#include "infer/kernel_x86_body.h"

const struct kernel_table kernel_avx2 = KERNEL_TABLE(KERNEL_AVX2, "avx2");
