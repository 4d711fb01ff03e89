#include "fog/fog_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>

enum { ALIVE_MS = 10000 };

void fog_fail(struct fog *f, int error, const char *what)
{
    if (f->failed == 0) {
        f->failed = error;
        log_error("failed", "what=%s msg=%s", what, log_quote(strerror(-error)));
    }
    loop_stop(f->d->loop);
}

static void on_failed(void *ctx, int error)
{
    fog_fail(ctx, error, "hop");
}

/* The store did not take the batch: nothing of it happened, nobody was told, and the lower sides give it
 * again. */
static int batch_did_not_fit(struct fog *f)
{
    int r = history_reload(f->history);

    f->wants_new_life = false; /* what is damaged is found again */
    if (r == 0)
        r = covers_reload(f->covers);
    if (r == 0)
        r = fog_stages_reload(f);
    if (r == 0)
        r = inbox_reload(upper_port_inbox(f->upper));

    f->counter[FOG_COMMITS_FULL]++;
    if (log_latch_open(&f->full_latch, clock_mono_ns(&f->d->clock), NULL))
        log_error("store_full", "used_bytes=%" PRIu64 " map_bytes=%" PRIu64 " msg=\"raise store.map_bytes\"",
                  db_used_bytes(spool_db(f->spool)), db_map_bytes(spool_db(f->spool)));
    if (r == 0)
        r = outbox_reload(lower_port_outbox(f->lower), loop_now_ms(f->d->loop));
    return r == 0 ? drill_reload(f->drill) : r;
}

int fog_commit(struct fog *f)
{
    struct outbox *ob = lower_port_outbox(f->lower);
    int r = 0;

    if (outbox_wants_apply(ob))
        r = outbox_apply(ob, loop_now_ms(f->d->loop), clock_wall_unix_ns(&f->d->clock));
    if (r == 0)
        r = fog_orders_round(f);
    if (r == 0 && f->wants_new_life)
        r = fog_new_life(f);
    if (r == 0 && f->has_trust)
        r = fog_covers_flush(f);
    if (r == 0 && f->wants_new_life) /* room made for the covers */
        r = fog_new_life(f);
    if (r == 0)
        r = fog_meter_flush(f);
    if (r == SPOOL_FULL || r == DB_FULL) {
        r = spool_rollback(f->spool);
        return r == 0 ? batch_did_not_fit(f) : r;
    }
    if (r == 0)
        r = fog_stages_flush(f);
    if (r == 0)
        r = history_flush(f->history, clock_wall_unix_ns(&f->d->clock));
    if (r == 0 || r == ARCHIVE_FULL) /* of a lost transaction the spool is to know: it makes longer rows */
        r = spool_commit(f->spool);
    if (r == DB_FULL)
        return batch_did_not_fit(f);
    if (r != 0)
        return r;
    f->counter[FOG_COMMITS]++;
    history_committed(f->history);
    meter_committed(f->meter);
    upper_port_committed(f->upper);
    lower_port_pump(f->lower);
    return 0;
}

/* The round that follows goes on with what is settled. */
static void on_more(void *ctx)
{
    (void)ctx;
}

static void on_round(void *ctx)
{
    struct fog *f = ctx;
    int r;

    if (f->failed != 0 || !(spool_txn_open(f->spool) || upper_port_wants_commit(f->upper) ||
                            outbox_wants_apply(lower_port_outbox(f->lower)) || fog_covers_want(f) ||
                            fog_meter_wants(f) || history_has_to_go(f->history) || fog_has_orders(f)))
        return;
    r = fog_commit(f);
    if (r != 0)
        fog_fail(f, r < 0 ? r : -EIO, "commit");
    else if (outbox_more_to_apply(lower_port_outbox(f->lower)) || history_has_to_go(f->history))
        loop_timer_set(f->more, loop_now_ms(f->d->loop));
}

