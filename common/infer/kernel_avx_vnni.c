/* Compiled with -mavx2 -mavxvnni, hence nothing in here may run before kernel.c has asked the processor.
 * Float32 is that of AVX2. */
#define KERNEL_DOT(sums, a, b) _mm256_dpbusd_avx_epi32(sums, a, b)
#include "infer/kernel_x86_body.h"

const struct kernel_table kernel_avx_vnni = {
    .level = KERNEL_VNNI,
    .name = "avx-vnni",
    .dense_i8 = dense_i8,
    .quantize_i8 = kernel_avx2_quantize_i8,
    .dense_f32 = kernel_avx2_dense_f32,
    .x_bytes = sizeof(conv_x),
    .prepare_i8 = prepare_i8,
    .pack_i8 = pack_i8,
    .windows_i8 = windows_i8,
    .sweep_f32 = kernel_avx2_sweep_f32,
    .sweep_positions = KERNEL_POSITIONS,
};
