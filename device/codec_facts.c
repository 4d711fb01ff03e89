#include "device/codec_facts.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void count_kind(struct codec_kinds *k, const char *name)
{
    unsigned i = 0;

    while (i < k->n && strcmp(k->at[i].name, name) != 0)
        i++;
    if (i == CODEC_FACTS_KINDS)
        i--;
    if (i == k->n)
        snprintf(k->at[k->n++].name, sizeof k->at[0].name, "%s", name);
    k->at[i].n_blocks++;
    for (; i > 0 && k->at[i].n_blocks > k->at[i - 1].n_blocks; i--) {
        struct codec_kind higher = k->at[i];

        k->at[i] = k->at[i - 1];
        k->at[i - 1] = higher;
    }
}

static void add_column(struct codec_column_facts *to, const struct block_store *s, int column, bool first)
{
    struct column_facts facts;

    block_store_facts(s, column, &facts);
    count_kind(&to->numbers, facts.numbers);
    count_kind(&to->predictor, facts.predictor);
    count_kind(&to->ranks, facts.ranks);
    if (first || facts.exponent < to->exponent_min)
        to->exponent_min = facts.exponent;
    if (facts.exponent > to->exponent_max)
        to->exponent_max = facts.exponent;
    if (facts.n_ranks > to->n_ranks_max)
        to->n_ranks_max = facts.n_ranks;
    to->has_ulps |= facts.has_ulps;
    to->n_cells += facts.n_cells;
    to->n_exceptions += facts.n_exceptions;
    to->body_bytes += facts.body_bytes;
}

static void count_flags(struct codec_column_facts *to, const struct column *c, uint32_t n_rows)
{
    for (uint32_t row = 0; row < n_rows; row++) {
        to->n_absent += c->absent != NULL && c->absent[row];
        to->n_not_good += c->quality != NULL && c->quality[row] != QUALITY_GOOD;
    }
}

static void add_block(struct codec_facts *facts, const struct codec_frame *frame, const struct block *b,
                      const struct block_store *s)
{
    bool first = facts->n_blocks == 0;

    count_kind(&facts->encodings, block_encoding_name(frame->encoding));
    add_column(&facts->time, s, -1, first);
    for (uint32_t i = 0; i < b->n_columns; i++) {
        uint64_t absent = facts->columns[i].n_absent;

        add_column(&facts->columns[i], s, (int)i, first);
        count_flags(&facts->columns[i], &b->columns[i], b->n_rows);
        facts->n_samples += b->n_rows - (facts->columns[i].n_absent - absent);
    }
    facts->n_blocks++;
    facts->n_rows += b->n_rows;
    facts->body_bytes += frame->body.len;
}

static must_check int add_all(struct codec_facts *facts, const struct codec_file *f,
                              struct block_store *store)
{
    struct codec_cursor cursor = codec_cursor_of(f);
    struct codec_frame frame;
    const struct block *b;
    const char *why;
    int r;

    while ((r = codec_file_next(f, &cursor, &frame, &why)) != CODEC_FRAME_END) {
        const struct block_shape shape = {.encoding = frame.encoding,
                                          .types = f->types,
                                          .n_columns = f->n_columns,
                                          .n_rows = frame.n_rows,
                                          .only_column = -1,
                                          .time_first_ns = frame.time_first_ns,
                                          .starts = f->starts};

        if (r == 0)
            r = block_decode(&shape, frame.body, store, &b);
        if (r < 0)
            return r;
        if (r != 0)
            facts->n_damaged++;
        else
            add_block(facts, &frame, b, store);
    }
    return 0;
}

int codec_facts_new(struct codec_facts **ret_facts, const struct codec_file *f)
{
    owned(codec_facts_freep) struct codec_facts *facts = calloc(1, sizeof *facts);
    struct block_store *store;
    int r;

    if (facts == NULL || (facts->columns = calloc(f->n_columns, sizeof *facts->columns)) == NULL)
        return -ENOMEM;
    facts->start_bytes = f->time_learned.len;
    for (uint32_t i = 0; i < f->n_columns; i++)
        facts->start_bytes += f->learned[i].len;
    r = block_store_new(&store);
    if (r != 0)
        return r;
    r = add_all(facts, f, store);
    block_store_free(store);
    if (r == 0)
        *ret_facts = TAKE(facts);
    return r;
}

struct codec_facts *codec_facts_free(struct codec_facts *facts)
{
    if (facts != NULL)
        free(facts->columns);
    free(facts);
    return NULL;
}

void codec_facts_freep(struct codec_facts **facts)
{
    codec_facts_free(*facts);
}