static void on_tick(void *ctx)
{
    struct fog *f = ctx;
    int64_t now_ms = loop_now_ms(f->d->loop);
    int r = 0;

    if (now_ms >= f->next_health_ms) {
        f->next_health_ms = now_ms + f->config->health_s * 1000;
        r = fog_say_health(f);
    }
    if (r == 0 && now_ms >= f->next_alive_ms) {
        f->next_alive_ms = now_ms + ALIVE_MS;
        db_check_readers(spool_db(f->spool));
        r = fog_note_alive(f);
    }
    fog_nodes_tick(f);
    if (r >= 0)
        r = fog_stages_round(f);
    if (r >= 0)
        r = fog_make_room(f);
    if (r < 0) /* of a full map the commit says so */
        fog_fail(f, r, "record");
    history_look(f->history);
    drill_tick(f->drill, clock_wall_unix_ns(&f->d->clock));
    tap_look(f->tap);
    fog_link_watch(f);
    fog_status_write(f);
    loop_timer_set(f->tick, loop_now_ms(f->d->loop) + FOG_TICK_MS);
}

static void on_reload(void *ctx, const void *old_values, const void *new_values)
{
    struct fog *f = ctx;
    const struct fog_config *old = old_values, *new = new_values;

    fog_stages_renew(f, new);
    fog_store_limit(f);
    drill_limit(f->drill, new->drill_bytes_per_day);
    if (f->uplink != NULL)
        uplink_renew(f->uplink);
    if (old->health_s != new->health_s)
        f->next_health_ms = loop_now_ms(f->d->loop) + new->health_s * 1000;
}

/* What nobody was told yet, and that it ends here. */
static bool commit_last(struct fog *f)
{
    if (fog_say_stop(f) != 0 || (f->wants_new_life && fog_new_life(f) != 0))
        return false;
    meter_close(f->meter);
    return fog_meter_flush(f) == 0 && fog_stages_flush(f) == 0 && archive_flush(f->archive) == 0 &&
           spool_commit(f->spool) == 0;
}

static uint64_t seed(void)
{
    struct id128 id = id128_random();

    return load_le64(id.bytes);
}

static int open_upper(struct fog *f, struct errmsg *err)
{
    const struct ctl_settings *s = f->d->settings;
    struct upper_port_options o = {.loop = f->d->loop,
                                   .zmq_ctx = f->zmq_ctx,
                                   .keys = &f->d->keys,
                                   .bind_host = s->listen_host,
                                   .port = (uint16_t)s->listen_port,
                                   .failed = on_failed,
                                   .inbox = {.spool = f->spool,
                                             .node = s->node,
                                             .ops = fog_inbox_ops(f),
                                             .seed = seed(),
                                             .memory_bytes = s->limits_memory_bytes,
                                             .window_max_bytes = s->limits_window_max_bytes,
                                             .forget_epochs = true}};

    return upper_port_new(&f->upper, &o, err);
}

static int open_lower(struct fog *f, struct errmsg *err)
{
    const struct ctl_settings *s = f->d->settings;
    struct lower_port_options o = {
        .loop = f->d->loop,
        .zmq_ctx = f->zmq_ctx,
        .keys = &f->d->keys,
        .failover_ms = (uint32_t)s->up_failover_ms,
        .return_ms = (uint32_t)s->up_return_ms,
        .failed = on_failed,
        .outbox = {.spool = f->spool,
                   .role = "fog",
                   .software = FOGLINE_VERSION,
                   .keys = &f->end_keys,
                   .operator_public = f->has_trust ? f->trust.operator_public : NULL,
                   .ops = fog_outbox_ops(f),
                   .seed = seed(),
                   .poll_ms = (uint32_t)s->up_poll_ms}};
    struct link_key trust;
    int r = ctl_upstreams(s, o.upstreams, &o.n_upstreams, &trust, err);

    return r < 0 ? r : lower_port_new(&f->lower, &o, err);
}

static int open_derived(struct fog *f, struct errmsg *err)
{
    struct derived_options o = {f->spool, lower_port_outbox(f->lower), f->history, f->tap, f->end_keys.tag};
    int r = derived_new(&f->derived, &o);

    return r < 0 ? errmsg_set(err, r, "no memory") : r;
}

/* What the link keys say of the cloud: whom to believe about nodes, and for whom own records are
 * authenticated. */
static int learn_trust(struct fog *f, struct errmsg *err)
{
    struct lower_port_upstream up[LOWER_PORT_UPSTREAMS_MAX];
    unsigned n;
    int r = ctl_upstreams(f->d->settings, up, &n, &f->trust, err);

    if (r < 0 || f->d->settings->up_keys.n == 0)
        return r;
    r = end_keys_derive(f->d->keys.end_secret, f->d->keys.end_public, f->trust.cloud_end, true, &f->end_keys);
    if (r < 0)
        return errmsg_set(err, r, "up.keys: the cloud's key in it is not usable");
    f->has_trust = true;
    return 0;
}

