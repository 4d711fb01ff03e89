#include "fixture.h"

#include "base/file.h"
#include "hop/inbox.h"

#include <unistd.h>

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);

    fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

struct seen_rows {
    struct view *view;
    unsigned n_blocks, n_rows;
    int64_t first[64];
    double value[4096];
};

static int collect(void *ctx, const struct view_block *vb)
{
    struct seen_rows *s = ctx;
    const struct block *b;

    assert_int_equal(view_decode(s->view, vb, -1, &b), 0);
    s->first[s->n_blocks++ % 64] = vb->key.time_first_ns;
    for (uint32_t i = 0; i < b->n_rows; i++)
        s->value[s->n_rows++] = b->columns[0].f64[i];
    return 0;
}

static void record_is_there_after_reopen_and_only_once(void **state)
{
    struct fixture *f = *state;
    struct seen_rows seen = {0};
    const struct view_device *d;
    static const struct view_range all = {INT64_MIN, INT64_MAX};

    fixture_put_descriptor(f, 0, "Cel");
    assert_int_equal(fixture_put_value(f, 0, 1000, 21.5), 0);
    f->device[0].next[0]--;
    assert_int_equal(fixture_put_value(f, 0, 1000, 21.5), INBOX_DUPLICATE);
    fixture_commit(f);
    fixture_close(f);
    fixture_open(f);
    f->device[0].next[0]--;
    assert_int_equal(fixture_put_value(f, 0, 1000, 21.5), INBOX_DUPLICATE);
    assert_int_equal(archive_totals(f->archive, fixture_stream(f, 0), 0).records, 2);
    assert_int_equal(archive_totals(f->archive, fixture_stream(f, 0), 0).samples, 1);
    seen.view = fixture_view(f);
    d = view_find_device(seen.view, "pump-0");
    assert_non_null(d);
    assert_string_equal(d->site, "north");
    assert_int_equal(d->n_sets, 1);
    assert_string_equal(d->sets[0].channels[0].name, "temperature");
    assert_int_equal(view_scan(seen.view, &d->sets[0], &all, collect, &seen), 0);
    assert_int_equal(seen.n_rows, 1);
    assert_true(seen.value[0] == 21.5);
}

static void uncommitted_records_are_gone_after_a_rollback(void **state)
{
    struct fixture *f = *state;

    fixture_put_descriptor(f, 0, "Cel");
    fixture_commit(f);
    assert_int_equal(fixture_put_value(f, 0, 1000, 1), 0);
    assert_int_equal(fixture_put_value(f, 1, 1000, 1), 0);
    assert_int_equal(spool_rollback(archive_spool(f->archive)), 0);
    assert_int_equal(intake_reload(f->intake), 0);
    assert_int_equal(archive_totals(f->archive, fixture_stream(f, 0), 0).records, 1);
    f->device[0].next[0] = 2;
    f->device[1].next[0] = 1;
    assert_int_equal(fixture_put_value(f, 1, 2000, 2), 0);
    assert_int_equal(fixture_put_value(f, 0, 2000, 2), 0);
    fixture_commit(f);
    assert_int_equal(archive_totals(f->archive, fixture_stream(f, 0), 0).records, 2);
    assert_int_equal(view_n_devices(fixture_view(f)), 2);
}

