#include "archive/view.h"

#include "base/cleanup.h"
#include "base/name.h"
#include "ctl/set_starts.h"

#include <errno.h>
#include <stdlib.h>

enum { SETS_ARENA_BYTES = 4 * 1024 * 1024, BATCH_FIRST_BYTES = 8 * 1024 };

struct view {
    struct db *db;
    struct db_txn *txn;
    bool txn_live;
    struct view_device *devices; /* by site, name */
    size_t n_devices, alloc_devices;
    uint32_t *by_no; /* index = device number: 1 + index in devices */
    size_t n_by_no;
    struct view_stream *streams;
    size_t n_streams, alloc_streams;
    struct wire_arena **arenas; /* of descriptors */
    size_t n_arenas;
    struct block_store *store;
    struct buf batch;
    struct view_faults faults;
    view_undecoded_fn undecoded;
    void *undecoded_ctx;
};

struct view_starts {
    bool made, bad;
    struct block_starts *starts;
};

int view_txn(struct view *v, struct db_txn **ret_txn)
{
    int r = v->txn != NULL && !v->txn_live ? db_read_resume(v->txn) : 0;

    if (r == -ESTALE) { /* the collector enlarged its file: only a new transaction takes up the new size */
        db_abort(v->txn);
        v->txn = NULL;
        r = 0;
    }
    if (r == 0 && v->txn == NULL)
        r = db_begin(v->db, false, &v->txn);
    if (r != 0)
        return r;
    v->txn_live = true;
    *ret_txn = v->txn;
    return 0;
}

void view_txn_done(struct view *v)
{
    if (v->txn_live)
        db_read_pause(v->txn);
    v->txn_live = false;
}

const struct view_faults *view_faults(const struct view *v)
{
    return &v->faults;
}

/* ---- batches: rows are copied out of a short transaction, then handed on ---- */

struct walk {
    struct view *v;
    unsigned table;
    struct row_key at;     /* first key to read */
    struct row_key prefix; /* rows must begin with it */
    bool backwards;        /* from the row before `at` */
    bool end;
    size_t batch_bytes; /* grows from batch to batch: the first may be all that is wanted */
};

static void batch_add(struct buf *b, struct span key, struct span value)
{
    buf_le32(b, (uint32_t)key.len);
    buf_le32(b, (uint32_t)value.len);
    buf_append(b, key.data, key.len);
    buf_append(b, value.data, value.len);
}

static bool batch_next(struct reader *r, struct span *ret_key, struct span *ret_value)
{
    size_t nk, nv;

    if (reader_left(r) == 0)
        return false;
    nk = reader_le32(r);
    nv = reader_le32(r);
    *ret_key = span_of(reader_take(r, nk), nk);
    *ret_value = span_of(reader_take(r, nv), nv);
    return !r->bad;
}

static int cursor_start(const struct walk *w, struct db_cursor *c, struct span *key, struct span *value)
{
    int r = db_cursor_seek(c, row_key_span(&w->at), key, value);

    if (!w->backwards)
        return r;
    return r == DB_NOT_FOUND ? db_cursor_last(c, key, value) : r < 0 ? r : db_cursor_prev(c, key, value);
}

/* Where the next batch starts: just after (or, backwards, just before) the key. */
static void walk_pass(struct walk *w, struct span key)
{
    memcpy(w->at.bytes, key.data, key.len);
    w->at.len = key.len;
    if (!w->backwards)
        w->at.bytes[w->at.len++] = 0;
}

static int walk_cursor(struct walk *w, struct db_cursor *c)
{
    struct buf *b = &w->v->batch;
    struct span key, value;
    int r = cursor_start(w, c, &key, &value);

    for (; r == 0 || r == DB_DAMAGED;
         r = w->backwards ? db_cursor_prev(c, &key, &value) : db_cursor_next(c, &key, &value)) {
        if (!key_begins(key, &w->prefix) || key.len > DB_KEY_MAX_BYTES)
            break;
        if (r == 0)
            batch_add(b, key, value);
        else
            w->v->faults.values_damaged++;
        walk_pass(w, key);
        if (b->len >= w->batch_bytes)
            return b->error;
    }
    w->end = true;
    return r < 0 ? r : b->error;
}

