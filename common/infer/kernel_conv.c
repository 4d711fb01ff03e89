/* Convolutions: what all levels have in common around their inner loops. */
#include "infer/kernel_private.h"

/* ---- scratch ---- */

/* Two tables of an entry a tap, then the floats. */
static void *behind(const void *tables)
{
    return (void *)kernel_round_up((uintptr_t)tables, 64);
}

/* Positions that the last tap is behind the first one, in steps. */
static size_t reach_of(const struct kernel_conv1d *c)
{
    return c->kernel == 0 ? 0 : (c->kernel - 1) * c->dilation / c->stride;
}

/* Floats of a row: whole vectors of positions, two of the longest at a time. */
static size_t row_of(const struct kernel_conv1d *c)
{
    return kernel_round_up(c->n_out, KERNEL_POSITIONS) + reach_of(c) + 1;
}

static size_t transpose_row_of(const struct kernel_conv1d *c)
{
    size_t reach = reach_of(c), n = (c->n_out + c->stride - 1) / c->stride;
    size_t first = kernel_min((c->stride - 1 + c->pad_begin) / c->stride, c->length + reach);

    return first + reach + kernel_round_up(n, KERNEL_POSITIONS) + 1;
}

/* a * b + c, saturating. */
static size_t product(size_t a, size_t b, size_t c)
{
    size_t n;

    return __builtin_mul_overflow(a, b, &n) || __builtin_add_overflow(n, c, &n) ? SIZE_MAX : n;
}

static size_t sum(size_t a, size_t b)
{
    return product(a, 1, b);
}

/* What the sizes of rows are computed from, beyond doubt: else they would have to saturate too. */
static bool is_beyond(const struct kernel_conv1d *c)
{
    size_t reach = product(c->kernel, c->dilation, c->stride),
           n = sum(c->n_out, sum(c->pad_begin, c->length));

    return sum(sum(reach, n), KERNEL_POSITIONS + 1) > SIZE_MAX / 4;
}

/* Of the neediest level: x and the weights in 16 bits, biases and weights for whole blocks of outputs. */
size_t kernel_conv1d_i8_scratch_bytes(const struct kernel_conv1d *c)
{
    enum { BYTES = sizeof(int16_t), PIECE = KERNEL_SLACK_BYTES + 64 };
    size_t k_count, blocks, x, gathered, w;

    if (c->n_out == 0 || c->outputs == 0 || c->kernel == 0)
        return 0;
    if (product(c->kernel, c->channels, 4) == SIZE_MAX || is_beyond(c))
        return SIZE_MAX;
    k_count = kernel_round_up(c->kernel * c->channels, 4);
    blocks = kernel_round_up(c->outputs, KERNEL_BLOCK);
    x = sum(product(c->n_out - 1, c->stride, 1), product(c->kernel - 1, c->dilation, 0));
    x = product(product(x, c->channels, 0), BYTES, PIECE);
    gathered = product(product(k_count, KERNEL_WINDOWS, 0), BYTES, PIECE);
    w = product(sum(product(k_count, BYTES, 0), sizeof(int32_t)), blocks, PIECE);
    return sum(sum(x, gathered), w);
}

static size_t tables_bytes(const struct kernel_conv1d *c)
{
    return kernel_round_up(product(c->kernel, 2 * sizeof(size_t), 0), 64);
}

size_t kernel_conv1d_f32_scratch_bytes(const struct kernel_conv1d *c)
{
    size_t floats;

    if (is_beyond(c))
        return SIZE_MAX;
    floats = product(product(row_of(c), c->stride, 0), c->channels, 0);

    return product(floats, sizeof(float), tables_bytes(c));
}

size_t kernel_conv1d_transpose_f32_scratch_bytes(const struct kernel_conv1d *c)
{
    size_t floats;

    if (is_beyond(c))
        return SIZE_MAX;
    floats = product(transpose_row_of(c), c->channels, 0);
    if (c->stride > 1)
        floats = sum(floats, product((c->n_out + c->stride - 1) / c->stride, c->outputs, 0));
    return product(floats, sizeof(float), tables_bytes(c));
}

