/* CSV: what a file is taken for, and that every row comes out once. */
#include "device/sources/csv_reader.h"
#include "tests/lib/tmpdir.h"

#include "base/clock.h"
#include "base/rng.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <zlib.h>

#include <cmocka.h>

struct file {
    struct csv_input *in;
    struct csv_shape *shape;
    struct csv_reader *reader;
    struct errmsg err;
};

static int open_with(struct file *f, const char *text, const struct csv_options *o)
{
    *f = (struct file){0};
    assert_int_equal(csv_input_memory(&f->in, span_str(text)), 0);
    return csv_shape_new(&f->shape, f->in, o, &f->err);
}

static void open_text(struct file *f, const char *text)
{
    struct csv_options none = {0};

    assert_int_equal(open_with(f, text, &none), 0);
    assert_int_equal(csv_reader_new(&f->reader, f->in, f->shape), 0);
}

static void close_file(struct file *f)
{
    csv_reader_free(f->reader);
    csv_shape_free(f->shape);
    csv_input_free(f->in);
}

static int next(struct file *f, struct csv_row *row)
{
    const char *why;

    return csv_reader_next(f->reader, row, &why);
}

/* The next row has this time and this first cell. */
static void assert_row(struct file *f, int64_t time_s, double value)
{
    struct csv_row row;

    assert_int_equal(next(f, &row), 0);
    assert_int_equal(row.time_ns, time_s * NS_PER_S);
    assert_false(row.cells[0].absent);
    assert_true(row.cells[0].f64 == value);
}

static void assert_end(struct file *f)
{
    struct csv_row row;

    assert_int_equal(next(f, &row), CSV_END);
}

static void semicolons_and_datetime_as_in_skab(void **state)
{
    struct file f;

    (void)state;
    open_text(&f, "datetime;Accelerometer1RMS;Volume Flow RateRMS;anomaly\n"
                  "2020-03-09 10:14:33;0.0265878;32.0;0.0\n"
                  "2020-03-09 10:14:34;0.0261697;32.5;1.0\n");
    assert_int_equal(f.shape->separator, ';');
    assert_int_equal(f.shape->form, CSV_TIME_ISO);
    assert_int_equal(f.shape->n_channels, 3);
    assert_string_equal(f.shape->columns[2].name, "Volume_Flow_RateRMS");
    assert_true(f.shape->columns[2].is_mended);
    assert_int_equal(f.shape->n_rows, 2);
    assert_int_equal(f.shape->n_samples, 6);
    assert_row(&f, 1583748873, 0.0265878);
    assert_row(&f, 1583748874, 0.0261697);
    assert_end(&f);
    close_file(&f);
}

static void commas_and_timestamp_as_in_nab(void **state)
{
    struct file f;

    (void)state;
    open_text(&f, "timestamp,value\r\n2015-02-26 21:42:53,35\r\n2015-02-26 21:47:53,41\r\n");
    assert_int_equal(f.shape->form, CSV_TIME_ISO);
    assert_row(&f, 1424986973, 35);
    assert_row(&f, 1424987273, 41);
    assert_end(&f);
    close_file(&f);
}

static void quoted_header_and_parts_as_in_beijing_air(void **state)
{
    struct file f;
    struct csv_row row;

    (void)state;
    open_text(&f, "\"No\",\"year\",\"month\",\"day\",\"hour\",\"PM2.5\",\"wd\"\n"
                  "1,2013,3,1,0,4,\"NNW\"\n"
                  "2,2013,3,1,1,NA,\"N\"\n"
                  "3,2013,3,1,2,7,NA\n");
    assert_int_equal(f.shape->form, CSV_TIME_PARTS);
    assert_int_equal(f.shape->n_time_columns, 4);
    assert_int_equal(f.shape->n_channels, 3);
    assert_int_equal(f.shape->columns[5].type, COLUMN_DOUBLE);
    assert_int_equal(f.shape->columns[6].type, COLUMN_TEXT);
    assert_int_equal(f.shape->n_samples, 7);
    assert_int_equal(next(&f, &row), 0);
    assert_int_equal(row.time_ns, INT64_C(1362096000) * NS_PER_S);
    assert_int_equal(row.cells[2].text.len, 3);
    assert_memory_equal(row.cells[2].text.data, "NNW", 3);
    assert_int_equal(next(&f, &row), 0);
    assert_int_equal(row.time_ns, INT64_C(1362099600) * NS_PER_S);
    assert_true(row.cells[1].absent);
    assert_int_equal(next(&f, &row), 0);
    assert_true(row.cells[2].absent);
    close_file(&f);
}

