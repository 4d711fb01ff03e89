/* Public data sets, where they are at hand: FOGLINE_DATA_DIR with skab, nab, beijing_air and room_occupancy
 * below it. */
#include "device/sources/csv_reader.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned n_files, n_failed; /* nftw has no context */
static uint64_t n_rows, n_bad_rows;

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static int on_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    struct csv_options none = {0};
    struct csv_input *in = NULL;
    struct csv_shape *s = NULL;
    struct errmsg err = {""};

    (void)st;
    (void)ftw;
    if (type != FTW_F || (!ends_with(path, ".csv") && !ends_with(path, ".csv.gz")))
        return 0;
    n_files++;
    if (csv_input_open(&in, path, &err) != 0 || csv_shape_new(&s, in, &none, &err) != 0) {
        print_message("%s: %s\n", path, err.text);
        n_failed++;
    } else {
        n_rows += s->n_rows;
        n_bad_rows += s->n_bad_rows;
    }
    csv_shape_free(s);
    csv_input_free(in);
    return 0;
}

static void every_file_of_the_sets_is_read_whole(void **state)
{
    const char *dir = getenv("FOGLINE_DATA_DIR");

    (void)state;
    if (dir == NULL) {
        print_message("FOGLINE_DATA_DIR is not set: skipped\n");
        skip();
    }
    assert_int_equal(nftw(dir, on_file, 16, FTW_PHYS), 0);
    print_message("%u files, %llu rows\n", n_files, (unsigned long long)n_rows);
    assert_true(n_files > 0);
    assert_int_equal(n_failed, 0);
    assert_int_equal(n_bad_rows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_file_of_the_sets_is_read_whole)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
