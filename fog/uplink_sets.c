/* What the list `uplink` says of descriptor sets. */
#include "archive/rows.h"
#include "ctl/set_starts.h"
#include "fog/uplink_private.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void empty(struct uplink_set *set)
{
    if (set->detail != NULL)
        block_starts_free(set->detail->starts);
    free(set->detail);
    *set = (struct uplink_set){.way = UPLINK_RAW};
}

void uplink_sets_empty(struct uplink *u)
{
    for (unsigned i = 0; i < UPLINK_SLOTS; i++)
        empty(&u->slot[i]);
}

static const struct uplink_config *rule_of(const struct uplink *u, const char *device,
                                           const Fogline__V1__Descriptor *d)
{
    const char *tags[WIRE_TAGS_MAX + 1];
    size_t n = d->n_tags < WIRE_TAGS_MAX ? d->n_tags : WIRE_TAGS_MAX;

    for (size_t i = 0; i < n; i++)
        tags[i] = d->tags[i];
    tags[n] = NULL;
    return uplink_rule_of(u->o.rules, u->o.site, device, d->name, tags);
}

/* A number with a scale is sent as what it means. */
static enum column_type type_of(const Fogline__V1__Descriptor *d)
{
    enum column_type type = (enum column_type)d->type;

    return type == COLUMN_INT64 && d->scale != 0 ? COLUMN_DOUBLE : type;
}

static void add_channel(const struct uplink *u, struct uplink_set *set, uint32_t column,
                        const struct uplink_config *c, const Fogline__V1__Descriptor *d)
{
    struct uplink_detail *detail = set->detail;
    struct uplink_channel *ch = &detail->channel[detail->n];
    struct pack_channel *out = &detail->out[detail->n];

    *ch = (struct uplink_channel){.column = column,
                                  .scale = d->scale,
                                  .rule = {.policy = KEEP_CHANGE,
                                           .type = type_of(d),
                                           .deadband = c->deadband,
                                           .deadband_percent = c->deadband_percent,
                                           .max_silence_ns = c->max_silence_ms * NS_PER_MS}};
    derived_of_tag(u->o.site, set->origin, d->name, ch->of);
    ch->tags[0] = ch->of;
    ch->tags[1] = "uplink=changes";
    derived_channel_name(set->origin, d->name, NULL, out->name);
    snprintf(out->unit, sizeof out->unit, "%s", d->unit);
    out->type = ch->rule.type;
    detail->tags[detail->n++] = ch->tags;
}

/* 0; -EINVAL: nobody can read its blocks; -ENOMEM. */
static int detail_of(const struct uplink *u, struct uplink_set *set, const Fogline__V1__DescriptorSet *d)
{
    int r;

    set->detail = calloc(1, sizeof *set->detail);
    if (set->detail == NULL)
        return -ENOMEM;
    r = set_starts_new(&set->detail->starts, d);
    if (r != 0)
        return r;
    set->detail->n_types = (uint32_t)d->n_channels;
    for (uint32_t i = 0; i < d->n_channels; i++) {
        const struct uplink_config *c = rule_of(u, set->origin, d->channels[i]);

        set->detail->types[i] = (enum column_type)d->channels[i]->type;
        if (c != NULL && c->send == UPLINK_CHANGES)
            add_channel(u, set, i, c, d->channels[i]);
    }
    return 0;
}

/* All channels of a block go one way. */
static int judge_set(const struct uplink *u, struct uplink_set *set, const Fogline__V1__DescriptorSet *d)
{
    enum uplink_way least = UPLINK_RAW, most = d->n_channels > 0 ? UPLINK_LOCAL : UPLINK_RAW;
    int r;

    if (d->n_channels > BLOCK_COLUMNS_MAX)
        return 0;
    for (size_t i = 0; i < d->n_channels; i++) {
        const struct uplink_config *c = rule_of(u, set->origin, d->channels[i]);
        enum uplink_way way = c != NULL ? (enum uplink_way)c->send : UPLINK_RAW;

        most = way < most ? way : most;
        least = way > least ? way : least;
    }
    set->is_mixed = most == UPLINK_RAW && least != UPLINK_RAW;
    r = most == UPLINK_CHANGES ? detail_of(u, set, d) : 0;
    if (r == 0)
        set->way = most;
    return r == -EINVAL ? 0 : r;
}

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
        return r < 0 ? r : UPLINK_SET_UNKNOWN;
    set_key_put(&key, device.no, set->id);
    r = db_get(txn, ARCHIVE_TABLE_SETS, row_key_span(&key), &value);
    if (r != 0 || !set_get(row_key_span(&key), value, &row) || row.descriptor.len == 0)
        return r < 0 ? r : UPLINK_SET_UNKNOWN;
    wire_arena_reset(u->arena);
    r = wire_descriptor_set_unpack(u->arena, row.descriptor, &d);
    if (r != 0) /* nobody can read its blocks: they go up as bytes */
        return r == -ENOMEM ? r : 0;
    return judge_set(u, set, d);
}

int uplink_set_of(struct uplink *u, const char *origin, uint64_t id, const struct uplink_set **ret_set)
{
    struct uplink_set *set = &u->slot[id % UPLINK_SLOTS];
    int r;

    *ret_set = set;
    if (set->id == id && strcmp(set->origin, origin) == 0)
        return 0;
    empty(set);
    set->id = id;
    snprintf(set->origin, sizeof set->origin, "%s", origin);
    r = read_set(u, set);
    if (r != 0)
        empty(set);
    return r;
}