static void date_and_time_as_in_room_occupancy(void **state)
{
    struct file f;

    (void)state;
    open_text(&f, "Date,Time,S1_Temp\n2017/12/22,10:49:41,24.94\n2017/12/22,10:50:12,24.94\n");
    assert_int_equal(f.shape->form, CSV_TIME_DATE_AND_TIME);
    assert_int_equal(f.shape->n_channels, 1);
    assert_row(&f, 1513939781, 24.94);
    assert_row(&f, 1513939812, 24.94);
    close_file(&f);
}

static void bare_numbers_are_time_only_under_the_right_name(void **state)
{
    struct csv_options none = {0};
    struct file f;

    (void)state;
    open_text(&f, "ts,a\n1700000000123,5\n1700000000124,6\n");
    assert_int_equal(f.shape->form, CSV_TIME_NUMBER);
    assert_int_equal(f.shape->unit_ns, NS_PER_MS);
    assert_int_equal(f.shape->first_time_ns, INT64_C(1700000000123) * NS_PER_MS);
    close_file(&f);

    assert_int_equal(open_with(&f, "when,a\n1700000000,5\n1700000001,6\n", &none), -EINVAL);
    assert_non_null(strstr(f.err.text, "no time found"));
    close_file(&f);
    assert_int_equal(open_with(&f, "time,a\n", &none), -EINVAL);
    assert_non_null(strstr(f.err.text, "no rows"));
    close_file(&f);
}

static void a_table_may_lack_times_when_it_is_let(void **state)
{
    struct csv_options lacking = {.may_lack_time = true}, none = {0};
    struct file f;

    (void)state;
    assert_int_equal(open_with(&f, "a,b\n1,2\n3,4\n", &lacking), 0);
    assert_int_equal(csv_reader_new(&f.reader, f.in, f.shape), 0);
    assert_int_equal(f.shape->form, CSV_TIME_NONE);
    assert_int_equal(f.shape->n_channels, 2);
    assert_row(&f, 0, 1);
    assert_row(&f, 0, 3);
    assert_end(&f);
    close_file(&f);

    assert_int_equal(open_with(&f, "time,a\n1700000000,5\n", &lacking), 0);
    assert_int_equal(f.shape->form, CSV_TIME_NUMBER);
    close_file(&f);

    assert_int_equal(open_with(&f, "a\n1\n3\n", &lacking), 0);
    assert_int_equal(csv_reader_new(&f.reader, f.in, f.shape), 0);
    assert_int_equal(f.shape->n_channels, 1);
    assert_row(&f, 0, 1);
    assert_row(&f, 0, 3);
    assert_end(&f);
    close_file(&f);

    assert_int_equal(open_with(&f, "", &lacking), -EINVAL);
    close_file(&f);
    assert_int_equal(open_with(&f, "a\n1\n3\n", &none), -EINVAL);
    close_file(&f);
}

static void columns_named_by_the_caller_win(void **state)
{
    const char *const names[] = {"when"}, *const number[] = {"1"}, *const parts[] = {"y", "m", "d"};
    struct csv_options by_name = {.time_columns = names, .n_time_columns = 1};
    struct csv_options by_number = {.time_columns = number, .n_time_columns = 1};
    struct csv_options by_parts = {.time_columns = parts, .n_time_columns = 3};
    struct file f;

    (void)state;
    assert_int_equal(open_with(&f, "when,a\n1700000000,5\n1700000001,6\n", &by_name), 0);
    assert_int_equal(f.shape->first_time_ns, INT64_C(1700000000) * NS_PER_S);
    close_file(&f);
    assert_int_equal(open_with(&f, "when,a\n1700000000,5\n1700000001,6\n", &by_number), 0);
    close_file(&f);
    assert_int_equal(open_with(&f, "d,m,y,v\n9,3,2020,5\n", &by_parts), 0);
    assert_int_equal(f.shape->first_time_ns, INT64_C(1583712000) * NS_PER_S);
    close_file(&f);
    assert_int_equal(open_with(&f, "t,a\n1700000000,5\n", &by_name), -EINVAL);
    assert_non_null(strstr(f.err.text, "no column 'when'"));
    close_file(&f);
}

