#include "fog/stage_reader.h"

#include "archive/rows.h"
#include "base/cleanup.h"
#include "ctl/set_starts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2048, ARENA_BYTES = 4 << 20 };

/* What was decoded last. */
struct decoded {
    bool is_there;
    char origin[SPOOL_NAME_BYTES];
    struct id128 epoch;
    uint64_t seq;
    const uint8_t *payload;
    const struct block *block;
};

struct stage_reader {
    struct block_store *store;
    struct wire_arena *arena;
    void (*let_go[STAGE_READER_USERS])(void *user);
    unsigned n_users;
    struct decoded last;
    struct stage_set slot[SLOTS];
};

static void let_go(struct stage_reader *r, struct stage_set *s, unsigned user)
{
    if (s->user[user] != NULL)
        r->let_go[user](s->user[user]);
    s->user[user] = NULL;
}

static void empty(struct stage_reader *r, struct stage_set *s)
{
    for (unsigned i = 0; i < r->n_users; i++)
        let_go(r, s, i);
    free(s->channels);
    free(s->types);
    free(s->tags);
    buf_deinit(&s->texts);
    block_starts_free(s->starts);
    *s = (struct stage_set){.n_channels = 0};
    r->last.is_there = false; /* its texts may be those of the starts */
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
    for (size_t i = 0; i < SLOTS; i++)
        empty(r, &r->slot[i]);
    block_store_free(r->store);
    wire_arena_free(r->arena);
    free(r);
    return NULL;
}

unsigned stage_reader_join(struct stage_reader *r, void (*let_go_of)(void *user))
{
    assert(r->n_users < STAGE_READER_USERS);
    r->let_go[r->n_users] = let_go_of;
    return r->n_users++;
}

void stage_reader_let_go(struct stage_reader *r, unsigned user)
{
    for (size_t i = 0; i < SLOTS; i++)
        let_go(r, &r->slot[i], user);
}

/* ---- reading a set ---- */

/* Tags of all channels, one list after the other, each ends with NULL. */
static int copy_tags(struct stage_set *s, const Fogline__V1__DescriptorSet *d)
{
    size_t n_tags = 0, at = 0, from = 0;

    for (uint32_t i = 0; i < s->n_channels; i++) {
        n_tags += d->channels[i]->n_tags;
        for (size_t k = 0; k < d->channels[i]->n_tags; k++)
            buf_append(&s->texts, d->channels[i]->tags[k], strlen(d->channels[i]->tags[k]) + 1);
    }
    if (s->texts.error != 0)
        return s->texts.error;
    s->tags = calloc(n_tags + s->n_channels + 1, sizeof *s->tags);
    if (s->tags == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->n_channels; i++) {
        s->channels[i].tags = &s->tags[at];
        for (size_t k = 0; k < d->channels[i]->n_tags; k++) {
            s->tags[at++] = (const char *)s->texts.data + from;
            from += strlen(d->channels[i]->tags[k]) + 1;
        }
        s->tags[at++] = NULL;
    }
    return 0;
}

static int fill(struct stage_set *s, const Fogline__V1__DescriptorSet *d)
{
    uint32_t n = (uint32_t)d->n_channels;
    int rc;

    if (d->n_channels > BLOCK_COLUMNS_MAX)
        return 0;
    rc = set_starts_new(&s->starts, d);
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
        s->types[i] = (enum column_type)d->channels[i]->type;
    }
    s->n_channels = n;
    return copy_tags(s, d);
}

static int read_set(struct stage_reader *r, struct db_txn *txn, struct stage_set *s)
{
    Fogline__V1__DescriptorSet *d;
    struct device_row device;
    struct set_row row;
    struct row_key key;
    struct span value;
    int rc;

    device_key_put(&key, s->origin);
    rc = db_get(txn, ARCHIVE_TABLE_DEVICES, row_key_span(&key), &value);
    if (rc != 0 || !device_get(row_key_span(&key), value, &device))
        return rc < 0 ? rc : STAGE_READER_UNKNOWN;
    set_key_put(&key, device.no, s->id);
    rc = db_get(txn, ARCHIVE_TABLE_SETS, row_key_span(&key), &value);
    if (rc != 0 || !set_get(row_key_span(&key), value, &row) || row.descriptor.len == 0)
        return rc < 0 ? rc : STAGE_READER_UNKNOWN;
    wire_arena_reset(r->arena);
    rc = wire_descriptor_set_unpack(r->arena, row.descriptor, &d);
    if (rc != 0)
        return rc == -ENOMEM ? rc : 0;
    return fill(s, d);
}

/* Many devices alike have sets of the same id. */
static struct stage_set *slot_of(struct stage_reader *r, const char *origin, uint64_t id)
{
    uint64_t h = id;

    for (; *origin != '\0'; origin++)
        h = (h ^ (uint8_t)*origin) * UINT64_C(0x100000001b3);
    return &r->slot[(h ^ h >> 32) % SLOTS];
}

int stage_reader_set(struct stage_reader *r, struct db_txn *txn, const char *origin, uint64_t id,
                     struct stage_set **ret_set)
{
    struct stage_set *s = slot_of(r, origin, id);
    int rc;

    if (s->id != id || strcmp(s->origin, origin) != 0) {
        empty(r, s);
        snprintf(s->origin, sizeof s->origin, "%s", origin);
        s->id = id;
        rc = read_set(r, txn, s);
        if (rc != 0) {
            empty(r, s);
            return rc;
        }
    }
    *ret_set = s;
    return 0;
}

/* ---- blocks ---- */

static bool is_last(const struct decoded *d, const struct record *record)
{
    return d->is_there && d->payload == record->payload.data && d->seq == record->seq &&
           id128_equal(&d->epoch, &record->epoch) && strcmp(d->origin, record->origin) == 0;
}

int stage_reader_block(struct stage_reader *r, const struct stage_set *set, const struct record *record,
                       const struct block_head *head, const struct block **ret_b)
{
    struct block_shape shape = {.encoding = head->encoding,
                                .types = set->types,
                                .n_columns = set->n_channels,
                                .n_rows = head->rows,
                                .only_column = -1,
                                .time_first_ns = head->time_first_ns,
                                .starts = set->starts};
    int rc;

    if (is_last(&r->last, record)) {
        *ret_b = r->last.block;
        return 0;
    }
    r->last.is_there = false;
    if (set->n_channels == 0)
        return BLOCK_DAMAGED;
    rc = block_decode(&shape, head->body, r->store, ret_b);
    if (rc != 0)
        return rc;
    r->last = (struct decoded){true, "", record->epoch, record->seq, record->payload.data, *ret_b};
    snprintf(r->last.origin, sizeof r->last.origin, "%s", record->origin);
    return 0;
}
