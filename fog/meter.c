#include "fog/meter.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEASE_QUICK_MS = 1000, PACE_PARTS = 24 };

struct meter_link {
    char name[METER_LINK_CHARS];
    struct meter_row row[METER_SPANS];
    uint64_t committed[METER_SPANS]; /* leases that are on disk */
    uint64_t lease_bytes;            /* how much at a time */
    int64_t leased_ms;
    bool is_dirty;
    int64_t dirty_since_ms;
};

struct meter {
    struct spool *spool;
    const struct config_list *budgets;
    struct meter_link link[METER_LINKS_MAX];
    unsigned n_links, at;
    bool is_closed, has_old;
    int64_t ran_ms; /* when ran_s was last brought forward */
    struct buf scratch;
};

static const struct meter_config *budget(const struct meter *m, const struct meter_link *l)
{
    return meter_budget_of(m->budgets, l->name);
}

static unsigned month_begins(const struct meter_config *b)
{
    return b != NULL ? (unsigned)b->month_begins : 1;
}

static uint64_t limit_of(const struct meter_config *b, enum meter_span span)
{
    uint64_t limit = b == NULL ? 0 : span == METER_DAY ? b->per_day : b->per_month;

    return limit == 0 ? UINT64_MAX : limit;
}

/* ---- days and months ---- */

static int64_t length_s(enum meter_span span, uint32_t index, unsigned begins)
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

static int begin_row(struct meter *m, struct meter_link *l, enum meter_span span, uint32_t index)
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
    return index > r->index || (index < r->index && (int64_t)r->ran_s >= length_s(r->span, r->index, begins));
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
    unsigned begins = month_begins(budget(m, l));

    return is_over(&l->row[span], meter_index((enum meter_span)span, unix_s, begins), begins);
}

/* What moved in the one that ends is written down with it. */
static int turn_page(struct meter *m, struct meter_link *l, unsigned span, int64_t unix_s)
{
    uint32_t index = meter_index((enum meter_span)span, unix_s, month_begins(budget(m, l)));
    int rc;

    l->row[span].leased = meter_row_sum(&l->row[span]);
    rc = write_row(m, &l->row[span]);
    if (rc == 0)
        rc = begin_row(m, l, (enum meter_span)span, index);
    l->is_dirty = m->has_old = true;
    return rc;
}

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
        uint32_t index = meter_index((enum meter_span)span, now.unix_s, month_begins(budget(m, l)));

        rc = begin_row(m, l, (enum meter_span)span, newest.index[span] > 0 ? newest.index[span] : index);
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
    int64_t length = length_s(r->span, r->index, begins);
    int64_t in = unix_s - meter_begin_s(r->span, r->index, begins);
    uint64_t share;

    in = in < 0 ? 0 : in > length ? length : in;
    share = (uint64_t)((unsigned __int128)limit * (uint64_t)in / (uint64_t)length) + limit / PACE_PARTS;
    return share < limit ? share : limit;
}

uint64_t meter_allowed(const struct meter *m, enum meter_class class, struct meter_now now)
{
    const struct meter_link *l = &m->link[m->at];
    const struct meter_config *b = m->n_links > 0 ? budget(m, l) : NULL;
    uint64_t least = UINT64_MAX;

    if (b == NULL || class == METER_ALARMS || class == METER_CONTROL)
        return UINT64_MAX;
    for (unsigned span = 0; span < METER_SPANS; span++) {
        const struct meter_row *r = &l->row[span];
        uint64_t limit = limit_of(b, (enum meter_span)span), used = meter_row_sum(r), most;

        if (limit == UINT64_MAX)
            continue;
        most = class == METER_LIVE ? limit : pace(r, limit, (unsigned)b->month_begins, now.unix_s);
        most = most < l->committed[span] ? most : l->committed[span];
        most = most > used ? most - used : 0;
        least = most < least ? most : least;
    }
    return least;
}

/* ---- what is written ---- */

/* A limited span whose lease will not last, and can be longer. */
static bool needs_lease(const struct meter *m, const struct meter_link *l, unsigned span)
{
    uint64_t limit = limit_of(budget(m, l), (enum meter_span)span), used = meter_row_sum(&l->row[span]);

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
        uint64_t limit = limit_of(budget(m, l), (enum meter_span)span), used = meter_row_sum(&l->row[span]);
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

/* ---- what others ask ---- */

const struct meter_row *meter_row_now(const struct meter *m, enum meter_span span)
{
    return m->n_links > 0 ? &m->link[m->at].row[span] : NULL;
}

uint64_t meter_limit(const struct meter *m, enum meter_span span)
{
    return m->n_links > 0 ? limit_of(budget(m, &m->link[m->at]), span) : UINT64_MAX;
}

int64_t meter_ends_s(const struct meter *m, enum meter_span span)
{
    const struct meter_link *l = &m->link[m->at];

    return m->n_links > 0 ? meter_begin_s(span, l->row[span].index + 1, month_begins(budget(m, l))) : 0;
}
