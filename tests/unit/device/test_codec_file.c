/* Tables of CSV files, and files of blocks: good, damaged and hostile ones. */
#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "device/codec_facts.h"
#include "device/codec_file_private.h"
#include "device/codec_measure.h"
#include "link/keys.h"
#include "tests/lib/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROWS = 500, BLOCK_ROWS = 50 };

struct bench {
    struct tmpdir dir;
    char path[PATH_MAX];
    struct codec_table *table;
};

static void load(struct bench *b, const char *text)
{
    struct csv_options none = {0};
    struct errmsg err = {""};

    assert_int_equal(file_write_atomic(b->path, span_str(text), 0600), 0);
    b->table = codec_table_free(b->table);
    if (codec_table_new(&b->table, b->path, &none, &err) != 0)
        fail_msg("%s", err.text);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct buf text = {0};

    assert_int_equal(keys_init(), 0);
    tmpdir_init(&b->dir);
    snprintf(b->path, sizeof b->path, "%s/t.csv", b->dir.path);
    buf_printf(&text, "time,level,wide,state\n");
    for (int i = 0; i < ROWS; i++)
        buf_printf(&text, "%d.5,%.2f,%s%d,%s\n", 1700000000 + i, (double)(i * 37 % 101) / 8,
                   i % 19 == 2 ? "NA#" : "1e", i % 40, i % 20 < 7 ? "on" : "");
    buf_u8(&text, 0);
    assert_int_equal(text.error, 0);
    load(b, (char *)text.data);
    buf_deinit(&text);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    codec_table_free(b->table);
    tmpdir_deinit(&b->dir);
    free(b);
    return 0;
}

static void make(struct bench *b, enum block_encoding encoding, struct buf *out)
{
    const struct codec_file_options o = {.encoding = encoding, .rows = BLOCK_ROWS};
    struct codec_file_made made;

    buf_reset(out);
    assert_int_equal(codec_file_make(b->table, &o, out, &made), 0);
    assert_int_equal(made.n_blocks, ROWS / BLOCK_ROWS);
}

static void every_encoding_gives_all_rows_and_samples(void **state)
{
    struct bench *b = *state;
    struct buf bytes = {0};

    for (uint32_t e = BLOCK_ENCODING_RAW; e <= BLOCK_ENCODING_SMALL; e++) {
        struct codec_file *f;
        struct codec_facts *facts;

        make(b, (enum block_encoding)e, &bytes);
        assert_int_equal(codec_file_open(&f, span_of(bytes.data, bytes.len)), 0);
        assert_int_equal(f->n_columns, 3);
        assert_memory_equal(f->names[0].data, "level", 5);
        assert_int_equal(codec_facts_new(&facts, f), 0);
        assert_int_equal(facts->n_damaged, 0);
        assert_int_equal(facts->n_rows, ROWS);
        assert_int_equal(facts->n_samples, b->table->n_samples);
        assert_int_equal(facts->columns[2].n_absent, ROWS - b->table->about[2].n_present);
        codec_facts_free(facts);
        codec_file_free(f);
    }
    buf_deinit(&bytes);
}

static void measuring_compares_with_what_went_in(void **state)
{
    struct bench *b = *state;
    struct codec_set s = {0};
    struct codec_measured m;

    assert_int_equal(codec_set_add(&s, b->table), 0);
    assert_int_equal(s.n_samples, b->table->n_samples);
    for (unsigned bounded = 0; bounded < 2; bounded++) {
        for (uint32_t e = BLOCK_ENCODING_FAST; e <= BLOCK_ENCODING_SMALL; e++) {
            assert_int_equal(codec_set_prepare(&s, bounded ? 0.01 : 0, false), 0);
            assert_int_equal(codec_measure(&s, (enum block_encoding)e, BLOCK_ROWS, 1, &m), 0);
            assert_true(m.exact);
            assert_int_equal(m.n_blocks, ROWS / BLOCK_ROWS);
            assert_int_equal(m.channels[0].n_cells, ROWS);
            assert_true(m.largest_of_bound <= 1);
            assert_true(bounded == (m.channels[0].largest_error > 0));
            codec_measured_deinit(&m);
        }
    }
    codec_set_deinit(&s);
}

static void a_series_has_the_present_cells_of_its_column(void **state)
{
    struct bench *b = *state;
    struct codec_table *t;

    load(b, "time;a;b\n1700000000;1.5;x\n1700000001;;y\n1700000002;-0;z\n");
    assert_int_equal(codec_table_series(&t, b->table, 0), 0);
    assert_int_equal(t->n_rows, 2);
    assert_true(t->columns[0].f64[0] == 1.5 && t->columns[0].f64[1] == 0);
    assert_int_equal(t->time_ns[1] - t->time_ns[0], NS_PER_S);
    codec_table_free(t);
}

