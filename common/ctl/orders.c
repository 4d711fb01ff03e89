#include "ctl/orders.h"

static const char last_fact[] = "command/last";

int orders_take(struct orders *o, const Fogline__V1__Document *d)
{
    struct command_trust who = o->who;
    struct command c;
    int r;

    who.last = 0;
    r = spool_fact_get_u64(o->spool, last_fact, &who.last);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < o->n; i++)
        if (o->at[i].counter > who.last)
            who.last = o->at[i].counter;
    r = command_open(d, &who, &c);
    if (r == 0 && o->n < ORDERS_MAX)
        o->at[o->n++] = c;
    return r < 0 || r == COMMAND_FORGED ? r : 0;
}

const struct command *orders_first(const struct orders *o)
{
    return o->n > 0 ? &o->at[0] : NULL;
}

void orders_drop(struct orders *o)
{
    if (o->n > 0)
        memmove(&o->at[0], &o->at[1], --o->n * sizeof o->at[0]);
}

int orders_done(struct orders *o)
{
    int r = o->n > 0 ? spool_fact_put_u64(o->spool, last_fact, o->at[0].counter) : 0;

    orders_drop(o);
    return r;
}
