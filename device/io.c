#include "device/io.h"

#include <stdlib.h>
#include <string.h>

enum {
    /* The last one gives up what has no room, the next says that nothing more was lost, the third says what
     * was.
     */
    LAST_COMMITS = 3,
    STATUS_MS = 1000,
    STOP_MS = 3000,
    POLL_MIN_MS = 10,
    POLL_MAX_MS = 1000, /* a ring that is half full wakes before */
};

void io_fail(struct io *io, int error)
{
    if (io->error == 0) {
        io->error = error;
        log_error("failed", "msg=%s", log_quote(strerror(-error)));
    }
    loop_stop(io->daemon->loop);
}

int64_t io_boundary_ms(const struct io *io, int64_t period_ms, int64_t at_ms)
{
    int64_t since_ms = at_ms - io->began_ms;

    if (period_ms == 0 || since_ms < 0)
        return at_ms;
    return io->began_ms + (since_ms + period_ms - 1) / period_ms * period_ms;
}

bool io_is_boundary(const struct io *io, int64_t period_ms, int64_t now_ms)
{
    return period_ms == 0 || io_boundary_ms(io, period_ms, io->looked_ms + 1) <= now_ms;
}

int64_t io_pack_ms(const struct io *io)
{
    return io->config->pack_ms > 0 ? io->config->pack_ms : io->config->commit_ms;
}

static int64_t poll_ms(const struct io *io)
{
    int64_t least = io_pack_ms(io) < io->config->commit_ms ? io_pack_ms(io) : io->config->commit_ms;

    /* A block closes at its time whatever this is; only one that is full before waits for the next look. */
    least /= 2;
    return least < POLL_MIN_MS ? POLL_MIN_MS : least > POLL_MAX_MS ? POLL_MAX_MS : least;
}

static void sleep_until_next(struct io *io, int64_t now_ms)
{
    int64_t next = io_next_commit_ms(io), next_pack_ms = io_next_pack_ms(io);

    if (next_pack_ms < next)
        next = next_pack_ms;
    if (io->polls_ring && now_ms + poll_ms(io) < next)
        next = now_ms + poll_ms(io);
    if (io->status_at_ms < next)
        next = io->status_at_ms;
    if (io->health_at_ms < next)
        next = io->health_at_ms;
    if (io->has_more && io->retry_at_ms == INT64_MAX)
        next = now_ms;
    loop_timer_set(io->timer, next);
}

static void on_round(void *ctx)
{
    struct io *io = ctx;
    int64_t now_ms;

    if (io->error != 0)
        return;
    io_drain(io);
    io_run_commands(io);
    now_ms = loop_now_ms(io->daemon->loop);
    io_close_packs(io, now_ms);
    /* A reload may have made it sooner. */
    if (io->health_at_ms > now_ms + io->config->health_s * 1000)
        io->health_at_ms = io_boundary_ms(io, io->config->health_s * 1000, now_ms + 1);
    if (now_ms >= io->health_at_ms) {
        io->health_at_ms = io_boundary_ms(io, io->config->health_s * 1000, now_ms + 1);
        /* What it says of samples that were not sent is what the last commit made durable: another one for
         * its sake would cost as much flash as all that is read in the meantime. */
        io_health(io);
    }
    if (io->error == 0 && io_commit_is_due(io, now_ms))
        io_commit(io);
    if (now_ms >= io->status_at_ms) {
        io->status_at_ms = now_ms + STATUS_MS;
        io_watch_link(io, now_ms);
        io_look_at_rules(io, now_ms);
        io_tend(io, false);
        io_write_status(io);
        db_check_readers(spool_db(io->spool));
    }
    io->looked_ms = now_ms;
    sleep_until_next(io, now_ms);
}

/* Samples that could not be stored are told after the commit that gave them up. */
static bool is_loss_untold(const struct io *io)
{
    return io->loss.samples > 0 || io->waits;
}

void io_finish(struct io *io)
{
    int64_t until_ms = loop_now_ms(io->daemon->loop) + STOP_MS;
    struct feed_event e;
    bool all_told;
    unsigned source;

    act_stop(io->act);
    if (io->error != 0)
        return;
    do {
        io_drain(io);
        io_commit(io);
        all_told = io->decide == NULL || decide_finish(io->decide);
        /* What is left of a replay that finds no room will be read again. */
    } while (io->error == 0 && (io->has_more || !all_told) && loop_now_ms(io->daemon->loop) < until_ms);
    for (uint32_t group = 0; io->error == 0 && keeper_finish(sampler_keeper(io->sampler), group); group++)
        io_drain(io);
    if (io->live_memory != NULL)
        memory_finish(io->live_memory);
    if (io->replay_memory != NULL)
        memory_finish(io->replay_memory);
    io_drain(io);
    if (io->error != 0)
        return;
    while (feed_take_untold(io->feed, &source, &e))
        io_source_event(io, source, &e);
    io_close_all_packs(io);
    if (io_reduced_is_due(io))
        io_commit(io);
    if (io->error == 0 && io->is_reduced_untold)
        io_health(io);
    if (io->error != 0)
        return;
    io_stop_event(io);
    io->alive_at_ms = 0;
    for (unsigned i = 0; io->error == 0 && (i == 0 || is_loss_untold(io)) && i < LAST_COMMITS; i++)
        io_commit(io);
}

int io_run(struct io *io)
{
    int64_t now_ms = loop_now_ms(io->daemon->loop);
    int rc;

    io->health_at_ms = io_boundary_ms(io, io->config->health_s * 1000, now_ms + 1);
    io_measure(io, true);
    io_start_event(io);
    io_clear_orphans(io);
    io_memory_tell(io);
    rc = act_start(io->act);
    if (rc != 0)
        return rc;
    daemon_ready(io->daemon);
    on_round(io);
    rc = loop_run(io->daemon->loop, on_round, io);
    if (rc != 0)
        io_fail(io, rc);
    io_finish(io);
    io_write_status(io);
    return io->error;
}
