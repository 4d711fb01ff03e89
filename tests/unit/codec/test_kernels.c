/* The kernels: each does what its header says, and plain and AVX2 leave the same bits. */
#include "codec/kernels.h"

#include "made_block.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N = 700, ROUNDS = 400, SLACK_BYTES = 8 };

static const struct kernels *all[2];
static size_t n_all;

static int set_up(void **state)
{
    (void)state;
    n_all = kernels_all(all);
    return n_all == 0;
}

/* Lengths around those of vectors and frames. */
static size_t a_length(struct rng *rng)
{
    return rng_below(rng, 3) == 0 ? rng_below(rng, N) : rng_below(rng, 70);
}

static void some_integers(int64_t *x, size_t n, struct rng *rng)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     UINT64_MAX,
                                     INT64_MAX,
                                     UINT64_C(1) << 63,
                                     UINT64_C(1) << 51,
                                     (UINT64_C(1) << 51) - 1,
                                     0 - (UINT64_C(1) << 51),
                                     UINT64_C(1) << 48,
                                     UINT64_C(1) << 53};
    unsigned shift = (unsigned)rng_below(rng, 64);
    bool odd = rng_below(rng, 3) == 0;
    size_t i;

    for (i = 0; i < n; i++)
        x[i] = odd && rng_below(rng, 4) == 0 ? (int64_t)edges[rng_below(rng, sizeof edges / sizeof edges[0])]
                                             : (int64_t)rng_u64(rng) >> shift;
}

static void the_one_in_use_is_the_best_of_all(void **state)
{
    (void)state;
    assert_ptr_equal(kernels(), all[n_all - 1]);
    assert_string_equal(all[0]->name, "plain");
    assert_true(n_all == 1 || strcmp(all[1]->name, "avx2") == 0);
}

static void every_width_and_count_comes_back_from_a_frame(void **state)
{
    struct rng rng = {1};
    unsigned width, k, i;
    size_t a, b;

    (void)state;
    for (width = 0; width <= 64; width++)
        for (k = 0; k <= FRAME; k++) {
            uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1, in[FRAME] = {0},
                     out[FRAME];
            uint8_t *packed[2];

            for (i = 0; i < k; i++)
                in[i] = rng_below(&rng, 8) == 0 ? mask : rng_u64(&rng) & mask;
            for (a = 0; a < n_all; a++) {
                packed[a] = malloc(4 * width + SLACK_BYTES);
                assert_non_null(packed[a]);
                memset(packed[a], 0xa5, 4 * width + SLACK_BYTES);
                all[a]->pack(in, width, packed[a]);
                assert_memory_equal(packed[a], packed[0], 4 * width);
                for (i = 0; i < SLACK_BYTES; i++)
                    packed[a][4 * width + i] = 0x5a;
                for (b = 0; b < n_all; b++) {
                    memset(out, 0xee, sizeof out);
                    all[b]->unpack(packed[a], width, out);
                    assert_memory_equal(out, in, sizeof in);
                }
            }
            for (a = 0; a < n_all; a++)
                free(packed[a]);
        }
}

static void packing_takes_the_low_bits_and_lays_them_lowest_first(void **state)
{
    uint64_t in[FRAME];
    uint8_t out[8 * FRAME + SLACK_BYTES];
    unsigned width, i, bit;
    size_t a;

    (void)state;
    for (width = 0; width <= 64; width++)
        for (a = 0; a < n_all; a++) {
            struct rng rng = {width};

            for (i = 0; i < FRAME; i++)
                in[i] = rng_u64(&rng);
            all[a]->pack(in, width, out);
            for (bit = 0; bit < FRAME * width; bit++)
                assert_int_equal(out[bit / 8] >> bit % 8 & 1, in[bit / width] >> bit % width & 1);
        }
}

static unsigned bits_of_frame(const uint64_t *in, unsigned k, unsigned width, unsigned top)
{
    unsigned wider = 0, i;

    for (i = 0; i < k; i++)
        wider += width < 64 && in[i] >> width != 0;
    return k * width + (wider == 0 ? 0 : 16 + wider * (8 + top - width));
}

