/* What the meter writes down: days and months, leases. */
#include "fog/meter_private.h"

#include <stdio.h>
#include <string.h>

enum { LEASE_QUICK_MS = 1000 };

/* ---- days and months ---- */

int64_t meter_length_s(enum meter_span span, uint32_t index, unsigned begins)
{
    return meter_begin_s(span, index + 1, begins) - meter_begin_s(span, index, begins);
}

/* What is written of it; what had been leased and not written down counts. *ret_found false: nothing is. */
static int read_row(struct meter *m, struct meter_row *r, bool *ret_found)
{
    char name[METER_NAME_CHARS];
    struct meter_row was;
    uint64_t sum;
    int rc;

    meter_row_name(r, name);
    buf_reset(&m->scratch);
    rc = spool_fact_get(m->spool, name, &m->scratch);
    *ret_found = rc == 0 && meter_row_get(name, span_of(m->scratch.data, m->scratch.len), &was) &&
                 strcmp(was.link, r->link) == 0;
    if (!*ret_found)
        return rc < 0 ? rc : 0;
    sum = meter_row_sum(&was);
    if (was.leased > sum)
        was.doubtful += was.leased - sum;
    *r = was;
    return 0;
}

int meter_begin_row(struct meter *m, struct meter_link *l, enum meter_span span, uint32_t index)
{
    struct meter_row r = {.span = span, .index = index};
    bool found;
    int rc;

    snprintf(r.link, sizeof r.link, "%s", l->name);
    rc = read_row(m, &r, &found);
    if (rc < 0)
        return rc;
    r.leased = meter_row_sum(&r);
    l->row[span] = r;
    l->committed[span] = 0; /* nothing goes before it is written that it may */
    return 0;
}

static int write_row(struct meter *m, const struct meter_row *r)
{
    char name[METER_NAME_CHARS];

    meter_row_name(r, name);
    buf_reset(&m->scratch);
    meter_row_put(&m->scratch, r);
    return m->scratch.error != 0 ? m->scratch.error
                                 : spool_fact_put(m->spool, name, span_of(m->scratch.data, m->scratch.len));
}

/* Has the day, or month, ended? */
static bool is_over(const struct meter_row *r, uint32_t index, unsigned begins)
{
    return index > r->index ||
           (index < r->index && (int64_t)r->ran_s >= meter_length_s(r->span, r->index, begins));
}

static void run(struct meter *m, int64_t mono_ms)
{
    int64_t s = (mono_ms - m->ran_ms) / 1000;

    if (s <= 0)
        return;
    m->ran_ms += s * 1000;
    for (unsigned i = 0; i < m->n_links; i++)
        for (unsigned span = 0; span < METER_SPANS; span++)
            m->link[i].row[span].ran_s += (uint64_t)s;
}

static bool turns(const struct meter *m, const struct meter_link *l, unsigned span, int64_t unix_s)
{
    unsigned begins = meter_month_begins(meter_link_budget(m, l));

    return is_over(&l->row[span], meter_index((enum meter_span)span, unix_s, begins), begins);
}

/* What moved in the one that ends is written down with it. */
static int turn_page(struct meter *m, struct meter_link *l, unsigned span, int64_t unix_s)
{
    uint32_t index = meter_index((enum meter_span)span, unix_s, meter_month_begins(meter_link_budget(m, l)));
    int rc;

    l->row[span].leased = meter_row_sum(&l->row[span]);
    rc = write_row(m, &l->row[span]);
    if (rc == 0)
        rc = meter_begin_row(m, l, (enum meter_span)span, index);
    l->is_dirty = m->has_old = true;
    return rc;
}

/* ---- what is written ---- */

/* A limited span whose lease will not last, and can be longer. */
static bool needs_lease(const struct meter *m, const struct meter_link *l, unsigned span)
{
    uint64_t limit = meter_limit_of(meter_link_budget(m, l), (enum meter_span)span),
             used = meter_row_sum(&l->row[span]);

    return limit != UINT64_MAX && !m->is_closed && l->committed[span] < limit &&
           l->committed[span] < used + METER_LEASE_BYTES * 3 / 4;
}

