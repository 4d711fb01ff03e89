#include "device/pack.h"

#include "base/cleanup.h"
#include "ctl/set_starts.h"

#include <errno.h>
#include <stdlib.h>

enum { RAW_SHARE = 8, SET_ARENA_BYTES = 64 * 1024, SET_ARENA_SHARE = 8 };

struct pack {
    struct packer *packer;
    uint32_t n_channels, max_rows;
    size_t max_bytes;
    enum block_encoding encoding;
    struct pack_tools *tools;
    struct learner *learner;
    struct block_starts *starts;
    struct buf descriptor;
    uint64_t set_id, cold_id, mono_first_ns;
    int64_t since_mono_ns, now_mono_ns;
    int64_t time_low_ns, time_high_ns; /* of the rows in it */
    bool has_position;
    struct source_position position;
    char group[SOURCE_NAME_BYTES];
    struct feed_channel *channels;
    double *error_bounds, *deadbands;
    uint32_t *silences_ms;
    uint8_t *policies; /* enum keep_policy */
    bool has_changes;  /* a channel is sent by change */
};

int pack_tools_init(struct pack_tools *t)
{
    *t = (struct pack_tools){.budget = {LEARN_BUDGET_BYTES}};
    return block_coder_new(&t->coder);
}

void pack_tools_deinit(struct pack_tools *t)
{
    block_coder_free(t->coder);
    buf_deinit(&t->body);
    buf_deinit(&t->raw);
    *t = (struct pack_tools){0};
}

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

/* A policy bound is one only where values are off by anything. */
static void copy_keep(struct pack *p, uint32_t i, const struct pack_keep *keeps)
{
    enum keep_policy policy = keeps != NULL ? keeps[i].policy : KEEP_RAW;

    if (policy == KEEP_RAW || policy == KEEP_BOUND)
        policy = p->error_bounds[i] > 0 ? KEEP_BOUND : KEEP_RAW;
    p->policies[i] = (uint8_t)policy;
    if (policy != KEEP_CHANGE)
        return;
    p->has_changes = true;
    p->deadbands[i] = keeps[i].deadband;
    p->silences_ms[i] = keeps[i].max_silence_ms;
}

static int copy_options(struct pack *p, const struct pack_options *o)
{
    p->n_channels = o->n_channels;
    p->max_rows = o->max_rows;
    p->max_bytes = o->max_bytes < PACK_BYTES_MAX ? o->max_bytes : PACK_BYTES_MAX;
    p->encoding = o->encoding;
    p->tools = o->tools;
    p->since_mono_ns = INT64_MAX;
    snprintf(p->group, sizeof p->group, "%s", o->group);
    p->channels = calloc(o->n_channels, sizeof *p->channels);
    p->error_bounds = calloc(o->n_channels, sizeof *p->error_bounds);
    p->deadbands = calloc(o->n_channels, sizeof *p->deadbands);
    p->silences_ms = calloc(o->n_channels, sizeof *p->silences_ms);
    p->policies = calloc(o->n_channels, sizeof *p->policies);
    if (p->channels == NULL || p->error_bounds == NULL || p->deadbands == NULL || p->silences_ms == NULL ||
        p->policies == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < o->n_channels; i++) {
        p->channels[i] = o->channels[i];
        /* What is stored raw is exact. */
        if (o->error_bounds != NULL && o->channels[i].type == COLUMN_DOUBLE &&
            o->encoding != BLOCK_ENCODING_RAW)
            p->error_bounds[i] = o->error_bounds[i];
        copy_keep(p, i, o->keeps);
    }
    return 0;
}

int pack_new(struct pack **ret_p, const struct pack_options *options)
{
    struct pack *p = calloc(1, sizeof *p);
    enum column_type types[BLOCK_COLUMNS_MAX];
    struct buf cold = {0};
    int rc;

    if (p == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < options->n_channels; i++)
        types[i] = options->channels[i].type;
    rc = copy_options(p, options);
    if (rc == 0)
        rc = packer_new(&p->packer, types, options->n_channels, options->max_rows);
    if (rc == 0)
        rc = describe(p, NULL, &cold);
    if (rc == 0)
        rc = use_set(p, &cold, false);
    if (rc == 0)
        rc = start_learning(p, false);
    buf_deinit(&cold);
    if (rc != 0) {
        pack_free(p);
        return rc < 0 ? rc : -EINVAL;
    }
    p->cold_id = p->set_id;
    *ret_p = p;
    return 0;
}

struct pack *pack_free(struct pack *p)
{
    if (p == NULL)
        return NULL;
    learner_free(p->learner);
    packer_free(p->packer);
    block_starts_free(p->starts);
    buf_deinit(&p->descriptor);
    free(p->channels);
    free(p->error_bounds);
    free(p->deadbands);
    free(p->silences_ms);
    free(p->policies);
    free(p);
    return NULL;
}

struct span pack_descriptor(const struct pack *p)
{
    return span_of(p->descriptor.data, p->descriptor.len);
}

