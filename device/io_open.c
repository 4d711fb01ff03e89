/* io_open.c - the parts of the io thread and of the act thread, made and put together. */
#include "device/io.h"

#include "base/cleanup.h"
#include "ctl/daemon_store.h"
#include "device/infer/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The longest row of a file must fit, or it is waited for without end. */
enum { REPLAY_RING_MIN_BYTES = 512 * 1024 };

static void on_link_failed(void *ctx, int error)
{
    io_fail(ctx, error);
}

static void on_wants_apply(void *ctx)
{
    struct io *io = ctx;
    int64_t now_ms = loop_now_ms(io->daemon->loop);

    if (io->apply_at_ms == INT64_MAX)
        io->apply_at_ms = io_boundary_ms(io, io->config->commit_ms, now_ms + IO_APPLY_MS);
    /* There will be room. */
    if (io->retry_at_ms != INT64_MAX)
        io->retry_at_ms = now_ms;
    io->replay_at_ms = now_ms;
}

static void fill_clocks(void *ctx, Fogline__V1__Clocks *ret)
{
    struct io *io = ctx;

    ret->wall_unix_ns = clock_wall_unix_ns(&io->daemon->clock);
    ret->mono_ns = (uint64_t)clock_mono_ns(&io->daemon->clock);
    ret->boot_id = wire_bytes(span_of(io->daemon->boot_id.bytes, ID128_BYTES));
    ret->state = io->clock.state;
    ret->error_us = io->clock.error_us;
}

static int open_spool(struct io *io, const struct device_tier *tier, struct errmsg *err)
{
    const struct ctl_settings *s = io->daemon->settings;
    struct spool_options o = {.db = {.path = io->daemon->paths.store,
                                     .tables = tier->tier.tables,
                                     .n_tables = tier->tier.n_tables,
                                     .map_bytes = s->store_map_bytes,
                                     .role = tier->tier.name},
                              .node = s->node,
                              .quota_bytes = s->store_quota_bytes,
                              .proof_path = io->daemon->paths.continuity,
                              .boot_id = io->daemon->boot_id};
    struct errmsg why = {""};
    int rc = daemon_store_verify(&o.db, err);

    if (rc < 0)
        return rc;
    io->counter[IO_STORES_QUARANTINED] += rc == DAEMON_STORE_MOVED_AWAY;
    rc = spool_open(&io->spool, &o, &why);
    if (rc == SPOOL_DAMAGED || rc == -EUCLEAN) {
        rc = daemon_store_move_away(o.db.path, why.text, err);
        if (rc < 0)
            return rc;
        io->counter[IO_STORES_QUARANTINED]++;
        rc = spool_open(&io->spool, &o, &why);
    }
    return rc == 0 ? 0 : errmsg_set(err, rc < 0 ? rc : -EUCLEAN, "%s", why.text);
}

