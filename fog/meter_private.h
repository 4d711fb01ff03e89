/* meter_private.h - what the files of the meter share. Not for others. */
#ifndef FOGLINE_FOG_METER_PRIVATE_H
#define FOGLINE_FOG_METER_PRIVATE_H

#include "fog/meter.h"

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

static inline const struct meter_config *meter_link_budget(const struct meter *m, const struct meter_link *l)
{
    return meter_budget_of(m->budgets, l->name);
}

static inline unsigned meter_month_begins(const struct meter_config *b)
{
    return b != NULL ? (unsigned)b->month_begins : 1;
}

/* UINT64_MAX: none. */
static inline uint64_t meter_limit_of(const struct meter_config *b, enum meter_span span)
{
    uint64_t limit = b == NULL ? 0 : span == METER_DAY ? b->per_day : b->per_month;

    return limit == 0 ? UINT64_MAX : limit;
}

/* meter_flush.c */
int64_t meter_length_s(enum meter_span span, uint32_t index, unsigned begins);
/* Goes on with what is written of that day or month. */
must_check int meter_begin_row(struct meter *m, struct meter_link *l, enum meter_span span, uint32_t index);

#endif