static void wrong_tag_and_strange_origins_are_refused(void **state)
{
    struct fixture *f = *state;
    struct fixture_record r = {
        .kind = FOGLINE__V1__KIND__KIND_EVENT, .payload = span_str("x"), .forged = true};
    struct fixture_record object = {.kind = FOGLINE__V1__KIND__KIND_OBJECT, .payload = span_str("x")};
    char origin[SPOOL_NAME_BYTES];

    assert_int_equal(fixture_put(f, 0, &r, NULL), INBOX_REFUSED);
    assert_int_equal(archive_counters(f->archive)[ARCHIVE_WRONG_TAGS], 1);
    assert_non_null(intake_refused(f->intake, origin));
    assert_string_equal(origin, "pump-0");
    assert_null(intake_refused(f->intake, origin)); /* told once */
    assert_int_equal(fixture_put(f, 0, &object, NULL), INBOX_REFUSED);
    r.forged = false;
    f->nodes[0].provisional = true;
    f->nodes[1].revoked = true;
    assert_int_equal(intake_set_nodes(f->intake, f->nodes, 2), 0);
    assert_int_equal(fixture_put(f, 0, &r, NULL), INBOX_REFUSED);
    assert_int_equal(fixture_put(f, 1, &r, NULL), INBOX_REFUSED);
    assert_int_equal(fixture_put(f, 2, &r, NULL), INBOX_REFUSED);
    assert_int_equal(intake_counters(f->intake)[INTAKE_ORIGIN_PROVISIONAL], 1);
    assert_int_equal(intake_counters(f->intake)[INTAKE_ORIGIN_REVOKED], 1);
    assert_int_equal(intake_counters(f->intake)[INTAKE_ORIGIN_UNKNOWN], 1);
    assert_int_equal(archive_counters(f->archive)[ARCHIVE_RECORDS], 0);
}

static void descriptor_may_come_after_its_blocks(void **state)
{
    struct fixture *f = *state;
    const struct view_device *d;

    assert_int_equal(fixture_put_value(f, 0, 1000, 1), 0);
    fixture_commit(f);
    d = view_find_device(fixture_view(f), "pump-0");
    assert_int_equal(d->n_sets, 1);
    assert_null(d->sets[0].group);
    assert_int_equal(view_faults(f->view)->sets_undescribed, 1);
    fixture_close(f);
    fixture_open(f);
    fixture_put_descriptor(f, 0, "Cel");
    fixture_commit(f);
    d = view_find_device(fixture_view(f), "pump-0");
    assert_int_equal(d->n_sets, 1);
    assert_string_equal(d->sets[0].group, "plant");
    assert_string_equal(d->sets[0].channels[0].unit, "Cel");
}

static int take_other(void *ctx, const struct view_other *o)
{
    struct buf *b = ctx;

    buf_append(b, o->record.payload.data, o->record.payload.len);
    return 0;
}

static void unknown_kinds_and_unreadable_blocks_are_kept_as_bytes(void **state)
{
    struct fixture *f = *state;
    struct fixture_record strange = {.kind = 4711, .samples = 3, .payload = span_str("from the future")};
    struct fixture_record broken = {.kind = FOGLINE__V1__KIND__KIND_BLOCK,
                                    .payload = span_str("\xff\xff\xff")};
    struct buf b = {0};
    struct view *v;

    assert_int_equal(fixture_put(f, 0, &strange, NULL), 0);
    assert_int_equal(fixture_put(f, 0, &broken, NULL), 0);
    fixture_commit(f);
    assert_int_equal(archive_counters(f->archive)[ARCHIVE_UNKNOWN_KINDS], 1);
    assert_int_equal(archive_counters(f->archive)[ARCHIVE_MALFORMED], 1);
    v = fixture_view(f);
    assert_int_equal(view_others(v, view_find_device(v, "pump-0"), 4711, take_other, &b), 0);
    assert_int_equal(b.len, strlen("from the future"));
    assert_memory_equal(b.data, "from the future", b.len);
    assert_int_equal(view_others(v, view_find_device(v, "pump-0"), 0, take_other, &b), 0);
    assert_int_equal(b.len, 2 * strlen("from the future") + 3);
    buf_deinit(&b);
}