static void a_zone_moves_times_that_do_not_say_theirs(void **state)
{
    struct csv_options o = {.zone = "+08:00"};
    struct file f;

    (void)state;
    assert_int_equal(open_with(&f, "t;v\n2020-01-01 08:00:00;1\n2020-01-01T00:00:01Z;2\n", &o), 0);
    assert_int_equal(csv_reader_new(&f.reader, f.in, f.shape), 0);
    assert_row(&f, 1577836800, 1);
    assert_row(&f, 1577836801, 2);
    close_file(&f);
}

static void unreadable_rows_are_counted_with_their_lines(void **state)
{
    struct csv_row row;
    struct file f;

    (void)state;
    open_text(&f, "time,a,b\n"
                  "2020-01-01 00:00:00,1,2\n"
                  "yesterday,1,2\n"
                  "2020-01-01 00:00:01,1\n"
                  "\n"
                  "2020-01-01 00:00:02,1,2,3\n"
                  "2020-02-30 00:00:02,1,2\n"
                  "2020-01-01 00:00:03,3,4\n"
                  "2020-01-01 00:00:04,5,6\n");
    assert_int_equal(f.shape->n_rows, 3);
    assert_int_equal(f.shape->n_bad_rows, 4);
    assert_int_equal(f.shape->n_bad_listed, 4);
    assert_int_equal(f.shape->bad[0].line, 3);
    assert_int_equal(f.shape->bad[1].line, 4);
    assert_int_equal(f.shape->bad[2].line, 6);
    assert_int_equal(f.shape->bad[3].line, 7);
    assert_row(&f, 1577836800, 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(next(&f, &row), CSV_BAD_ROW);
    assert_row(&f, 1577836803, 3);
    assert_row(&f, 1577836804, 5);
    assert_end(&f);
    close_file(&f);
}

static void one_odd_cell_leaves_a_numeric_column_numeric(void **state)
{
    char text[2048] = "time,a,b\n";
    struct file f;
    struct csv_row row;

    (void)state;
    for (int i = 0; i < 20; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "2020-01-01 00:00:%02d,%s,%s\n", i,
                 i == 7 ? "ERR" : "1.5", i % 2 ? "x" : "3");
    open_text(&f, text);
    assert_int_equal(f.shape->columns[1].type, COLUMN_DOUBLE);
    assert_int_equal(f.shape->columns[2].type, COLUMN_TEXT);
    assert_int_equal(f.shape->n_bad_cells, 1);
    assert_int_equal(f.shape->bad[0].line, 9);
    assert_string_equal(f.shape->bad[0].column, "a");
    assert_int_equal(f.shape->n_samples, 39);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(next(&f, &row), 0);
        assert_int_equal(row.cells[0].absent, i == 7);
        assert_int_equal(row.n_bad_cells, i == 7);
    }
    close_file(&f);
}

static void equal_times_are_different_rows(void **state)
{
    struct file f;

    (void)state;
    open_text(&f, "time,a\n2020-01-01,1\n2020-01-01,2\n2020-01-01,2\n");
    assert_int_equal(f.shape->n_rows, 3);
    assert_row(&f, 1577836800, 1);
    assert_row(&f, 1577836800, 2);
    assert_row(&f, 1577836800, 2);
    close_file(&f);
}

static void names_that_collide_get_a_number(void **state)
{
    struct file f;

    (void)state;
    open_text(&f, "time,a b,a_b,,a b\n2020-01-01,1,2,3,4\n");
    assert_string_equal(f.shape->columns[1].name, "a_b");
    assert_string_equal(f.shape->columns[2].name, "a_b-2");
    assert_string_equal(f.shape->columns[3].name, "c4");
    assert_string_equal(f.shape->columns[4].name, "a_b-3");
    close_file(&f);
}

static void quotes_may_hold_separators_and_line_breaks(void **state)
{
    struct file f;
    struct csv_row row;

    (void)state;
    open_text(&f, "time,note,v\n2020-01-01,\"a,\"\"b\"\"\nc\",1\n2020-01-02,\"open,2\n2020-01-03,x,3\n");
    assert_int_equal(f.shape->n_rows, 2);
    assert_int_equal(f.shape->n_bad_rows, 1);
    assert_int_equal(f.shape->bad[0].line, 4);
    assert_int_equal(next(&f, &row), 0);
    assert_int_equal(row.cells[0].text.len, 7);
    assert_memory_equal(row.cells[0].text.data, "a,\"b\"\nc", 7);
    assert_true(row.cells[1].f64 == 1);
    close_file(&f);
    open_text(&f, "time, note, v\n2020-01-01, \"a, b\" , 1\n2020-01-02,  \"c\nd\",2\n");
    assert_int_equal(f.shape->n_rows, 2);
    assert_int_equal(next(&f, &row), 0);
    assert_int_equal(row.cells[0].text.len, 4);
    assert_memory_equal(row.cells[0].text.data, "a, b", 4);
    assert_true(row.cells[1].f64 == 1);
    close_file(&f);
}

