#include "archive/archive_private.h"

#include "archive/block_head.h"
#include "base/cleanup.h"
#include "base/name.h"
#include "link/keys.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

const struct counter_info archive_counter_info[ARCHIVE_COUNTERS] = {
    [ARCHIVE_RECORDS] = {"records_total", COUNTER_TOTAL, "records", "Records archived by this run."},
    [ARCHIVE_SAMPLES] = {"samples_total", COUNTER_TOTAL, "samples", "Samples archived by this run."},
    [ARCHIVE_BYTES] = {"payload_bytes_total", COUNTER_TOTAL, "bytes", "Payload bytes archived by this run."},
    [ARCHIVE_BLOCKS] = {"blocks_total", COUNTER_TOTAL, "records", "Blocks among them."},
    [ARCHIVE_WRONG_TAGS] = {"wrong_tags_total", COUNTER_TOTAL, "records",
                            "Refused: not authenticated by their origin."},
    [ARCHIVE_MALFORMED] = {"malformed_total", COUNTER_TOTAL, "records",
                           "Kept as bytes: of a known kind but unreadable."},
    [ARCHIVE_UNKNOWN_KINDS] = {"unknown_kinds_total", COUNTER_TOTAL, "records",
                               "Kept as bytes: of an unknown kind."},
    [ARCHIVE_OBJECTS_REFUSED] = {"objects_refused_total", COUNTER_TOTAL, "records",
                                 "Refused: the reserved kind object."},
    [ARCHIVE_LIMITS] = {"limits_total", COUNTER_TOTAL, "records",
                        "Refused or kept as bytes: too many origins or sets."},
    [ARCHIVE_SPANS_GROWN] = {"spans_grown_total", COUNTER_TOTAL, "1", "Rewrites of a set's longest block."},
};

/* Conditions of the tables as conditions of this module: a row that must be there and is not is damage. */
static int condition(int r)
{
    if (r == DB_FULL)
        return ARCHIVE_FULL;
    return r > 0 && r < ARCHIVE_WRONG_TAG ? -EIO : r;
}

/* ---- origins ---- */

/* FNV-1a. */
static uint64_t name_hash(const char *s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *s != 0; s++)
        h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
    return h;
}

static struct arch_device *device_find(const struct archive *a, const char *name)
{
    if (a->n_names == 0)
        return NULL;
    for (size_t i = name_hash(name);; i++) {
        uint32_t no = a->names[i & (a->n_names - 1)];

        if (no == 0)
            return NULL;
        if (strcmp(a->devices[no - 1]->name, name) == 0)
            return a->devices[no - 1];
    }
}

static void names_put(struct archive *a, const struct arch_device *d)
{
    size_t i = name_hash(d->name);

    while (a->names[i & (a->n_names - 1)] != 0)
        i++;
    a->names[i & (a->n_names - 1)] = d->no;
}

int archive_names_grow(struct archive *a)
{
    size_t n = a->n_names == 0 ? 64 : a->n_names * 2;
    uint32_t *names;

    while (n < 2 * (a->n_devices + 1)) /* a full index would be searched for ever */
        n *= 2;
    names = calloc(n, sizeof *names);
    if (names == NULL)
        return -ENOMEM;
    free(a->names);
    a->names = names;
    a->n_names = n;
    for (size_t i = 0; i < a->n_devices; i++)
        names_put(a, a->devices[i]);
    return 0;
}

