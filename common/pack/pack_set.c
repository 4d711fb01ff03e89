/* pack_set.c - the descriptor sets of a pack: with the starts of an earlier life, and better ones learnt. */
#include "pack/pack_private.h"

#include "base/cleanup.h"
#include "ctl/set_starts.h"

#include <errno.h>
#include <stdlib.h>

enum { SET_ARENA_BYTES = 64 * 1024, SET_ARENA_SHARE = 8 };

static void arena_freep(struct wire_arena **a)
{
    *a = wire_arena_free(*a);
}

/* t: NULL: no starts. */
static void fill_set(const struct pack *p, const struct learnt *t, Fogline__V1__DescriptorSet *set,
                     Fogline__V1__Descriptor *all, Fogline__V1__Descriptor **list)
{
    for (uint32_t i = 0; i < p->n_channels; i++) {
        fogline__v1__descriptor__init(&all[i]);
        all[i].name = p->channels[i].name;
        all[i].unit = p->channels[i].unit;
        all[i].type = (Fogline__V1__ValueType)p->channels[i].type;
        all[i].error_bound = p->error_bounds[i];
        all[i].keep = (Fogline__V1__KeepPolicy)p->policies[i];
        for (const char *const *tag = p->tags != NULL ? p->tags[i] : NULL; tag != NULL && *tag != NULL; tag++)
            all[i].n_tags++;
        if (all[i].n_tags > 0)
            all[i].tags = (char **)p->tags[i];
        if (t != NULL)
            all[i].start = wire_bytes(t->columns[i]);
        list[i] = &all[i];
    }
    set->format = WIRE_FORMAT;
    set->group = (char *)p->group;
    set->n_channels = p->n_channels;
    set->channels = list;
    if (p->has_changes) {
        set->n_deadband = set->n_max_silence_ms = p->n_channels;
        set->deadband = p->deadbands;
        set->max_silence_ms = p->silences_ms;
    }
    if (t != NULL)
        set->time_start = wire_bytes(t->time);
}

static int describe(const struct pack *p, const struct learnt *t, struct buf *out)
{
    Fogline__V1__DescriptorSet set = FOGLINE__V1__DESCRIPTOR_SET__INIT;
    owned(free_ptr) Fogline__V1__Descriptor *all = calloc(p->n_channels, sizeof *all);
    owned(free_ptr) Fogline__V1__Descriptor **list = calloc(p->n_channels, sizeof *list);

    if (all == NULL || list == NULL)
        return -ENOMEM;
    fill_set(p, t, &set, all, list);
    buf_reset(out);
    wire_pack(out, &set.base);
    return out->error;
}

/* The set that blocks are written with from now on. Takes descriptor's bytes. 0; PACK_OTHER_SET: it does not
 * say what the pack knows, or cannot be read; negative errno. */
static int use_set(struct pack *p, struct buf *descriptor, bool known)
{
    owned(arena_freep) struct wire_arena *a = NULL;
    struct span packed = span_of(descriptor->data, descriptor->len);
    struct block_starts *starts = NULL;
    Fogline__V1__DescriptorSet *set;
    struct buf before = p->descriptor;
    int rc = wire_arena_new(&a, SET_ARENA_BYTES + SET_ARENA_SHARE * packed.len);

    if (rc == 0)
        rc = wire_descriptor_set_unpack(a, packed, &set);
    if (rc == 0)
        rc = set_starts_new(&starts, set);
    if (rc != 0)
        return rc == -ENOMEM ? rc : PACK_OTHER_SET;
    if (known) { /* without its starts it must be the cold one, byte for byte */
        owned(buf_deinit) struct buf cold = {0};

        for (size_t i = 0; i < set->n_channels; i++)
            set->channels[i]->start = (ProtobufCBinaryData){0};
        set->time_start = (ProtobufCBinaryData){0};
        wire_pack(&cold, &set->base);
        rc = cold.error != 0                                                      ? cold.error
             : wire_descriptor_set_id(span_of(cold.data, cold.len)) == p->cold_id ? 0
                                                                                  : PACK_OTHER_SET;
        if (rc != 0) {
            block_starts_free(starts);
            return rc;
        }
    }
    block_starts_free(p->starts);
    p->starts = starts;
    p->descriptor = *descriptor;
    *descriptor = before;
    p->set_id = wire_descriptor_set_id(pack_descriptor(p));
    return 0;
}

