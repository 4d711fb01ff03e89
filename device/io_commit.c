#include "device/io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

enum { RESERVE_SHARE = 16, MAKE_ROOM_BYTES = 256 * 1024 };

bool io_commit_is_due(const struct io *io, int64_t now_ms)
{
    if (io->retry_at_ms != INT64_MAX)
        return io->retry_at_ms <= now_ms;
    return io->urgent || batch_bytes(io->batch) >= io->stuck_bytes + IO_BATCH_BYTES ||
           (io->waits && io_is_boundary(io, io->config->commit_ms, now_ms)) || io->apply_at_ms <= now_ms ||
           (io->is_stuck && io->replay_at_ms <= now_ms);
}

int64_t io_next_commit_ms(const struct io *io)
{
    int64_t next = io->is_stuck ? io->replay_at_ms : INT64_MAX;

    if (io->retry_at_ms != INT64_MAX)
        return io->retry_at_ms;
    if (io->waits && io_boundary_ms(io, io->config->commit_ms, io->looked_ms + 1) < next)
        next = io_boundary_ms(io, io->config->commit_ms, io->looked_ms + 1);
    return io->apply_at_ms < next ? io->apply_at_ms : next;
}

/* Replayed rows leave a share of the quota to what cannot be read again. */
static bool room_for_replay(const struct io *io, size_t bytes)
{
    uint64_t quota = spool_quota_bytes(io->spool);

    return spool_held_bytes(io->spool) + bytes <= quota - quota / RESERVE_SHARE;
}

/* Room is made for more than one record at a time, but never so much that a small store is emptied for it,
 * events and all. */
static uint64_t spare_bytes(const struct io *io)
{
    uint64_t share = spool_quota_bytes(io->spool) / RESERVE_SHARE;

    return share < MAKE_ROOM_BYTES ? share : MAKE_ROOM_BYTES;
}

static bool is_replayed(const struct io *io, const struct batch_entry *e)
{
    return e->source != BATCH_NO_SOURCE && io->sources[e->source].replayable;
}

/* 0; SPOOL_FULL: stays in the batch, or is given up (live); negative errno. */
static int append(struct io *io, struct batch_entry *e)
{
    struct maker_record r = {
        .lane = e->lane, .kind = e->kind, .samples = e->samples, .payload = batch_payload(io->batch, e)};
    int rc;

    if (e->is_account)
        return 0;
    if (is_replayed(io, e) && !room_for_replay(io, e->len))
        return SPOOL_FULL;
    rc = maker_append(io->spool, io->outbox, io->keys.tag, &r, NULL);
    if (rc != SPOOL_FULL || is_replayed(io, e))
        return rc;
    rc = outbox_make_room(io->outbox, e->len + spare_bytes(io));
    if (rc < 0)
        return rc;
    return maker_append(io->spool, io->outbox, io->keys.tag, &r, NULL);
}

/* Events and reports wait for room, unless they become many themselves; sets always do. */
static bool waits_for_room(const struct io *io, const struct batch_entry *e)
{
    return e->source == BATCH_NO_SOURCE &&
           (e->kind == FOGLINE__V1__KIND__KIND_DESCRIPTOR || batch_bytes(io->batch) < IO_BATCH_BYTES / 2);
}

/* What stands up to a mark is committed as a whole, unless it never could be. */
static bool fits_up_to_mark(struct io *io)
{
    uint64_t bytes = 0;
    bool any = false;

    for (size_t i = 0; io->replay_memory != NULL && i < batch_n(io->batch); i++) {
        const struct batch_entry *e = batch_at(io->batch, i);

        if (io_is_behind_mark(io, e))
            continue;
        any |= is_replayed(io, e);
        bytes += spool_charge_bytes(e->len);
    }
    if (!any || spool_held_bytes(io->spool) == 0 || room_for_replay(io, bytes))
        return true;
    io->counter[IO_STORE_FULL]++;
    return false;
}

/* Everything there is room for. A source whose payload finds none keeps the later ones back too: its rows
 * stay in order. */