static int device_add(struct archive *a, const char *name, const char *site, struct arch_device **ret_d)
{
    struct arch_device *d;
    int r;

    if (a->n_devices == a->alloc_devices) {
        size_t n = a->alloc_devices == 0 ? 16 : a->alloc_devices * 2;
        struct arch_device **at = reallocarray(a->devices, n, sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        a->devices = at;
        a->alloc_devices = n;
    }
    if (2 * (a->n_devices + 1) > a->n_names) {
        r = archive_names_grow(a);
        if (r < 0)
            return r;
    }
    d = calloc(1, sizeof *d);
    if (d == NULL)
        return -ENOMEM;
    snprintf(d->name, sizeof d->name, "%s", name);
    snprintf(d->site, sizeof d->site, "%s", site);
    a->devices[a->n_devices++] = d;
    d->no = (uint32_t)a->n_devices;
    names_put(a, d);
    *ret_d = d;
    return 0;
}

int archive_device_write(struct archive *a, const struct arch_device *d)
{
    struct db_txn *txn;
    struct row_key key;
    struct device_row row = {.no = d->no};
    int r;

    memcpy(row.site, d->site, sizeof row.site);
    device_key_put(&key, d->name);
    buf_reset(&a->scratch);
    device_value_put(&a->scratch, &row);
    if (a->scratch.error != 0)
        return a->scratch.error;
    r = spool_txn(a->spool, &txn);
    return r != 0 ? r
                  : db_put(txn, ARCHIVE_TABLE_DEVICES, row_key_span(&key),
                           span_of(a->scratch.data, a->scratch.len));
}

static int device_of(struct archive *a, const char *name, const char *site, struct arch_device **ret_d)
{
    struct arch_device *d = device_find(a, name);
    int r;

    if (d == NULL) {
        if (a->n_devices >= ARCHIVE_ORIGINS_MAX)
            return ARCHIVE_LIMIT;
        r = device_add(a, name, site, &d);
        if (r == 0)
            r = archive_device_write(a, d);
        if (r != 0)
            return r;
    }
    *ret_d = d;
    return 0;
}

static int set_site(struct archive *a, struct arch_device *d, const char *site)
{
    if (strcmp(d->site, site) == 0)
        return 0;
    snprintf(d->site, sizeof d->site, "%s", site);
    return archive_device_write(a, d);
}

int archive_set_site(struct archive *a, const char *origin, const char *site)
{
    struct arch_device *d = device_find(a, origin);

    return d == NULL ? 0 : condition(set_site(a, d, site));
}

/* ---- streams ---- */

int archive_streams_reach(struct archive *a, uint32_t no)
{
    size_t n = a->n_streams == 0 ? 64 : a->n_streams;
    struct arch_stream *at;

    if (no < a->n_streams)
        return 0;
    while (n <= no)
        n *= 2;
    at = reallocarray(a->streams, n, sizeof *at);
    if (at == NULL)
        return -ENOMEM;
    memset(at + a->n_streams, 0, (n - a->n_streams) * sizeof *at);
    a->streams = at;
    a->n_streams = n;
    return 0;
}

int archive_stream_mark(struct archive *a, struct arch_stream *as, uint32_t no)
{
    if (as->dirty)
        return 0;
    if (a->n_dirty == a->alloc_dirty) {
        size_t n = a->alloc_dirty == 0 ? 64 : a->alloc_dirty * 2;
        uint32_t *at = reallocarray(a->dirty, n, sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        a->dirty = at;
        a->alloc_dirty = n;
    }
    a->dirty[a->n_dirty++] = no;
    as->dirty = true;
    return 0;
}

/* The same epoch under the number it had before the spool forgot it; 0: none. Looked for at the first record
 * of a stream only. */
static uint32_t former_no(const struct archive *a, const struct spool_stream *s)
{
    for (size_t i = 1; i < a->n_streams; i++) {
        const struct arch_stream *as = &a->streams[i];

        if (as->device != NULL && as->stream == NULL && strcmp(as->device->name, s->origin) == 0 &&
            memcmp(&as->epoch, &s->epoch, sizeof as->epoch) == 0)
            return (uint32_t)i;
    }
    return 0;
}

/* The stream as it stands here: under its former number if it had one. ret_no: that of its rows. */
static struct arch_stream *stream_here(const struct archive *a, const struct spool_stream *s,
                                       uint32_t *ret_no)
{
    *ret_no = a->streams[s->no].former != 0 ? a->streams[s->no].former : s->no;
    return &a->streams[*ret_no];
}

static int stream_of(struct archive *a, struct spool_stream *s, const char *site, struct arch_stream **ret_as,
                     uint32_t *ret_no)
{
    struct arch_stream *as;
    uint32_t no;
    int r = archive_streams_reach(a, s->no);

    if (r < 0)
        return r;
    if (a->streams[s->no].device == NULL && a->streams[s->no].former == 0 && !a->keeps_all)
        a->streams[s->no].former = former_no(a, s);
    a->streams[s->no].stream = s;
    as = stream_here(a, s, &no);
    as->stream = s;
    if (as->device == NULL) {
        r = device_of(a, s->origin, site, &as->device);
        if (r == 0)
            r = archive_stream_mark(a, as, no);
        if (r != 0)
            return r;
        as->epoch = s->epoch;
    }
    *ret_as = as;
    *ret_no = no;
    return 0;
}

int archive_touch(struct archive *a, struct spool_stream *s, const char *site)
{
    struct arch_stream *as;
    uint32_t no;

    return condition(stream_of(a, s, site, &as, &no));
}

struct totals_lane archive_totals(const struct archive *a, const struct spool_stream *s, unsigned lane)
{
    uint32_t no;

    return s->no < a->n_streams ? stream_here(a, s, &no)->lane[lane] : (struct totals_lane){0};
}

static int totals_write(struct archive *a, uint32_t no)
{
    const struct arch_stream *as = &a->streams[no];
    struct totals_row row = {.stream = no, .device = as->device->no, .epoch = as->epoch};
    struct db_txn *txn;
    struct row_key key;
    int r = spool_txn(a->spool, &txn);

    if (r != 0)
        return r;
    memcpy(row.lane, as->lane, sizeof row.lane);
    totals_key_put(&key, no);
    buf_reset(&a->scratch);
    totals_value_put(&a->scratch, &row);
    if (a->scratch.error != 0)
        return a->scratch.error;
    return db_put(txn, ARCHIVE_TABLE_TOTALS, row_key_span(&key), span_of(a->scratch.data, a->scratch.len));
}

int archive_forget(struct archive *a, const struct spool_stream *s)
{
    struct arch_stream *as;
    uint32_t no;
    int r;

    if (s->no >= a->n_streams || a->streams[s->no].stream == NULL)
        return 0;
    as = stream_here(a, s, &no);
    r = as->dirty ? condition(totals_write(a, no)) : 0;
    if (r != 0)
        return r;
    for (size_t i = 0; i < a->n_dirty && as->dirty; i++)
        if (a->dirty[i] == no) {
            a->dirty[i] = a->dirty[--a->n_dirty];
            break;
        }
    as->stream = NULL;
    as->dirty = as->dirty_lane[0] = as->dirty_lane[1] = false;
    if (no != s->no)
        a->streams[s->no] = (struct arch_stream){0};
    return 0;
}

int archive_flush(struct archive *a)
{
    for (size_t i = 0; i < a->n_dirty; i++) {
        int r = condition(totals_write(a, a->dirty[i]));

        if (r != 0)
            return r;
    }
    return 0;
}

void archive_committed(struct archive *a, void (*fn)(void *ctx, struct spool_stream *s, unsigned lane),
                       void *ctx)
{
    for (size_t i = 0; i < a->n_dirty; i++) {
        struct arch_stream *as = &a->streams[a->dirty[i]];

        for (unsigned l = 0; l < SPOOL_LANES; l++)
            if (as->dirty_lane[l] && fn != NULL)
                fn(ctx, as->stream, l);
        as->dirty = as->dirty_lane[0] = as->dirty_lane[1] = false;
    }
    a->n_dirty = 0;
}

/* ---- descriptor sets ---- */

static struct arch_set *set_find(struct arch_device *d, uint64_t id)
{
    if (d->last_set < d->n_sets && d->sets[d->last_set].id == id)
        return &d->sets[d->last_set];
    for (size_t i = 0; i < d->n_sets; i++)
        if (d->sets[i].id == id) {
            d->last_set = i;
            return &d->sets[i];
        }
    return NULL;
}

int archive_sets_reach(struct arch_device *d, size_t n)
{
    size_t alloc = d->alloc_sets == 0 ? 4 : d->alloc_sets;
    struct arch_set *at;

    if (n <= d->alloc_sets)
        return 0;
    while (alloc < n)
        alloc *= 2;
    at = reallocarray(d->sets, alloc, sizeof *at);
    if (at == NULL)
        return -ENOMEM;
    memset(at + d->alloc_sets, 0, (alloc - d->alloc_sets) * sizeof *at);
    d->sets = at;
    d->alloc_sets = alloc;
    return 0;
}

int archive_set_write(struct archive *a, const struct arch_device *d, const struct arch_set *s,
                      struct span descriptor)
{
    uint8_t head[ROWS_SET_HEAD_BYTES];
    struct db_txn *txn;
    struct row_key key;
    int r = spool_txn(a->spool, &txn);

    if (r != 0)
        return r;
    set_key_put(&key, d->no, s->id);
    set_head_put(head, s->no, s->span_max_ns);
    return db_put2(txn, ARCHIVE_TABLE_SETS, row_key_span(&key), span_of(head, sizeof head), descriptor);
}

/* Allots a number by id, whether or not the DescriptorSet came first: urgent records and backlogs overtake
 * it. */
static int set_of(struct archive *a, struct arch_device *d, uint64_t id, struct arch_set **ret_s)
{
    struct arch_set *s = set_find(d, id);
    int r;

    if (s == NULL) {
        if (d->n_sets >= ARCHIVE_SETS_MAX)
            return ARCHIVE_LIMIT;
        r = archive_sets_reach(d, d->n_sets + 1);
        if (r < 0)
            return r;
        s = &d->sets[d->n_sets];
        *s = (struct arch_set){.id = id, .no = (uint32_t)d->n_sets + 1};
        r = archive_set_write(a, d, s, span_of(NULL, 0));
        if (r != 0)
            return r;
        d->n_sets++;
    }
    *ret_s = s;
    return 0;
}

/* A range query starts earlier by the longest block, so the row must say so in the transaction of that block.
 * Rounded up to a power of two: at most 64 rewrites in the life of a set. */
static int set_grow_span(struct archive *a, const struct arch_device *d, struct arch_set *s, uint64_t span_ns)
{
    struct db_txn *txn;
    struct row_key key;
    struct set_row row;
    struct span value;
    uint64_t grown = 1;
    int r;

    while (grown < span_ns)
        grown *= 2;
    set_key_put(&key, d->no, s->id);
    r = spool_txn(a->spool, &txn);
    if (r == 0)
        r = db_get(txn, ARCHIVE_TABLE_SETS, row_key_span(&key), &value);
    if (r != 0)
        return r < 0 ? r : -EIO;
    if (!set_get(row_key_span(&key), value, &row))
        return -EIO;
    buf_reset(&a->scratch);
    buf_append(&a->scratch, row.descriptor.data, row.descriptor.len);
    if (a->scratch.error != 0)
        return a->scratch.error;
    s->span_max_ns = grown;
    a->counters[ARCHIVE_SPANS_GROWN]++;
    return archive_set_write(a, d, s, span_of(a->scratch.data, a->scratch.len));
}

/* ---- records ---- */

static int put_other(struct archive *a, const struct arch_device *d, uint32_t stream, const struct record *r)
{
    uint8_t head[ROWS_RECORD_HEAD_BYTES];
    struct other_key o = {d->no, r->kind, stream, r->seq};
    struct db_txn *txn;
    struct row_key key;
    int e = spool_txn(a->spool, &txn);

    if (e != 0)
        return e;
    other_key_put(&key, &o);
    record_head_put(head, r);
    return db_put2(txn, ARCHIVE_TABLE_OTHERS, row_key_span(&key), span_of(head, sizeof head), r->payload);
}

/* r->samples is what the block's own header says when it can be read. */
static int put_block(struct archive *a, struct arch_device *d, uint32_t stream, struct record *r,
                     struct archive_found *found)
{
    uint8_t head[ROWS_RECORD_HEAD_BYTES];
    struct block_head h;
    struct arch_set *set;
    struct sample_key sk;
    struct db_txn *txn;
    struct row_key key;
    int e;

    if (!block_head_read(r->payload, &h)) {
        a->counters[ARCHIVE_MALFORMED]++;
        return put_other(a, d, stream, r);
    }
    r->samples = h.samples;
    e = set_of(a, d, h.set_id, &set);
    if (e == ARCHIVE_LIMIT) {
        a->counters[ARCHIVE_LIMITS]++;
        return put_other(a, d, stream, r);
    }
    if (e == 0 && h.time_span_ns > set->span_max_ns)
        e = set_grow_span(a, d, set, h.time_span_ns);
    if (e == 0)
        e = spool_txn(a->spool, &txn);
    if (e != 0)
        return e;
    sk = (struct sample_key){d->no, set->no, h.time_first_ns, stream, r->seq, 0};
    sample_key_put(&key, &sk);
    record_head_put(head, r);
    e = db_put2(txn, ARCHIVE_TABLE_SAMPLES, row_key_span(&key), span_of(head, sizeof head), r->payload);
    if (e == 0) {
        a->counters[ARCHIVE_BLOCKS]++;
        *found = (struct archive_found){.has_covers = h.has_covers,
                                        .is_block = true,
                                        .device = d->no,
                                        .set = set->no,
                                        .time_first_ns = h.time_first_ns,
                                        .time_last_ns = h.time_first_ns + (int64_t)h.time_span_ns};
    }
    return e;
}

/* One of a format to come is kept for a reader that knows it. */
static int descriptor_check(struct archive *a, struct span payload)
{
    Fogline__V1__DescriptorSet *set;
    int e;

    wire_arena_reset(a->arena);
    e = wire_descriptor_set_unpack(a->arena, payload, &set);
    return e == WIRE_FORMAT_UNKNOWN ? 0 : e;
}

static int put_descriptor(struct archive *a, struct arch_device *d, uint32_t stream, const struct record *r)
{
    struct arch_set *set;
    int e = put_other(a, d, stream, r);

    if (e != 0)
        return e;
    e = descriptor_check(a, r->payload);
    if (e != 0) {
        a->counters[ARCHIVE_MALFORMED]++;
        return e < 0 ? e : 0;
    }
    e = set_of(a, d, wire_descriptor_set_id(r->payload), &set);
    if (e == ARCHIVE_LIMIT) {
        a->counters[ARCHIVE_LIMITS]++;
        return 0;
    }
    if (e != 0 || set->known)
        return e;
    e = archive_set_write(a, d, set, r->payload);
    set->known = e == 0;
    return e;
}

static int put_by_kind(struct archive *a, struct arch_device *d, uint32_t stream, struct record *r,
                       struct archive_found *found)
{
    if (r->kind > FOGLINE__V1__KIND__KIND_UNSPECIFIED && r->kind < FOGLINE__V1__KIND__KIND_OBJECT &&
        r->kind != FOGLINE__V1__KIND__KIND_BLOCK)
        r->samples = 0;
    switch (r->kind) {
    case FOGLINE__V1__KIND__KIND_BLOCK:
        return put_block(a, d, stream, r, found);
    case FOGLINE__V1__KIND__KIND_DESCRIPTOR:
        return put_descriptor(a, d, stream, r);
    case FOGLINE__V1__KIND__KIND_LEDGER:
        found->has_covers = true;
        return put_other(a, d, stream, r);
    case FOGLINE__V1__KIND__KIND_EVENT:
    case FOGLINE__V1__KIND__KIND_HEALTH:
    case FOGLINE__V1__KIND__KIND_REPLY:
        return put_other(a, d, stream, r);
    default:
        a->counters[ARCHIVE_UNKNOWN_KINDS]++;
        return put_other(a, d, stream, r);
    }
}

static bool tag_ok(struct archive *a, const struct record *r, const uint8_t *tag_key)
{
    buf_reset(&a->scratch);
    wire_tag_head(&a->scratch, r->origin, &r->epoch, r->seq, r->kind, r->payload.len);
    return a->scratch.error == 0 && end_mac_ok(tag_key, span_of(a->scratch.data, a->scratch.len), r->payload,
                                               span_of(r->tag, WIRE_TAG_BYTES));
}

/* Of a stream that goes on under its former number: is the record here already? Its key is found as
 * put_by_kind makes it. */
static int is_here(struct archive *a, const struct arch_device *d, uint32_t no, const struct record *r,
                   bool *ret_here)
{
    struct other_key o = {d->no, r->kind, no, r->seq};
    struct block_head h;
    struct db_txn *txn;
    struct row_key key;
    struct span value;
    int e = spool_txn(a->spool, &txn);

    *ret_here = false;
    if (e != 0)
        return e;
    other_key_put(&key, &o);
    e = db_get(txn, ARCHIVE_TABLE_OTHERS, row_key_span(&key), &value);
    if (e == DB_NOT_FOUND && r->kind == FOGLINE__V1__KIND__KIND_BLOCK && block_head_read(r->payload, &h)) {
        const struct arch_set *set = NULL;
        struct sample_key sk = {d->no, 0, h.time_first_ns, no, r->seq, 0};

        for (size_t i = 0; i < d->n_sets && set == NULL; i++)
            set = d->sets[i].no != 0 && d->sets[i].id == h.set_id ? &d->sets[i] : NULL;
        if (set == NULL)
            return 0;
        sk.set = set->no;
        sample_key_put(&key, &sk);
        e = db_get(txn, ARCHIVE_TABLE_SAMPLES, row_key_span(&key), &value);
    }
    *ret_here = e == 0;
    return e < 0 ? e : 0; /* one that is damaged is put anew */
}

int archive_put(struct archive *a, struct spool_stream *s, const struct record *r,
                const struct archive_origin *o, struct archive_found *ret_found)
{
    struct record checked = *r;
    struct archive_found found = {0};
    struct arch_stream *as;
    bool here = false;
    uint32_t no = 0;
    unsigned lane = seq_lane(r->seq);
    int e;

    assert(lane < SPOOL_LANES);
    if (r->kind == FOGLINE__V1__KIND__KIND_OBJECT) {
        a->counters[ARCHIVE_OBJECTS_REFUSED]++;
        return ARCHIVE_OBJECT;
    }
    if (o->tag_key != NULL && !tag_ok(a, r, o->tag_key)) {
        a->counters[ARCHIVE_WRONG_TAGS]++;
        return ARCHIVE_WRONG_TAG;
    }
    e = stream_of(a, s, o->site, &as, &no);
    if (e == ARCHIVE_LIMIT)
        a->counters[ARCHIVE_LIMITS]++;
    if (e == 0)
        e = set_site(a, as->device, o->site);
    if (e == 0 && no != s->no)
        e = is_here(a, as->device, no, r, &here);
    if (here) {
        *ret_found = (struct archive_found){.was_here = true};
        return 0;
    }
    if (e == 0)
        e = archive_stream_mark(a, as, no);
    if (e == 0)
        e = put_by_kind(a, as->device, no, &checked, &found);
    if (e != 0)
        return condition(e);
    as->dirty_lane[lane] = true;
    as->lane[lane].records++;
    as->lane[lane].samples += checked.samples;
    a->counters[ARCHIVE_RECORDS]++;
    a->counters[ARCHIVE_SAMPLES] += checked.samples;
    a->counters[ARCHIVE_BYTES] += r->payload.len;
    *ret_found = found;
    return 0;
}

const uint64_t *archive_counters(const struct archive *a)
{
    return a->counters;
}
