/* Coders and stores that are used again and again: no memory is taken once they are warm, and nothing is
 * remembered. Every malloc of the codec passes through here (--wrap). */
#include "made_block.h"
#include "round_trip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t n_allocations, fail_at; /* 0: never */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    return ++n_allocations == fail_at ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return ++n_allocations == fail_at ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return ++n_allocations == fail_at ? NULL : __real_realloc(p, n);
}

enum { BLOCKS = 24 };

struct bench {
    struct block_coder *coder;
    struct block_store *store;
    struct buf body;
};

static int set_up(void **state)
{
    static struct bench b;

    *state = &b;
    return block_coder_new(&b.coder) != 0 || block_store_new(&b.store) != 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    b->coder = block_coder_free(b->coder);
    b->store = block_store_free(b->store);
    buf_deinit(&b->body);
    return 0;
}

static void write_and_read(struct bench *n, const struct made_block *mb, enum block_encoding encoding,
                           const struct block_starts *starts)
{
    const struct block *b = &mb->block, *back;
    struct block_shape shape = {encoding, mb->types, b->n_columns, b->n_rows, -1, b->time_ns[0], starts};
    uint32_t i;

    for (i = 1; i < b->n_rows; i++)
        if (b->time_ns[i] < shape.time_first_ns)
            shape.time_first_ns = b->time_ns[i];
    buf_reset(&n->body);
    assert_int_equal(block_encode(n->coder, encoding, starts, b, &n->body), 0);
    assert_int_equal(block_decode(&shape, span_of(n->body.data, n->body.len), n->store, &back), 0);
    assert_true(starts != NULL || round_trip_same(b, back, NULL));
}

static void blocks_like_those_before_take_no_memory(void **state)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_TEXT, COLUMN_BOOL,
                                             COLUMN_DOUBLE};
    struct bench *n = *state;
    struct made_block blocks[BLOCKS];
    struct block_starts *starts = NULL;
    struct rng rng = {1};
    size_t before = 0, i;
    int pass;

    for (i = 0; i < BLOCKS; i++)
        made_block_init_as(&blocks[i], &rng, 1 + (uint32_t)rng_below(&rng, 500), 5, types);
    assert_int_equal(
        block_starts_new(&starts, types, 5, &(struct block_start_bytes){.error_bounds = blocks[0].bounds}),
        0);
    for (pass = 0; pass < 3; pass++) {
        before = n_allocations;
        for (i = 0; i < BLOCKS; i++) {
            write_and_read(n, &blocks[i], BLOCK_ENCODING_FAST, NULL);
            write_and_read(n, &blocks[i], BLOCK_ENCODING_SMALL, NULL);
            write_and_read(n, &blocks[i], BLOCK_ENCODING_FAST, starts);
            write_and_read(n, &blocks[i], BLOCK_ENCODING_SMALL, starts);
        }
        assert_true(pass == 0 ? n_allocations > before : n_allocations == before);
    }
    block_starts_free(starts);
    for (i = 0; i < BLOCKS; i++)
        made_block_deinit(&blocks[i]);
}

/* What a device does first: a block as large as any will be. */
static void after_the_worst_block_no_other_takes_memory(void **state)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_BOOL, COLUMN_DOUBLE};
    enum { ROWS = 600 };
    struct bench *n = *state;
    struct made_block worst, other;
    struct rng rng = {2};
    size_t before;
    int i;

    made_block_init_as(&worst, &rng, ROWS, 4, types);
    made_doubles(worst.block.columns[0].f64, ROWS, 0, &rng);
    made_integers(worst.block.columns[1].i64, ROWS, 0, &rng);
    made_doubles(worst.block.columns[3].f64, ROWS, 0, &rng);
    made_times(worst.block.time_ns, ROWS, 3, &rng);
    for (i = 0; i < 4; i++)
        worst.block.columns[i].absent = NULL;
    write_and_read(n, &worst, BLOCK_ENCODING_FAST, NULL);
    write_and_read(n, &worst, BLOCK_ENCODING_SMALL, NULL);
    for (i = 0; i < 200; i++) {
        made_block_init_as(&other, &rng, 1 + (uint32_t)rng_below(&rng, ROWS), 4, types);
        before = n_allocations;
        write_and_read(n, &other, BLOCK_ENCODING_FAST, NULL);
        write_and_read(n, &other, BLOCK_ENCODING_SMALL, NULL);
        assert_int_equal(n_allocations, before);
        made_block_deinit(&other);
    }
    made_block_deinit(&worst);
}