static void thinning_keeps_the_first_row_of_each_interval(void **state)
{
    struct bench *b = *state;

    load(b, "time;a;b\n1700000000;1;p\n1700000009;2;q\n1700000010;;r\n1700000031;4;s\n1700000039;5;"
            "\n1700000040;6;t\n");
    codec_table_thin(b->table, 10 * NS_PER_S);
    assert_int_equal(b->table->n_rows, 4);
    assert_true(b->table->columns[0].f64[0] == 1 && b->table->columns[0].f64[2] == 4 &&
                b->table->columns[0].f64[3] == 6);
    assert_int_equal(b->table->columns[0].absent[1], 1);
    assert_int_equal(b->table->columns[1].text[3].data[0], 't');
    assert_int_equal(b->table->n_samples, 7);
}

static void blocks_end_before_their_texts_are_too_long(void **state)
{
    struct bench *b = *state;
    struct column columns[1];
    struct block block;
    struct buf text = {0};

    buf_printf(&text, "time,note\n");
    for (int i = 0; i < 400; i++)
        buf_printf(&text, "%d,%0200d words\n", 1700000000 + i, i);
    buf_u8(&text, 0);
    load(b, (char *)text.data);
    buf_deinit(&text);
    codec_table_block(b->table, 0, 1000, columns, &block);
    assert_int_equal(block.n_rows, CODEC_BLOCK_TEXT_BYTES / 206);
    codec_table_block(b->table, 390, 1000, columns, &block);
    assert_int_equal(block.n_rows, 10);
}

/* Whatever is in the file: it is read to its end, and what is found good is no more than was written. */
static void read_all(struct span bytes)
{
    struct codec_file *f;
    struct codec_facts *facts;

    if (codec_file_open(&f, bytes) != 0)
        return;
    assert_int_equal(codec_facts_new(&facts, f), 0);
    assert_true(facts->n_blocks <= ROWS / BLOCK_ROWS);
    codec_facts_free(facts);
    codec_file_free(f);
}

static void damaged_files_are_read_to_their_end(void **state)
{
    struct bench *b = *state;
    struct buf good = {0}, bad = {0};
    struct rng rng = {42};

    for (uint32_t e = BLOCK_ENCODING_RAW; e <= BLOCK_ENCODING_SMALL; e++) {
        make(b, (enum block_encoding)e, &good);
        for (int round = 0; round < 1500; round++) {
            size_t len = rng_below(&rng, 4) == 0 ? rng_below(&rng, good.len) : good.len;
            uint64_t n = rng_below(&rng, 6);

            buf_reset(&bad);
            buf_append(&bad, good.data, len);
            for (uint64_t i = 0; i < n && len > 0; i++)
                bad.data[rng_below(&rng, len)] = (uint8_t)rng_below(&rng, 256);
            read_all(span_of(bad.data, bad.len));
        }
    }
    buf_deinit(&good);
    buf_deinit(&bad);
}

/* The checks stop accidents only: here they are right, and the head is not. */
static void forged_heads_are_read_or_refused(void **state)
{
    struct bench *b = *state;
    struct buf good = {0}, bad = {0};
    struct rng rng = {43};
    size_t head_bytes;

    make(b, BLOCK_ENCODING_SMALL, &good);
    head_bytes = CODEC_FILE_MAGIC_BYTES + 8 + load_le32(good.data + CODEC_FILE_MAGIC_BYTES + 4);
    for (int round = 0; round < 3000; round++) {
        buf_reset(&bad);
        buf_append(&bad, good.data, good.len);
        for (uint64_t i = 0; i <= rng_below(&rng, 4); i++)
            bad.data[16 + rng_below(&rng, head_bytes - 16)] = (uint8_t)rng_below(&rng, 256);
        codec_file_check(span_of(bad.data, head_bytes), NULL, bad.data + head_bytes, CODEC_FILE_KEY_BYTES);
        for (size_t at = head_bytes + CODEC_FILE_KEY_BYTES; at < bad.len;
             at += CODEC_FILE_FRAME_BYTES + load_le32(bad.data + at + 4)) {
            size_t check_at = CODEC_FILE_FRAME_BYTES - CODEC_FILE_CHECK_BYTES;

            codec_file_check(span_of(bad.data + at, check_at), bad.data + head_bytes,
                             bad.data + at + check_at, CODEC_FILE_CHECK_BYTES);
        }
        read_all(span_of(bad.data, bad.len));
    }
    buf_deinit(&good);
    buf_deinit(&bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_encoding_gives_all_rows_and_samples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(measuring_compares_with_what_went_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_series_has_the_present_cells_of_its_column, set_up, tear_down),
        cmocka_unit_test_setup_teardown(thinning_keeps_the_first_row_of_each_interval, set_up, tear_down),
        cmocka_unit_test_setup_teardown(blocks_end_before_their_texts_are_too_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_files_are_read_to_their_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forged_heads_are_read_or_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
