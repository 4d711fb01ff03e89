/* Compiled with -mavx2 -mfma, hence nothing in here may run before kernels.c has asked the processor. */
#define KERNELS_FUSE
#include "codec/kernels_body.h"

const struct kernels kernels_avx2 = KERNELS("avx2");