static int open_port(struct io *io, struct errmsg *err)
{
    const struct ctl_settings *s = io->daemon->settings;
    struct lower_port_options o = {
        .loop = io->daemon->loop,
        .zmq_ctx = io->zmq_ctx,
        .keys = &io->daemon->keys,
        .failover_ms = (uint32_t)s->up_failover_ms,
        .return_ms = (uint32_t)s->up_return_ms,
        .outbox = {.spool = io->spool,
                   .role = "device",
                   .software = "fogline-device " FOGLINE_VERSION,
                   .keys = &io->keys,
                   .ops = {.ctx = io, .clocks = fill_clocks, .document = io_on_document},
                   .poll_ms = (uint32_t)s->up_poll_ms},
        .failed = on_link_failed,
        .wake = on_wants_apply};
    static const uint8_t none[KEY_BYTES];
    int rc = ctl_upstreams(s, o.upstreams, &o.n_upstreams, &io->trust, err);

    if (rc != 0)
        return rc;
    /* Without a link key the cloud is not known yet: the outbox makes the tags when it is. */
    if (memcmp(io->trust.cloud_end, none, KEY_BYTES) == 0) {
        log_warn("works_alone", "msg=\"no up.keys: what is made is kept until a node above is named\"");
    } else {
        o.outbox.operator_public = io->trust.operator_public;
        rc = end_keys_derive(io->daemon->keys.end_secret, io->daemon->keys.end_public, io->trust.cloud_end,
                             true, &io->keys);
    }
    if (rc != 0)
        return errmsg_set(err, rc, "up.keys: the key of the cloud in it is not a valid key");
    if (getrandom(&o.outbox.seed, sizeof o.outbox.seed, 0) != (ssize_t)sizeof o.outbox.seed)
        return errmsg_set(err, -EIO, "no random numbers from the system");
    rc = link_context_new(&io->zmq_ctx);
    if (rc != 0)
        return errmsg_set(err, rc, "cannot start ZeroMQ");
    o.zmq_ctx = io->zmq_ctx;
    rc = lower_port_new(&io->port, &o, err);
    if (rc == 0)
        io->outbox = lower_port_outbox(io->port);
    return rc;
}

/* 0 and *ret_p; DB_NOT_FOUND: none. */
static int read_cursor(struct io *io, const char *name, struct source_position *ret_p)
{
    owned(buf_deinit) struct buf value = {0};
    char fact[SOURCE_NAME_BYTES + 8];
    int rc;

    snprintf(fact, sizeof fact, "cursor/%s", name);
    rc = spool_fact_get(io->spool, fact, &value);
    if (rc != 0)
        return rc;
    if (value.len != sizeof *ret_p)
        return DB_NOT_FOUND;
    memcpy(ret_p, value.data, sizeof *ret_p);
    return 0;
}

/* A source that does not open stops the start: a device that silently lacks one is worse. */
static int open_sources(struct io *io, const struct device_tier *tier, struct act_source *out,
                        struct errmsg *err)
{
    struct source_other others[SOURCES_MAX];

    for (size_t i = 0; i < io->config->sources.n && i < SOURCES_MAX; i++) {
        const struct config_item *item = &io->config->sources.at[i];
        const struct source_config *config = item->value;
        struct io_source *s = &io->sources[io->n_sources];
        const struct source_kind *kind = tier->kinds[item->kind];
        struct source_position position;
        struct source_open o = {.others = others,
                                .n_others = io->n_sources,
                                .name = s->name,
                                .config = config,
                                .run_dir = io->daemon->paths.run_dir,
                                .budget_us = io->config->budget_us,
                                .worker = io->worker};
        struct errmsg why = {""};
        int rc;

        snprintf(s->name, sizeof s->name, "%s", config->name);
        s->kind = kind;
        rc = read_cursor(io, s->name, &position);
        if (rc >= 0 && (io_reduced_load(io, s) != 0 || io_memory_load(io, s->name, &s->memory) != 0))
            rc = -EIO;
        if (rc < 0)
            return errmsg_set(err, rc, "the spool cannot be read");
        o.resume = rc == 0 ? &position : NULL;
        o.memory = span_of(s->memory.data, s->memory.len);
        rc = kind->open(&o, &out[io->n_sources].self, &why);
        if (rc != 0)
            return errmsg_set(err, rc, "source %s: %s", s->name,
                              why.text[0] != '\0' ? why.text : strerror(-rc));
        s->self = out[io->n_sources].self;
        out[io->n_sources].kind = kind;
        out[io->n_sources].name = s->name;
        s->replayable = kind->replayable != NULL && kind->replayable(out[io->n_sources].self);
        others[io->n_sources] = (struct source_other){s->name, s->replayable};
        io->n_sources++;
    }
    return 0;
}

/* Those that hear others come before the rules, which so decide on what they say in the order it is said. */
static unsigned add_listeners(struct io *io, const struct act_source *sources,
                              struct sampler_listener *listeners)
{
    unsigned n = 0;

