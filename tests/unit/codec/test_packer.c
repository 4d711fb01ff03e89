/* The packer: rows in, columns out. */
#include "random_block.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct cell cell_of(const struct column *c, uint32_t row)
{
    struct cell cell = {0};

    cell.absent = c->absent != NULL && c->absent[row];
    cell.quality = c->quality != NULL ? c->quality[row] : QUALITY_GOOD;
    if (c->type == COLUMN_TEXT)
        cell.text = c->text[row];
    else
        cell.i64 = c->i64[row];
    return cell;
}

/* Rows that still fit; PACKER_FULL only for texts. */
static uint32_t feed(struct packer *p, const struct block *b)
{
    struct cell cells[BLOCK_COLUMNS_MAX];
    uint32_t row, i;

    for (row = 0; row < b->n_rows; row++) {
        int r;

        for (i = 0; i < b->n_columns; i++)
            cells[i] = cell_of(&b->columns[i], row);
        r = packer_add(p, b->time_ns[row], cells);
        if (r == PACKER_FULL)
            return row;
        assert_int_equal(r, 0);
    }
    return row;
}

static uint32_t samples_of(const struct block *b)
{
    uint32_t i, row, n = 0;

    for (i = 0; i < b->n_columns; i++)
        for (row = 0; row < b->n_rows; row++)
            n += b->columns[i].absent == NULL || !b->columns[i].absent[row];
    return n;
}

static void what_is_packed_row_by_row_is_the_block(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 400; seed++) {
        struct rng rng = {seed};
        struct random_block rb;
        struct packer *p;
        struct buf body = {0};
        int round;

        random_block_init(&rb, &rng);
        assert_int_equal(packer_new(&p, rb.types, rb.block.n_columns, rb.block.n_rows), 0);
        for (round = 0; round < 2; round++) { /* the second time after a clear */
            rb.block.n_rows = feed(p, &rb.block);
            if (rb.block.n_rows > 0) {
                assert_true(blocks_same(packer_block(p), &rb.block));
                assert_int_equal(packer_samples(p), samples_of(&rb.block));
                buf_reset(&body);
                assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, packer_block(p), &body), 0);
                assert_true(body.len <= packer_raw_bytes(p));
            }
            packer_clear(p);
            assert_int_equal(packer_block(p)->n_rows, 0);
            assert_int_equal(packer_samples(p), 0);
        }
        buf_deinit(&body);
        packer_free(p);
        random_block_deinit(&rb);
    }
}

static void a_full_packer_takes_nothing(void **state)
{
    enum column_type types[2] = {COLUMN_INT64, COLUMN_TEXT};
    struct cell cells[2] = {{.i64 = 7}, {.text = span_str("x")}};
    struct packer *p;

    (void)state;
    assert_int_equal(packer_new(&p, types, 2, 2), 0);
    assert_int_equal(packer_add(p, 1, cells), 0);
    assert_int_equal(packer_add(p, 2, cells), 0);
    assert_int_equal(packer_add(p, 3, cells), PACKER_FULL);
    assert_int_equal(packer_block(p)->n_rows, 2);
    assert_int_equal(packer_samples(p), 4);
    packer_clear(p);
    assert_int_equal(packer_add(p, 3, cells), 0);
    assert_int_equal(packer_block(p)->time_ns[0], 3);
    assert_null(packer_free(p));
    assert_null(packer_free(NULL));
}

static void texts_are_copied_and_end_at_48_kib(void **state)
{
    enum column_type types[1] = {COLUMN_TEXT};
    char text[BLOCK_TEXT_MAX_BYTES];
    struct cell cells[1] = {{.text = span_of(text, sizeof text)}};
    struct packer *p;
    uint32_t n = 0;

    (void)state;
    assert_int_equal(packer_new(&p, types, 1, BLOCK_ROWS_MAX), 0);
    memset(text, 'a', sizeof text);
    while (packer_add(p, n, cells) == 0)
        n++;
    assert_int_equal(n, 48 * 1024 / BLOCK_TEXT_MAX_BYTES);
    memset(text, 'b', sizeof text);
    assert_int_equal(packer_block(p)->columns[0].text[0].data[0], 'a');
    cells[0].text.len = 48 * 1024 % BLOCK_TEXT_MAX_BYTES;
    assert_int_equal(packer_add(p, n, cells), 0);
    cells[0].text.len = 1;
    assert_int_equal(packer_add(p, n, cells), PACKER_FULL);
    cells[0].absent = true;
    assert_int_equal(packer_add(p, n, cells), 0);
    packer_free(p);
}

static void rows_that_break_the_rules_are_refused_whole(void **state)
{
    enum column_type types[2] = {COLUMN_INT64, COLUMN_TEXT}, none[1] = {(enum column_type)0};
    static const char long_text[BLOCK_TEXT_MAX_BYTES + 1];
    struct cell cells[2] = {{.i64 = 7}, {.text = span_of(long_text, sizeof long_text)}};
    struct packer *p;

    (void)state;
    assert_int_equal(packer_new(&p, types, 2, 2), 0);
    assert_int_equal(packer_add(p, 1, cells), -EINVAL);
    cells[1].text.len = 1;
    cells[1].quality = 4;
    assert_int_equal(packer_add(p, 1, cells), -EINVAL);
    assert_int_equal(packer_block(p)->n_rows, 0);
    packer_free(p);
    assert_int_equal(packer_new(&p, types, 0, 2), -EINVAL);
    assert_int_equal(packer_new(&p, types, 2, 0), -EINVAL);
    assert_int_equal(packer_new(&p, types, 2, BLOCK_ROWS_MAX + 1), -EINVAL);
    assert_int_equal(packer_new(&p, none, 1, 1), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_row_by_row_is_the_block),
        cmocka_unit_test(a_full_packer_takes_nothing),
        cmocka_unit_test(texts_are_copied_and_end_at_48_kib),
        cmocka_unit_test(rows_that_break_the_rules_are_refused_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
