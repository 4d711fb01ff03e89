#include "fog/stage_reader.h"

#include "archive/block_head.h"
#include "archive/rows.h"
#include "ctl/set_starts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 4 << 20 };

/* What the public view of a set points into. */
struct slot {
    struct stage_set set;
    struct stage_channel *channels;
    enum column_type *types;
    struct block_starts *starts;
    char *texts;       /* tags, one after the other */
    const char **tags; /* lists of them, each ends in NULL */
};

struct stage_reader {
    struct block_store *store;
    struct wire_arena *arena;
    uint64_t n_read;
    /* The block decoded last. */
    char origin[SPOOL_NAME_BYTES];
    struct id128 epoch;
    uint64_t seq, serial;
    const uint8_t *payload;
    const struct block *rows;
    struct slot slot[STAGE_SETS];
};

static void empty(struct slot *s)
{
    free(s->channels);
    free(s->types);
    block_starts_free(s->starts);
    free(s->texts);
    free(s->tags);
    *s = (struct slot){.channels = NULL};
}

int stage_reader_new(struct stage_reader **ret_r)
{
    struct stage_reader *r = calloc(1, sizeof *r);
    int rc;

    if (r == NULL)
        return -ENOMEM;
    rc = block_store_new(&r->store);
    if (rc == 0)
        rc = wire_arena_new(&r->arena, ARENA_BYTES);
    if (rc < 0) {
        stage_reader_free(r);
        return rc;
    }
    *ret_r = r;
    return 0;
}

struct stage_reader *stage_reader_free(struct stage_reader *r)
{
    if (r == NULL)
        return NULL;
    for (size_t i = 0; i < STAGE_SETS; i++)
        empty(&r->slot[i]);
    block_store_free(r->store);
    wire_arena_free(r->arena);
    free(r);
    return NULL;
}

/* ---- sets ---- */

/* Many devices alike have sets of the same id. */
static unsigned slot_of(const char *origin, uint64_t id)
{
    uint64_t h = id;

    for (; *origin != '\0'; origin++)
        h = (h ^ (uint8_t)*origin) * UINT64_C(0x100000001b3);
    return (unsigned)((h ^ h >> 32) % STAGE_SETS);
}

static int copy_tags(struct slot *s, const Fogline__V1__DescriptorSet *d, uint32_t n)
{
    size_t bytes = 1, lists = 1, at = 0;
    char *to;

    for (uint32_t i = 0; i < n; i++) {
        lists += d->channels[i]->n_tags + 1;
        for (size_t k = 0; k < d->channels[i]->n_tags; k++)
            bytes += strlen(d->channels[i]->tags[k]) + 1;
    }
    s->texts = to = malloc(bytes);
    s->tags = calloc(lists, sizeof *s->tags);
    if (s->texts == NULL || s->tags == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        s->channels[i].tags = &s->tags[at];
        for (size_t k = 0; k < d->channels[i]->n_tags; k++) {
            size_t len = strlen(d->channels[i]->tags[k]) + 1;

            memcpy(to, d->channels[i]->tags[k], len);
            s->tags[at++] = to;
            to += len;
        }
        at++;
    }
    return 0;
}

static int fill(struct slot *s, const Fogline__V1__DescriptorSet *d)
{
    uint32_t n = d->n_channels < BLOCK_COLUMNS_MAX ? (uint32_t)d->n_channels : BLOCK_COLUMNS_MAX;
    int rc = set_starts_new(&s->starts, d);

    if (rc != 0) /* its blocks cannot be read by anybody */
        return rc == -ENOMEM ? rc : 0;
    s->channels = calloc(n + 1, sizeof *s->channels);
    s->types = calloc(n + 1, sizeof *s->types);
    if (s->channels == NULL || s->types == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        struct stage_channel *c = &s->channels[i];

        snprintf(c->name, sizeof c->name, "%s", d->channels[i]->name);
        snprintf(c->unit, sizeof c->unit, "%s", d->channels[i]->unit);
        c->scale = d->channels[i]->scale;
        s->types[i] = c->type = (enum column_type)d->channels[i]->type;
    }
    rc = copy_tags(s, d, n);
    if (rc != 0)
        return rc;
    snprintf(s->set.group, sizeof s->set.group, "%s", d->group);
    s->set.n_channels = n;
    s->set.channels = s->channels;
    s->set.types = s->types;
    s->set.starts = s->starts;
    return 0;
}

