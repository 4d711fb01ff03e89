#include "fog/uplink.h"

#include "archive/block_head.h"
#include "archive/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2048, ARENA_BYTES = 4 << 20, SET_UNKNOWN = 1 };

const struct counter_info uplink_counter_info[UPLINK_COUNTERS] = {
    [UPLINK_BLOCKS_RAW] = {"blocks_raw", COUNTER_TOTAL, "records", "Blocks that went up as they came."},
    [UPLINK_BLOCKS_AGGREGATES] = {"blocks_aggregates", COUNTER_TOTAL, "records",
                                  "Blocks of which only aggregates go up."},
    [UPLINK_BLOCKS_LOCAL] = {"blocks_local", COUNTER_TOTAL, "records", "Blocks that stay at the site."},
    [UPLINK_BLOCKS_MIXED] = {"blocks_mixed", COUNTER_TOTAL, "records",
                             "Of those that went up, blocks with channels that need not: others in the same "
                             "record do."},
    [UPLINK_BLOCKS_AGAIN] = {"blocks_again", COUNTER_TOTAL, "records",
                             "Blocks that went up whatever `uplink` says: another fog may have them, too."},
    [UPLINK_BLOCKS_NOT_KEPT] = {"blocks_not_kept", COUNTER_TOTAL, "records",
                                "Blocks that went up whatever `uplink` says: the history had no room, or had "
                                "them before."},
    [UPLINK_BLOCKS_REFUSED] = {"blocks_refused", COUNTER_TOTAL, "records",
                               "Blocks that went up whatever `uplink` says: the cloud's reduce_sites does "
                               "not allow less."},
    [UPLINK_BLOCKS_NO_SET] = {"blocks_no_set", COUNTER_TOTAL, "records",
                              "Blocks that went up whatever `uplink` says: their descriptor set has not "
                              "come."},
    [UPLINK_BYTES_STAY] = {"bytes_stay", COUNTER_TOTAL, "bytes", "Payload of blocks that did not go up."},
};

/* What the list says of a descriptor set. */
struct uplink_set {
    char origin[SPOOL_NAME_BYTES]; /* empty: none is here */
    uint64_t id;
    enum uplink_way way;
    bool is_mixed;
};

struct uplink {
    struct uplink_options o;
    struct wire_arena *arena;
    uint64_t counters[UPLINK_COUNTERS];
    struct uplink_set slot[SLOTS];
};

int uplink_new(struct uplink **ret_u, const struct uplink_options *options)
{
    struct uplink *u = calloc(1, sizeof *u);
    int r;

    if (u == NULL)
        return -ENOMEM;
    u->o = *options;
    r = wire_arena_new(&u->arena, ARENA_BYTES);
    if (r < 0) {
        free(u);
        return r;
    }
    *ret_u = u;
    return 0;
}

struct uplink *uplink_free(struct uplink *u)
{
    if (u == NULL)
        return NULL;
    wire_arena_free(u->arena);
    free(u);
    return NULL;
}

void uplink_renew(struct uplink *u)
{
    memset(u->slot, 0, sizeof u->slot);
}

const uint64_t *uplink_counters(const struct uplink *u)
{
    return u->counters;
}

static enum uplink_way way_of(const struct uplink *u, const char *device, const Fogline__V1__Descriptor *d)
{
    const char *tags[WIRE_TAGS_MAX + 1];
    size_t n = d->n_tags < WIRE_TAGS_MAX ? d->n_tags : WIRE_TAGS_MAX;
    const struct uplink_config *rule;

    for (size_t i = 0; i < n; i++)
        tags[i] = d->tags[i];
    tags[n] = NULL;
    rule = uplink_rule_of(u->o.rules, u->o.site, device, d->name, tags);
    return rule != NULL ? (enum uplink_way)rule->send : UPLINK_RAW;
}

/* All channels of a block go one way. */
static void judge_set(const struct uplink *u, struct uplink_set *set, const Fogline__V1__DescriptorSet *d)
{
    enum uplink_way least = UPLINK_RAW;

    set->way = d->n_channels > 0 ? UPLINK_LOCAL : UPLINK_RAW;
    for (size_t i = 0; i < d->n_channels; i++) {
        enum uplink_way way = way_of(u, set->origin, d->channels[i]);

        if (way < set->way)
            set->way = way;
        if (way > least)
            least = way;
    }
    set->is_mixed = set->way == UPLINK_RAW && least != UPLINK_RAW;
}