static void an_unreadable_descriptor_is_no_damage_of_the_store(void **state)
{
    struct fixture *f = *state;
    struct fixture_record broken = {.kind = FOGLINE__V1__KIND__KIND_DESCRIPTOR,
                                    .payload = span_str("\xff\xff\xff")};
    const struct view_faults *faults;
    struct view *v;

    assert_int_equal(fixture_put(f, 0, &broken, NULL), 0);
    assert_int_equal(fixture_put_value(f, 1, 1000, 1), 0);
    fixture_commit(f);
    assert_int_equal(archive_counters(f->archive)[ARCHIVE_MALFORMED], 1);
    v = fixture_view(f);
    faults = view_faults(v);
    assert_int_equal(faults->values_damaged + faults->blocks_damaged + faults->rows_malformed, 0);
    assert_int_equal(view_find_device(v, "pump-0")->n_sets, 0);
}

/* ---- blocks that do not decode ---- */

struct bad_blocks {
    struct view *view;
    unsigned n_decoded, n_told;
    uint64_t told_seq;
    double value[16];
};

static void on_undecoded(void *ctx, const struct view_block *b, const char *why)
{
    struct bad_blocks *bad = ctx;

    assert_true(strlen(why) > 0);
    bad->n_told++;
    bad->told_seq = b->key.seq;
}

static int decode_any(void *ctx, const struct view_block *vb)
{
    struct bad_blocks *bad = ctx;
    const struct block *b;
    int r = view_decode(bad->view, vb, -1, &b);

    assert_true(r >= 0);
    if (r == 0)
        bad->value[bad->n_decoded++] = b->columns[0].f64[0];
    return 0;
}

/* A set with the given start bytes of its times, and a block of one row in it. */
static uint64_t put_small(struct fixture *f, struct span time_start, int64_t time_ns, double value, bool hurt)
{
    static const enum column_type types[] = {COLUMN_DOUBLE};
    Fogline__V1__Descriptor d = FOGLINE__V1__DESCRIPTOR__INIT, *list[] = {&d};
    Fogline__V1__DescriptorSet set = FOGLINE__V1__DESCRIPTOR_SET__INIT;
    Fogline__V1__Block block = FOGLINE__V1__BLOCK__INIT;
    struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_DESCRIPTOR};
    struct column column = {.type = COLUMN_DOUBLE, .f64 = &value};
    struct block b = {1, 1, &time_ns, &column};
    struct block_start_bytes bytes = {0};
    struct block_starts *starts;
    struct block_coder *coder;
    struct buf body = {0};
    uint64_t seq;

    d.name = (char *)"v";
    d.type = FOGLINE__V1__VALUE_TYPE__VALUE_TYPE_DOUBLE;
    set.format = block.format = WIRE_FORMAT;
    set.group = (char *)"g";
    set.n_channels = 1;
    set.channels = list;
    set.time_start = wire_bytes(time_start);
    buf_reset(&f->payload);
    wire_pack(&f->payload, &set.base);
    r.payload = span_of(f->payload.data, f->payload.len);
    block.set_id = wire_descriptor_set_id(r.payload);
    assert_int_equal(fixture_put(f, 0, &r, NULL), 0);

    assert_int_equal(block_starts_new(&starts, types, 1, &bytes), 0);
    assert_int_equal(block_coder_new(&coder), 0);
    assert_int_equal(block_encode(coder, BLOCK_ENCODING_SMALL, starts, &b, &body), 0);
    body.data[0] ^= hurt;
    block.rows = block.samples = 1;
    block.encoding = BLOCK_ENCODING_SMALL;
    block.time_first_ns = time_ns;
    block.body = wire_bytes(span_of(body.data, body.len));
    buf_reset(&f->payload);
    wire_pack(&f->payload, &block.base);
    r = (struct fixture_record){.kind = FOGLINE__V1__KIND__KIND_BLOCK,
                                .samples = 1,
                                .payload = span_of(f->payload.data, f->payload.len)};
    assert_int_equal(fixture_put(f, 0, &r, &seq), 0);
    buf_deinit(&body);
    block_coder_free(coder);
    block_starts_free(starts);
    return seq;
}