static int start_learning(struct pack *p, bool warm)
{
    enum column_type types[BLOCK_COLUMNS_MAX];
    struct learner_options o = {.types = types,
                                .error_bounds = p->error_bounds,
                                .n_columns = p->n_channels,
                                .encoding = p->encoding,
                                .coder = p->tools->coder,
                                .budget = &p->tools->budget,
                                .warm = warm};

    for (uint32_t i = 0; i < p->n_channels; i++)
        types[i] = p->channels[i].type;
    p->learner = learner_free(p->learner);
    return learner_new(&p->learner, &o);
}

int pack_begin_sets(struct pack *p)
{
    owned(buf_deinit) struct buf cold = {0};
    int rc = describe(p, NULL, &cold);

    if (rc == 0)
        rc = use_set(p, &cold, false);
    if (rc == 0)
        rc = start_learning(p, false);
    p->cold_id = p->set_id;
    return rc > 0 ? -EINVAL : rc;
}

struct span pack_descriptor(const struct pack *p)
{
    return span_of(p->descriptor.data, p->descriptor.len);
}

uint64_t pack_set_id(const struct pack *p)
{
    return p->set_id;
}

const struct pack_channel *pack_channels(const struct pack *p)
{
    return p->channels;
}

uint32_t pack_n_channels(const struct pack *p)
{
    return p->n_channels;
}

uint64_t pack_cold_id(const struct pack *p)
{
    return p->cold_id;
}

int pack_adopt(struct pack *p, struct span descriptor)
{
    owned(buf_deinit) struct buf copy = {0};
    int rc;

    buf_append(&copy, descriptor.data, descriptor.len);
    rc = copy.error != 0 ? copy.error : use_set(p, &copy, true);
    return rc != 0 ? rc : start_learning(p, p->set_id != p->cold_id);
}

/* Starts that are longest first start cold, until the set fits. */
static int describe_within(struct pack *p, struct learnt *t, struct buf *out)
{
    int rc = describe(p, t, out);

    while (rc == 0 && out->len > PACK_SET_MAX_BYTES) {
        struct span *longest = &t->time;

        for (uint32_t i = 0; i < p->n_channels; i++)
            if (t->columns[i].len > longest->len)
                longest = &t->columns[i];
        if (longest->len == 0)
            break;
        *longest = (struct span){0};
        rc = describe(p, t, out);
    }
    return rc;
}

bool pack_learn_is_due(const struct pack *p)
{
    return learner_is_due(p->learner);
}

int pack_learn(struct pack *p, struct pack_learnt *ret)
{
    owned(buf_deinit) struct buf set = {0};
    owned(free_ptr) struct learnt *t = NULL;
    uint64_t before = p->set_id;
    int rc;

    if (!learner_is_due(p->learner))
        return 0;
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return -ENOMEM;
    rc = learner_look(p->learner, p->starts, p->descriptor.len, p->now_mono_ns, t);
    if (ret != NULL)
        *ret = (struct pack_learnt){t->old_bytes, t->new_bytes};
    if (rc != LEARN_PAYS)
        return rc;
    rc = describe_within(p, t, &set);
    if (rc == 0)
        rc = use_set(p, &set, false);
    if (rc != 0)
        return rc < 0 ? rc : 0; /* it cannot be read back: the old one goes on */
    return p->set_id != before ? PACK_NEW_SET : 0;
}
