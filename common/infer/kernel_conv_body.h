/* kernel_conv_body.h - int8 convolution around a level's way to take the windows of x, included by each
 * level's file after it has defined
 *   conv_x                          a value of x in the form that it wants
 *   conv_prepare_x, conv_value      values into that form
 *   conv_pack                       biases and weights into its form, KERNEL_SLACK_BYTES may follow
 *   conv_windows                    all outputs of n windows, x_step values apart: y_f32 when it is not NULL,
 * else y
 *
 * Channels are last, so a window of neighbouring taps lies in one piece. */
#include "infer/kernel_private.h"

/* x with what is outside of it: `span` positions. */
static conv_x *conv_padded(const struct kernel_conv1d *c, const int8_t *x, size_t span, conv_x *to)
{
    size_t before = kernel_min(c->pad_begin, span), inside = kernel_min(c->length, span - before);
    conv_x zero = conv_value(c->x_zero);
    size_t first = before * c->channels, end = first + inside * c->channels, all = span * c->channels;

    for (size_t i = 0; i < first; i++)
        to[i] = zero;
    conv_prepare_x(x, end - first, to + first);
    for (size_t i = end; i < all; i++)
        to[i] = zero;
    return (conv_x *)((char *)to + kernel_round_up(all * sizeof *to + KERNEL_SLACK_BYTES, 64));
}

static void conv1d(const struct kernel_conv1d *c, const int8_t *x, const int8_t *w, const int32_t *bias,
                   const struct kernel_requantize *q, int8_t *y, float *y_f32, void *scratch)
{
    size_t k_count = c->kernel * c->channels, step = c->stride * c->channels;
    conv_x *padded = scratch, *gathered;
    void *packed;

    if (c->n_out == 0 || c->outputs == 0 || c->kernel == 0)
        return;
    gathered = conv_padded(c, x, kernel_conv1d_span(c), padded);
    if (c->dilation == 1 || c->kernel == 1) {
        packed = gathered;
        conv_pack(w, bias, k_count, c->outputs, packed);
        conv_windows(padded, step, c->n_out, packed, k_count, c->outputs, q, y, y_f32);
        return;
    }
    packed = (char *)gathered +
             kernel_round_up(KERNEL_WINDOWS * k_count * sizeof *gathered + KERNEL_SLACK_BYTES, 64);
    conv_pack(w, bias, k_count, c->outputs, packed);
    for (size_t l = 0; l < c->n_out; l += KERNEL_WINDOWS) {
        size_t n = kernel_min(KERNEL_WINDOWS, c->n_out - l);

        for (size_t i = 0; i < n * c->kernel; i++)
            memcpy(gathered + i * c->channels,
                   padded + (l + i / c->kernel) * step + i % c->kernel * c->dilation * c->channels,
                   c->channels * sizeof *gathered);
        conv_windows(gathered, k_count, n, packed, k_count, c->outputs, q,
                     y == NULL ? NULL : y + l * c->outputs, y_f32 == NULL ? NULL : y_f32 + l * c->outputs);
    }
}

static void conv1d_i8(const struct kernel_conv1d *c, const int8_t *x, const int8_t *w, const int32_t *bias,
                      const struct kernel_requantize *q, int8_t *y, void *scratch)
{
    conv1d(c, x, w, bias, q, y, NULL, scratch);
}

static void conv1d_i8_f32(const struct kernel_conv1d *c, const int8_t *x, const int8_t *w,
                          const int32_t *bias, const float *multiplier, float *y, void *scratch)
{
    struct kernel_requantize q = {.multiplier = multiplier};

    conv1d(c, x, w, bias, &q, NULL, y, scratch);
}

#define KERNEL_TABLE(number, label)                                                                          \
    {                                                                                                        \
        .level = number, .name = label, .dense_i8 = dense_i8, .dense_i8_f32 = dense_i8_f32,                  \
        .conv1d_i8 = conv1d_i8, .conv1d_i8_f32 = conv1d_i8_f32, .quantize_i8 = quantize_i8,                  \
        .dense_f32 = dense_f32, .conv1d_f32 = conv1d_f32, .conv1d_transpose_f32 = conv1d_transpose_f32       \
    }
