#include "golden.h"

#include "archive/export.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "cloud/view_ledger.h"

static const char *golden_dir;

static void read_whole(const char *dir, const char *name, struct buf *out)
{
    char path[600];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(file_read(path, 64 << 20, out), 0);
}

/* The stored archive is copied: opening it must not change what is kept. */
static void copy_archive(struct fixture *f)
{
    struct buf data = {0};
    char path[600];

    fixture_close(f);
    read_whole(golden_dir, "data.mdb", &data);
    snprintf(path, sizeof path, "%s/lock.mdb", f->path);
    remove(path);
    snprintf(path, sizeof path, "%s/data.mdb", f->path);
    assert_int_equal(file_write_atomic(path, span_of(data.data, data.len), 0600), 0);
    buf_deinit(&data);
    remove(f->proof);
}

static int take_other(void *ctx, const struct view_other *o)
{
    assert_int_equal(o->record.payload.len, strlen("from the future"));
    ++*(unsigned *)ctx;
    return 0;
}

static void check_contents(struct view *v)
{
    struct export_options o = {.format = EXPORT_CSV, .pattern = "**", .range = {INT64_MIN, INT64_MAX}};
    struct buf expected = {0};
    struct ledger_balance b;
    char *text = NULL;
    unsigned n = 0;
    size_t len;

    read_whole(golden_dir, "export.csv", &expected);
    o.out = open_memstream(&text, &len);
    assert_int_equal(export_run(v, &o, NULL), 0);
    fclose(o.out);
    assert_int_equal(len, expected.len);
    assert_memory_equal(text, expected.data, len);
    free(text);
    buf_deinit(&expected);
    assert_int_equal(view_balance(v, view_find_device(v, "pump-0"), NULL, NULL, &b), 0);
    assert_int_equal(b.records.produced, GOLDEN_BLOCKS + 1 + 2 + 1);
    assert_int_equal(b.records.by_reason[FOGLINE__V1__REASON__REASON_EVICTED], 2);
    assert_int_equal(b.records.unexplained, 0);
    assert_int_equal(b.samples.unexplained, 0);
    assert_int_equal(view_others(v, view_find_device(v, "fan-2"), GOLDEN_UNKNOWN_KIND, take_other, &n), 0);
    assert_int_equal(n, 1);
}

static void archive_of_format_1_reads_as_it_did(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    copy_archive(&f);
    check_contents(fixture_view(&f));
    fixture_deinit(&f);
}

static void archive_of_format_1_takes_new_records(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    copy_archive(&f);
    fixture_open(&f);
    check_contents(fixture_view(&f));
    fixture_close(&f);
    fixture_open(&f);
    assert_int_equal(fixture_put_value(&f, 1, 5, 1), 0);
    fixture_commit(&f);
    assert_int_equal(view_n_devices(fixture_view(&f)), 3);
    fixture_deinit(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archive_of_format_1_reads_as_it_did),
        cmocka_unit_test(archive_of_format_1_takes_new_records),
    };

    if (argc != 2) {
        fprintf(stderr, "usage: test_cloud_golden tests/golden/v1/archive\n");
        return 2;
    }
    golden_dir = argv[1];
    return cmocka_run_group_tests_name("cloud_golden", tests, NULL, NULL);
}
