/* Compiled with -mavx512f, hence nothing in here may run before kernel.c has asked the processor. Only what
 * pays its bytes: all else at levels with AVX-512 is that of AVX2 or AVX-VNNI. */
#define KERNEL_F32(name) kernel_avx512_##name
enum { LANES = 16, SWEEP_OUTPUTS = 8, SWEEP_VECTORS = 1 };
#include "infer/kernel_sweep_body.h"
