#include "infer/kernel_loops.h"
#include "infer/kernel_private.h"

void kernel_copy_f32(const float *restrict x, size_t n, float *restrict y)
{
    memcpy(y, x, n * sizeof *y);
}

void kernel_add_row(float *restrict y, float a, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

void kernel_relu_f32(const float *restrict x, size_t n, float *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

void kernel_dequantize_i8(const int8_t *restrict x, size_t n, float scale, int32_t zero, float *restrict y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(x[i] - zero) * scale;
}

/* ---- transposed ---- */

typedef uint8_t bytes __attribute__((vector_size(16)));

typedef uint64_t halves __attribute__((vector_size(16)));

static inline bytes load_half(const uint8_t *p)
{
    uint64_t half;

    memcpy(&half, p, sizeof half);
    return (bytes)(halves){half};
}

static inline void store_half(uint8_t *p, bytes v, size_t i)
{
    uint64_t half = ((halves)v)[i];

    memcpy(p, &half, sizeof half);
}

/* The lower halves of a and b by turns, and the upper ones. */
static inline bytes zip_low(bytes a, bytes b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline bytes zip_high(bytes a, bytes b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* Eight by eight: rows four apart side by side, then two, then one. */
static void transpose_block(const uint8_t *x, size_t x_row, uint8_t *y, size_t y_row)
{
    bytes a[4], b[4];

#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        a[i] = zip_low(load_half(x + i * x_row), load_half(x + (i + 4) * x_row));
#pragma GCC unroll 2
    for (size_t i = 0; i < 2; i++) {
        b[i] = zip_low(a[i], a[i + 2]);
        b[i + 2] = zip_high(a[i], a[i + 2]);
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < 2; i++) {
        a[2 * i] = zip_low(b[2 * i], b[2 * i + 1]);
        a[2 * i + 1] = zip_high(b[2 * i], b[2 * i + 1]);
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; i++)
        store_half(y + i * y_row, a[i / 2], i % 2);
}

void kernel_transpose_8(const uint8_t *restrict x, size_t rows, size_t columns, uint8_t *restrict y)
{
    size_t whole_rows = rows & ~(size_t)7, whole_columns = columns & ~(size_t)7;

    for (size_t r = 0; r < rows; r++)
        for (size_t c = r < whole_rows ? whole_columns : 0; c < columns; c++)
            y[c * rows + r] = x[r * columns + c];
    for (size_t r = 0; r < whole_rows; r += 8)
        for (size_t c = 0; c < whole_columns; c += 8)
            transpose_block(x + r * columns + c, columns, y + c * rows + r, rows);
}

/* ---- sums ---- */

typedef float four __attribute__((vector_size(16)));
typedef double two __attribute__((vector_size(16)));

static inline four load_four(const float *p)
{
    four v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline two first_half(four v)
{
    typedef double four_doubles __attribute__((vector_size(32)));
    four_doubles d = __builtin_convertvector(v, four_doubles);

    return __builtin_shufflevector(d, d, 0, 1);
}

static inline void add_four(two sum[2], four v)
{
    sum[0] += first_half(v);
    sum[1] += first_half(__builtin_shufflevector(v, v, 2, 3, 2, 3));
}

void kernel_add_lines(const float *x, size_t n, size_t step, size_t n_lines, size_t apart,
                      double sums[KERNEL_LINES])
{
    two sum[4];
    size_t at[KERNEL_LINES];

    memcpy(sum, sums, sizeof sum);
    if (apart == 1 && n_lines == KERNEL_LINES) {
        for (size_t i = 0; i < n; i++, x += step) {
            add_four(sum, load_four(x));
            add_four(sum + 2, load_four(x + 4));
        }
    } else {
        for (size_t k = 0; k < KERNEL_LINES; k++)
            at[k] = kernel_min(k, n_lines - 1) * apart;
        for (size_t i = 0; i < n; i++, x += step) {
            add_four(sum, (four){x[at[0]], x[at[1]], x[at[2]], x[at[3]]});
            add_four(sum + 2, (four){x[at[4]], x[at[5]], x[at[6]], x[at[7]]});
        }
    }
    memcpy(sums, sum, sizeof sum);
}