static void scan_all(struct view *v, struct bad_blocks *bad)
{
    static const struct view_range all = {INT64_MIN, INT64_MAX};
    const struct view_device *d = view_find_device(v, "pump-0");

    *bad = (struct bad_blocks){.view = v};
    view_on_undecoded(v, on_undecoded, bad);
    for (size_t i = 0; i < d->n_sets; i++)
        assert_int_equal(view_scan(v, &d->sets[i], &all, decode_any, bad), 0);
}

static void a_block_that_does_not_decode_is_left_out_and_told(void **state)
{
    struct fixture *f = *state;
    struct bad_blocks bad;
    struct view *v;
    uint64_t seq;

    (void)put_small(f, (struct span){0}, 1000, 1.5, false);
    seq = put_small(f, (struct span){0}, 2000, 2.5, true);
    (void)put_small(f, (struct span){0}, 3000, 3.5, false);
    fixture_commit(f);
    v = fixture_view(f);
    scan_all(v, &bad);
    assert_int_equal(bad.n_decoded, 2);
    assert_true(bad.value[0] == 1.5 && bad.value[1] == 3.5);
    assert_int_equal(bad.n_told, 1);
    assert_true(bad.told_seq == seq);
    assert_int_equal(view_faults(v)->blocks_damaged, 1);
    assert_int_equal(view_faults(v)->starts_malformed, 0);
}

static void the_coded_blocks_of_a_set_with_malformed_starts_are_left_out_and_told(void **state)
{
    struct fixture *f = *state;
    struct bad_blocks bad;
    struct view *v;

    (void)put_small(f, span_str("no start"), 1000, 1.5, false);
    (void)put_small(f, span_str("no start"), 2000, 2.5, false);
    (void)put_small(f, (struct span){0}, 3000, 3.5, false);
    fixture_commit(f);
    v = fixture_view(f);
    scan_all(v, &bad);
    assert_int_equal(bad.n_decoded, 1);
    assert_true(bad.value[0] == 3.5);
    assert_int_equal(bad.n_told, 2);
    assert_int_equal(view_faults(v)->blocks_damaged, 2);
    assert_int_equal(view_faults(v)->starts_malformed, 1);
}

static void put_block_of(struct fixture *f, int64_t first, int64_t step, uint32_t n)
{
    struct fixture_row rows[64] = {0};
    struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK};

    for (uint32_t i = 0; i < n; i++) {
        rows[i].time_ns = first + step * i;
        rows[i].cells[0].f64 = (double)rows[i].time_ns;
        rows[i].cells[3].absent = true;
    }
    buf_reset(&f->payload);
    fixture_block(&f->payload, fixture_set_id("Cel"), rows, n, &r.samples);
    r.payload = span_of(f->payload.data, f->payload.len);
    assert_int_equal(fixture_put(f, 0, &r, NULL), 0);
}

static void range_begins_early_enough_for_long_blocks(void **state)
{
    struct fixture *f = *state;
    struct seen_rows seen = {0};
    const struct view_range range = {5000, 5100};

    fixture_put_descriptor(f, 0, "Cel");
    put_block_of(f, 1000, 100, 60); /* 1000 .. 6900, in the range */
    for (int64_t t = 2000; t < 9000; t += 10)
        put_block_of(f, t, 1, 2);
    put_block_of(f, -50000, 1, 2);
    fixture_commit(f);
    seen.view = fixture_view(f);
    assert_int_equal(
        view_scan(seen.view, &view_find_device(seen.view, "pump-0")->sets[0], &range, collect, &seen), 0);
    assert_int_equal(seen.n_blocks, 11);
    assert_int_equal(seen.first[0], 1000);
    assert_int_equal(seen.first[1], 5000);
    assert_int_equal(seen.first[10], 5090);
}

