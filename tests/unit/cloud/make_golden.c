/* Writes the golden archive of the present format: make_golden_archive FOLDER, and its export on stdout.
 * Never over an existing one. */
#include "golden.h"

#include "archive/export.h"

#include <unistd.h>

static void put_cover(struct fixture *f)
{
    Fogline__V1__Ledger ledger = FOGLINE__V1__LEDGER__INIT;
    Fogline__V1__Cover cover = FOGLINE__V1__COVER__INIT, *covers[1] = {&cover};
    struct fixture_record r = {.lane = LANE_URGENT, .kind = FOGLINE__V1__KIND__KIND_LEDGER};
    uint64_t bounds[2] = {f->device[0].next[0], f->device[0].next[0] + 1};

    f->device[0].next[0] += 2;
    ledger.format = WIRE_FORMAT;
    ledger.covers = covers;
    ledger.n_covers = 1;
    cover.epoch = wire_bytes(span_of(f->device[0].epoch.bytes, ID128_BYTES));
    cover.bounds = bounds;
    cover.n_bounds = 2;
    cover.reason = FOGLINE__V1__REASON__REASON_EVICTED;
    cover.samples = 30;
    buf_reset(&f->payload);
    wire_pack(&f->payload, &ledger.base);
    r.payload = span_of(f->payload.data, f->payload.len);
    assert_int_equal(fixture_put(f, 0, &r, NULL), 0);
}

static uint32_t put_blocks(struct fixture *f)
{
    uint32_t samples = 0;

    for (unsigned b = 0; b < GOLDEN_BLOCKS; b++) {
        struct fixture_row rows[GOLDEN_ROWS];
        struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK};

        for (unsigned i = 0; i < GOLDEN_ROWS; i++)
            golden_row(&rows[i], b, i);
        buf_reset(&f->payload);
        fixture_block(&f->payload, fixture_set_id("Cel"), rows, GOLDEN_ROWS, &r.samples);
        r.payload = span_of(f->payload.data, f->payload.len);
        assert_int_equal(fixture_put(f, 0, &r, NULL), 0);
        samples += r.samples;
    }
    return samples;
}

int main(int argc, char **argv)
{
    struct fixture f;
    struct fixture_record strange = {.kind = GOLDEN_UNKNOWN_KIND, .payload = span_str("from the future")};
    struct export_options o = {
        .format = EXPORT_CSV, .pattern = "**", .range = {INT64_MIN, INT64_MAX}, .out = stdout};
    uint32_t samples;

    if (argc != 2 || access(argv[1], F_OK) == 0) {
        fprintf(stderr, "usage: make_golden_archive NEW-FOLDER\n");
        return 2;
    }
    fixture_init_at(&f, argv[1]);
    samples = put_blocks(&f);
    fixture_put_descriptor(&f, 0, "Cel");
    put_cover(&f);
    assert_int_equal(fixture_put(&f, 2, &strange, NULL), 0);
    fixture_report(&f, 0, 0, samples + 30, NULL);
    fixture_report(&f, 0, 1, 0, NULL);
    fixture_commit(&f);
    assert_int_equal(export_run(fixture_view(&f), &o, NULL), 0);
    fixture_deinit(&f);
    return 0;
}
