/* Bytes over the link upwards: counted, written down, held to the budget. */
#include "fog/fog_private.h"

_Static_assert(METER_DRILL + 1 == (int)OUTBOX_CLASSES_MAX,
               "classes of the outbox are the first of the meter's");

static struct meter_now now_of(const struct fog *f)
{
    return (struct meter_now){clock_wall_unix_ns(&f->d->clock) / NS_PER_S, loop_now_ms(f->d->loop)};
}

/* A link more than the meter has room for is not counted, and has no budget: the configuration has fewer. */
static void select_link(struct fog *f)
{
    struct lower_port_status st;

    lower_port_status(f->lower, &st);
    if (meter_select(f->meter, st.upstream, now_of(f)) < 0)
        log_warn("meter_failed", "link=%s", st.upstream);
}

uint64_t fog_link_allowed(void *ctx, unsigned class)
{
    struct fog *f = ctx;

    select_link(f);
    return meter_allowed(f->meter, (enum meter_class) class, now_of(f));
}

void fog_link_moved(void *ctx, uint64_t up_bytes, const uint64_t class_bytes[OUTBOX_CLASSES_MAX],
                    uint64_t down_bytes)
{
    uint64_t classes[METER_CLASSES] = {0};
    struct fog *f = ctx;

    select_link(f);
    for (unsigned i = 0; class_bytes != NULL && i < OUTBOX_CLASSES_MAX; i++)
        classes[i] = class_bytes[i];
    if (up_bytes > 0)
        meter_sent(f->meter, up_bytes, classes, now_of(f));
    if (down_bytes > 0)
        meter_came(f->meter, down_bytes, now_of(f));
}

int fog_meter_open(struct fog *f, struct errmsg *err)
{
    int r = meter_new(&f->meter, f->spool, &f->config->budgets, now_of(f));

    return r < 0 ? errmsg_set(err, r, "no memory") : 0;
}

bool fog_meter_wants(const struct fog *f)
{
    return meter_wants_flush(f->meter, now_of(f));
}

int fog_meter_flush(struct fog *f)
{
    return meter_flush(f->meter, now_of(f));
}

/* What a budget keeps from going. */
static const char *held_back(const struct fog *f)
{
    struct meter_now now = now_of(f);

    if (meter_allowed(f->meter, METER_LIVE, now) == 0)
        return "all but alarms";
    return meter_allowed(f->meter, METER_BACKLOG, now) == 0 ? "backlog" : "";
}

void fog_meter_put(const struct fog *f, struct json *j)
{
    static const char *const names[METER_SPANS][3] = {
        [METER_DAY] = {"day_bytes", "day_limit_bytes", "day_ends_unix_ns"},
        [METER_MONTH] = {"month_bytes", "month_limit_bytes", "month_ends_unix_ns"}};

    json_key(j, "budget");
    json_object(j);
    for (unsigned span = 0; span < METER_SPANS; span++) {
        const struct meter_row *r = meter_row_now(f->meter, (enum meter_span)span);
        uint64_t limit = meter_limit(f->meter, (enum meter_span)span);

        json_ku64(j, names[span][0], r != NULL ? meter_row_sum(r) : 0);
        if (limit == UINT64_MAX)
            continue;
        json_ku64(j, names[span][1], limit);
        json_ki64(j, names[span][2], meter_ends_s(f->meter, (enum meter_span)span) * NS_PER_S);
    }
    json_kstr(j, "held_back", held_back(f));
    json_object_end(j);
}