static int read_set(struct stage_reader *r, struct db_txn *txn, struct slot *s)
{
    Fogline__V1__DescriptorSet *d;
    struct device_row device;
    struct set_row row;
    struct row_key key;
    struct span value;
    int rc;

    device_key_put(&key, s->set.origin);
    rc = db_get(txn, ARCHIVE_TABLE_DEVICES, row_key_span(&key), &value);
    if (rc != 0 || !device_get(row_key_span(&key), value, &device))
        return rc < 0 ? rc : STAGE_NO_SET;
    set_key_put(&key, device.no, s->set.id);
    rc = db_get(txn, ARCHIVE_TABLE_SETS, row_key_span(&key), &value);
    if (rc != 0 || !set_get(row_key_span(&key), value, &row) || row.descriptor.len == 0)
        return rc < 0 ? rc : STAGE_NO_SET;
    wire_arena_reset(r->arena);
    rc = wire_descriptor_set_unpack(r->arena, row.descriptor, &d);
    if (rc != 0)
        return rc == -ENOMEM ? rc : 0;
    return fill(s, d);
}

int stage_reader_set(struct stage_reader *r, struct db_txn *txn, const char *origin, uint64_t id,
                     const struct stage_set **ret_set)
{
    unsigned at = slot_of(origin, id);
    struct slot *s = &r->slot[at];

    if (s->set.serial == 0 || s->set.id != id || strcmp(s->set.origin, origin) != 0) {
        int rc;

        empty(s);
        snprintf(s->set.origin, sizeof s->set.origin, "%s", origin);
        s->set.id = id;
        rc = read_set(r, txn, s);
        if (rc != 0) {
            empty(s);
            return rc;
        }
        s->set.slot = at;
        s->set.serial = ++r->n_read;
    }
    *ret_set = &s->set;
    return 0;
}

/* ---- blocks ---- */

static int set_of(struct stage_reader *r, struct db_txn *txn, const struct record *record,
                  struct block_head *head, const struct stage_set **ret_set)
{
    int rc;

    if (record->kind != FOGLINE__V1__KIND__KIND_BLOCK || !block_head_read(record->payload, head))
        return STAGE_UNREADABLE;
    rc = stage_reader_set(r, txn, record->origin, head->set_id, ret_set);
    return rc == 0 && (*ret_set)->n_channels == 0 ? STAGE_UNREADABLE : rc;
}

int stage_reader_set_of(struct stage_reader *r, struct db_txn *txn, const struct record *record,
                        const struct stage_set **ret_set)
{
    struct block_head head;

    return set_of(r, txn, record, &head, ret_set);
}

static bool is_decoded(const struct stage_reader *r, const struct record *record, const struct stage_set *set)
{
    return r->rows != NULL && r->payload == record->payload.data && r->seq == record->seq &&
           r->serial == set->serial && memcmp(&r->epoch, &record->epoch, sizeof r->epoch) == 0 &&
           strcmp(r->origin, record->origin) == 0;
}

int stage_reader_block(struct stage_reader *r, struct db_txn *txn, const struct record *record,
                       struct stage_block *ret_b)
{
    struct block_head head;
    int rc = set_of(r, txn, record, &head, &ret_b->set);

    if (rc != 0)
        return rc;
    if (!is_decoded(r, record, ret_b->set)) {
        struct block_shape shape = {.encoding = head.encoding,
                                    .types = ret_b->set->types,
                                    .n_columns = ret_b->set->n_channels,
                                    .n_rows = head.rows,
                                    .only_column = -1,
                                    .time_first_ns = head.time_first_ns,
                                    .starts = ret_b->set->starts};

        r->rows = NULL;
        rc = block_decode(&shape, head.body, r->store, &ret_b->rows);
        if (rc != 0)
            return rc < 0 ? rc : STAGE_UNREADABLE;
        snprintf(r->origin, sizeof r->origin, "%s", record->origin);
        r->epoch = record->epoch;
        r->seq = record->seq;
        r->serial = ret_b->set->serial;
        r->payload = record->payload.data;
        r->rows = ret_b->rows;
    }
    ret_b->rows = r->rows;
    return 0;
}

struct cell stage_cell(const struct block *b, uint32_t column, uint32_t row)
{
    const struct column *c = &b->columns[column];
    struct cell cell = {.absent = c->absent != NULL && c->absent[row] != 0,
                        .quality = c->quality != NULL ? c->quality[row] : QUALITY_GOOD};

    if (c->type == COLUMN_TEXT)
        cell.text = c->text[row];
    else if (c->type == COLUMN_DOUBLE)
        cell.f64 = c->f64[row];
    else
        cell.i64 = c->i64[row];
    return cell;
}
