/* Convolutions and pools against code that goes over padded coordinates one by one, at random shapes. */
#include "base/rng.h"
#include "unit/infer/run_op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX = 1 << 16 };
static float x[MAX], w[MAX], bias[64], want[MAX];
static int64_t want_index[MAX];

struct geometry {
    unsigned rank;
    int64_t in[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3], output_pad[3], out[3];
};

static void settings(struct infer_node *n, const struct geometry *g, int group)
{
    n->ints[0] = group;
    n->ints[1] = (int32_t)g->rank;
    for (unsigned i = 0; i < g->rank; i++) {
        n->ints[2 + i] = (int32_t)g->stride[i];
        n->ints[5 + i] = (int32_t)g->dilation[i];
        n->ints[8 + i] = (int32_t)g->pad[i];
        n->ints[11 + i] = (int32_t)g->pad_end[i];
        n->ints[14 + i] = (int32_t)g->output_pad[i];
        n->ints[17 + i] = (int32_t)g->kernel[i];
    }
}

static void fill(struct rng *rng, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (float)((int)rng_below(rng, 201) - 100) / 16;
}

static struct infer_shape shape_of(size_t a, size_t b, const int64_t *spatial, unsigned rank)
{
    struct infer_shape s = {.rank = (uint8_t)(2 + rank), .dim = {(uint32_t)a, (uint32_t)b}};

    for (unsigned i = 0; i < rank; i++)
        s.dim[2 + i] = (uint32_t)spatial[i];
    return s;
}

static int64_t volume(const int64_t *n, unsigned rank)
{
    int64_t v = 1;

    for (unsigned i = 0; i < rank; i++)
        v *= n[i];
    return v;
}

/* Index `flat` of a volume as coordinates. */
static void coordinates(int64_t flat, const int64_t *size, unsigned rank, int64_t *at)
{
    for (unsigned i = rank; i-- > 0; flat /= size[i])
        at[i] = flat % size[i];
}

/* The place in x of tap k for output o, or -1 when it is in the padding. */
static int64_t place(const struct geometry *g, const int64_t *o, const int64_t *k)
{
    int64_t flat = 0;

    for (unsigned i = 0; i < g->rank; i++) {
        int64_t at = o[i] * g->stride[i] + k[i] * g->dilation[i] - g->pad[i];

        if (at < 0 || at >= g->in[i])
            return -1;
        flat = flat * g->in[i] + at;
    }
    return flat;
}

static void random_geometry(struct rng *rng, struct geometry *g, bool is_pool)
{
    memset(g, 0, sizeof *g);
    g->rank = 1 + (unsigned)rng_below(rng, 3);
    for (unsigned i = 0; i < g->rank; i++) {
        int64_t extent;

        g->in[i] = 1 + (int64_t)rng_below(rng, 7);
        g->kernel[i] = 1 + (int64_t)rng_below(rng, 3);
        g->stride[i] = 1 + (int64_t)rng_below(rng, 3);
        g->dilation[i] = 1 + (int64_t)rng_below(rng, 3);
        extent = (g->kernel[i] - 1) * g->dilation[i] + 1;
        g->pad[i] = (int64_t)rng_below(rng, is_pool ? (uint64_t)extent : 4);
        g->pad_end[i] = (int64_t)rng_below(rng, is_pool ? (uint64_t)extent : 4);
    }
}

/* False: no output. */
static bool outputs(struct geometry *g, bool ceil_mode)
{
    for (unsigned i = 0; i < g->rank; i++) {
        int64_t room = g->in[i] + g->pad[i] + g->pad_end[i] - (g->kernel[i] - 1) * g->dilation[i] - 1;

        if (room < 0)
            return false;
        g->out[i] = 1 + room / g->stride[i];
        /* One more window when some is left over, unless it would begin in the padding at the end. */
        if (ceil_mode && room % g->stride[i] != 0 && g->out[i] * g->stride[i] < g->in[i] + g->pad[i])
            g->out[i]++;
    }
    return true;
}

