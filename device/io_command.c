#include "device/io.h"

#include <inttypes.h>
#include <stdio.h>

/* Called from within the link: the order is only checked and kept here, and carried out at the end of the
 * round. */
void io_on_document(void *ctx, const Fogline__V1__Document *d)
{
    struct io *io = ctx;
    int rc;

    io->orders.spool = io->spool;
    io->orders.who = (struct command_trust){.node = io->config->settings.node,
                                            .operator_public = io->trust.operator_public,
                                            .seal_key = io->keys.seal};
    rc = orders_take(&io->orders, d);
    if (rc < 0)
        io_fail(io, rc);
    if (rc != COMMAND_FORGED)
        return;
    io->counter[IO_COMMANDS_REFUSED]++;
    log_warn("command_refused", "version=%" PRIu64 " msg=\"not signed by our operator, or not sealed to us\"",
             d->version);
}

static void identify(struct io *io, const struct command *c)
{
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE,
                           .time_ns = clock_wall_unix_ns(&io->daemon->clock)};

    log_info("identify", "counter=%" PRIu64 " argument=%s", c->counter, log_quote(c->argument));
    snprintf(e.text, sizeof e.text, "identify: this is %s at %s", io->config->settings.node,
             io->config->settings.site);
    io_event(io, &e, io->config->settings.node);
    io_reply(io, c->counter, true, e.text);
}

/* The counter is durable before the order is carried out: after a crash in between it is lost, never done
 * twice. */
void io_run_commands(struct io *io)
{
    for (const struct command *first; io->error == 0 && (first = orders_first(&io->orders)) != NULL;) {
        struct command c = *first;
        int rc = orders_done(&io->orders);

        if (rc == 0)
            rc = spool_commit(io->spool);
        if (rc > 0) {
            log_warn("command_refused", "counter=%" PRIu64 " msg=\"the store is full\"", c.counter);
            continue; /* it is announced again */
        }
        if (rc < 0) {
            io_fail(io, rc);
            break;
        }
        io->counter[IO_COMMANDS]++;
        if (c.type == FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_IDENTIFY)
            identify(io, &c);
        else
            io_reply(io, c.counter, false, "this version does not know the command");
    }
}