/* ---- int8, channels last: a window of neighbouring taps lies in one piece ---- */

/* Positions of x that any window reads, with those outside of it. */
static size_t span_of(const struct kernel_conv1d *c)
{
    return (c->n_out - 1) * c->stride + (c->kernel - 1) * c->dilation + 1;
}

/* Of one value, over and over. */
static void fill(const struct kernel_table *k, int8_t value, size_t n, char *to)
{
    int8_t values[64];

    memset(values, value, sizeof values);
    for (size_t i = 0; i < n; i += sizeof values)
        k->prepare_i8(values, kernel_min(sizeof values, n - i), to + i * k->x_bytes);
}

/* x with what is outside of it: `span` positions. What is behind it. */
static char *padded(const struct kernel_table *k, const struct kernel_conv1d *c, const int8_t *x, size_t span,
                    char *to)
{
    size_t before = kernel_min(c->pad_begin, span), inside = kernel_min(c->length, span - before);
    size_t first = before * c->channels, end = first + inside * c->channels, all = span * c->channels;

    fill(k, (int8_t)c->x_zero, first, to);
    k->prepare_i8(x, end - first, to + first * k->x_bytes);
    fill(k, (int8_t)c->x_zero, all - end, to + end * k->x_bytes);
    return to + kernel_round_up(all * k->x_bytes + KERNEL_SLACK_BYTES, 64);
}

/* The scratch is x with what is around it, gathered windows and the weights, in the forms that the level
 * wants, each with KERNEL_SLACK_BYTES behind it that may be read. */
void kernel_conv1d_i8(const struct kernel_table *k, const struct kernel_conv1d *c, const int8_t *x,
                      const int8_t *w, const int32_t *bias, const struct kernel_requantize *q, int8_t *y,
                      float *y_f32, void *scratch)
{
    size_t k_count = c->kernel * c->channels, step = c->stride * c->channels;
    size_t tap_bytes = c->channels * k->x_bytes, at_once = c->n_out;
    bool gathers = c->dilation != 1 && c->kernel != 1;
    char *gathered, *packed;

    if (c->n_out == 0 || c->outputs == 0 || c->kernel == 0)
        return;
    packed = gathered = padded(k, c, x, span_of(c), scratch);
    if (gathers) {
        at_once = KERNEL_WINDOWS;
        packed += kernel_round_up(KERNEL_WINDOWS * k_count * k->x_bytes + KERNEL_SLACK_BYTES, 64);
    }
    k->pack_i8(w, bias, k_count, c->outputs, packed);
    for (size_t l = 0; l < c->n_out; l += at_once) {
        size_t n = kernel_min(at_once, c->n_out - l);

        for (size_t i = 0; gathers && i < n * c->kernel; i++)
            memcpy(gathered + i * tap_bytes,
                   (char *)scratch +
                       ((l + i / c->kernel) * c->stride + i % c->kernel * c->dilation) * tap_bytes,
                   tap_bytes);
        k->windows_i8(gathers ? gathered : scratch, gathers ? k_count : step, n, packed, k_count, c->outputs,
                      q, y == NULL ? NULL : y + l * c->outputs,
                      y_f32 == NULL ? NULL : y_f32 + l * c->outputs);
    }
}

/* ---- float32, channels first ---- */

/* n positions of every output. */
static void sweep_all(const struct kernel_table *k, const struct kernel_sweep *s, const float *x,
                      const float *w, const float *bias, size_t outputs, size_t n, float *y, size_t y_row)
{
    for (size_t m = 0; m < outputs; m += KERNEL_SWEEP_OUTPUTS)
        for (size_t i = 0; i < n; i += k->sweep_positions)
            k->sweep_f32(s, x + i, w + m * s->w_output, bias == NULL ? NULL : bias + m,
                         kernel_min(KERNEL_SWEEP_OUTPUTS, outputs - m), y + m * y_row + i, y_row, n - i);
}