static void naive_conv(const struct geometry *g, int64_t n, int64_t channels, int64_t m, int64_t group)
{
    int64_t in = volume(g->in, g->rank), out = volume(g->out, g->rank), taps = volume(g->kernel, g->rank);
    int64_t o[3], k[3], per = channels / group;

    for (int64_t i = 0; i < n * m * out; i++) {
        int64_t im = i / out % m, in_n = i / out / m;
        double sum = bias[im];

        coordinates(i % out, g->out, g->rank, o);
        for (int64_t c = 0; c < per; c++)
            for (int64_t t = 0; t < taps; t++) {
                int64_t at;

                coordinates(t, g->kernel, g->rank, k);
                at = place(g, o, k);
                if (at >= 0)
                    sum += (double)w[(im * per + c) * taps + t] *
                           x[(in_n * channels + im / (m / group) * per + c) * in + at];
            }
        want[i] = (float)sum;
    }
}

static void convolutions(void **state)
{
    struct rng rng = {7};
    int done = 0;

    (void)state;
    for (int round = 0; round < 1500; round++) {
        int64_t group = 1 + (int64_t)rng_below(&rng, 3), channels = group * (1 + (int64_t)rng_below(&rng, 3));
        int64_t m = group * (1 + (int64_t)rng_below(&rng, 3)), n = 1 + (int64_t)rng_below(&rng, 2);
        struct geometry g;
        struct run_op t;

        random_geometry(&rng, &g, false);
        fill(&rng, x, (size_t)(n * channels * volume(g.in, g.rank)));
        fill(&rng, w, (size_t)(m * channels / group * volume(g.kernel, g.rank)));
        fill(&rng, bias, 64);
        run_op_init(&t, INFER_CONV);
        settings(&t.node, &g, (int)group);
        run_op_input(&t, INFER_F32, shape_of((size_t)n, (size_t)channels, g.in, g.rank), x);
        run_op_input(&t, INFER_F32, shape_of((size_t)m, (size_t)(channels / group), g.kernel, g.rank), w);
        run_op_input(&t, INFER_F32, SHAPE((uint32_t)m), bias);
        if (!outputs(&g, false)) {
            run_op_expect_refused(&t, "reaches over");
            continue;
        }
        naive_conv(&g, n, channels, m, group);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, shape_of((size_t)n, (size_t)m, g.out, g.rank), want);
        run_op_deinit(&t);
        done++;
    }
    assert_true(done > 700);
}

/* By its definition: every input spreads over the outputs that its window meets. */
static void naive_transpose(const struct geometry *g, int64_t n, int64_t channels, int64_t m, int64_t group)
{
    int64_t in = volume(g->in, g->rank), out = volume(g->out, g->rank), taps = volume(g->kernel, g->rank);
    int64_t i[3], k[3], per = m / group;

    for (int64_t y = 0; y < n * m * out; y++)
        want[y] = bias[y / out % m];
    for (int64_t s = 0; s < n * channels * in; s++)
        for (int64_t im = 0; im < per; im++)
            for (int64_t t = 0; t < taps; t++) {
                int64_t c = s / in % channels, at = 0;
                bool inside = true;

                coordinates(s % in, g->in, g->rank, i);
                coordinates(t, g->kernel, g->rank, k);
                for (unsigned d = 0; d < g->rank; d++) {
                    int64_t o = i[d] * g->stride[d] + k[d] * g->dilation[d] - g->pad[d];

                    inside = inside && o >= 0 && o < g->out[d];
                    at = at * g->out[d] + o;
                }
                if (inside)
                    want[((s / in / channels) * m + c / (channels / group) * per + im) * out + at] +=
                        x[s] * w[(c * per + im) * taps + t];
            }
}

