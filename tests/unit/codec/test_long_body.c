/* Bodies of many raw bits: they are kept apart until the end, and there must be room for them then. */
#include "base/rng.h"
#include "codec/block.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROWS = 200, COLUMNS = 31 };

static void columns_of_random_bits_are_written_whole(void **state)
{
    static int64_t times[ROWS], cells[COLUMNS][ROWS];
    struct column columns[COLUMNS];
    enum column_type types[COLUMNS];
    struct block b = {ROWS, COLUMNS, times, columns};
    const struct block *back;
    struct block_coder *coder;
    struct block_store *store;
    struct buf body = {0};
    struct rng rng = {7};
    uint32_t i, k;

    (void)state;
    for (k = 0; k < COLUMNS; k++) {
        types[k] = COLUMN_INT64;
        columns[k] = (struct column){.type = COLUMN_INT64, .i64 = cells[k]};
        for (i = 0; i < ROWS; i++)
            cells[k][i] = (int64_t)rng_u64(&rng);
    }
    assert_int_equal(block_coder_new(&coder), 0);
    assert_int_equal(block_store_new(&store), 0);
    assert_int_equal(block_encode(coder, BLOCK_ENCODING_SMALL, NULL, &b, &body), 0);
    struct block_shape shape = {BLOCK_ENCODING_SMALL, types, COLUMNS, ROWS, -1, 0, NULL};
    assert_int_equal(block_decode(&shape, span_of(body.data, body.len), store, &back), 0);
    for (k = 0; k < COLUMNS; k++)
        assert_memory_equal(back->columns[k].i64, cells[k], sizeof cells[k]);
    buf_deinit(&body);
    block_coder_free(coder);
    block_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(columns_of_random_bits_are_written_whole)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
