/* kernel_f32_body.h - the float32 kernels, included by each level's file, which says how long its vectors
 * are (KERNEL_EIGHT_LANES, else four) and what the functions are called (KERNEL_F32).
 *
 * The order of summing is the same for vectors of any length. Dense: eight sums, sum i of the products i, i +
 * 8, i + 16 ... as long as there are eight more; of what remains the last product goes to the last sum, the
 * one before to the one before (in a row of less than eight: the first to the first). Then
 * ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7)), then the bias. Convolutions: the bias (or 0), then the
 * products by channel and within a channel by tap, each in turn; what is outside of x is a product with 0. A
 * vector is of neighbouring positions there, so nothing is ever summed across one. */
#include "infer/kernel_private.h"

#ifdef KERNEL_EIGHT_LANES
enum { LANES = 8, ROWS = 8 };
#else
enum { LANES = 4, ROWS = 4 };
#endif
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float four __attribute__((vector_size(16)));
/* Eight sums. */
typedef struct {
    lanes part[8 / LANES];
} eight;

static inline lanes load_lanes(const float *p)
{
    lanes v;

    memcpy(&v, p, sizeof v);
    return v;
}

static inline eight load_eight(const float *p)
{
    eight v;

#pragma GCC unroll 2
    for (size_t i = 0; i < 8 / LANES; i++)
        v.part[i] = load_lanes(p + i * LANES);
    return v;
}

/* The lanes first .. first + n - 1; 0 in the others. `p` has 8 floats. */
static inline eight load_some(const float *p, size_t first, size_t n)
{
    typedef int32_t masks __attribute__((vector_size(sizeof(lanes))));
    static const int32_t mask[24] = {[8] = -1, -1, -1, -1, -1, -1, -1, -1};
    eight v = load_eight(p);

    for (size_t i = 0; i < 8 / LANES; i++) {
        masks begin, end;

        memcpy(&begin, mask + 8 - first + i * LANES, sizeof begin);
        memcpy(&end, mask + 16 - first - n + i * LANES, sizeof end);
        v.part[i] = (lanes)((masks)v.part[i] & begin & end);
    }
    return v;
}

static inline void add_products(eight *sums, const eight *w, const eight *x)
{
#pragma GCC unroll 2
    for (size_t i = 0; i < 8 / LANES; i++)
        sums->part[i] += w->part[i] * x->part[i];
}

/* [s0 + s4, s1 + s5, s2 + s6, s3 + s7] */
static inline four fold(const eight *sums)
{
#ifdef KERNEL_EIGHT_LANES
    return __builtin_shufflevector(sums->part[0], sums->part[0], 0, 1, 2, 3) +
           __builtin_shufflevector(sums->part[0], sums->part[0], 4, 5, 6, 7);
#else
    return sums->part[0] + sums->part[1];
#endif
}

/* (a0 + a1, a2 + a3, b0 + b1, b2 + b3) */
static inline four add_pairs(four a, four b)
{
    return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7);
}

/* What is left of a row after whole vectors of x, for each of ROWS rows. `room` weights stand from w on. */
__attribute__((noinline)) static void add_rest(const float *x, const float *w, size_t room, size_t k_count,
                                               const size_t row[ROWS], eight sums[ROWS])
{
    size_t rest = k_count % 8, back = k_count >= 8 ? k_count - 8 : 0, first = k_count >= 8 ? 8 - rest : 0;
    float padded[8] = {0};
    eight v, one;

    memcpy(padded + first, x + k_count - rest, rest * sizeof *x);
    v = load_eight(padded);
    for (size_t r = 0; r < ROWS; r++) {
        size_t at = row[r] + back;

        if (at + 8 <= room) {
            one = load_some(w + at, first, rest);
        } else {
            memcpy(padded, w + at, rest * sizeof *w);
            one = load_eight(padded);
        }
        add_products(&sums[r], &one, &v);
    }
}