static void transposed_convolutions(void **state)
{
    struct rng rng = {8};
    int done = 0;

    (void)state;
    for (int round = 0; round < 1000; round++) {
        int64_t group = 1 + (int64_t)rng_below(&rng, 2), channels = group * (1 + (int64_t)rng_below(&rng, 2));
        int64_t m = group * (1 + (int64_t)rng_below(&rng, 2)), n = 1 + (int64_t)rng_below(&rng, 2);
        bool is_there = true;
        struct geometry g;
        struct run_op t;

        random_geometry(&rng, &g, false);
        for (unsigned i = 0; i < g.rank; i++) {
            g.output_pad[i] = (int64_t)rng_below(&rng, 2);
            g.out[i] = g.stride[i] * (g.in[i] - 1) + g.output_pad[i] + (g.kernel[i] - 1) * g.dilation[i] + 1 -
                       g.pad[i] - g.pad_end[i];
            is_there = is_there && g.out[i] > 0;
        }
        fill(&rng, x, (size_t)(n * channels * volume(g.in, g.rank)));
        fill(&rng, w, (size_t)(channels * m / group * volume(g.kernel, g.rank)));
        run_op_init(&t, INFER_CONV_TRANSPOSE);
        settings(&t.node, &g, (int)group);
        run_op_input(&t, INFER_F32, shape_of((size_t)n, (size_t)channels, g.in, g.rank), x);
        run_op_input(&t, INFER_F32, shape_of((size_t)channels, (size_t)(m / group), g.kernel, g.rank), w);
        run_op_input(&t, INFER_F32, SHAPE((uint32_t)m), bias);
        if (!is_there) {
            assert_int_equal(run_op_check(&t), -EINVAL);
            continue;
        }
        naive_transpose(&g, n, channels, m, group);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, shape_of((size_t)n, (size_t)m, g.out, g.rank), want);
        run_op_deinit(&t);
        done++;
    }
    assert_true(done > 500);
}

/* Greatest with its index, or mean. */
static void naive_pool(const struct geometry *g, int64_t planes, bool is_max, bool flag)
{
    int64_t in = volume(g->in, g->rank), out = volume(g->out, g->rank), taps = volume(g->kernel, g->rank);
    int64_t o[3], k[3], p[3];

    for (int64_t i = 0; i < planes * out; i++) {
        double best = -INFINITY, sum = 0;
        int64_t best_at = 0, n = 0;
        bool found = false;

        coordinates(i % out, g->out, g->rank, o);
        for (int64_t t = 0; t < taps; t++) {
            bool within = true;
            int64_t at;

            coordinates(t, g->kernel, g->rank, k);
            at = place(g, o, k);
            for (unsigned d = 0; d < g->rank; d++)
                within = within &&
                         o[d] * g->stride[d] + k[d] * g->dilation[d] < g->pad[d] + g->in[d] + g->pad_end[d];
            n += at >= 0 || (flag && within);
            if (at < 0)
                continue;
            sum += x[i / out * in + at];
            if (!found || x[i / out * in + at] > best) {
                found = true;
                best = x[i / out * in + at];
                best_at = at;
            }
        }
        want[i] = (float)(is_max ? best : n == 0 ? 0 : sum / (double)n);
        coordinates(best_at, g->in, g->rank, p);
        for (unsigned d = flag ? g->rank : 0; d-- > 0;) /* the first coordinate is the fastest */
            best_at = (d + 1 == g->rank ? 0 : best_at * g->in[d]) + p[d];
        want_index[i] = found ? i / out * in + best_at : 0;
    }
}

static void pools(void **state)
{
    struct rng rng = {9};
    int done = 0;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        bool is_max = rng_below(&rng, 2), ceil_mode = rng_below(&rng, 2), flag = rng_below(&rng, 2);
        struct geometry g;
        struct run_op t;

        random_geometry(&rng, &g, true);
        fill(&rng, x, (size_t)(6 * volume(g.in, g.rank)));
        run_op_init(&t, is_max ? INFER_MAX_POOL : INFER_AVERAGE_POOL);
        settings(&t.node, &g, 0);
        t.node.ints[20] = ceil_mode;
        t.node.ints[21] = flag;
        t.node.n_outputs = is_max ? 2 : 1;
        run_op_input(&t, INFER_F32, shape_of(2, 3, g.in, g.rank), x);
        if (!outputs(&g, ceil_mode)) {
            run_op_expect_refused(&t, "reaches over");
            continue;
        }
        naive_pool(&g, 6, is_max, flag);
        run_op_run(&t);
        run_op_expect(&t, 0, INFER_F32, shape_of(2, 3, g.out, g.rank), want);
        if (is_max)
            run_op_expect(&t, 1, INFER_I64, shape_of(2, 3, g.out, g.rank), want_index);
        run_op_deinit(&t);
        done++;
    }
    assert_true(done > 1500);
}

/* PyTorch and ONNX 1.16: no window begins in the padding at the end. */
static void a_last_window_in_the_padding_is_left_out(void **state)
{
    struct geometry g = {2, {2, 2}, {3, 3}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, {0}, {0}};
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_AVERAGE_POOL);
    settings(&t.node, &g, 0);
    t.node.ints[20] = t.node.ints[21] = 1;
    run_op_input(&t, INFER_F32, SHAPE(1, 1, 2, 2), ((const float[]){1, 2, 3, 8}));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(1, 1, 1, 1), ((const float[]){14.0f / 9}));
    run_op_deinit(&t);
}