static void a_file_without_header_is_seen(void **state)
{
    struct file f;

    (void)state;
    open_text(&f, "2020-01-01 00:00:00\t1\t2\n2020-01-01 00:00:01\t3\t4\n");
    assert_false(f.shape->has_header);
    assert_string_equal(f.shape->columns[1].name, "c2");
    assert_int_equal(f.shape->n_rows, 2);
    assert_row(&f, 1577836800, 1);
    close_file(&f);
}

static void a_byte_order_mark_is_no_part_of_the_first_name(void **state)
{
    struct file f;

    (void)state;
    open_text(&f, "\xef\xbb\xbftime,a\n2020-01-01,1\n");
    assert_string_equal(f.shape->columns[0].header, "time");
    close_file(&f);
    open_text(&f, "\xef\xbb\xbf"
                  "2020-01-01,1\n2020-01-02,2\n");
    assert_false(f.shape->has_header);
    assert_row(&f, 1577836800, 1);
    close_file(&f);
}

static void whole_numbers_keep_all_their_digits(void **state)
{
    const char *const ints[] = {"n"};
    struct csv_options o = {.int_columns = ints, .n_int_columns = 1};
    struct csv_row row;
    struct file f;

    (void)state;
    assert_int_equal(
        open_with(&f, "time,n\n2020-01-01,9007199254740993\n2020-01-02,1.5\n2020-01-03,2e3\n", &o), 0);
    assert_int_equal(csv_reader_new(&f.reader, f.in, f.shape), 0);
    assert_int_equal(f.shape->columns[1].type, COLUMN_INT64);
    assert_int_equal(f.shape->n_bad_cells, 1);
    assert_int_equal(next(&f, &row), 0);
    assert_true(row.cells[0].i64 == INT64_C(9007199254740993));
    assert_int_equal(next(&f, &row), 0);
    assert_true(row.cells[0].absent);
    assert_int_equal(next(&f, &row), 0);
    assert_true(row.cells[0].i64 == 2000);
    close_file(&f);
}

static void long_texts_are_cut_between_characters(void **state)
{
    char text[1024] = "time,a\n2020-01-01,";
    size_t n = strlen(text);
    struct csv_row row;
    struct file f;

    (void)state;
    for (int i = 0; i < 150; i++, n += 2)
        memcpy(text + n, "\xc3\xa4", 3); /* a umlaut: 255 is in the middle of one */
    strcpy(text + n, "\n2020-01-02,b\xff\n");
    open_text(&f, text);
    assert_int_equal(f.shape->n_cut_texts, 1);
    assert_int_equal(next(&f, &row), 0);
    assert_int_equal(row.n_cut_texts, 1);
    assert_int_equal(row.cells[0].text.len, 254);
    assert_int_equal(row.cells[0].quality, QUALITY_UNCERTAIN);
    assert_int_equal(next(&f, &row), 0);
    assert_memory_equal(row.cells[0].text.data, "b?", 2);
    close_file(&f);
}

static void lines_beyond_the_limit_are_skipped_whole(void **state)
{
    struct buf text = {0};
    struct file f;

    (void)state;
    buf_printf(&text, "time,a\n2020-01-01,1\n2020-01-02,");
    for (int i = 0; i < CSV_LINE_MAX_BYTES * 5; i++)
        buf_u8(&text, '7');
    buf_printf(&text, "\n2020-01-03,3\n");
    buf_u8(&text, 0);
    open_text(&f, (const char *)text.data);
    assert_int_equal(f.shape->n_rows, 2);
    assert_int_equal(f.shape->n_bad_rows, 1);
    assert_int_equal(f.shape->bad[0].line, 3);
    close_file(&f);
    buf_deinit(&text);
}

static void what_is_no_table_is_refused(void **state)
{
    static const char *const texts[] = {"",           "\n\n",    "hello\nworld\n", "time\n2020-01-01\n",
                                        "a,b\n1,2\n", "time,a\n"};
    struct csv_options none = {0};
    struct file f;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(open_with(&f, texts[i], &none), -EINVAL);
        assert_true(f.err.text[0] != '\0');
        close_file(&f);
    }
}