static void times_before_1970_come_first(void **state)
{
    struct fixture *f = *state;
    struct seen_rows seen = {0};
    static const struct view_range all = {INT64_MIN, INT64_MAX};

    fixture_put_descriptor(f, 0, "Cel");
    assert_int_equal(fixture_put_value(f, 0, 10, 2), 0);
    assert_int_equal(fixture_put_value(f, 0, -10, 1), 0);
    assert_int_equal(fixture_put_value(f, 0, -20, 0), 0);
    fixture_commit(f);
    seen.view = fixture_view(f);
    assert_int_equal(
        view_scan(seen.view, &view_find_device(seen.view, "pump-0")->sets[0], &all, collect, &seen), 0);
    for (int i = 0; i < 3; i++)
        assert_true(seen.value[i] == i);
}

static void archive_id_stays_over_reopening_and_reboot(void **state)
{
    struct fixture *f = *state;
    struct id128 id = *archive_id(f->archive), store = *spool_store_id(archive_spool(f->archive)),
                 fresh = id128_random();

    fixture_close(f);
    remove(f->proof);
    fixture_open(f);
    assert_true(id128_equal(archive_id(f->archive), &id));
    assert_false(id128_equal(spool_store_id(archive_spool(f->archive)), &store));
    assert_int_equal(archive_renew_id(f->archive, &fresh), 0);
    fixture_close(f);
    fixture_open(f);
    assert_true(id128_equal(archive_id(f->archive), &fresh));
}

static void archived_set_survives_a_reboot(void **state)
{
    struct fixture *f = *state;
    struct spool_stream *s;

    fixture_put_descriptor(f, 0, "Cel");
    assert_int_equal(fixture_put_value(f, 0, 1000, 1), 0);
    fixture_commit(f);
    fixture_close(f);
    remove(f->proof);
    fixture_open(f);
    s = fixture_stream(f, 0);
    assert_true(interval_set_covers(&s->lane[0].seen, 1, 2));
    f->device[0].next[0]--;
    assert_int_equal(fixture_put_value(f, 0, 1000, 1), INBOX_DUPLICATE);
    assert_int_equal(archive_totals(f->archive, s, 0).records, 2);
}

static void archive_grows_while_it_is_open(void **state)
{
    struct fixture *f = *state;
    struct db *db = spool_db(archive_spool(f->archive));
    uint64_t before = db_map_bytes(db);

    fixture_put_descriptor(f, 0, "Cel");
    assert_int_equal(spool_grow(archive_spool(f->archive), before + (1 << 20)), -EBUSY);
    fixture_commit(f);
    assert_int_equal(spool_grow(archive_spool(f->archive), before + (1 << 20)), 0);
    assert_int_equal(db_map_bytes(db), before + (1 << 20));
    assert_int_equal(fixture_put_value(f, 0, 1000, 1), 0);
    fixture_commit(f);
    assert_int_equal(view_find_device(fixture_view(f), "pump-0")->n_sets, 1);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(archive_totals(f->archive, fixture_stream(f, 0), 0).records, 2);
}

/* More than the index of names has room for at first. */
static void many_origins_are_known_after_reopen(void **state)
{
    struct fixture *f = *state;
    char name[16];

    for (int i = 0; i < 300; i++) {
        struct id128 epoch = id128_random();
        struct spool_stream *s;

        snprintf(name, sizeof name, "many-%d", i);
        assert_int_equal(spool_stream_make(archive_spool(f->archive), name, &epoch, &s), 0);
        assert_int_equal(archive_touch(f->archive, s, "north"), 0);
    }
    fixture_commit(f);
    fixture_close(f);
    alarm(60); /* it went on for ever */
    fixture_open(f);
    alarm(0);
    assert_int_equal(view_n_devices(fixture_view(f)), 300);
    assert_non_null(view_find_device(f->view, "many-299"));
}

static void site_follows_the_list_of_nodes(void **state)
{
    struct fixture *f = *state;

    fixture_put_descriptor(f, 0, "Cel");
    fixture_commit(f);
    snprintf(f->nodes[0].site, sizeof f->nodes[0].site, "west");
    assert_int_equal(intake_set_nodes(f->intake, f->nodes, FIXTURE_DEVICES), 0);
    fixture_commit(f);
    assert_string_equal(view_find_device(fixture_view(f), "pump-0")->site, "west");
}