/* Copies the positions of x that a convolution reads, zeros where there are none: position p stands in row
 * p % step of its channel. */
static void spread(const float *x, size_t channels, size_t length, size_t before, size_t step, size_t row,
                   float *to)
{
    size_t phase = before % step, at = before / step;

    memset(to, 0, channels * step * row * sizeof *to);
    for (size_t c = 0; c < channels; c++, x += length, to += step * row) {
        size_t p = phase, i = at, l;

        if (step == 1) {
            at = kernel_min(at, row);
            memcpy(to + at, x, kernel_min(length, row - at) * sizeof *to);
            continue;
        }
        for (l = 0; l < length && i < row; l++) {
            to[p * row + i] = x[l];
            if (++p == step) {
                p = 0;
                i++;
            }
        }
    }
}

void kernel_conv1d_f32(const struct kernel_table *k, const struct kernel_conv1d *c, const float *x,
                       const float *w, const float *bias, float *y, void *scratch)
{
    size_t row = row_of(c), *x_at = scratch, *w_at = x_at + c->kernel;
    float *spread_x = (float *)behind(w_at + c->kernel);
    struct kernel_sweep s = {.channels = c->channels,
                             .x_row = row * c->stride,
                             .w_output = c->channels * c->kernel,
                             .w_channel = c->kernel,
                             .n_taps = c->kernel,
                             .x_at = x_at,
                             .w_at = w_at};

    if (c->n_out == 0 || c->outputs == 0)
        return;
    for (size_t t = 0; t < c->kernel; t++) {
        x_at[t] = t * c->dilation % c->stride * row + t * c->dilation / c->stride;
        w_at[t] = t;
    }
    spread(x, c->channels, c->length, c->pad_begin, c->stride, row, spread_x);
    sweep_all(k, &s, spread_x, w, bias, c->outputs, c->n_out, y, c->n_out);
}

/* Output o gets x[i] by tap t where i * stride = o + pad_begin - t * dilation. So the outputs of one phase,
 * (o + pad_begin) % stride, are a convolution with step 1 and the taps of that phase. */
void kernel_conv1d_transpose_f32(const struct kernel_table *k, const struct kernel_conv1d *c, const float *x,
                                 const float *w, const float *bias, float *y, void *scratch)
{
    size_t reach = reach_of(c), row = transpose_row_of(c);
    size_t *x_at = scratch, *w_at = x_at + c->kernel, n_phase = (c->n_out + c->stride - 1) / c->stride;
    float *spread_x = (float *)behind(w_at + c->kernel), *part = spread_x + c->channels * row;
    struct kernel_sweep s = {.channels = c->channels,
                             .x_row = row,
                             .w_output = c->kernel,
                             .w_channel = c->outputs * c->kernel,
                             .x_at = x_at,
                             .w_at = w_at};

    if (c->outputs == 0)
        return;
    spread(x, c->channels, c->length, reach, 1, row, spread_x);
    for (size_t first = 0; first < c->stride && first < c->n_out; first++) {
        size_t phase = (first + c->pad_begin) % c->stride, base = (first + c->pad_begin) / c->stride;
        size_t n = (c->n_out - first + c->stride - 1) / c->stride;

        s.n_taps = 0;
        for (size_t t = 0; t < c->kernel; t++)
            if (t * c->dilation % c->stride == phase) {
                /* From here on a window may begin beyond x, where all is zero. */
                size_t at = kernel_min(base, c->length + reach) + reach - t * c->dilation / c->stride;

                x_at[s.n_taps] = at;
                w_at[s.n_taps++] = t;
            }
        if (c->stride == 1) {
            sweep_all(k, &s, spread_x, w, bias, c->outputs, n, y, c->n_out);
            return;
        }
        sweep_all(k, &s, spread_x, w, bias, c->outputs, n, part, n_phase);
        for (size_t m = 0; m < c->outputs; m++)
            for (size_t i = 0; i < n; i++)
                y[m * c->n_out + first + i * c->stride] = part[m * n_phase + i];
    }
}
