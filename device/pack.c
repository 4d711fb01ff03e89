#include "device/pack.h"

#include <errno.h>
#include <stdlib.h>

struct pack {
    struct packer *packer;
    uint32_t n_channels, max_rows;
    size_t max_bytes;
    struct buf descriptor, body;
    uint64_t set_id, mono_first_ns;
    int64_t since_mono_ns;
    bool has_position;
    struct source_position position;
};

static int describe(struct pack *p, const struct pack_options *o)
{
    Fogline__V1__DescriptorSet set = FOGLINE__V1__DESCRIPTOR_SET__INIT;
    Fogline__V1__Descriptor *all = calloc(o->n_channels, sizeof *all);
    Fogline__V1__Descriptor **list = calloc(o->n_channels, sizeof *list);

    if (all != NULL && list != NULL) {
        for (uint32_t i = 0; i < o->n_channels; i++) {
            fogline__v1__descriptor__init(&all[i]);
            all[i].name = (char *)o->channels[i].name;
            all[i].unit = (char *)o->channels[i].unit;
            all[i].type = (Fogline__V1__ValueType)o->channels[i].type;
            list[i] = &all[i];
        }
        set.format = WIRE_FORMAT;
        set.group = (char *)o->group;
        set.n_channels = o->n_channels;
        set.channels = list;
        wire_pack(&p->descriptor, &set.base);
    } else {
        p->descriptor.error = -ENOMEM;
    }
    free(all);
    free(list);
    if (p->descriptor.error != 0)
        return p->descriptor.error;
    p->set_id = wire_descriptor_set_id(pack_descriptor(p));
    return 0;
}

int pack_new(struct pack **ret_p, const struct pack_options *options)
{
    struct pack *p = calloc(1, sizeof *p);
    enum column_type types[BLOCK_COLUMNS_MAX];
    int rc;

    if (p == NULL)
        return -ENOMEM;
    p->n_channels = options->n_channels;
    p->max_rows = options->max_rows;
    p->max_bytes = options->max_bytes < PACK_BYTES_MAX ? options->max_bytes : PACK_BYTES_MAX;
    p->since_mono_ns = INT64_MAX;
    for (uint32_t i = 0; i < options->n_channels; i++)
        types[i] = options->channels[i].type;
    rc = packer_new(&p->packer, types, options->n_channels, options->max_rows);
    if (rc == 0)
        rc = describe(p, options);
    if (rc != 0) {
        pack_free(p);
        return rc;
    }
    *ret_p = p;
    return 0;
}

struct pack *pack_free(struct pack *p)
{
    if (p == NULL)
        return NULL;
    packer_free(p->packer);
    buf_deinit(&p->descriptor);
    buf_deinit(&p->body);
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

/* What a row can add to the raw encoding: time, cells, a bit and a quality run of each. */
static size_t row_bytes(const struct feed_message *row, const struct block *b)
{
    size_t n = 8 + (size_t)row->n_cells * 13;

    for (uint32_t i = 0; i < row->n_cells; i++)
        if (b->columns[i].type == COLUMN_TEXT && !row->cells[i].absent)
            n += row->cells[i].text.len;
    return n;
}

int pack_add(struct pack *p, const struct feed_message *row, int64_t now_mono_ns)
{
    const struct block *b = packer_block(p->packer);
    int rc;

    if (b->n_rows > 0 && packer_raw_bytes(p->packer) + row_bytes(row, b) > PACK_BYTES_MAX)
        return PACK_CLOSE_FIRST;
    rc = packer_add(p->packer, row->time_ns, row->cells);
    if (rc == PACKER_FULL)
        return b->n_rows > 0 ? PACK_CLOSE_FIRST : PACK_TOO_BIG;
    if (rc != 0)
        return rc;
    if (b->n_rows == 1) {
        p->mono_first_ns = row->mono_ns;
        p->since_mono_ns = row->mono_ns != 0 ? (int64_t)row->mono_ns : now_mono_ns;
    }
    p->has_position = row->has_position;
    if (row->has_position)
        p->position = row->position;
    return 0;
}

bool pack_is_full(const struct pack *p)
{
    return packer_block(p->packer)->n_rows >= p->max_rows || packer_raw_bytes(p->packer) >= p->max_bytes;
}

uint32_t pack_rows(const struct pack *p)
{
    return packer_block(p->packer)->n_rows;
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

int pack_close(struct pack *p, const struct pack_clock *clock, struct buf *out, struct pack_block *ret_b)
{
    const struct block *b = packer_block(p->packer);
    Fogline__V1__Block header = FOGLINE__V1__BLOCK__INIT;
    struct pack_block info = {
        .rows = b->n_rows, .samples = packer_samples(p->packer), .has_position = p->has_position};
    int rc;

    buf_reset(&p->body);
    rc = block_encode(NULL, BLOCK_ENCODING_RAW, NULL, b, &p->body);
    if (rc != 0)
        return rc;
    time_range(b, &info);
    info.position = p->position;
    header.format = WIRE_FORMAT;
    header.set_id = p->set_id;
    header.rows = info.rows;
    header.samples = info.samples;
    header.encoding = BLOCK_ENCODING_RAW;
    header.time_first_ns = info.time_first_ns;
    header.time_span_ns = (uint64_t)info.time_last_ns - (uint64_t)info.time_first_ns;
    header.mono_first_ns = p->mono_first_ns;
    header.clock_state = clock->state;
    header.clock_error_us = clock->error_us;
    header.body = wire_bytes(span_of(p->body.data, p->body.len));
    wire_pack(out, &header.base);
    packer_clear(p->packer);
    p->since_mono_ns = INT64_MAX;
    *ret_b = info;
    return out->error;
}
