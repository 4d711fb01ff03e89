/* kernel_sweep_body.h - the inner loop of float32 convolutions, included by each level's file, which says how
 * long its vectors are (LANES) and how many of them a block has (SWEEP_VECTORS, for each of SWEEP_OUTPUTS).
 *
 * The order of summing is the same everywhere: the bias (or 0), then the products by channel and within a
 * channel by tap, each in turn; what is outside of x is a product with 0. A vector is of neighbouring
 * positions, so nothing is ever summed across one. */
#include "infer/kernel_private.h"

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

static inline lanes load_lanes(const float *p)
{
    lanes v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* n_m outputs: those that are not there are the last one again. `room` floats of each may be written. */
void KERNEL_F32(sweep_f32)(const struct kernel_sweep *s, const float *x, const float *w, const float *bias,
                           size_t n_m, float *y, size_t y_row, size_t room)
{
    lanes sums[SWEEP_OUTPUTS][SWEEP_VECTORS], out[SWEEP_OUTPUTS][SWEEP_VECTORS];
    size_t at[SWEEP_OUTPUTS];

#pragma GCC unroll 8
    for (size_t m = 0; m < SWEEP_OUTPUTS; m++) {
        size_t there = kernel_min(m, n_m - 1);

        at[m] = there * s->w_output;
#pragma GCC unroll 2
        for (size_t v = 0; v < SWEEP_VECTORS; v++)
            sums[m][v] = (lanes){0} + (bias == NULL ? 0 : bias[there]);
    }
    for (size_t c = 0; c < s->channels; c++, x += s->x_row) {
        const float *weight = w + c * s->w_channel;

        for (size_t t = 0; t < s->n_taps; t++, weight += s->w_tap) {
            lanes from[SWEEP_VECTORS];

#pragma GCC unroll 2
            for (size_t v = 0; v < SWEEP_VECTORS; v++)
                from[v] = load_lanes(x + s->x_at[t] + v * LANES);
#pragma GCC unroll 8
            for (size_t m = 0; m < SWEEP_OUTPUTS; m++) {
                /* No 0 is added: x - 0 is x, the sign of a 0 included. */
                lanes one = weight[at[m]] - (lanes){0};

#pragma GCC unroll 2
                for (size_t v = 0; v < SWEEP_VECTORS; v++)
                    sums[m][v] += one * from[v];
            }
        }
    }
    /* A copy that has an address: the sums themselves stay in registers. */
    memcpy(out, sums, sizeof out);
    for (size_t m = 0; m < n_m; m++, y += y_row)
        if (room >= SWEEP_VECTORS * LANES)
            memcpy(y, out[m], sizeof out[m]);
        else
            memcpy(y, out[m], room * sizeof *y);
}
