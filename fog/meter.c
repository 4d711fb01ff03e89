#include "fog/meter_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACE_PARTS = 24 };

/* ---- links ---- */

static struct meter_link *find(struct meter *m, const char *name)
{
    for (unsigned i = 0; i < m->n_links; i++)
        if (strcmp(m->link[i].name, name) == 0)
            return &m->link[i];
    return NULL;
}

struct newest {
    const char *link;
    uint32_t index[METER_SPANS];
};

static int note_newest(void *ctx, const char *name, struct span value)
{
    struct newest *n = ctx;
    struct meter_row r;

    if (meter_row_get(name, value, &r) && strcmp(r.link, n->link) == 0 && r.index > n->index[r.span])
        n->index[r.span] = r.index;
    return 0;
}

/* The newest day there is goes on, whatever the clock says now. */
int meter_select(struct meter *m, const char *link, struct meter_now now)
{
    struct newest newest = {.link = link};
    struct meter_link *l = find(m, link);
    int rc;

    if (l != NULL) {
        m->at = (unsigned)(l - m->link);
        return 0;
    }
    if (m->n_links == METER_LINKS_MAX)
        return -ENOSPC;
    l = &m->link[m->n_links];
    *l = (struct meter_link){.lease_bytes = METER_LEASE_BYTES};
    snprintf(l->name, sizeof l->name, "%s", link);
    rc = spool_facts_each(m->spool, METER_PREFIX, note_newest, &newest);
    for (unsigned span = 0; rc == 0 && span < METER_SPANS; span++) {
        uint32_t index =
            meter_index((enum meter_span)span, now.unix_s, meter_month_begins(meter_link_budget(m, l)));

        rc =
            meter_begin_row(m, l, (enum meter_span)span, newest.index[span] > 0 ? newest.index[span] : index);
    }
    if (rc != 0)
        return rc;
    m->at = m->n_links++;
    l->is_dirty = m->has_old = true;
    l->dirty_since_ms = now.mono_ms - METER_WRITE_MS;
    return 0;
}

int meter_new(struct meter **ret_m, struct spool *spool, const struct config_list *budgets,
              struct meter_now now)
{
    struct meter *m = calloc(1, sizeof *m);

    if (m == NULL)
        return -ENOMEM;
    m->spool = spool;
    m->budgets = budgets;
    m->ran_ms = now.mono_ms;
    *ret_m = m;
    return 0;
}

struct meter *meter_free(struct meter *m)
{
    if (m == NULL)
        return NULL;
    buf_deinit(&m->scratch);
    free(m);
    return NULL;
}

/* ---- what moves ---- */

static void count(struct meter *m, enum meter_class class, uint64_t bytes, int64_t mono_ms)
{
    struct meter_link *l = &m->link[m->at];

    for (unsigned span = 0; span < METER_SPANS; span++)
        l->row[span].bytes[class] += bytes;
    if (!l->is_dirty)
        l->dirty_since_ms = mono_ms;
    l->is_dirty = true;
}

void meter_sent(struct meter *m, uint64_t message_bytes, const uint64_t class_bytes[METER_CLASSES],
                struct meter_now now)
{
    uint64_t all = message_bytes + METER_MESSAGE_BYTES, weight = 0, left = all;

    if (m->n_links == 0)
        return;
    for (unsigned i = 0; i < METER_CLASSES; i++)
        weight += class_bytes[i];
    for (unsigned i = 0; i < METER_CLASSES && weight > 0; i++) {
        uint64_t share = (uint64_t)((unsigned __int128)all * class_bytes[i] / weight);

        count(m, (enum meter_class)i, share, now.mono_ms);
        left -= share;
    }
    count(m, METER_CONTROL, left, now.mono_ms);
}

void meter_came(struct meter *m, uint64_t message_bytes, struct meter_now now)
{
    if (m->n_links > 0)
        count(m, METER_DOWN, message_bytes + METER_MESSAGE_BYTES, now.mono_ms);
}

/* ---- what may ---- */

/* What the elapsed part of the span allows, and a little more at its begin. */
static uint64_t pace(const struct meter_row *r, uint64_t limit, unsigned begins, int64_t unix_s)
{
    int64_t length = meter_length_s(r->span, r->index, begins);
    int64_t in = unix_s - meter_begin_s(r->span, r->index, begins);
    uint64_t share;

    in = in < 0 ? 0 : in > length ? length : in;
    share = (uint64_t)((unsigned __int128)limit * (uint64_t)in / (uint64_t)length) + limit / PACE_PARTS;
    return share < limit ? share : limit;
}

uint64_t meter_allowed(const struct meter *m, enum meter_class class, struct meter_now now)
{
    const struct meter_link *l = &m->link[m->at];
    const struct meter_config *b = m->n_links > 0 ? meter_link_budget(m, l) : NULL;
    uint64_t least = UINT64_MAX;

    if (b == NULL || class == METER_ALARMS || class == METER_CONTROL)
        return UINT64_MAX;
    for (unsigned span = 0; span < METER_SPANS; span++) {
        const struct meter_row *r = &l->row[span];
        uint64_t limit = meter_limit_of(b, (enum meter_span)span), used = meter_row_sum(r), most;

        if (limit == UINT64_MAX)
            continue;
        most = class == METER_LIVE ? limit : pace(r, limit, (unsigned)b->month_begins, now.unix_s);
        most = most < l->committed[span] ? most : l->committed[span];
        most = most > used ? most - used : 0;
        least = most < least ? most : least;
    }
    return least;
}

/* ---- what others ask ---- */

const struct meter_row *meter_row_now(const struct meter *m, enum meter_span span)
{
    return m->n_links > 0 ? &m->link[m->at].row[span] : NULL;
}

uint64_t meter_limit(const struct meter *m, enum meter_span span)
{
    return m->n_links > 0 ? meter_limit_of(meter_link_budget(m, &m->link[m->at]), span) : UINT64_MAX;
}

int64_t meter_ends_s(const struct meter *m, enum meter_span span)
{
    const struct meter_link *l = &m->link[m->at];

    return m->n_links > 0
               ? meter_begin_s(span, l->row[span].index + 1, meter_month_begins(meter_link_budget(m, l)))
               : 0;
}