static int append_all(struct io *io, struct io_loss *loss)
{
    const struct source_position *positions[SOURCES_MAX] = {NULL};
    bool fits = fits_up_to_mark(io), is_whole = fits;
    char fact[SOURCE_NAME_BYTES + 8];
    int rc = 0;

    for (unsigned i = 0; i < io->n_sources; i++)
        io->sources[i].is_stuck = io->sources[i].replayable && !fits;
    io->own_is_stuck = false;
    for (size_t i = 0; rc == 0 && i < batch_n(io->batch); i++) {
        struct batch_entry *e = batch_at(io->batch, i);

        if (io_is_behind_mark(io, e) || (is_replayed(io, e) && io->sources[e->source].is_stuck))
            continue;
        rc = append(io, e);
        e->is_done = rc == 0;
        if (rc == 0 && e->is_decision)
            rc = io_keep_decision(io, e);
        if (rc == 0 && e->has_position)
            positions[e->source] = &e->position;
        if (rc == SPOOL_FULL) {
            rc = 0;
            io->counter[IO_STORE_FULL]++;
            if (is_replayed(io, e)) {
                io->sources[e->source].is_stuck = true;
                is_whole = false;
                continue;
            }
            if (waits_for_room(io, e)) {
                io->own_is_stuck = true;
                continue;
            }
            e->is_done = true;
            if (e->samples > 0 && (loss->samples == 0 || e->time_first_ns < loss->from_ns))
                loss->from_ns = e->time_first_ns;
            if (e->samples > 0 && (loss->samples == 0 || e->time_last_ns > loss->to_ns))
                loss->to_ns = e->time_last_ns;
            loss->samples += e->samples;
        }
    }
    if (rc == 0)
        rc = io_keep_reduced(io, positions);
    if (rc == 0 && is_whole)
        rc = io_keep_memory(io);
    for (unsigned i = 0; rc == 0 && i < io->n_sources; i++)
        if (positions[i] != NULL) {
            snprintf(fact, sizeof fact, "cursor/%s", io->sources[i].name);
            rc = spool_fact_put(io->spool, fact, span_of(positions[i], sizeof *positions[i]));
        }
    return rc;
}

static bool has_live_block(const struct io *io)
{
    for (size_t i = 0; i < batch_n(io->batch); i++) {
        const struct batch_entry *e = batch_at(io->batch, i);

        if (e->source != BATCH_NO_SOURCE && !is_replayed(io, e))
            return true;
    }
    return false;
}

static int write_all(struct io *io, struct io_loss *loss, int64_t now_ms)
{
    int64_t wall_ns = clock_wall_unix_ns(&io->daemon->clock);
    int rc = 0;

    if (outbox_wants_apply(io->outbox))
        rc = outbox_apply(io->outbox, now_ms, wall_ns);
    if (rc == 0)
        rc = append_all(io, loss);
    if (rc == 0)
        rc = io_keep_sets(io);
    /* Nothing live was read between this and the next start. With live readings in the batch it has to be
     * exact. */
    if (rc == 0 && (now_ms >= io->alive_at_ms || has_live_block(io))) {
        rc = spool_fact_put_u64(io->spool, "alive", (uint64_t)wall_ns);
        if (rc == 0)
            io->alive_at_ms = now_ms + IO_ALIVE_MS;
    }
    return rc;
}

static void answer(const struct feed_receipt *to, bool ok)
{
    char text[64];
    int n = ok ? snprintf(text, sizeof text, "ok %u", to->samples)
               : snprintf(text, sizeof text, "error the store is full: not kept");

    if (sendto(to->fd, text, (size_t)n, MSG_DONTWAIT, (const struct sockaddr *)to->address,
               to->address_bytes) < 0)
        return; /* the sender is gone */
}

/* After a commit that had to give something up, nobody is told that theirs is safe. */
static void answer_receipts(struct io *io, bool lost)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < io->n_receipts; i++) {
        bool waits = false;

        for (size_t k = 0; k < batch_n(io->batch); k++)
            waits |= batch_at(io->batch, k)->no == io->receipts[i].entry && !batch_at(io->batch, k)->is_done;
        if (waits)
            io->receipts[kept++] = io->receipts[i];
        else
            answer(&io->receipts[i].to, !lost);
    }
    io->n_receipts = kept;
}

