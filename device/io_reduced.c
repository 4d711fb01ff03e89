/* Samples that policy kept from becoming records: totals of the epoch, durable with the read positions behind
 * them. */
#include "device/io.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void fact_name(const struct io_source *s, char out[SOURCE_NAME_BYTES + 8])
{
    snprintf(out, SOURCE_NAME_BYTES + 8, "reduced/%s", s->name);
}

int io_reduced_load(struct io *io, struct io_source *s)
{
    owned(buf_deinit) struct buf value = {0};
    char name[SOURCE_NAME_BYTES + 8];
    int rc;

    fact_name(s, name);
    rc = spool_fact_get(io->spool, name, &value);
    if (rc < 0)
        return rc;
    if (rc > 0 || value.len != IO_REDUCED_FACT_BYTES)
        return 0; /* none yet */
    memcpy(s->reduced.epoch.bytes, value.data, ID128_BYTES);
    for (unsigned i = 0; i < KEEP_REASONS; i++) {
        s->reduced.samples[i] = load_le64(value.data + ID128_BYTES + 16 * i);
        s->reduced.sent_later[i] = load_le64(value.data + ID128_BYTES + 16 * i + 8);
    }
    io->is_reduced_untold = true;
    return 0;
}

static int write_fact(struct io *io, const struct io_source *s)
{
    uint8_t value[IO_REDUCED_FACT_BYTES];
    char name[SOURCE_NAME_BYTES + 8];

    fact_name(s, name);
    memcpy(value, s->reduced_next.epoch.bytes, ID128_BYTES);
    for (unsigned i = 0; i < KEEP_REASONS; i++) {
        store_le64(value + ID128_BYTES + 16 * i, s->reduced_next.samples[i]);
        store_le64(value + ID128_BYTES + 16 * i + 8, s->reduced_next.sent_later[i]);
    }
    return spool_fact_put(io->spool, name, span_of(value, sizeof value));
}

static void add(struct io_source *s, const struct keep_counts *c)
{
    for (unsigned i = 0; i < KEEP_REASONS; i++) {
        s->reduced_next.samples[i] += c->samples[i];
        s->reduced_next.sent_later[i] += c->sent_later[i];
    }
}

static bool waits(const struct io_group *g)
{
    return g->pending_has_position || keep_counts_any(&g->pending);
}

/* Of rows of which nothing was left, behind the last block: when that is stored, or was before. */
static bool take_pending(struct io *io, struct io_group *g, const struct source_position **positions)
{
    if (io_waits_for_mark(io, g) || g->pack == NULL || pack_rows(g->pack) > 0 ||
        io->sources[g->source].is_stuck || !waits(g))
        return false;
    g->is_pending_taken = true;
    add(&io->sources[g->source], &g->pending);
    if (g->pending_has_position)
        positions[g->source] = &g->pending_position;
    return true;
}

int io_keep_reduced(struct io *io, const struct source_position **positions)
{
    bool is_new[SOURCES_MAX] = {false};
    int rc = 0;

    for (unsigned i = 0; i < io->n_sources; i++) {
        struct io_source *s = &io->sources[i];

        s->reduced_next = s->reduced;
        if (!id128_equal(&s->reduced.epoch, &spool_own(io->spool)->epoch))
            s->reduced_next = (struct io_reduced){.epoch = spool_own(io->spool)->epoch};
    }
    for (size_t i = 0; i < batch_n(io->batch); i++) {
        const struct batch_entry *e = batch_at(io->batch, i);

        if (e->source == BATCH_NO_SOURCE || !e->is_done || !keep_counts_any(&e->reduced))
            continue;
        add(&io->sources[e->source], &e->reduced);
        is_new[e->source] = true;
    }
    for (uint32_t i = 0; i < io->n_groups; i++) {
        io->groups[i].is_pending_taken = false;
        is_new[io->groups[i].source] |= take_pending(io, &io->groups[i], positions);
    }
    for (unsigned i = 0; rc == 0 && i < io->n_sources; i++)
        if (is_new[i])
            rc = write_fact(io, &io->sources[i]);
    return rc;
}

void io_reduced_kept(struct io *io)
{
    for (unsigned i = 0; i < io->n_sources; i++) {
        struct io_source *s = &io->sources[i];

        io->is_reduced_untold |=
            memcmp(s->reduced.samples, s->reduced_next.samples, sizeof s->reduced.samples) != 0 ||
            memcmp(s->reduced.sent_later, s->reduced_next.sent_later, sizeof s->reduced.sent_later) != 0;
        s->reduced = s->reduced_next;
    }
    for (uint32_t i = 0; i < io->n_groups; i++) {
        struct io_group *g = &io->groups[i];

        if (!g->is_pending_taken)
            continue;
        g->is_pending_taken = g->pending_has_position = false;
        g->pending = (struct keep_counts){0};
    }
}

void io_reduced_mark(struct io *io, struct io_group *g)
{
    struct batch_entry e = {.source = (uint16_t)g->source,
                            .is_account = true,
                            .has_position = g->pending_has_position,
                            .position = g->pending_position,
                            .reduced = g->pending};

    if (!waits(g))
        return;
    batch_begin(io->batch);
    if (batch_end(io->batch, &e, NULL) != 0) {
        io_fail(io, -ENOMEM);
        return;
    }
    g->pending = (struct keep_counts){0};
    g->pending_has_position = false;
}

bool io_reduced_is_due(const struct io *io)
{
    for (uint32_t i = 0; i < io->n_groups; i++)
        if (waits(&io->groups[i]))
            return true;
    for (size_t i = 0; i < batch_n(io->batch); i++)
        if (keep_counts_any(&batch_at(io->batch, i)->reduced))
            return true;
    return false;
}

size_t io_reduced_list(const struct io *io, Fogline__V1__Reduced *list)
{
    static const Fogline__V1__Reason reasons[KEEP_REASONS] = {
        [KEEP_NO_CHANGE] = FOGLINE__V1__REASON__REASON_FILTERED,
        [KEEP_TOO_SOON] = FOGLINE__V1__REASON__REASON_THINNED,
        [KEEP_AGGREGATED] = FOGLINE__V1__REASON__REASON_MERGED,
        [KEEP_STAYS] = FOGLINE__V1__REASON__REASON_LOCAL,
    };
    size_t n = 0;

    for (unsigned i = 0; i < io->n_sources; i++) {
        const struct io_source *s = &io->sources[i];

        if (!id128_equal(&s->reduced.epoch, &spool_own(io->spool)->epoch))
            continue;
        for (unsigned k = 0; k < KEEP_REASONS; k++) {
            if (s->reduced.samples[k] == 0)
                continue;
            fogline__v1__reduced__init(&list[n]);
            list[n].group = (char *)s->name;
            list[n].reason = reasons[k];
            list[n].samples = s->reduced.samples[k];
            list[n].sent_later = s->reduced.sent_later[k];
            n++;
        }
    }
    return n;
}
