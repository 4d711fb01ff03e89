/* What the operator orders this fog itself to do. */
#include "fog/fog_private.h"

#include <errno.h>
#include <inttypes.h>

void fog_take_order(struct fog *f, const Fogline__V1__Document *d)
{
    int r = f->has_trust ? orders_take(&f->orders, d) : 0;

    if (r < 0)
        fog_fail(f, r, "command");
    if (r != COMMAND_FORGED)
        return;
    f->counter[FOG_DOCUMENTS_FORGED]++;
    log_warn("command_refused", "version=%" PRIu64 " msg=\"not signed by our operator, or not sealed to us\"",
             d->version);
}

static int on_drill_reply(void *ctx, uint64_t counter, bool ok, const char *text)
{
    int r = fog_say_reply(ctx, counter, ok, text);

    return r == DERIVED_NO_ROOM ? DRILL_NO_ROOM : r;
}

int fog_orders_open(struct fog *f, struct errmsg *err)
{
    struct drill_options o = {
        .spool = f->spool, .outbox = lower_port_outbox(f->lower), .reply = on_drill_reply, .ctx = f};
    int r = drill_new(&f->drill, &o);

    f->orders.spool = f->spool;
    f->orders.who = (struct command_trust){.node = f->d->settings->node,
                                           .operator_public = f->trust.operator_public,
                                           .seal_key = f->end_keys.seal};
    if (r < 0)
        return errmsg_set(err, r, "cannot read what the cloud asked for: %s", strerror(-r));
    drill_limit(f->drill, f->config->drill_bytes_per_day);
    return 0;
}

static int identify(struct fog *f, const struct command *c)
{
    char text[256];

    log_info("identify", "counter=%" PRIu64 " argument=%s", c->counter, log_quote(c->argument));
    snprintf(text, sizeof text, "identify: this is %s at %s", f->d->settings->node, f->d->settings->site);
    return fog_say_reply(f, c->counter, true, text);
}

static int carry_out(struct fog *f, const struct command *c)
{
    switch (c->type) {
    case FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_IDENTIFY:
        return identify(f, c);
    case FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_DRILL:
        return drill_take(f->drill, c);
    default:
        return fog_say_reply(f, c->counter, false, "this version does not know the command");
    }
}

bool fog_has_orders(struct fog *f)
{
    return orders_first(&f->orders) != NULL || drill_wants_round(f->drill);
}

/* What is done, its reply and the counter are one transaction: exactly once, whatever is killed. Without room
 * for them the order is announced again. */
int fog_orders_round(struct fog *f)
{
    const struct command *c;
    int r = 0;

    while (r == 0 && (c = orders_first(&f->orders)) != NULL) {
        r = carry_out(f, c);
        if (r == DERIVED_NO_ROOM) {
            orders_drop(&f->orders);
            r = 0;
            continue;
        }
        f->counter[FOG_COMMANDS] += r == 0;
        if (r == 0)
            r = orders_done(&f->orders);
    }
    return r == 0 ? drill_round(f->drill, clock_wall_unix_ns(&f->d->clock)) : r;
}