    for (unsigned i = 0; i < io->n_sources; i++) {
        const struct source_kind *kind = sources[i].kind;

        if (kind->hear_row != NULL)
            listeners[n++] = (struct sampler_listener){sources[i].self, kind->hear_group, kind->hear_row,
                                                       kind->hear_ring_bytes};
    }
    if (io->decide != NULL)
        listeners[n++] = decide_listener(io->decide);
    return n;
}

static bool wants_history(const struct io *io)
{
    for (size_t i = 0; i < io->config->sources.n; i++) {
        const struct source_config *source = io->config->sources.at[i].value;

        for (size_t c = 0; c < source->channels.n; c++)
            if (((const struct channel_config *)source->channels.at[c].value)->around_alarm_ms > 0)
                return true;
    }
    return false;
}

/* What led to an alarm is worth more than what is sent otherwise. */
static void on_raised(void *keeper, unsigned source, const char *channel, int64_t time_ns)
{
    keeper_alarm(keeper, source, channel, time_ns);
}

static int open_act(struct io *io, const struct device_tier *tier, struct errmsg *err)
{
    struct act_source sources[SOURCES_MAX];
    struct feed_options fo = {.wake_each = !io->polls_ring};
    struct sampler_options so = {0};
    struct sampler_listener listeners[SAMPLER_LISTENERS_MAX];
    struct act_hook hooks[ACT_HOOKS_MAX];
    struct act_options ao = {.clock = &io->daemon->clock, .sources = sources, .hooks = hooks};
    int rc = worker_new(&io->worker);

    if (rc == 0)
        rc = open_sources(io, tier, sources, err);

    if (rc == 0)
        rc = ring_new(&io->live, io->config->ring_bytes);
    for (unsigned i = 0; rc == 0 && io->replay == NULL && i < io->n_sources; i++)
        if (io->sources[i].replayable)
            rc = ring_new(&io->replay, io->config->ring_bytes < REPLAY_RING_MIN_BYTES
                                           ? REPLAY_RING_MIN_BYTES
                                           : io->config->ring_bytes);
    fo.live = io->live;
    fo.replay = io->replay;
    fo.n_sources = io->n_sources;
    if (rc == 0)
        rc = feed_new(&io->feed, &fo);
    if (rc == 0)
        rc = io_open_decide(io, err);
    if (rc == 0)
        rc = io_memory_open(io);
    /* What rules decided in a round stands before its mark. */
    if (io->decide != NULL)
        hooks[ao.n_hooks++] = (struct act_hook){io->decide, decide_round};
    if (io->live_memory != NULL)
        hooks[ao.n_hooks++] = (struct act_hook){io->live_memory, memory_round};
    if (io->replay_memory != NULL)
        hooks[ao.n_hooks++] = (struct act_hook){io->replay_memory, memory_round};
    so.listeners = listeners;
    so.n_listeners = rc == 0 ? add_listeners(io, sources, listeners) : 0;
    so.feed = io->feed;
    so.n_sources = io->n_sources;
    so.history_bytes = wants_history(io) ? io->config->history_bytes : 0;
    if (rc == 0)
        rc = sampler_new(&io->sampler, &so);
    for (unsigned i = 0; rc == 0 && i < io->n_sources; i++) {
        const struct source_config *config = io->config->sources.at[i].value;

        if (sources[i].kind->rows_are_partial)
            keeper_rows_are_partial(sampler_keeper(io->sampler), i);
        sources[i].sink = sampler_sink(io->sampler, i, io->sources[i].replayable, &config->channels);
        if (sources[i].kind->listen != NULL)
            sources[i].kind->listen(sources[i].self, sources[i].sink);
    }
    if (rc == 0 && io->decide != NULL)
        decide_on_raised(io->decide, on_raised, sampler_keeper(io->sampler));
    ao.feed = io->feed;
    ao.replay = io->replay;
    ao.n_sources = io->n_sources;
    if (rc == 0)
        rc = act_new(&io->act, &ao);
    if (rc != 0)
        for (unsigned i = 0; i < io->n_sources; i++)
            sources[i].kind->close(sources[i].self);
    return rc;
}