static void the_same_block_is_the_same_bytes_whatever_came_before(void **state)
{
    struct bench *n = *state;
    struct made_block mb, other;
    struct rng rng = {3};
    struct buf first = {0};
    int i, e;

    made_block_init(&mb, &rng);
    for (e = BLOCK_ENCODING_FAST; e <= BLOCK_ENCODING_SMALL; e++) {
        struct block_coder *fresh;

        buf_reset(&first);
        assert_int_equal(block_coder_new(&fresh), 0);
        assert_int_equal(block_encode(fresh, (enum block_encoding)e, NULL, &mb.block, &first), 0);
        block_coder_free(fresh);
        for (i = 0; i < 100; i++) {
            made_block_init(&other, &rng);
            write_and_read(n, &other, rng_below(&rng, 2) == 0 ? BLOCK_ENCODING_FAST : BLOCK_ENCODING_SMALL,
                           NULL);
            made_block_deinit(&other);
            write_and_read(n, &mb, (enum block_encoding)e, NULL);
            assert_true(span_equal(span_of(n->body.data, n->body.len), span_of(first.data, first.len)));
        }
    }
    buf_deinit(&first);
    made_block_deinit(&mb);
}

static int all_steps(const struct made_block *mb, enum block_encoding encoding)
{
    const struct block *b = &mb->block, *back;
    struct block_shape shape = {encoding, mb->types, b->n_columns, b->n_rows, -1, b->time_ns[0], NULL};
    struct span columns[4];
    struct block_start_bytes bytes = {.columns = columns};
    struct block_starts *starts = NULL;
    struct buf learnt = {0};
    struct bench n = {0};
    int r = block_coder_new(&n.coder);

    if (r == 0)
        r = block_store_new(&n.store);
    if (r == 0)
        r = block_learn(n.coder, b, NULL, &learnt, columns, &bytes.time);
    if (r == 0)
        r = block_starts_new(&starts, mb->types, b->n_columns, &bytes);
    if (r == 0)
        r = block_encode(n.coder, encoding, starts, b, &n.body);
    shape.starts = starts;
    if (r == 0)
        r = block_decode(&shape, span_of(n.body.data, n.body.len), n.store, &back);
    if (r == 0)
        assert_true(round_trip_same(b, back, NULL));
    block_starts_free(starts);
    block_coder_free(n.coder);
    block_store_free(n.store);
    buf_deinit(&learnt);
    buf_deinit(&n.body);
    return r;
}

static void wherever_memory_ends_that_is_what_is_said(void **state)
{
    static const enum column_type types[] = {COLUMN_DOUBLE, COLUMN_INT64, COLUMN_TEXT, COLUMN_BOOL};
    struct made_block mb;
    struct rng rng = {5};
    size_t at, e;

    (void)state;
    made_block_init_as(&mb, &rng, 500, 4, types);
    made_integers(mb.block.columns[1].i64, 500, 5, &rng); /* ranks, whose start has a dictionary */
    made_times(mb.block.time_ns, 500, 0, &rng);
    mb.block.columns[1].absent = NULL;
    for (e = BLOCK_ENCODING_FAST; e <= BLOCK_ENCODING_SMALL; e++)
        for (at = 1;; at++) {
            int r;

            n_allocations = 0;
            fail_at = at;
            r = all_steps(&mb, (enum block_encoding)e);
            fail_at = 0;
            if (n_allocations < at) {
                assert_int_equal(r, 0);
                assert_true(at > 8);
                break;
            }
            assert_int_equal(r, -ENOMEM);
        }
    made_block_deinit(&mb);
}

/* A body that fails half way through leaves nothing in the store either. */
static void a_damaged_body_does_not_change_how_the_next_is_read(void **state)
{
    struct bench *n = *state;
    struct made_block mb;
    struct rng rng = {4};
    const struct block *back;
    int i, e;

    for (i = 0; i < 60; i++) {
        made_block_init(&mb, &rng);
        for (e = BLOCK_ENCODING_FAST; e <= BLOCK_ENCODING_SMALL; e++) {
            struct block_shape shape = {
                (uint32_t)e, mb.types, mb.block.n_columns, mb.block.n_rows, -1, mb.block.time_ns[0], NULL};
            uint8_t junk[40];
            size_t k;

            for (k = 0; k < sizeof junk; k++)
                junk[k] = (uint8_t)rng_u64(&rng);
            (void)!block_decode(&shape, span_of(junk, sizeof junk), n->store, &back);
            write_and_read(n, &mb, (enum block_encoding)e, NULL);
        }
        made_block_deinit(&mb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_like_those_before_take_no_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(after_the_worst_block_no_other_takes_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_block_is_the_same_bytes_whatever_came_before, set_up,
                                        tear_down),
        cmocka_unit_test(wherever_memory_ends_that_is_what_is_said),
        cmocka_unit_test_setup_teardown(a_damaged_body_does_not_change_how_the_next_is_read, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