/* n outputs, of ROWS rows: rows that are not there are the last one again. */
__attribute__((always_inline)) static inline void dense_rows(const float *x, const float *w,
                                                             const float *bias, size_t room, size_t k_count,
                                                             size_t n, const size_t row[ROWS], float *y)
{
    eight sums[ROWS] = {0};
    const float *from[ROWS];
    four out[ROWS / 4];

#pragma GCC unroll 8
    for (size_t r = 0; r < ROWS; r++)
        from[r] = w + row[r];
    for (size_t k = 0; k + 8 <= k_count; k += 8) {
        eight v = load_eight(x + k);

#pragma GCC unroll 8
        for (size_t r = 0; r < ROWS; r++) {
            eight one = load_eight(from[r] + k);

            add_products(&sums[r], &one, &v);
        }
    }
    if (k_count % 8 != 0) {
        /* A copy, because what has an address is not kept in registers. */
        eight all[ROWS];

        memcpy(all, sums, sizeof all);
        add_rest(x, w, room, k_count, row, all);
        memcpy(sums, all, sizeof all);
    }
#pragma GCC unroll 2
    for (size_t r = 0; r < ROWS; r += 4)
        out[r / 4] = add_pairs(add_pairs(fold(&sums[r]), fold(&sums[r + 1])),
                               add_pairs(fold(&sums[r + 2]), fold(&sums[r + 3])));
    if (n == ROWS) {
        four b[ROWS / 4];

        if (bias != NULL) {
            memcpy(b, bias, sizeof b);
#pragma GCC unroll 2
            for (size_t r = 0; r < ROWS / 4; r++)
                out[r] += b[r];
        }
        memcpy(y, out, sizeof out);
        return;
    }
    for (size_t r = 0; r < n; r++)
        y[r] = bias == NULL ? out[r / 4][r % 4] : out[r / 4][r % 4] + bias[r];
}

void KERNEL_F32(dense_f32)(const float *x, const float *w, const float *bias, size_t k_count, size_t m_count,
                           float *y)
{
    size_t row[ROWS], n = kernel_min(ROWS, m_count);

    for (size_t r = 0; r < ROWS && n > 0; r++)
        row[r] = kernel_min(r, n - 1) * k_count;
    for (size_t m = 0; m < m_count; m += ROWS) {
        /* The last ones begin further in front: some outputs are computed twice. */
        size_t at = kernel_min(m, m_count - n);

        dense_rows(x, w + at * k_count, bias == NULL ? NULL : bias + at, (m_count - at) * k_count, k_count, n,
                   row, y + at);
    }
}

/* ---- convolution ---- */

/* n_m outputs (those that are not there are the last one again) by two vectors of positions; `room` floats
 * of each output may be written. */
void KERNEL_F32(sweep_f32)(const struct kernel_sweep *s, const float *x, const float *w, const float *bias,
                           size_t n_m, float *y, size_t y_row, size_t room)
{
    lanes sums[4][2], out[4][2];
    size_t at[4];

#pragma GCC unroll 4
    for (size_t m = 0; m < 4; m++) {
        size_t there = kernel_min(m, n_m - 1);

        at[m] = there * s->w_output;
        sums[m][0] = sums[m][1] = (lanes){0} + (bias == NULL ? 0 : bias[there]);
    }
    for (size_t c = 0; c < s->channels; c++)
        for (size_t t = 0; t < s->n_taps; t++) {
            const float *from = x + c * s->x_row + s->x_at[t], *weight = w + c * s->w_channel + s->w_at[t];
            lanes a = load_lanes(from), b = load_lanes(from + LANES);

#pragma GCC unroll 4
            for (size_t m = 0; m < 4; m++) {
                /* No 0 is added: x - 0 is x, the sign of a 0 included. */
                lanes one = weight[at[m]] - (lanes){0};

                sums[m][0] += one * a;
                sums[m][1] += one * b;
            }
        }
    /* A copy that has an address: the sums themselves stay in registers. */
    memcpy(out, sums, sizeof out);
    for (size_t m = 0; m < n_m; m++, y += y_row)
        if (room >= 2 * LANES)
            memcpy(y, out[m], sizeof out[m]);
        else
            memcpy(y, out[m], room * sizeof *y);
}
