#include "cloud/cloud.h"

#include "cloud/cloud_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

void cloud_fail(struct cloud *c, int error, const char *what)
{
    if (c->failed == 0) {
        c->failed = error;
        log_error("failed", "what=%s msg=%s", what, log_quote(strerror(-error)));
    }
    loop_stop(c->d->loop);
}

static void on_failed(void *ctx, int error)
{
    cloud_fail(ctx, error, "hop");
}

/* ---- commits ---- */

/* The store did not take the batch: nothing of it happened, nobody was told, and the lower sides give it
 * again. */
static int batch_did_not_fit(struct cloud *c)
{
    int r = intake_reload(c->intake);

    c->n_replies = 0;
    c->counter[CLOUD_COMMITS_FULL]++;
    if (log_latch_open(&c->full_latch, clock_mono_ns(&c->d->clock), NULL))
        log_error("store_full", "map_bytes=%" PRIu64 " msg=\"no room for a batch; give the disk more room\"",
                  db_map_bytes(spool_db(archive_spool(c->archive))));
    if (r == 0)
        r = inbox_reload(upper_port_inbox(c->port));
    cloud_store_grow(c);
    return r;
}

static void on_marks(void *ctx, struct spool_stream *s, unsigned lane)
{
    struct cloud *c = ctx;

    inbox_marks_changed(upper_port_inbox(c->port), s, lane);
}

int cloud_commit(struct cloud *c)
{
    struct spool *sp = archive_spool(c->archive);
    int r = intake_flush(c->intake);

    if (r == ARCHIVE_FULL) {
        r = spool_rollback(sp);
        return r == 0 ? batch_did_not_fit(c) : r;
    }
    if (r == 0)
        r = spool_commit(sp);
    if (r == DB_FULL || r == SPOOL_FULL)
        return batch_did_not_fit(c);
    if (r != 0)
        return r < 0 ? r : -EIO;
    c->counter[CLOUD_COMMITS]++;
    intake_committed(c->intake, on_marks, c);
    upper_port_committed(c->port);
    cloud_replies_done(c);
    return 0;
}

static void on_round(void *ctx)
{
    struct cloud *c = ctx;
    int r;

    if (c->failed != 0 || !(spool_txn_open(archive_spool(c->archive)) || upper_port_wants_commit(c->port)))
        return;
    r = cloud_commit(c);
    if (r != 0)
        cloud_fail(c, r, "commit");
    else
        cloud_store_grow(c);
}

/* What is refused stays below and takes room there: somebody has to know whose it is. */
static void tell_refused(struct cloud *c)
{
    char origin[SPOOL_NAME_BYTES];
    const char *why = intake_refused(c->intake, origin);

    if (why != NULL && log_latch_open(&c->refused_latch, clock_mono_ns(&c->d->clock), NULL))
        log_warn("records_refused",
                 "origin=%s why=%s msg=\"those below hold them; a full fog lets go when it is revoked\"",
                 origin, log_quote(why));
}

static void on_tick(void *ctx)
{
    struct cloud *c = ctx;
    int64_t now_ms = loop_now_ms(c->d->loop);

    if (now_ms >= c->next_readers_ms) {
        c->next_readers_ms = now_ms + CLOUD_READERS_MS;
        db_check_readers(spool_db(archive_spool(c->archive)));
    }
    cloud_nodes_tick(c);
    cloud_store_grow(c);
    tell_refused(c);
    cloud_status_write(c);
    loop_timer_set(c->tick, now_ms + CLOUD_TICK_MS);
}

/* ---- start and end ---- */

static int set_reduce(struct cloud *c, const struct cloud_config *config)
{
    return intake_set_reduce(c->intake, (const char *const *)config->reduce_sites.at, config->reduce_sites.n);
}

static void on_reload(void *ctx, const void *old_values, const void *new_values)
{
    struct cloud *c = ctx;

    (void)old_values;
    if (set_reduce(c, new_values) < 0)
        cloud_fail(c, -ENOMEM, "reload");
}

static uint64_t seed(void)
{
    struct id128 id = id128_random();

    return load_le64(id.bytes);
}

/* The inbox has one ctx for all its ops, and most are the intake's. */
static bool op_may_carry(void *ctx, const char *peer, const char *origin)
{
    return intake_may_carry(((struct cloud *)ctx)->intake, peer, origin);
}

static int op_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    return intake_record(((struct cloud *)ctx)->intake, s, r);
}

static int op_reported(void *ctx, const char *peer, struct spool_stream *s, const Fogline__V1__LaneReport *r)
{
    return intake_reported(((struct cloud *)ctx)->intake, peer, s, r);
}