/* Fills v->batch with the next rows. */
static int walk_batch(struct walk *w)
{
    struct db_cursor *c = NULL;
    struct db_txn *txn;
    int r;

    w->batch_bytes = w->batch_bytes == 0 ? BATCH_FIRST_BYTES : w->batch_bytes * 2;
    if (w->batch_bytes > VIEW_BATCH_BYTES)
        w->batch_bytes = VIEW_BATCH_BYTES;
    buf_reset(&w->v->batch);
    r = view_txn(w->v, &txn);
    if (r == 0)
        r = db_cursor_new(txn, w->table, &c);
    if (r == 0)
        r = walk_cursor(w, c);
    db_cursor_free(c);
    view_txn_done(w->v);
    return r > 0 ? -EIO : r;
}

/* ---- names ---- */

static int load_device(struct view *v, struct span key, struct span value)
{
    struct device_row row;
    struct view_device *d;

    if (!device_get(key, value, &row)) {
        v->faults.rows_malformed++;
        return 0;
    }
    if (v->n_devices == v->alloc_devices) {
        size_t n = v->alloc_devices == 0 ? 64 : v->alloc_devices * 2;
        struct view_device *at = reallocarray(v->devices, n, sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        v->devices = at;
        v->alloc_devices = n;
    }
    d = &v->devices[v->n_devices++];
    *d = (struct view_device){.no = row.no};
    memcpy(d->name, row.name, sizeof d->name);
    memcpy(d->site, row.site, sizeof d->site);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct view_device *x = a, *y = b;
    int c = strcmp(x->site, y->site);

    return c != 0 ? c : strcmp(x->name, y->name);
}

static struct view_device *device_by_no(const struct view *v, uint32_t no)
{
    return no < v->n_by_no && v->by_no[no] != 0 ? &v->devices[v->by_no[no] - 1] : NULL;
}

static int index_devices(struct view *v)
{
    uint32_t top = 0;

    if (v->n_devices > 0)
        qsort(v->devices, v->n_devices, sizeof *v->devices, by_name);
    for (size_t i = 0; i < v->n_devices; i++)
        top = v->devices[i].no > top ? v->devices[i].no : top;
    v->by_no = calloc((size_t)top + 1, sizeof *v->by_no);
    if (v->by_no == NULL)
        return -ENOMEM;
    v->n_by_no = (size_t)top + 1;
    for (size_t i = 0; i < v->n_devices; i++)
        v->by_no[v->devices[i].no] = (uint32_t)i + 1;
    return 0;
}

static struct wire_arena *arena_add(struct view *v)
{
    struct wire_arena **at = reallocarray(v->arenas, v->n_arenas + 1, sizeof *at), *a;

    if (at == NULL)
        return NULL;
    v->arenas = at;
    if (wire_arena_new(&a, SETS_ARENA_BYTES) != 0)
        return NULL;
    v->arenas[v->n_arenas++] = a;
    return a;
}

/* Descriptors are unpacked into a few large arenas; a new one when the last is full. */
static int unpack_set(struct view *v, struct span packed, Fogline__V1__DescriptorSet **ret_set,
                      struct wire_arena **ret_a)
{
    struct wire_arena *a = v->n_arenas > 0 ? v->arenas[v->n_arenas - 1] : arena_add(v);
    int r;

    if (a == NULL)
        return -ENOMEM;
    r = wire_descriptor_set_unpack(a, packed, ret_set);
    if (r != 0) {
        a = arena_add(v);
        if (a == NULL)
            return -ENOMEM;
        r = wire_descriptor_set_unpack(a, packed, ret_set);
        if (r != 0) /* not the arena's fault: the next one is not to cost another */
            wire_arena_free(v->arenas[--v->n_arenas]);
    }
    *ret_a = a;
    return r;
}

static int describe(struct view *v, struct view_set *s, struct span packed)
{
    struct wire_arena *a;
    int r = unpack_set(v, packed, &s->descriptor, &a);

    if (r != 0) {
        v->faults.sets_undescribed += r > 0;
        return r < 0 ? r : 0;
    }
    s->channels = calloc(s->descriptor->n_channels + 1, sizeof *s->channels);
    s->types = calloc(s->descriptor->n_channels + 1, sizeof *s->types);
    s->starts = calloc(1, sizeof *s->starts);
    if (s->channels == NULL || s->types == NULL || s->starts == NULL)
        return -ENOMEM;
    s->group = s->descriptor->group;
    s->n_channels = (uint32_t)s->descriptor->n_channels;
    for (uint32_t i = 0; i < s->n_channels; i++) {
        const Fogline__V1__Descriptor *d = s->descriptor->channels[i];
        const char **tags = wire_arena_alloc(a, (d->n_tags + 1) * sizeof *tags);

        for (size_t t = 0; tags != NULL && t < d->n_tags; t++)
            tags[t] = d->tags[t];
        if (tags != NULL)
            tags[d->n_tags] = NULL;
        s->types[i] = (enum column_type)d->type;
        s->channels[i] = (struct view_channel){d->name, d->unit, s->types[i], d->scale, tags};
    }
    return 0;
}

static int load_set(struct view *v, struct span key, struct span value)
{
    struct set_row row;
    struct view_device *d;
    struct view_set *at;

    if (!set_get(key, value, &row) || (d = device_by_no(v, row.device)) == NULL) {
        v->faults.rows_malformed++;
        return 0;
    }
    at = reallocarray(d->sets, d->n_sets + 1, sizeof *at);
    if (at == NULL)
        return -ENOMEM;
    d->sets = at;
    at += d->n_sets++;
    *at = (struct view_set){.device = d, .no = row.no, .id = row.id, .span_max_ns = row.span_max_ns};
    if (row.descriptor.len > 0)
        return describe(v, at, row.descriptor);
    v->faults.sets_undescribed++;
    return 0;
}

static int load_stream(struct view *v, struct span key, struct span value)
{
    struct totals_row row;
    struct view_stream *s;

    if (!totals_get(key, value, &row) || device_by_no(v, row.device) == NULL) {
        v->faults.rows_malformed++;
        return 0;
    }
    if (v->n_streams == v->alloc_streams) {
        size_t n = v->alloc_streams == 0 ? 64 : v->alloc_streams * 2;
        struct view_stream *at = reallocarray(v->streams, n, sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        v->streams = at;
        v->alloc_streams = n;
    }
    s = &v->streams[v->n_streams++];
    *s = (struct view_stream){.no = row.stream, .device = device_by_no(v, row.device), .epoch = row.epoch};
    memcpy(s->lane, row.lane, sizeof s->lane);
    return 0;
}

static int load_table(struct view *v, unsigned table,
                      int (*load)(struct view *v, struct span key, struct span value))
{
    struct walk w = {.v = v, .table = table};
    int r = 0;

    while (!w.end && r == 0) {
        struct reader batch;
        struct span key, value;

        r = walk_batch(&w);
        batch = reader_of(span_of(v->batch.data, v->batch.len));
        while (r == 0 && batch_next(&batch, &key, &value))
            r = load(v, key, value);
    }
    return r;
}

static void set_forget(struct view_set *s)
{
    free(s->channels);
    free(s->types);
    if (s->starts != NULL)
        block_starts_free(s->starts->starts);
    free(s->starts);
}

static void forget_all(struct view *v)
{
    for (size_t i = 0; i < v->n_devices; i++) {
        for (size_t k = 0; k < v->devices[i].n_sets; k++)
            set_forget(&v->devices[i].sets[k]);
        free(v->devices[i].sets);
    }
    for (size_t i = 0; i < v->n_arenas; i++)
        wire_arena_free(v->arenas[i]);
    free(v->devices);
    free(v->by_no);
    free(v->streams);
    free(v->arenas);
    v->devices = NULL;
    v->by_no = NULL;
    v->streams = NULL;
    v->arenas = NULL;
    v->n_devices = v->alloc_devices = v->n_by_no = v->n_streams = v->alloc_streams = v->n_arenas = 0;
}

static int by_set_no(const void *a, const void *b)
{
    const struct view_set *x = a, *y = b;

    return x->no < y->no ? -1 : x->no > y->no;
}

int view_reload(struct view *v)
{
    int r;

    forget_all(v);
    v->faults.sets_undescribed = 0;
    r = load_table(v, ARCHIVE_TABLE_DEVICES, load_device);
    if (r == 0)
        r = index_devices(v);
    if (r == 0)
        r = load_table(v, ARCHIVE_TABLE_SETS, load_set);
    for (size_t i = 0; r == 0 && i < v->n_devices; i++)
        if (v->devices[i].n_sets > 0)
            qsort(v->devices[i].sets, v->devices[i].n_sets, sizeof *v->devices[i].sets, by_set_no);
    return r == 0 ? load_table(v, ARCHIVE_TABLE_TOTALS, load_stream) : r;
}

int view_new(struct view **ret_v, struct db *db)
{
    owned(view_freep) struct view *v = calloc(1, sizeof *v);
    int r;

    if (v == NULL)
        return -ENOMEM;
    v->db = db;
    r = block_store_new(&v->store);
    if (r == 0)
        r = view_reload(v);
    if (r != 0)
        return r;
    *ret_v = TAKE(v);
    return 0;
}

struct view *view_free(struct view *v)
{
    if (v == NULL)
        return NULL;
    db_abort(v->txn);
    forget_all(v);
    block_store_free(v->store);
    buf_deinit(&v->batch);
    free(v);
    return NULL;
}

void view_freep(struct view **v)
{
    *v = view_free(*v);
}

size_t view_n_devices(const struct view *v)
{
    return v->n_devices;
}

const struct view_device *view_device_at(const struct view *v, size_t i)
{
    return &v->devices[i];
}

const struct view_device *view_find_device(const struct view *v, const char *name)
{
    for (size_t i = 0; i < v->n_devices; i++)
        if (strcmp(v->devices[i].name, name) == 0)
            return &v->devices[i];
    return NULL;
}

size_t view_n_streams(const struct view *v)
{
    return v->n_streams;
}

const struct view_stream *view_stream_at(const struct view *v, size_t i)
{
    return &v->streams[i];
}

const struct view_stream *view_find_stream(const struct view *v, uint32_t no)
{
    size_t low = 0, high = v->n_streams;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (v->streams[mid].no == no)
            return &v->streams[mid];
        if (v->streams[mid].no < no)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

uint32_t view_select(const struct view_set *set, const char *pattern, bool *chosen)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < set->n_channels; i++) {
        const struct view_channel *c = &set->channels[i];
        bool match = pattern_match(pattern, set->device->site, set->device->name, c->name, c->tags);

        if (chosen != NULL)
            chosen[i] = match;
        n += match;
    }
    return n;
}

/* ---- blocks ---- */

static struct id128 epoch_of(const struct view *v, uint32_t stream)
{
    const struct view_stream *s = view_find_stream(v, stream);

    return s != NULL ? s->epoch : (struct id128){{0}};
}

static bool block_of(struct view *v, const struct view_set *set, struct span key, struct span value,
                     struct view_block *b)
{
    struct spool_record rec;

    b->set = set;
    if (!sample_key_get(key, &b->key) || !record_get(value, &rec) ||
        !block_head_read(rec.payload, &b->head)) {
        v->faults.rows_malformed++;
        return false;
    }
    b->epoch = epoch_of(v, b->key.stream);
    b->payload_bytes = rec.payload.len;
    b->flags = rec.flags;
    return true;
}

static void set_prefix(struct row_key *k, const struct view_set *set)
{
    store_be32(k->bytes, set->device->no);
    store_be32(k->bytes + 4, set->no);
    k->len = 8;
}

static int scan(struct walk *w, const struct view_set *set, const struct view_range *range, view_block_fn fn,
                void *ctx)
{
    struct view *v = w->v;
    int r = 0;

    while (!w->end && r == 0) {
        struct reader batch;
        struct span key, value;

        r = walk_batch(w);
        batch = reader_of(span_of(v->batch.data, v->batch.len));
        while (r == 0 && batch_next(&batch, &key, &value)) {
            struct view_block b;

            if (!block_of(v, set, key, value, &b))
                continue;
            if (b.key.time_first_ns >= range->to_ns)
                return 0;
            if (b.key.time_first_ns + (int64_t)b.head.time_span_ns >= range->from_ns)
                r = fn(ctx, &b);
        }
    }
    return r;
}

int view_scan(struct view *v, const struct view_set *set, const struct view_range *range, view_block_fn fn,
              void *ctx)
{
    struct walk w = {.v = v, .table = ARCHIVE_TABLE_SAMPLES};
    struct sample_key first = {.device = set->device->no, .set = set->no, .time_first_ns = INT64_MIN};

    /* A block that began earlier may reach into the range, by at most the longest span. */
    if (range->from_ns > INT64_MIN && set->span_max_ns <= (uint64_t)INT64_MAX &&
        range->from_ns > INT64_MIN + (int64_t)set->span_max_ns)
        first.time_first_ns = range->from_ns - (int64_t)set->span_max_ns;
    sample_key_put(&w.at, &first);
    set_prefix(&w.prefix, set);
    return scan(&w, set, range, fn, ctx);
}

int view_scan_back(struct view *v, const struct view_set *set, view_block_fn fn, void *ctx)
{
    static const struct view_range all = {INT64_MIN, INT64_MAX};
    struct walk w = {.v = v, .table = ARCHIVE_TABLE_SAMPLES, .backwards = true};
    struct sample_key beyond = {set->device->no, set->no, INT64_MAX, UINT32_MAX, UINT64_MAX, UINT32_MAX};

    sample_key_put(&w.at, &beyond);
    w.at.bytes[w.at.len++] = 0xff;
    set_prefix(&w.prefix, set);
    return scan(&w, set, &all, fn, ctx);
}

void view_on_undecoded(struct view *v, view_undecoded_fn fn, void *ctx)
{
    v->undecoded = fn;
    v->undecoded_ctx = ctx;
}

static int starts_of(struct view *v, const struct view_set *set, const struct block_starts **ret_starts)
{
    struct view_starts *s = set->starts;

    if (s == NULL)
        return -EINVAL;
    if (!s->made) {
        int r = set_starts_new(&s->starts, set->descriptor);

        if (r == -ENOMEM)
            return r;
        s->made = true;
        s->bad = r != 0;
        v->faults.starts_malformed += s->bad;
    }
    *ret_starts = s->starts;
    return s->bad ? -EINVAL : 0;
}

static int undecoded(struct view *v, const struct view_block *b, int how, const char *why)
{
    v->faults.blocks_damaged += how == BLOCK_DAMAGED;
    v->faults.encodings_unknown += how == BLOCK_ENCODING_UNKNOWN;
    if (v->undecoded != NULL)
        v->undecoded(v->undecoded_ctx, b, why);
    return how;
}

int view_decode(struct view *v, const struct view_block *b, int only_column, const struct block **ret_b)
{
    struct block_shape shape = {.encoding = b->head.encoding,
                                .types = b->set->types,
                                .n_columns = b->set->n_channels,
                                .n_rows = b->head.rows,
                                .only_column = only_column,
                                .time_first_ns = b->head.time_first_ns};
    int r;

    if (b->head.encoding != BLOCK_ENCODING_RAW) { /* which knows no starts */
        r = starts_of(v, b->set, &shape.starts);
        if (r == -EINVAL)
            return undecoded(v, b, BLOCK_DAMAGED, "the starts in its descriptor set are malformed");
        if (r < 0)
            return r;
    }
    r = block_decode(&shape, b->head.body, v->store, ret_b);
    if (r <= 0)
        return r;
    return undecoded(v, b, r, r == BLOCK_DAMAGED ? "its columns do not decode" : "its encoding is not known");
}

double view_number(const struct view_channel *c, const struct column *col, uint32_t row)
{
    double stored = col->type == COLUMN_DOUBLE ? col->f64[row] : (double)col->i64[row];

    return c->scale != 0 ? stored * c->scale : stored;
}

/* ---- other records ---- */

int view_others(struct view *v, const struct view_device *d, uint32_t kind, view_other_fn fn, void *ctx)
{
    struct walk w = {.v = v, .table = ARCHIVE_TABLE_OTHERS};
    int r = 0;

    prefix_put(&w.prefix, d->no);
    if (kind != 0) {
        store_be32(w.prefix.bytes + 4, kind);
        w.prefix.len = 8;
    }
    w.at = w.prefix;
    while (!w.end && r == 0) {
        struct reader batch;
        struct span key, value;

        r = walk_batch(&w);
        batch = reader_of(span_of(v->batch.data, v->batch.len));
        while (r == 0 && batch_next(&batch, &key, &value)) {
            struct view_other o = {.device = d};

            if (!other_key_get(key, &o.key) || !record_get(value, &o.record)) {
                v->faults.rows_malformed++;
                continue;
            }
            o.epoch = epoch_of(v, o.key.stream);
            r = fn(ctx, &o);
        }
    }
    return r;
}