static int start(struct fog *f, struct errmsg *err)
{
    const struct ctl_settings *s = f->d->settings;
    struct status_options so = {f->d->paths.status, "fog", s->node, s->site, f->d->started_unix_ns};
    struct errmsg list_err = {""};
    int r = learn_trust(f, err);

    if (r == 0)
        r = fog_store_open(f, err);
    if (r < 0)
        return r;
    r = link_context_new(&f->zmq_ctx);
    if (r == 0)
        r = marks_new(&f->marks);
    if (r == 0)
        r = status_new(&f->status, &so);
    if (r == 0)
        r = tap_new(&f->tap, f->d->paths.run_dir);
    if (r < 0)
        return errmsg_set(err, r, "cannot start: %s", strerror(-r));
    r = fog_meter_open(f, err);
    if (r == 0)
        r = open_lower(f, err);
    if (r == 0)
        r = open_derived(f, err);
    if (r == 0)
        r = fog_stages_open(f, err);
    if (r == 0)
        r = fog_orders_open(f, err);
    if (r == 0)
        r = fog_covers_open(f, err);
    if (r == 0)
        r = open_upper(f, err);
    if (r < 0)
        return r;
    (void)nodes_watch_changed(&f->nodes_watch, f->d->paths.nodes_doc, f->d->paths.nodes_local);
    if (fog_nodes_load(f, &list_err) < 0) /* nobody gets in until a good list comes from above */
        log_error("nodes_refused", "msg=%s", log_quote(list_err.text));
    r = fog_say_start(f, f->counter[FOG_STORES_QUARANTINED] > 0 ? "a damaged store was moved away" : NULL);
    if (r == 0)
        r = fog_commit(f);
    if (r == 0)
        r = loop_timer_new(f->d->loop, on_tick, f, &f->tick);
    if (r == 0)
        r = loop_timer_new(f->d->loop, on_more, f, &f->more);
    return r == 0 ? 0
                  : errmsg_set(err, r < 0 ? r : -EIO, "cannot write to the store: %s",
                               strerror(r < 0 ? -r : EIO));
}

int fog_new(struct fog **ret_f, struct daemon *d, struct errmsg *err)
{
    struct fog *f = calloc(1, sizeof(*f));
    int r;

    if (f == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    f->d = d;
    f->config = d->values;
    f->boot_id = d->boot_id;
    f->caught_up_ms = loop_now_ms(d->loop);
    r = start(f, err);
    if (r < 0) {
        f->failed = r;
        fog_free(f);
        return r;
    }
    f->next_health_ms = loop_now_ms(d->loop) + f->config->health_s * 1000;
    d->on_reload = on_reload;
    d->reload_ctx = f;
    loop_timer_set(f->tick, loop_now_ms(d->loop));
    *ret_f = f;
    return 0;
}

struct fog *fog_free(struct fog *f)
{
    if (f == NULL)
        return NULL;
    if (f->failed == 0 && f->spool != NULL && commit_last(f))
        fog_status_write(f);
    loop_timer_free(f->tick);
    loop_timer_free(f->more);
    fog_stages_close(f);
    f->answer = answer_free(f->answer);
    f->drill = drill_free(f->drill);
    f->uplink = uplink_free(f->uplink);
    f->covers = covers_free(f->covers);
    f->derived = derived_free(f->derived);
    f->lower = lower_port_free(f->lower); /* the gate goes last of all sockets */
    f->upper = upper_port_free(f->upper);
    f->meter = meter_free(f->meter);
    link_context_free(f->zmq_ctx);
    f->history = history_free(f->history);
    f->archive = archive_close(f->archive);
    f->spool = NULL;
    f->marks = marks_free(f->marks);
    f->status = status_free(f->status);
    f->tap = tap_free(f->tap);
    letters_deinit(&f->letters);
    nodes_deinit(&f->nodes);
    end_keys_wipe(&f->end_keys);
    free(f);
    return NULL;
}

int fog_run(struct fog *f)
{
    int r = loop_run(f->d->loop, on_round, f);

    if (r < 0)
        fog_fail(f, r, "loop");
    return f->failed != 0 ? CTL_FAILED : CTL_OK;
}

uint16_t fog_port(const struct fog *f)
{
    return upper_port_port(f->upper);
}
