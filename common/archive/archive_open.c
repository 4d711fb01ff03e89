/* Opening an archive: its tables into mirrors, and what is damaged among them made anew. */
#include "archive/archive_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

enum { ARENA_BYTES = 1024 * 1024 };

int archive_device_place(struct archive *a, uint32_t no, const char *name, const char *site)
{
    struct arch_device *d;

    while (a->alloc_devices < no) {
        size_t n = a->alloc_devices == 0 ? 16 : a->alloc_devices * 2;
        struct arch_device **at = reallocarray(a->devices, n, sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        memset(at + a->alloc_devices, 0, (n - a->alloc_devices) * sizeof *at);
        a->devices = at;
        a->alloc_devices = n;
    }
    while (a->n_devices < no)
        a->devices[a->n_devices++] = NULL;
    if (a->devices[no - 1] != NULL)
        return -EIO;
    d = calloc(1, sizeof *d);
    if (d == NULL)
        return -ENOMEM;
    a->devices[no - 1] = d;
    d->no = no;
    snprintf(d->name, sizeof d->name, "%s", name);
    snprintf(d->site, sizeof d->site, "%s", site);
    return 0;
}

/* Numbers are dense, but the table is in order of names: each is placed by its number. */
static int load_device(struct archive *a, struct span key, struct span value)
{
    struct device_row row;

    if (!device_get(key, value, &row) || row.no == 0 || row.no > ARCHIVE_ORIGINS_MAX)
        return -EIO;
    return archive_device_place(a, row.no, row.name, row.site);
}

static struct arch_device *device_at(const struct archive *a, uint32_t no)
{
    return no >= 1 && no <= a->n_devices ? a->devices[no - 1] : NULL;
}

static int load_set(struct archive *a, struct span key, struct span value)
{
    struct set_row row;
    struct arch_device *d;
    int r;

    if (!set_get(key, value, &row) || row.no == 0 || row.no > ARCHIVE_SETS_MAX)
        return -EIO;
    d = device_at(a, row.device);
    if (d == NULL)
        return -EIO;
    r = archive_sets_reach(d, row.no);
    if (r < 0)
        return r;
    d->sets[row.no - 1] = (struct arch_set){
        .id = row.id, .span_max_ns = row.span_max_ns, .no = row.no, .known = row.descriptor.len > 0};
    if (d->n_sets < row.no)
        d->n_sets = row.no;
    return 0;
}

static int load_totals(struct archive *a, struct span key, struct span value)
{
    struct totals_row row;
    int r;

    if (!totals_get(key, value, &row))
        return -EIO;
    r = archive_streams_reach(a, row.stream);
    if (r < 0)
        return r;
    a->streams[row.stream].device = device_at(a, row.device);
    a->streams[row.stream].epoch = row.epoch;
    memcpy(a->streams[row.stream].lane, row.lane, sizeof row.lane);
    return a->streams[row.stream].device != NULL ? 0 : -EIO;
}

struct loading {
    struct archive *a;
    struct db_txn *txn;
    struct archive_damage damage;
};

static void note_damage(struct archive_damage *d, unsigned table, struct span key)
{
    if (table == ARCHIVE_TABLE_DEVICES && key.len < sizeof d->device) {
        memcpy(d->device, key.data, key.len);
        d->device[key.len] = 0;
        d->n_devices++;
    } else if (table == ARCHIVE_TABLE_SETS && key.len == ROWS_SET_KEY_BYTES) {
        memcpy(d->set.bytes, key.data, key.len);
        d->set.len = key.len;
        d->n_sets++;
    } else {
        d->n_totals++;
    }
}

static int load_table(struct loading *l, unsigned table,
                      int (*load)(struct archive *a, struct span key, struct span value))
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key, value;
    int r = db_cursor_new(l->txn, table, &c);

    if (r != 0)
        return r;
    for (r = db_cursor_seek(c, span_of("", 0), &key, &value); r == 0 || r == DB_DAMAGED;
         r = db_cursor_next(c, &key, &value)) {
        int e = 0;

        if (r == 0)
            e = load(l->a, key, value);
        else
            note_damage(&l->damage, table, key);
        if (e != 0)
            return e;
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

/* Reads a table in a transaction of its own, so that a repair may write before the next one is read. */
static int load_alone(struct loading *l, unsigned table,
                      int (*load)(struct archive *a, struct span key, struct span value))
{
    int r = db_begin(spool_db(l->a->spool), false, &l->txn);

    if (r != 0)
        return r;
    r = load_table(l, table, load);
    db_abort(l->txn);
    return r;
}

static void forget_all(struct archive *a)
{
    for (size_t i = 0; i < a->n_devices; i++)
        if (a->devices[i] != NULL) {
            free(a->devices[i]->sets);
            free(a->devices[i]);
        }
    free(a->devices);
    free(a->names);
    free(a->streams);
    a->devices = NULL;
    a->names = NULL;
    a->streams = NULL;
    a->n_devices = a->alloc_devices = a->n_names = a->n_streams = a->n_dirty = 0;
}

static int load_names(struct loading *l)
{
    struct archive *a = l->a;
    int r = load_alone(l, ARCHIVE_TABLE_DEVICES, load_device);

    if (r == 0 && l->damage.n_devices > 0)
        r = archive_repair_device(a, &l->damage);
    for (size_t i = 0; r == 0 && i < a->n_devices; i++)
        if (a->devices[i] == NULL)
            r = -EIO;
    while (r == 0 && a->n_names < 2 * (a->n_devices + 1))
        r = archive_names_grow(a);
    if (r == 0)
        r = load_alone(l, ARCHIVE_TABLE_SETS, load_set);
    if (r == 0 && l->damage.n_sets > 0)
        r = archive_repair_set(a, &l->damage);
    return r;
}

static int load_all(struct archive *a)
{
    struct loading l = {.a = a};
    int r = load_names(&l);

    if (r == 0)
        r = load_alone(&l, ARCHIVE_TABLE_TOTALS, load_totals);
    for (size_t i = 0; r == 0 && i < spool_n_streams(a->spool); i++) {
        struct spool_stream *s = spool_stream_at(a->spool, i);

        r = archive_streams_reach(a, s->no);
        if (r == 0)
            a->streams[s->no].stream = s;
    }
    if (r == 0 && a->keeps_all)
        r = archive_repair_totals(a);
    if (r == 0)
        r = archive_flush(a);
    if (r == 0)
        r = spool_commit(a->spool);
    archive_committed(a, NULL, NULL);
    return r > 0 ? -ENOSPC : r;
}

int archive_reload(struct archive *a)
{
    forget_all(a);
    return load_all(a);
}

uint64_t archive_life_of(struct span id_fact, struct span restored_fact)
{
    uint64_t life;

    if (id_fact.len != ID128_BYTES || restored_fact.len != ID128_BYTES ||
        memcmp(id_fact.data, restored_fact.data, ID128_BYTES) != 0)
        return 0;
    life = load_le64(id_fact.data);
    return life != 0 ? life : 1;
}

static int put_id(struct archive *a, const struct id128 *id, bool restored)
{
    struct span bytes = span_of(id->bytes, ID128_BYTES);
    int r = spool_fact_put(a->spool, ARCHIVE_ID_FACT, bytes);

    if (r == 0 && restored)
        r = spool_fact_put(a->spool, ARCHIVE_RESTORED_FACT, bytes);
    if (r == 0)
        r = spool_commit(a->spool);
    if (r == 0) {
        a->id = *id;
        a->life = restored ? archive_life_of(bytes, bytes) : 0;
    }
    return r > 0 ? -ENOSPC : r;
}

int archive_renew_id(struct archive *a, const struct id128 *id)
{
    return put_id(a, id, true);
}

static int load_id(struct archive *a)
{
    owned(buf_deinit) struct buf value = {0}, restored = {0};
    int r = spool_fact_get(a->spool, ARCHIVE_ID_FACT, &value);
    struct id128 fresh;

    if (r == DB_NOT_FOUND) {
        fresh = id128_random();
        return put_id(a, &fresh, false);
    }
    if (r != 0 || value.len != ID128_BYTES)
        return r < 0 ? r : -EIO;
    memcpy(a->id.bytes, value.data, ID128_BYTES);
    r = spool_fact_get(a->spool, ARCHIVE_RESTORED_FACT, &restored);
    if (r == 0)
        a->life = archive_life_of(span_of(value.data, value.len), span_of(restored.data, restored.len));
    return r < 0 ? r : 0;
}

int archive_open(struct archive **ret_a, const struct archive_options *options, struct errmsg *err)
{
    owned(archive_closep) struct archive *a = calloc(1, sizeof *a);
    struct spool_options so = options->spool;
    int r;

    if (a == NULL)
        return -ENOMEM;
    r = wire_arena_new(&a->arena, ARENA_BYTES);
    if (r != 0)
        return r;
    a->keeps_all = options->keeps_all;
    so.keep_seen |= options->keeps_all; /* the archive's own tables hold what the rows say, reboot or not */
    r = spool_open(&a->spool, &so, err);
    if (r != 0)
        return r == SPOOL_DAMAGED || r == -EUCLEAN ? ARCHIVE_DAMAGED : r > 0 ? -EIO : r;
    r = a->keeps_all ? load_id(a) : 0;
    if (r == 0)
        r = load_all(a);
    if (r != 0)
        return errmsg_set(err, r == -EIO || r == -EUCLEAN ? ARCHIVE_DAMAGED : r,
                          "%s: the tables that name what the archive holds are damaged", so.db.path);
    *ret_a = TAKE(a);
    return 0;
}

struct archive *archive_close(struct archive *a)
{
    if (a == NULL)
        return NULL;
    forget_all(a);
    free(a->dirty);
    buf_deinit(&a->scratch);
    wire_arena_free(a->arena);
    spool_close(a->spool);
    free(a);
    return NULL;
}

void archive_closep(struct archive **a)
{
    *a = archive_close(*a);
}

struct spool *archive_spool(struct archive *a)
{
    return a->spool;
}

const struct id128 *archive_id(const struct archive *a)
{
    return &a->id;
}

uint64_t archive_life(const struct archive *a)
{
    return a->life;
}