uint64_t pack_set_id(const struct pack *p)
{
    return p->set_id;
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

/* What a row can add to the raw encoding: time, cells, a bit and a quality run of each. */
static size_t row_bytes(const struct feed_message *row, const struct block *b)
{
    size_t n = 8 + (size_t)row->n_cells * 13;

    for (uint32_t i = 0; i < row->n_cells; i++)
        if (b->columns[i].type == COLUMN_TEXT && !row->cells[i].absent)
            n += row->cells[i].text.len;
    return n;
}

/* With the row in it: a reader takes the extent of a block's times for a signed number. */
static bool takes_time(struct pack *p, const struct block *b, int64_t time_ns)
{
    int64_t low = b->n_rows > 0 && p->time_low_ns < time_ns ? p->time_low_ns : time_ns;
    int64_t high = b->n_rows > 0 && p->time_high_ns > time_ns ? p->time_high_ns : time_ns;

    if ((uint64_t)high - (uint64_t)low > (uint64_t)INT64_MAX)
        return false;
    p->time_low_ns = low;
    p->time_high_ns = high;
    return true;
}

int pack_add(struct pack *p, const struct feed_message *row, int64_t now_mono_ns)
{
    const struct block *b = packer_block(p->packer);
    int rc;

    if (b->n_rows > 0 && packer_raw_bytes(p->packer) + row_bytes(row, b) > PACK_BYTES_MAX)
        return PACK_CLOSE_FIRST;
    if (!takes_time(p, b, row->time_ns))
        return PACK_CLOSE_FIRST;
    rc = packer_add(p->packer, row->time_ns, row->cells);
    if (rc == PACKER_FULL)
        return b->n_rows > 0 ? PACK_CLOSE_FIRST : PACK_TOO_BIG;
    if (rc != 0)
        return rc;
    p->now_mono_ns = row->mono_ns != 0 ? (int64_t)row->mono_ns : now_mono_ns;
    if (b->n_rows == 1) {
        p->mono_first_ns = row->mono_ns;
        p->since_mono_ns = p->now_mono_ns;
    }
    p->has_position = row->has_position;
    if (row->has_position)
        p->position = row->position;
    return learner_row(p->learner, row->time_ns, row->cells, p->now_mono_ns);
}

bool pack_is_full(const struct pack *p)
{
    return packer_block(p->packer)->n_rows >= p->max_rows || packer_raw_bytes(p->packer) >= p->max_bytes;
}

uint32_t pack_rows(const struct pack *p)
{
    return packer_block(p->packer)->n_rows;
}

size_t pack_bytes(const struct pack *p)
{
    return pack_rows(p) > 0 ? packer_raw_bytes(p->packer) : 0;
}

int64_t pack_since_mono_ns(const struct pack *p)
{
    return pack_rows(p) > 0 ? p->since_mono_ns : INT64_MAX;
}

static void time_range(const struct block *b, struct pack_block *ret)
{
    ret->time_first_ns = ret->time_last_ns = b->time_ns[0];
    for (uint32_t i = 1; i < b->n_rows; i++) {
        if (b->time_ns[i] < ret->time_first_ns)
            ret->time_first_ns = b->time_ns[i];
        if (b->time_ns[i] > ret->time_last_ns)
            ret->time_last_ns = b->time_ns[i];
    }
}

static uint64_t plain_bytes(const struct block *b, uint32_t samples)
{
    uint64_t n = 8 * ((uint64_t)b->n_rows + samples);

    for (uint32_t i = 0; i < b->n_columns; i++)
        for (uint32_t row = 0; b->columns[i].type == COLUMN_TEXT && row < b->n_rows; row++)
            if (b->columns[i].absent == NULL || !b->columns[i].absent[row])
                n += b->columns[i].text[row].len - 8;
    return n;
}

/* Gives the shorter of the encoding asked for and raw. Raw columns are made for comparison only where they
 * could be shorter: no column takes less than an eighth of its upper bound and is not short in any encoding.
 */
static int encode(struct pack *p, const struct block *b, struct span *ret_body, enum block_encoding *ret_as)
{
    int rc = 0;

    if (p->encoding != BLOCK_ENCODING_RAW) {
        buf_reset(&p->tools->body);
        rc = block_encode(p->tools->coder, p->encoding, p->starts, b, &p->tools->body);
        if (rc != 0)
            return rc;
        *ret_body = span_of(p->tools->body.data, p->tools->body.len);
        *ret_as = p->encoding;
        if (p->tools->body.len < packer_raw_bytes(p->packer) / RAW_SHARE)
            return 0;
    }
    buf_reset(&p->tools->raw);
    rc = block_encode(NULL, BLOCK_ENCODING_RAW, NULL, b, &p->tools->raw);
    if (rc == 0 && (p->encoding == BLOCK_ENCODING_RAW || p->tools->raw.len < ret_body->len)) {
        *ret_body = span_of(p->tools->raw.data, p->tools->raw.len);
        *ret_as = BLOCK_ENCODING_RAW;
    }
    return rc;
}

int pack_close(struct pack *p, const struct pack_clock *clock, struct buf *out, struct pack_block *ret_b)
{
    const struct block *b = packer_block(p->packer);
    Fogline__V1__Block header = FOGLINE__V1__BLOCK__INIT;
    struct pack_block info = {
        .rows = b->n_rows, .samples = packer_samples(p->packer), .has_position = p->has_position};
    struct span body = {0};
    int rc = encode(p, b, &body, &info.encoding);

    if (rc != 0)
        return rc;
    time_range(b, &info);
    info.position = p->position;
    info.plain_bytes = plain_bytes(b, info.samples);
    info.column_bytes = body.len;
    header.format = WIRE_FORMAT;
    header.set_id = p->set_id;
    header.rows = info.rows;
    header.samples = info.samples;
    header.encoding = info.encoding;
    header.time_first_ns = info.time_first_ns;
    header.time_span_ns = (uint64_t)info.time_last_ns - (uint64_t)info.time_first_ns;
    header.mono_first_ns = p->mono_first_ns;
    header.clock_state = clock->state;
    header.clock_error_us = clock->error_us;
    header.body = wire_bytes(body);
    wire_pack(out, &header.base);
    learner_block(p->learner, info.rows);
    packer_clear(p->packer);
    p->since_mono_ns = INT64_MAX;
    *ret_b = info;
    return out->error;
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