bool meter_wants_flush(const struct meter *m, struct meter_now now)
{
    for (unsigned i = 0; i < m->n_links; i++) {
        const struct meter_link *l = &m->link[i];

        if (l->is_dirty && now.mono_ms - l->dirty_since_ms >= METER_WRITE_MS)
            return true;
        for (unsigned span = 0; span < METER_SPANS; span++)
            if (turns(m, l, span, now.unix_s) || (i == m->at && needs_lease(m, l, span)))
                return true;
    }
    return false;
}

/* Half as much again each time that one was used up quickly, so that a fast link does not commit for each
 * message. */
static void note_lease(struct meter_link *l, int64_t mono_ms)
{
    bool quick = mono_ms - l->leased_ms < LEASE_QUICK_MS;

    l->lease_bytes = quick ? l->lease_bytes * 3 / 2 : METER_LEASE_BYTES;
    if (l->lease_bytes > METER_LEASE_MOST_BYTES)
        l->lease_bytes = METER_LEASE_MOST_BYTES;
    l->leased_ms = mono_ms;
    l->is_dirty = true;
}

static void lease(struct meter *m, struct meter_link *l, int64_t mono_ms)
{
    bool needs = false;

    for (unsigned span = 0; span < METER_SPANS; span++)
        needs |= needs_lease(m, l, span);
    if (needs)
        note_lease(l, mono_ms);
    for (unsigned span = 0; span < METER_SPANS && l->is_dirty; span++) {
        uint64_t limit = meter_limit_of(meter_link_budget(m, l), (enum meter_span)span),
                 used = meter_row_sum(&l->row[span]);
        uint64_t most = limit == UINT64_MAX || m->is_closed ? used : used + l->lease_bytes;

        most = most < limit ? most : limit;
        if (m->is_closed || most > l->row[span].leased)
            l->row[span].leased = most;
        if (l->row[span].leased < used)
            l->row[span].leased = used;
    }
}

struct old {
    uint32_t below[METER_SPANS];
    char name[METER_NAME_CHARS];
};

static int find_old(void *ctx, const char *name, struct span value)
{
    struct old *o = ctx;
    struct meter_row r;

    if (!meter_row_get(name, value, &r) || r.index >= o->below[r.span])
        return 0;
    snprintf(o->name, sizeof o->name, "%s", name);
    return 1;
}

/* One of those that are too old, each time. */
static int drop_old(struct meter *m)
{
    const struct meter_link *l = &m->link[m->at];
    uint32_t day = l->row[METER_DAY].index, month = l->row[METER_MONTH].index;
    struct old o = {
        .below = {day > METER_DAYS ? day - METER_DAYS : 0, month > METER_MONTHS ? month - METER_MONTHS : 0}};
    int rc = spool_facts_each(m->spool, METER_PREFIX, find_old, &o);

    m->has_old = rc == 1;
    return rc == 1 ? spool_fact_delete(m->spool, o.name) : rc;
}

static int flush_link(struct meter *m, struct meter_link *l, struct meter_now now)
{
    int rc = 0;

    for (unsigned span = 0; rc == 0 && span < METER_SPANS; span++)
        if (turns(m, l, span, now.unix_s))
            rc = turn_page(m, l, span, now.unix_s);
    if (rc != 0)
        return rc;
    lease(m, l, now.mono_ms);
    for (unsigned span = 0; rc == 0 && span < METER_SPANS && l->is_dirty; span++)
        rc = write_row(m, &l->row[span]);
    return rc;
}

int meter_flush(struct meter *m, struct meter_now now)
{
    struct db_txn *txn;
    int rc = m->n_links > 0 ? spool_txn(m->spool, &txn) : 0;

    run(m, now.mono_ms);
    for (unsigned i = 0; rc == 0 && i < m->n_links; i++)
        rc = flush_link(m, &m->link[i], now);
    return rc == 0 && m->has_old ? drop_old(m) : rc;
}

void meter_committed(struct meter *m)
{
    for (unsigned i = 0; i < m->n_links; i++) {
        m->link[i].is_dirty = false;
        for (unsigned span = 0; span < METER_SPANS; span++)
            m->link[i].committed[span] = m->link[i].row[span].leased;
    }
}

void meter_close(struct meter *m)
{
    m->is_closed = true;
    for (unsigned i = 0; i < m->n_links; i++)
        m->link[i].is_dirty = true;
}
