/* What is on disk of drill-down, as facts of the spool: "drill/request/COUNTER" (u8 1, the request),
 * "drill/run/N" (runs of records under way: u32 stream, u8 lane, u64 from, u64 to, as many as fit) and
 * "drill/meter" (i64 day, u64 bytes). Little-endian. */
#include "fog/drill_private.h"

#include <inttypes.h>
#include <stdio.h>

static const char request_prefix[] = "drill/request/", run_prefix[] = "drill/run/",
                  meter_fact[] = "drill/meter";

enum { FORMAT = 1, FACT_CHARS = 40, RUN_BYTES = 21, RUNS_OF_FACT = 40, RUN_FACTS = 7 };
_Static_assert(RUNS_OF_FACT *RUN_FACTS >= DRILL_PIECE_RECORDS, "a run for each record of a piece");

static void request_fact(const struct drill_request *r, char out[FACT_CHARS])
{
    snprintf(out, FACT_CHARS, "%s%016" PRIx64, request_prefix, r->counter);
}

int drill_save_request(struct drill *d, const struct drill_request *r)
{
    struct buf *b = &d->scratch;
    struct row_key block;
    char name[FACT_CHARS];

    sample_key_put(&block, &r->place.block);
    buf_reset(b);
    buf_u8(b, FORMAT);
    buf_le64(b, r->counter);
    buf_u8(b, (uint8_t)strlen(r->order.device));
    buf_append(b, r->order.device, strlen(r->order.device));
    buf_le64(b, (uint64_t)r->order.from_ns);
    buf_le64(b, (uint64_t)r->order.to_ns);
    buf_le64(b, r->order.max_bytes);
    buf_le64(b, r->place.set_id);
    buf_u8(b,
           (uint8_t)(r->place.has_descriptor | r->place.has_block << 1 | r->is_walked << 2 | r->is_cut << 3));
    buf_append(b, block.bytes, ROWS_SAMPLE_KEY_BYTES);
    buf_le64(b, r->records);
    buf_le64(b, r->samples);
    buf_le64(b, r->bytes);
    buf_le64(b, r->held);
    buf_le64(b, (uint64_t)r->first_ns);
    if (b->error != 0)
        return b->error;
    request_fact(r, name);
    return spool_fact_put(d->o.spool, name, span_of(b->data, b->len));
}

int drill_delete_request(struct drill *d, const struct drill_request *r)
{
    char name[FACT_CHARS];

    request_fact(r, name);
    return spool_fact_delete(d->o.spool, name);
}

static bool request_get(struct span value, struct drill_request *ret_r)
{
    struct drill_request r = {.counter = 0};
    struct reader at = reader_of(value);
    const uint8_t *name, *block;
    uint8_t n, flags;

    if (reader_u8(&at) != FORMAT)
        return false;
    r.counter = reader_le64(&at);
    n = reader_u8(&at);
    name = reader_take(&at, n);
    if (name == NULL || n >= sizeof r.order.device)
        return false;
    memcpy(r.order.device, name, n);
    r.order.from_ns = (int64_t)reader_le64(&at);
    r.order.to_ns = (int64_t)reader_le64(&at);
    r.order.max_bytes = reader_le64(&at);
    r.place.set_id = reader_le64(&at);
    flags = reader_u8(&at);
    block = reader_take(&at, ROWS_SAMPLE_KEY_BYTES);
    r.records = reader_le64(&at);
    r.samples = reader_le64(&at);
    r.bytes = reader_le64(&at);
    r.held = reader_le64(&at);
    r.first_ns = (int64_t)reader_le64(&at);
    r.place.has_descriptor = (flags & 1) != 0;
    r.place.has_block = (flags & 2) != 0;
    r.is_walked = (flags & 4) != 0;
    r.is_cut = (flags & 8) != 0;
    if (at.bad || !sample_key_get(span_of(block, ROWS_SAMPLE_KEY_BYTES), &r.place.block))
        return false;
    *ret_r = r;
    return true;
}

static int load_request(void *ctx, const char *name, struct span value)
{
    struct drill *d = ctx;

    (void)name;
    if (d->n_requests < DRILL_REQUESTS_MAX && request_get(value, &d->requests[d->n_requests]))
        d->n_requests++;
    return 0;
}

static int load_runs(void *ctx, const char *name, struct span value)
{
    struct drill *d = ctx;
    struct reader at = reader_of(value);

    (void)name;
    while (reader_left(&at) >= RUN_BYTES && d->n_runs < DRILL_PIECE_RECORDS) {
        struct drill_run *run = &d->runs[d->n_runs];

        run->stream = reader_le32(&at);
        run->lane = reader_u8(&at);
        run->counts.from = reader_le64(&at);
        run->counts.to = reader_le64(&at);
        d->n_runs += run->lane < SPOOL_LANES && run->counts.from > 0 && run->counts.from <= run->counts.to;
    }
    return 0;
}

static int load_meter(struct drill *d)
{
    int rc = spool_fact_get(d->o.spool, meter_fact, &d->scratch);
    struct reader at = reader_of(span_of(d->scratch.data, d->scratch.len));

    d->day = 0;
    d->today_bytes = 0;
    if (rc == 0 && d->scratch.len == 16) {
        d->day = (int64_t)reader_le64(&at);
        d->today_bytes = reader_le64(&at);
    }
    return rc < 0 ? rc : 0;
}

int drill_load(struct drill *d)
{
    int rc;

    d->n_requests = d->n_runs = 0;
    rc = spool_facts_each(d->o.spool, request_prefix, load_request, d);
    if (rc == 0)
        rc = spool_facts_each(d->o.spool, run_prefix, load_runs, d);
    return rc == 0 ? load_meter(d) : rc;
}

int drill_save_runs(struct drill *d)
{
    unsigned done = 0;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < RUN_FACTS; i++) {
        struct buf *b = &d->scratch;
        char name[FACT_CHARS];

        snprintf(name, sizeof name, "%s%u", run_prefix, i);
        buf_reset(b);
        for (unsigned n = 0; n < RUNS_OF_FACT && done < d->n_runs; n++, done++) {
            buf_le32(b, d->runs[done].stream);
            buf_u8(b, (uint8_t)d->runs[done].lane);
            buf_le64(b, d->runs[done].counts.from);
            buf_le64(b, d->runs[done].counts.to);
        }
        rc = b->error != 0 ? b->error
             : b->len == 0 ? spool_fact_delete(d->o.spool, name)
                           : spool_fact_put(d->o.spool, name, span_of(b->data, b->len));
    }
    return rc;
}

int drill_save_meter(struct drill *d)
{
    buf_reset(&d->scratch);
    buf_le64(&d->scratch, (uint64_t)d->day);
    buf_le64(&d->scratch, d->today_bytes);
    return d->scratch.error != 0
               ? d->scratch.error
               : spool_fact_put(d->o.spool, meter_fact, span_of(d->scratch.data, d->scratch.len));
}