/* Turns over one byte behind each place where `pattern` stands in the archive's file. */
static void damage(struct fixture *f, struct span pattern, size_t at)
{
    struct buf data = {0};
    char path[300];
    size_t n = 0;

    fixture_close(f);
    snprintf(path, sizeof path, "%s/data.mdb", f->path);
    assert_int_equal(file_read(path, 1 << 30, &data), 0);
    for (size_t i = 0; i + pattern.len + at < data.len; i++)
        if (memcmp(data.data + i, pattern.data, pattern.len) == 0) {
            data.data[i + pattern.len + at] ^= 0x40;
            n++;
        }
    assert_in_range(n, 1, 100);
    assert_int_equal(file_write_atomic(path, span_of(data.data, data.len), 0600), 0);
    buf_deinit(&data);
}

static void check_whole(struct fixture *f)
{
    struct spool_stream *s;
    const struct view_device *d;
    struct totals_lane t;

    fixture_open(f);
    s = fixture_stream(f, 0);
    t = archive_totals(f->archive, s, 0);
    assert_int_equal(t.records, 3);
    assert_int_equal(t.samples, 2);
    assert_true(interval_set_covers(&s->lane[0].seen, 1, 3));
    d = view_find_device(fixture_view(f), "pump-0");
    assert_non_null(d);
    assert_string_equal(d->site, "north");
    assert_int_equal(d->n_sets, 1);
    assert_string_equal(d->sets[0].group, "plant");
}

static void damaged_names_totals_and_sets_are_made_anew(void **state)
{
    struct fixture *f = *state;
    uint8_t totals[21] = {1, 1}, set[13], seen[13] = {0};
    static const uint8_t device[] = "pump-0\x01\x01\0\0\0\x05";

    fixture_put_descriptor(f, 0, "Cel");
    assert_int_equal(fixture_put_value(f, 0, 1000, 1), 0);
    assert_int_equal(fixture_put_value(f, 0, 2000, 1), 0);
    assert_int_equal(fixture_put_value(f, 1, 2000, 1), 0);
    fixture_commit(f);
    store_be32(seen, fixture_stream(f, 0)->no);
    store_be64(seen + 5, 1);
    damage(f, span_of(seen, sizeof seen), 0);
    check_whole(f);
    memset(totals + 5, 1, 16);
    damage(f, span_of(totals, sizeof totals), 0);
    check_whole(f);
    damage(f, span_of(device, sizeof device - 1), 0);
    check_whole(f);
    store_be32(set, 1);
    store_be64(set + 4, fixture_set_id("Cel"));
    set[12] = 1;
    damage(f, span_of(set, sizeof set), 5);
    check_whole(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(record_is_there_after_reopen_and_only_once, setup, teardown),
        cmocka_unit_test_setup_teardown(uncommitted_records_are_gone_after_a_rollback, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_tag_and_strange_origins_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptor_may_come_after_its_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_kinds_and_unreadable_blocks_are_kept_as_bytes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_unreadable_descriptor_is_no_damage_of_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_that_does_not_decode_is_left_out_and_told, setup, teardown),
        cmocka_unit_test_setup_teardown(the_coded_blocks_of_a_set_with_malformed_starts_are_left_out_and_told,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(range_begins_early_enough_for_long_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(times_before_1970_come_first, setup, teardown),
        cmocka_unit_test_setup_teardown(many_origins_are_known_after_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(archive_id_stays_over_reopening_and_reboot, setup, teardown),
        cmocka_unit_test_setup_teardown(archived_set_survives_a_reboot, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_names_totals_and_sets_are_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(archive_grows_while_it_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(site_follows_the_list_of_nodes, setup, teardown),
    };

    return cmocka_run_group_tests_name("cloud_archive", tests, NULL, NULL);
}
