/* How fast the archive takes records, tag check included, on one core: single-row records, and blocks of 100
 * rows by 8 columns.
 *
 *   bench_cloud_put    prints one JSON object */
#include "fixture.h"

#include <stdio.h>
#include <time.h>

enum { BATCH = 4096, WIDE_COLUMNS = 8, WIDE_ROWS = 100 };

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A packed block of n_rows x n_columns doubles; time_first is written over for each record. */
static void make_block(struct buf *out, uint32_t n_rows, uint32_t n_columns, int64_t first_ns)
{
    Fogline__V1__Block block = FOGLINE__V1__BLOCK__INIT;
    enum column_type types[WIDE_COLUMNS];
    struct cell cells[WIDE_COLUMNS] = {0};
    struct buf body = {0};
    struct packer *p;

    for (unsigned i = 0; i < n_columns; i++)
        types[i] = COLUMN_DOUBLE;
    assert_int_equal(packer_new(&p, types, n_columns, n_rows), 0);
    for (uint32_t r = 0; r < n_rows; r++) {
        for (unsigned i = 0; i < n_columns; i++)
            cells[i].f64 = 20 + i + r * 0.001;
        assert_int_equal(packer_add(p, first_ns + r * NS_PER_MS, cells), 0);
    }
    assert_int_equal(block_encode(NULL, BLOCK_ENCODING_RAW, NULL, packer_block(p), &body), 0);
    block.format = WIRE_FORMAT;
    block.set_id = 1;
    block.rows = n_rows;
    block.samples = packer_samples(p);
    block.encoding = BLOCK_ENCODING_RAW;
    block.time_first_ns = first_ns;
    block.time_span_ns = (uint64_t)(n_rows - 1) * NS_PER_MS;
    block.body = wire_bytes(span_of(body.data, body.len));
    wire_pack(out, &block.base);
    packer_free(p);
    buf_deinit(&body);
}

struct made {
    struct record record;
    struct buf payload;
};

static void make_batch(struct fixture *f, struct made *m, uint32_t n, uint32_t n_rows, uint32_t n_columns)
{
    struct fixture_device *d = &f->device[0];
    struct buf head = {0};

    for (uint32_t i = 0; i < n; i++) {
        struct record *r = &m[i].record;

        buf_reset(&m[i].payload);
        make_block(&m[i].payload, n_rows, n_columns, (int64_t)d->next[0] * n_rows * NS_PER_MS);
        *r = (struct record){.origin = d->name,
                             .epoch = d->epoch,
                             .seq = seq_make(0, d->next[0]++),
                             .kind = FOGLINE__V1__KIND__KIND_BLOCK,
                             .samples = n_rows * n_columns,
                             .payload = span_of(m[i].payload.data, m[i].payload.len)};
        buf_reset(&head);
        wire_tag_head(&head, r->origin, &r->epoch, r->seq, r->kind, r->payload.len);
        end_mac(d->end.tag, span_of(head.data, head.len), r->payload, r->tag);
    }
    buf_deinit(&head);
}

/* Records per second of intake_record with the seen rows and commits of BATCH records. */
static double measure(struct fixture *f, uint32_t n_batches, uint32_t n, uint32_t n_rows, uint32_t n_columns,
                      double *ret_with_commit)
{
    struct made *m = calloc(n, sizeof *m);
    struct spool_stream *s = fixture_stream(f, 0);
    double put = 0, all = 0;

    for (uint32_t b = 0; b < n_batches; b++) {
        uint64_t first = f->device[0].next[0];
        double t0, t1;

        make_batch(f, m, n, n_rows, n_columns);
        t0 = now_s();
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(intake_record(f->intake, s, &m[i].record), 0);
        t1 = now_s();
        assert_int_equal(
            spool_seen_add(archive_spool(f->archive), s, 0, (struct interval){first, first + n - 1}), 0);
        fixture_commit(f);
        put += t1 - t0;
        all += now_s() - t0;
    }
    for (uint32_t i = 0; i < n; i++)
        buf_deinit(&m[i].payload);
    free(m);
    *ret_with_commit = (double)n * n_batches / all;
    return (double)n * n_batches / put;
}

int main(void)
{
    struct fixture f;
    double single, single_all, batch, batch_all;

    fixture_init(&f);
    single = measure(&f, 20, BATCH, 1, 1, &single_all);
    batch = measure(&f, 20, BATCH / 16, WIDE_ROWS, WIDE_COLUMNS, &batch_all);
    printf("{\"single_records_s\":%.0f,\"single_with_commit_s\":%.0f,\"batch_rows_s\":%.0f,\"batch_with_"
           "commit_rows_"
           "s\":%.0f}\n",
           single, single_all, batch * WIDE_ROWS, batch_all * WIDE_ROWS);
    fixture_deinit(&f);
    return 0;
}