/* The rings are drained at the end of the round. */
static void on_ring(void *ctx)
{
    ring_data_fd_clear(ctx);
}

static void on_timer(void *ctx)
{
    (void)ctx;
}

static int watch(struct io *io)
{
    struct status_options so = {.path = io->daemon->paths.status,
                                .tier = "device",
                                .node = io->config->settings.node,
                                .site = io->config->settings.site,
                                .started_unix_ns = io->daemon->started_unix_ns};
    struct loop_watch *w;
    int rc = loop_watch_fd(io->daemon->loop, ring_data_fd(io->live), on_ring, io->live, &w);

    if (rc == 0 && io->replay != NULL)
        rc = loop_watch_fd(io->daemon->loop, ring_data_fd(io->replay), on_ring, io->replay, &w);

    if (rc == 0)
        rc = loop_timer_new(io->daemon->loop, on_timer, io, &io->timer);
    if (rc == 0)
        rc = batch_new(&io->batch);
    if (rc == 0)
        rc = pack_tools_init(&io->tools);
    if (rc == 0)
        rc = status_new(&io->status, &so);
    if (rc == 0)
        rc = health_new(&io->health, "", io->daemon->paths.state_dir);
    return rc;
}

static void on_reload(void *ctx, const void *old_values, const void *new_values)
{
    (void)old_values;
    (void)new_values;
    io_tend(ctx, true);
}

int io_new(struct io **ret_io, struct daemon *d, const struct device_tier *tier, struct errmsg *err)
{
    struct io *io = calloc(1, sizeof *io);
    int rc;

    if (io == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    io->daemon = d;
    io->config = d->values;
    io->began_ms = io->looked_ms = loop_now_ms(d->loop);
    io->apply_at_ms = io->retry_at_ms = INT64_MAX;
    io->groups_looked_at = UINT32_MAX;
    io->batch_oldest_ns = INT64_MAX;
    io->clock_read_ms = INT64_MIN / 2;
    io->last_link = -1;
    /* Waking for each row is what low latency costs; where rows may wait anyway, look at the ring now and
     * then. */
    io->polls_ring = io->config->commit_ms > 0;
    rc = open_spool(io, tier, err);
    if (rc == 0)
        rc = open_port(io, err);
    if (rc == 0)
        rc = open_act(io, tier, err);
    if (rc == 0)
        rc = watch(io);
    if (rc != 0) {
        if (err->text[0] == '\0')
            errmsg_set(err, rc, "cannot start: %s", strerror(-rc));
        io_free(io);
        return rc;
    }
    d->on_reload = on_reload;
    d->reload_ctx = io;
    *ret_io = io;
    return 0;
}

struct io *io_free(struct io *io)
{
    if (io == NULL)
        return NULL;
    if (io->act != NULL)
        act_stop(io->act);
    worker_free(io->worker);
    act_free(io->act);
    decide_free(io->decide);
    memory_free(io->live_memory);
    memory_free(io->replay_memory);
    for (unsigned i = 0; i < io->n_sources; i++) {
        buf_deinit(&io->sources[i].memory);
        buf_deinit(&io->sources[i].memory_next);
    }
    sampler_free(io->sampler);
    feed_free(io->feed);
    ring_free(io->live);
    ring_free(io->replay);
    for (uint32_t i = 0; i < io->n_groups; i++)
        io_group_deinit(&io->groups[i]);
    pack_tools_deinit(&io->tools);
    batch_free(io->batch);
    health_free(io->health);
    status_free(io->status);
    loop_timer_free(io->timer);
    lower_port_free(io->port);
    spool_close(io->spool);
    link_context_free(io->zmq_ctx);
    end_keys_wipe(&io->keys);
    free(io);
    return NULL;
}