static void the_width_of_a_frame_says_its_patches_and_never_costs_more_than_the_widest(void **state)
{
    struct rng rng = {3};
    int round;

    (void)state;
    for (round = 0; round < 20000; round++) {
        uint64_t in[FRAME] = {0};
        unsigned k = 1 + (unsigned)rng_below(&rng, FRAME), most = (unsigned)rng_below(&rng, 65), i, top = 0,
                 width = 0, seen_width = 0, seen_top = 0;
        uint32_t wider, seen_patched = 0;
        size_t a;

        for (i = 0; i < k && most > 0; i++) {
            in[i] = rng_u64(&rng) >> (64 - most);
            in[i] = rng_below(&rng, 6) > 0 ? in[i] >> most / 2 : in[i];
        }
        for (i = 0; i < k; i++)
            while (top < 64 && in[i] >> top != 0)
                top++;
        for (a = 0; a < n_all; a++) {
            unsigned its_top;
            uint32_t patched;

            width = all[a]->frame_width(in, k, &patched, &its_top);
            assert_int_equal(its_top, top);
            assert_true(width <= top);
            for (i = 0, wider = 0; i < k; i++)
                wider |= (uint32_t)(width < 64 && in[i] >> width != 0) << i;
            assert_int_equal(patched, wider);
            assert_true(bits_of_frame(in, k, width, top) <= k * top);
            if (a > 0)
                assert_true(width == seen_width && patched == seen_patched && its_top == seen_top);
            seen_width = width;
            seen_patched = patched;
            seen_top = its_top;
        }
    }
}

static void zigzag_orders_by_size_and_comes_back_also_in_place(void **state)
{
    static const int64_t few[] = {0, -1, 1, -2, 2, INT64_MAX, INT64_MIN};
    static const uint64_t want[] = {0, 1, 2, 3, 4, UINT64_MAX - 1, UINT64_MAX};
    struct rng rng = {4};
    uint64_t z[N];
    int64_t x[N], y[N];
    size_t a, n;
    int round;

    (void)state;
    for (a = 0; a < n_all; a++) {
        all[a]->zigzag(few, 7, z);
        assert_memory_equal(z, want, sizeof want);
        for (round = 0; round < ROUNDS; round++) {
            n = a_length(&rng);
            some_integers(x, n, &rng);
            memcpy(y, x, sizeof y);
            all[a]->zigzag(y, n, (uint64_t *)y);
            all[(a + 1) % n_all]->zigzag(x, n, z);
            assert_memory_equal(y, z, n * sizeof *y);
            all[a]->unzigzag((uint64_t *)y, n, y);
            assert_memory_equal(y, x, n * sizeof *y);
        }
    }
}

static void residuals_are_differences_and_restoring_undoes_them(void **state)
{
    struct rng rng = {5};
    int64_t x[N + 1], r[N], back[N];
    uint64_t z[N];
    int round;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        size_t n = a_length(&rng), a, i;
        int64_t base = (int64_t)rng_u64(&rng);

        some_integers(x, n + 1, &rng);
        for (a = 0; a < n_all; a++) {
            all[a]->residuals_last(x + 1, n, r);
            for (i = 0; i < n; i++)
                assert_true(r[i] == (int64_t)((uint64_t)x[i + 1] - (uint64_t)x[i]));
            all[a]->restore_last(r, n, x[0], back);
            assert_memory_equal(back, x + 1, n * sizeof *x);
            all[a]->zigzag(r, n, z);
            memset(back, 0xee, sizeof back);
            all[a]->restore_last_zigzag(z, n, x[0], back);
            assert_memory_equal(back, x + 1, n * sizeof *x);
            all[a]->residuals_constant(x, n, base, r);
            for (i = 0; i < n; i++)
                assert_true(r[i] == (int64_t)((uint64_t)x[i] - (uint64_t)base));
            all[a]->restore_constant(r, n, base, back);
            assert_memory_equal(back, x, n * sizeof *x);
        }
    }
}

static uint64_t distance(int64_t a, int64_t b)
{
    uint64_t d = (uint64_t)a - (uint64_t)b;

    return (int64_t)d < 0 ? 0 - d : d;
}

static void spread_sums_sizes_or_says_that_they_are_too_large(void **state)
{
    struct rng rng = {6};
    int64_t x[N];
    int round, n_told = 0;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        size_t n = 1 + a_length(&rng), a, i;
        uint64_t want[3] = {0}, got[2][3] = {{0}};
        bool told[2] = {false}, large = false;
        int64_t base;

        n = n > N ? N : n;
        some_integers(x, n, &rng);
        base = x[n / 2];
        for (i = 0; i < n; i++) {
            want[1] += distance(x[i], base);
            large = large || distance(x[i], base) >> 48 != 0;
            if (i > 0)
                want[0] += distance(x[i], x[i - 1]);
            if (i > 1)
                want[2] += distance((int64_t)((uint64_t)x[i] - (uint64_t)x[i - 1]),
                                    (int64_t)((uint64_t)x[i - 1] - (uint64_t)x[i - 2]));
        }
        for (a = 0; a < n_all; a++) {
            told[a] = all[a]->spread(x, n, base, &got[a][0], &got[a][1], &got[a][2]);
            assert_int_equal(told[a], !large);
            if (told[a])
                assert_memory_equal(got[a], want, sizeof want);
            n_told += told[a];
        }
    }
    assert_true(n_told > 20);
}