static void make_numbers(struct buf *text, unsigned n)
{
    struct rng r = {7};

    buf_printf(text, "time,a,b\n");
    for (unsigned i = 0; i < n; i++) {
        if (rng_below(&r, 50) == 0)
            buf_printf(text, "junk %u\n", i);
        if (rng_below(&r, 50) == 0)
            buf_printf(text, "\"2020-01-01 00:00:00\",%u,\"line\nbreak\"\n", i);
        else
            buf_printf(text, "2020-01-01 00:00:00,%u,x%.*s\n", i, (int)rng_below(&r, 40),
                       "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
    }
}

/* From behind any row, the rest of the file is what it would have been. */
static void a_seek_behind_any_row_goes_on_with_the_next(void **state)
{
    struct buf text = {0};
    struct tmpdir dir;
    struct file f = {0};
    struct csv_options none = {0};
    struct rng r = {3};
    enum { N = 20000 };
    gzFile gz;

    (void)state;
    make_numbers(&text, N);
    tmpdir_init(&dir);
    gz = gzopen(tmpdir_path(&dir, "n.csv.gz"), "wb");
    assert_int_equal(gzwrite(gz, text.data, (unsigned)text.len), (int)text.len);
    gzclose(gz);
    assert_int_equal(csv_input_open(&f.in, tmpdir_path(&dir, "n.csv.gz"), &f.err), 0);
    assert_int_equal(csv_shape_new(&f.shape, f.in, &none, &f.err), 0);
    assert_int_equal(csv_reader_new(&f.reader, f.in, f.shape), 0);
    assert_int_equal(f.shape->n_rows, N);
    for (unsigned done = 0; done < N;) {
        unsigned stop = done + (unsigned)rng_below(&r, 3000) + 1;
        struct csv_row row = {0};
        int rc;

        while (done < stop && (rc = next(&f, &row)) != CSV_END) {
            if (rc == CSV_BAD_ROW)
                continue;
            assert_int_equal(rc, 0);
            assert_true(row.cells[0].f64 == done);
            done++;
        }
        assert_int_equal(csv_input_seek(f.in, row.next_offset, 1), 0);
    }
    assert_end(&f);
    close_file(&f);
    buf_deinit(&text);
    tmpdir_deinit(&dir);
}

static void a_cut_off_gzip_file_is_an_error(void **state)
{
    struct csv_options none = {0};
    struct buf text = {0};
    struct file f = {0};
    struct tmpdir dir;
    char path[512];
    gzFile gz;

    (void)state;
    make_numbers(&text, 5000);
    tmpdir_init(&dir);
    snprintf(path, sizeof path, "%s", tmpdir_path(&dir, "n.csv.gz"));
    gz = gzopen(path, "wb");
    gzwrite(gz, text.data, (unsigned)text.len);
    gzclose(gz);
    assert_int_equal(truncate(path, 9000), 0);
    assert_int_equal(csv_input_open(&f.in, path, &f.err), 0);
    assert_int_equal(csv_shape_new(&f.shape, f.in, &none, &f.err), -EBADMSG);
    close_file(&f);
    buf_deinit(&text);
    tmpdir_deinit(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(semicolons_and_datetime_as_in_skab),
        cmocka_unit_test(commas_and_timestamp_as_in_nab),
        cmocka_unit_test(quoted_header_and_parts_as_in_beijing_air),
        cmocka_unit_test(date_and_time_as_in_room_occupancy),
        cmocka_unit_test(bare_numbers_are_time_only_under_the_right_name),
        cmocka_unit_test(a_table_may_lack_times_when_it_is_let),
        cmocka_unit_test(columns_named_by_the_caller_win),
        cmocka_unit_test(a_zone_moves_times_that_do_not_say_theirs),
        cmocka_unit_test(unreadable_rows_are_counted_with_their_lines),
        cmocka_unit_test(one_odd_cell_leaves_a_numeric_column_numeric),
        cmocka_unit_test(equal_times_are_different_rows),
        cmocka_unit_test(names_that_collide_get_a_number),
        cmocka_unit_test(quotes_may_hold_separators_and_line_breaks),
        cmocka_unit_test(a_file_without_header_is_seen),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_name),
        cmocka_unit_test(whole_numbers_keep_all_their_digits),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(lines_beyond_the_limit_are_skipped_whole),
        cmocka_unit_test(what_is_no_table_is_refused),
        cmocka_unit_test(a_seek_behind_any_row_goes_on_with_the_next),
        cmocka_unit_test(a_cut_off_gzip_file_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