static void pools_of_bytes(void **state)
{
    struct geometry g = {1, {5}, {2}, {2}, {1}, {0}, {1}, {0}, {0}};
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_MAX_POOL);
    settings(&t.node, &g, 0);
    run_op_input(&t, INFER_I8, SHAPE(1, 1, 5), ((const int8_t[]){-3, -4, 7, 9, -128}));
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_I8, SHAPE(1, 1, 3), ((const int8_t[]){-3, 9, -128}));
    run_op_deinit(&t);
    t.node.op = INFER_AVERAGE_POOL;
    run_op_expect_refused(&t, "int8");
}

static void global_pools_and_normalisation(void **state)
{
    const float in[8] = {1, 2, 3, 6, -1, -2, -3, -6}, ones[2] = {1, 2}, two[2] = {3, 4}, v[2] = {4, 1};
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_GLOBAL_AVERAGE_POOL);
    run_op_input(&t, INFER_F32, SHAPE(1, 2, 2, 2), in);
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(1, 2, 1, 1), ((const float[]){3, -3}));
    run_op_deinit(&t);
    t.node.op = INFER_GLOBAL_MAX_POOL;
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(1, 2, 1, 1), ((const float[]){6, -1}));
    run_op_deinit(&t);
    run_op_init(&t, INFER_BATCH_NORM);
    run_op_input(&t, INFER_F32, SHAPE(1, 2, 4), in);
    run_op_input(&t, INFER_F32, SHAPE(2), ones);
    run_op_input(&t, INFER_F32, SHAPE(2), two);
    run_op_input(&t, INFER_F32, SHAPE(2), ones);
    run_op_input(&t, INFER_F32, SHAPE(2), v);
    t.node.floats[0] = 0;
    run_op_run(&t);
    run_op_expect(&t, 0, INFER_F32, SHAPE(1, 2, 4), ((const float[]){3, 3.5f, 4, 5.5f, -2, -4, -6, -12}));
    run_op_deinit(&t);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct geometry g = {2, {4, 4}, {3, 3}, {1, 1}, {1, 1}, {0}, {0}, {0}, {0}};
    struct run_op t;

    (void)state;
    run_op_init(&t, INFER_CONV);
    settings(&t.node, &g, 1);
    run_op_input(&t, INFER_F32, SHAPE(1, 4, 4, 4), x);
    run_op_input(&t, INFER_F32, SHAPE(2, 3, 3, 3), w);
    run_op_expect_refused(&t, "Conv: the weights have 3 channels in each of 1 groups, the input has 4");
    t.tensors[1].shape = SHAPE(3, 2, 3, 3);
    t.node.ints[0] = 2;
    run_op_expect_refused(&t, "2 groups do not divide");
    t.tensors[1].shape = SHAPE(2, 4, 3, 3);
    t.node.ints[0] = 1;
    assert_int_equal(run_op_check(&t), 0);
    t.node.ints[2] = 0;
    run_op_expect_refused(&t, "setting 2 is 0");
    t.node.ints[2] = 1;
    t.node.ints[5] = INT32_MAX; /* no sum of these is beyond int64 */
    run_op_expect_refused(&t, "reaches over 4294967295");
    t.node.ints[8] = t.node.ints[11] = INT32_MAX;
    assert_int_equal(run_op_check(&t), 0); /* a kernel of 2^32 in a padding of 2^32 */
    t.node.ints[5] = 1;
    run_op_expect_refused(&t, "dimension 2 of the output would be");
    t.node.ints[1] = 3;
    run_op_expect_refused(&t, "settings are for 3 spatial dimensions");
    run_op_init(&t, INFER_MAX_POOL);
    g.pad[0] = 3;
    settings(&t.node, &g, 0);
    run_op_input(&t, INFER_F32, SHAPE(1, 1, 4, 4), x);
    run_op_expect_refused(&t, "less than the kernel");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(transposed_convolutions),
        cmocka_unit_test(pools),
        cmocka_unit_test(a_last_window_in_the_padding_is_left_out),
        cmocka_unit_test(pools_of_bytes),
        cmocka_unit_test(global_pools_and_normalisation),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