static void op_hello(void *ctx, const char *peer, const Fogline__V1__Hello *hello)
{
    intake_hello(((struct cloud *)ctx)->intake, peer, hello);
}

static size_t op_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                       struct interval range, Fogline__V1__Mark **out, size_t max)
{
    return intake_marks(((struct cloud *)ctx)->intake, a, s, lane, range, out, max);
}

static unsigned op_weight(void *ctx, const char *node)
{
    const struct cloud *c = ctx;
    const struct upper_port_node *n = upper_port_find(c->port, node);

    return n != NULL ? ctl_grant_weight(c->d->settings, n->site, node) : 1;
}

static int open_port(struct cloud *c, struct errmsg *err)
{
    const struct ctl_settings *s = c->d->settings;
    struct upper_port_options o = {.loop = c->d->loop,
                                   .zmq_ctx = c->zmq_ctx,
                                   .keys = &c->d->keys,
                                   .bind_host = s->listen_host,
                                   .port = (uint16_t)s->listen_port,
                                   .failed = on_failed};

    o.inbox = (struct inbox_options){.spool = archive_spool(c->archive),
                                     .node = s->node,
                                     .seed = seed(),
                                     .memory_bytes = s->limits_memory_bytes,
                                     .window_max_bytes = s->limits_window_max_bytes,
                                     .archive_id = archive_id(c->archive)};
    o.inbox.ops = (struct inbox_ops){.ctx = c,
                                     .may_carry = op_may_carry,
                                     .record = op_record,
                                     .reported = op_reported,
                                     .hello = op_hello,
                                     .marks = op_marks,
                                     .documents = cloud_documents,
                                     .fill = cloud_store_fill,
                                     .weight = op_weight};
    return upper_port_new(&c->port, &o, err);
}

static int open_intake(struct cloud *c, struct errmsg *err)
{
    struct intake_options o = {.archive = c->archive,
                               .keys = &c->d->keys,
                               .clock = &c->d->clock,
                               .reduce = (const char *const *)c->config->reduce_sites.at,
                               .n_reduce = c->config->reduce_sites.n,
                               .reply = cloud_on_reply,
                               .ctx = c};
    int r = intake_new(&c->intake, &o);

    return r == 0 ? 0
                  : errmsg_set(err, r, "%s: cannot read the account of the archive: %s", c->d->paths.store,
                               strerror(-r));
}

static int start(struct cloud *c, struct errmsg *err)
{
    const struct ctl_settings *s = c->d->settings;
    struct status_options so = {c->d->paths.status, "cloud", s->node, "", c->d->started_unix_ns};
    int r = cloud_store_open(c, err);

    if (r == 0)
        r = open_intake(c, err);
    if (r < 0)
        return r;
    r = link_context_new(&c->zmq_ctx);
    if (r == 0)
        r = status_new(&c->status, &so);
    if (r == 0)
        r = loop_timer_new(c->d->loop, on_tick, c, &c->tick);
    if (r < 0)
        return errmsg_set(err, r, "cannot start: %s", strerror(-r));
    r = open_port(c, err);
    return r == 0 ? cloud_nodes_start(c, err) : r;
}

int cloud_new(struct cloud **ret_c, struct daemon *d, struct errmsg *err)
{
    struct cloud *c = calloc(1, sizeof *c);
    int r;

    if (c == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    c->d = d;
    c->config = d->values;
    r = start(c, err);
    if (r < 0) {
        cloud_free(c);
        return r;
    }
    d->on_reload = on_reload;
    d->reload_ctx = c;
    loop_timer_set(c->tick, loop_now_ms(d->loop));
    log_info("listening", "host=%s port=%u", log_quote(d->settings->listen_host),
             (unsigned)upper_port_port(c->port));
    *ret_c = c;
    return 0;
}

struct cloud *cloud_free(struct cloud *c)
{
    if (c == NULL)
        return NULL;
    if (c->failed == 0 && c->port != NULL && c->status != NULL)
        cloud_status_write(c);
    loop_timer_free(c->tick);
    c->port = upper_port_free(c->port);
    link_context_free(c->zmq_ctx);
    c->intake = intake_free(c->intake);
    c->archive = archive_close(c->archive);
    c->status = status_free(c->status);
    commands_deinit(&c->commands);
    nodes_deinit(&c->nodes);
    buf_deinit(&c->nodes_packed);
    cloud_word_deinit(&c->word);
    free(c);
    return NULL;
}

int cloud_run(struct cloud *c)
{
    int r = loop_run(c->d->loop, on_round, c);

    if (r < 0)
        cloud_fail(c, r, "loop");
    return c->failed != 0 ? CTL_FAILED : CTL_OK;
}