/* 0; SET_UNKNOWN: its record has not come; DB_FULL; negative errno. */
static int read_set(struct uplink *u, struct uplink_set *set)
{
    Fogline__V1__DescriptorSet *d;
    struct device_row device;
    struct db_txn *txn;
    struct set_row row;
    struct row_key key;
    struct span value;
    int r = spool_txn(u->o.spool, &txn);

    if (r != 0)
        return r;
    device_key_put(&key, set->origin);
    r = db_get(txn, ARCHIVE_TABLE_DEVICES, row_key_span(&key), &value);
    if (r != 0 || !device_get(row_key_span(&key), value, &device))
        return r < 0 ? r : SET_UNKNOWN;
    set_key_put(&key, device.no, set->id);
    r = db_get(txn, ARCHIVE_TABLE_SETS, row_key_span(&key), &value);
    if (r != 0 || !set_get(row_key_span(&key), value, &row) || row.descriptor.len == 0)
        return r < 0 ? r : SET_UNKNOWN;
    wire_arena_reset(u->arena);
    r = wire_descriptor_set_unpack(u->arena, row.descriptor, &d);
    if (r != 0) /* nobody can read its blocks: they go up as bytes */
        return r == -ENOMEM ? r : 0;
    judge_set(u, set, d);
    return 0;
}

static int set_of(struct uplink *u, const char *origin, uint64_t id, const struct uplink_set **ret_set)
{
    struct uplink_set *set = &u->slot[id % SLOTS];
    int r;

    *ret_set = set;
    if (set->id == id && strcmp(set->origin, origin) == 0)
        return 0;
    *set = (struct uplink_set){.id = id, .way = UPLINK_RAW};
    snprintf(set->origin, sizeof set->origin, "%s", origin);
    r = read_set(u, set);
    if (r != 0)
        set->origin[0] = '\0';
    return r;
}

/* Why it goes up although the list would have it here, or UPLINK_COUNTERS. */
static enum uplink_counter exception(const struct uplink_record *r)
{
    if ((r->record->flags & RECORD_FLAG_AGAIN) != 0)
        return UPLINK_BLOCKS_AGAIN;
    if (!r->is_new)
        return UPLINK_BLOCKS_NOT_KEPT;
    return r->is_refused ? UPLINK_BLOCKS_REFUSED : UPLINK_COUNTERS;
}

int uplink_judge(struct uplink *u, const struct uplink_record *r, enum uplink_way *ret_way)
{
    static const enum uplink_counter by_way[UPLINK_WAYS] = {[UPLINK_RAW] = UPLINK_BLOCKS_RAW,
                                                            [UPLINK_AGGREGATES] = UPLINK_BLOCKS_AGGREGATES,
                                                            [UPLINK_LOCAL] = UPLINK_BLOCKS_LOCAL};
    const struct uplink_set *set;
    struct block_head head;
    enum uplink_counter why;
    int rc;

    *ret_way = UPLINK_RAW;
    if (u->o.rules->n == 0 || r->record->kind != FOGLINE__V1__KIND__KIND_BLOCK ||
        !block_head_read(r->record->payload, &head))
        return 0;
    rc = set_of(u, r->record->origin, head.set_id, &set);
    if (rc == SET_UNKNOWN)
        u->counters[UPLINK_BLOCKS_NO_SET]++;
    if (rc != 0)
        return rc == SET_UNKNOWN ? 0 : rc;
    why = set->way == UPLINK_RAW ? UPLINK_COUNTERS : exception(r);
    if (why != UPLINK_COUNTERS) {
        u->counters[why]++;
        return 0;
    }
    *ret_way = set->way;
    u->counters[by_way[set->way]]++;
    u->counters[UPLINK_BLOCKS_MIXED] += set->is_mixed;
    if (set->way != UPLINK_RAW)
        u->counters[UPLINK_BYTES_STAY] += r->record->payload.len;
    return 0;
}
