/* Compiled with -mavx2, hence nothing in here may run before kernel.c has asked the processor. */
#define KERNEL_EIGHT_LANES
#define KERNEL_F32(name) kernel_avx2_##name
#include "infer/kernel_f32_body.h"
#include "infer/kernel_x86_body.h"

void kernel_avx2_quantize_i8(const float *x, size_t n, float scale, int32_t zero, int8_t *y)
{
    struct limits l = limits_of(zero, -128);

    for (size_t i = 0; i < n; i += KERNEL_BLOCK)
        store_bytes(y + i, saturate(_mm256_div_ps(load_floats(x + i, n - i), _mm256_set1_ps(scale)), &l),
                    n - i);
}

const struct kernel_table kernel_avx2 = {
    .level = KERNEL_AVX2,
    .name = "avx2",
    .dense_i8 = dense_i8,
    .quantize_i8 = kernel_avx2_quantize_i8,
    .dense_f32 = kernel_avx2_dense_f32,
    .x_bytes = sizeof(conv_x),
    .prepare_i8 = prepare_i8,
    .pack_i8 = pack_i8,
    .windows_i8 = windows_i8,
    .sweep_f32 = kernel_avx2_sweep_f32,
    .sweep_positions = 2 * LANES,
};