static void tell_loss(struct io *io)
{
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_DROPPED,
                           .severity = 2,
                           .time_ns = clock_wall_unix_ns(&io->daemon->clock),
                           .blind_from_ns = io->loss.from_ns,
                           .blind_to_ns = io->loss.to_ns,
                           .count = io->loss.samples};

    snprintf(e.text, sizeof e.text, "%" PRIu64 " samples could not be stored", io->loss.samples);
    io->loss = (struct io_loss){0};
    io_event(io, &e, "store");
}

/* What stays in the batch after a commit. */
static void note_stuck(struct io *io, int64_t now_ms)
{
    uint64_t held;

    io->is_stuck = false;
    io->stuck_bytes = 0;
    for (unsigned i = 0; i < io->n_sources; i++)
        io->is_stuck |= io->sources[i].is_stuck;
    if (io->is_stuck || io->replay_memory != NULL)
        io->stuck_bytes = batch_bytes(io->batch);
    io->waits = false;
    io->batch_oldest_ns = INT64_MAX;
    io->replay_at_ms = now_ms + IO_RETRY_MS;
    io->retry_at_ms = io->own_is_stuck ? now_ms + IO_RETRY_MS : INT64_MAX;
    if (io->is_stuck && log_latch_open(&io->full_latch, clock_mono_ns(&io->daemon->clock), &held))
        log_warn("store_full",
                 "held_bytes=%" PRIu64 " quota_bytes=%" PRIu64
                 " msg=\"the replay waits until records are settled\"",
                 spool_held_bytes(io->spool), spool_quota_bytes(io->spool));
}

/* The map is full although the quota was kept: nothing was written. Room is made in a transaction of its own,
 * and the batch is tried again later. */
static int on_full(struct io *io, int64_t now_ms)
{
    int rc;

    io->counter[IO_STORE_FULL]++;
    for (size_t i = 0; i < batch_n(io->batch); i++)
        batch_at(io->batch, i)->is_done = false;
    io->retry_at_ms = now_ms + IO_RETRY_MS;
    rc = outbox_reload(io->outbox, now_ms);
    if (rc == 0)
        rc = outbox_make_room(io->outbox, spare_bytes(io));
    if (rc >= 0)
        rc = spool_commit(io->spool);
    return rc < 0 ? rc : 0;
}

static void on_committed(struct io *io, const struct io_loss *loss, int64_t now_ms)
{
    bool lost = loss->samples > io->loss.samples;
    uint64_t held;

    io->counter[IO_COMMITS]++;
    io->counter[IO_SAMPLES_REFUSED] += loss->samples - io->loss.samples;
    if (outbox_more_to_apply(io->outbox))
        io->apply_at_ms = now_ms;
    io_sets_kept(io);
    io_reduced_kept(io);
    io_memory_kept(io);
    answer_receipts(io, lost);
    for (size_t i = 0; i < batch_n(io->batch); i++)
        if (batch_at(io->batch, i)->is_done)
            io->counter[IO_BLOCK_BYTES] += batch_at(io->batch, i)->len;
    batch_sweep(io->batch);
    note_stuck(io, now_ms);
    if (lost) {
        io->loss = *loss;
        if (log_latch_open(&io->full_latch, clock_mono_ns(&io->daemon->clock), &held))
            log_warn("samples_refused", "samples=%" PRIu64 " msg=\"the store is full\"", loss->samples);
    } else if (io->loss.samples > 0) {
        tell_loss(io);
    }
}

void io_commit(struct io *io)
{
    int64_t start_ns = clock_mono_ns(&io->daemon->clock), now_ms = loop_now_ms(io->daemon->loop);
    struct io_loss loss = io->loss;
    int rc;

    io->urgent = io->memory_is_written = false;
    io->apply_at_ms = INT64_MAX;
    rc = write_all(io, &loss, now_ms);
    if (rc > 0)
        rc = spool_rollback(io->spool) == 0 ? DB_FULL : -EIO;
    else if (rc == 0)
        rc = spool_commit(io->spool);
    if (rc == DB_FULL)
        rc = on_full(io, now_ms);
    else if (rc == 0)
        on_committed(io, &loss, now_ms);
    if (rc != 0) {
        io_fail(io, rc);
        return;
    }
    io->counter[IO_COMMIT_US] += (uint64_t)(clock_mono_ns(&io->daemon->clock) - start_ns) / 1000;
    lower_port_pump(io->port);
}
