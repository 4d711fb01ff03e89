#include "pack/pack_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { RAW_SHARE = 8 };

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
    p->tags = o->tags;
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
    int rc;

    if (p == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < options->n_channels; i++)
        types[i] = options->channels[i].type;
    rc = copy_options(p, options);
    if (rc == 0)
        rc = packer_new(&p->packer, types, options->n_channels, options->max_rows);
    if (rc == 0)
        rc = pack_begin_sets(p);
    if (rc != 0) {
        pack_free(p);
        return rc < 0 ? rc : -EINVAL;
    }
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

/* What a row can add to the raw encoding: time, cells, a bit and a quality run of each. */
static size_t row_bytes(const struct pack_row *row, const struct block *b)
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

int pack_add(struct pack *p, const struct pack_row *row, int64_t now_mono_ns)
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

int pack_close(struct pack *p, const struct pack_clock *clock, const struct pack_covers *covers,
               struct buf *out, struct pack_block *ret_b)
{
    const struct block *b = packer_block(p->packer);
    Fogline__V1__Block header = FOGLINE__V1__BLOCK__INIT;
    struct pack_block info = {.rows = b->n_rows, .samples = packer_samples(p->packer)};
    struct span body = {0};
    int rc = encode(p, b, &body, &info.encoding);

    if (rc != 0)
        return rc;
    time_range(b, &info);
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
    if (covers != NULL) {
        header.n_covers = covers->n;
        header.covers = covers->at;
    }
    wire_pack(out, &header.base);
    learner_block(p->learner, info.rows);
    packer_clear(p->packer);
    p->since_mono_ns = INT64_MAX;
    *ret_b = info;
    return out->error;
}
