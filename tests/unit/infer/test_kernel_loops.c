/* Loops over elements against the same written out, element by element; buffers are as long as they must be,
 * so that AddressSanitizer sees a step beyond. */
#include "infer/kernel_loops.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 600 };

static void *room(size_t bytes)
{
    void *p = malloc(bytes + (bytes == 0));

    assert_non_null(p);
    memset(p, 0x5a, bytes);
    return p;
}

static void rows_become_columns(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t rows = rng_below(&rng, 30), columns = rng_below(&rng, 30);
        uint8_t *x = room(rows * columns), *y = room(rows * columns);

        for (size_t i = 0; i < rows * columns; i++)
            x[i] = (uint8_t)rng_below(&rng, 256);
        kernel_transpose_8(x, rows, columns, y);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++)
                if (y[c * rows + r] != x[r * columns + c])
                    fail_msg("round %u: %zu x %zu, row %zu, column %zu", round, rows, columns, r, c);
        free(x);
        free(y);
    }
}

/* In another order the last digits would be others. */
static void lines_are_summed_in_turn(void **state)
{
    struct rng rng = {3};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t n = rng_below(&rng, 20), n_lines = 1 + rng_below(&rng, KERNEL_LINES);
        bool is_across = rng_below(&rng, 2) == 0; /* lines side by side, or one behind the other */
        size_t step = is_across ? n_lines + rng_below(&rng, 3) : 1 + rng_below(&rng, 3);
        size_t apart = is_across ? 1 : n * step + rng_below(&rng, 3);
        size_t n_x = n == 0 ? 0 : (n - 1) * step + (n_lines - 1) * apart + 1;
        double sums[KERNEL_LINES] = {1, 2, 3, 4, 5, 6, 7, 8}, want[KERNEL_LINES];
        float *x = room(n_x * sizeof *x);

        for (size_t i = 0; i < n_x; i++)
            x[i] = ldexpf((float)rng_below(&rng, 1U << 24) - (1U << 23), (int)rng_below(&rng, 80) - 40);
        for (size_t k = 0; k < n_lines; k++) {
            want[k] = sums[k];
            for (size_t i = 0; i < n; i++)
                want[k] += x[k * apart + i * step];
        }
        kernel_add_lines(x, n, step, n_lines, apart, sums);
        assert_memory_equal(sums, want, n_lines * sizeof *want);
        free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_columns),
        cmocka_unit_test(lines_are_summed_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