static void decimals_split_alike_and_only_when_every_bit_comes_back(void **state)
{
    struct rng rng = {7};
    double v[N], back[N];
    int64_t integers[2][N];
    int round, n_split = 0;

    (void)state;
    for (round = 0; round < 20 * ROUNDS; round++) {
        size_t n = a_length(&rng), a, i;
        double power = pow(10, (double)rng_below(&rng, 18));
        bool split[2] = {false}, want = true;

        if (rng_below(&rng, 2) == 0)
            for (i = 0; i < n; i++)
                v[i] = (double)((int64_t)rng_u64(&rng) >> (13 + rng_below(&rng, 40))) / power;
        else
            made_doubles(v, n, (unsigned)rng_below(&rng, MADE_DOUBLES), &rng);
        for (i = 0; i < n; i++) {
            double scaled = v[i] * power, again;
            bool inside = fabs(scaled) < 0x1p52;

            again = inside ? nearbyint(scaled) : 0;
            inside = inside && again >= -0x1p51 && again < 0x1p51;
            again = again == 0 ? 0 : again / power;
            want = want && inside && memcmp(&again, &v[i], sizeof again) == 0;
        }
        for (a = 0; a < n_all; a++) {
            split[a] = all[a]->decimal_split(v, n, power, integers[a]);
            assert_int_equal(split[a], want);
        }
        for (a = 0; want && a < n_all; a++) {
            assert_memory_equal(integers[a], integers[0], n * sizeof *integers[0]);
            all[a]->decimal_join(integers[a], n, power, back);
            assert_memory_equal(back, v, n * sizeof *v);
            n_split += n > 0;
        }
    }
    assert_true(n_split > ROUNDS);
}

static void any_integers_at_all_join_to_their_quotients(void **state)
{
    struct rng rng = {8};
    int64_t x[N];
    double v[N];
    int round;

    (void)state;
    for (round = 0; round < ROUNDS; round++) {
        size_t n = a_length(&rng), a, i;
        double power = pow(10, (double)rng_below(&rng, 18));

        some_integers(x, n, &rng);
        for (a = 0; a < n_all; a++) {
            all[a]->decimal_join(x, n, power, v);
            for (i = 0; i < n; i++) {
                double want = (double)x[i] / power;

                assert_memory_equal(&v[i], &want, sizeof want);
            }
        }
    }
}

/* The integers that may be divided by way of an inverse: of every length, over every power of ten. */
static void integers_below_2_to_51_join_to_their_quotients(void **state)
{
    struct rng rng = {51};
    int64_t x[N];
    double v[N], power = 1;
    size_t a, i;
    int e, round;

    (void)state;
    for (e = 0; e <= 17; e++, power *= 10)
        for (round = 0; round < ROUNDS; round++) {
            for (i = 0; i < N; i++) {
                x[i] = (int64_t)(rng_u64(&rng) >> (13 + rng_below(&rng, 51)));
                x[i] = rng_below(&rng, 2) == 0 ? x[i] : -x[i];
            }
            for (a = 0; a < n_all; a++) {
                all[a]->decimal_join(x, N, power, v);
                for (i = 0; i < N; i++) {
                    double want = (double)x[i] / power;

                    assert_memory_equal(&v[i], &want, sizeof want);
                }
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_in_use_is_the_best_of_all),
        cmocka_unit_test(every_width_and_count_comes_back_from_a_frame),
        cmocka_unit_test(packing_takes_the_low_bits_and_lays_them_lowest_first),
        cmocka_unit_test(the_width_of_a_frame_says_its_patches_and_never_costs_more_than_the_widest),
        cmocka_unit_test(zigzag_orders_by_size_and_comes_back_also_in_place),
        cmocka_unit_test(residuals_are_differences_and_restoring_undoes_them),
        cmocka_unit_test(spread_sums_sizes_or_says_that_they_are_too_large),
        cmocka_unit_test(decimals_split_alike_and_only_when_every_bit_comes_back),
        cmocka_unit_test(any_integers_at_all_join_to_their_quotients),
        cmocka_unit_test(integers_below_2_to_51_join_to_their_quotients),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
