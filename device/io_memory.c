/* io_memory.c - what computed sources know, in the store: facts "memory/NAME/NO", pieces of the image in
 * order.
 *
 * They change in the transaction of the rows that the image knows. Only pieces that differ are written. */
#include "device/io.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    PIECE_BYTES = 1000,
    MEMORY_MAX_BYTES = 64 * 1024, /* of a source */
    QUOTA_SHARE = 16,             /* of all sources */
    LIVE_EVERY_S = 10,
    EXCHANGED_MORE_BYTES = 4096,
    FACT_BYTES = 64
};

static void fact_name(const char *source, size_t at, char out[FACT_BYTES])
{
    snprintf(out, FACT_BYTES, "memory/%s/%02zu", source, at / PIECE_BYTES);
}

static struct span piece(const struct buf *image, size_t at)
{
    size_t left = at < image->len ? image->len - at : 0;

    return span_of(left > 0 ? image->data + at : NULL, left < PIECE_BYTES ? left : PIECE_BYTES);
}

int io_memory_load(struct io *io, const char *source, struct buf *ret)
{
    char fact[FACT_BYTES];
    int rc = 0;

    while (rc == 0 && ret->len % PIECE_BYTES == 0 && ret->len < MEMORY_MAX_BYTES) {
        owned(buf_deinit) struct buf value = {0};

        fact_name(source, ret->len, fact);
        rc = spool_fact_get(io->spool, fact, &value);
        if (rc == 0 && value.len == 0)
            break;
        buf_append(ret, value.data, value.len);
    }
    return rc < 0 ? rc : ret->error;
}

static int memory_of(struct io *io, bool is_replay, struct memory **ret)
{
    struct memory_options o = {.feed = io->feed,
                               .ring = is_replay ? io->replay : io->live,
                               .is_replay = is_replay,
                               .every_ns = is_replay ? io_pack_ms(io) * NS_PER_MS : LIVE_EVERY_S * NS_PER_S};

    return *ret != NULL ? 0 : memory_new(ret, &o);
}

/* What is taken while the device runs may know more than what it takes the place of; of what is refused at
 * the start (0) nothing is known yet. */
static size_t room_of_exchanged(size_t bytes, uint64_t left)
{
    size_t room = bytes == 0 ? MEMORY_MAX_BYTES : 2 * bytes + EXCHANGED_MORE_BYTES;

    room = room < MEMORY_MAX_BYTES ? room : MEMORY_MAX_BYTES;
    return room < left ? room : (size_t)left;
}

int io_memory_open(struct io *io)
{
    uint64_t left = spool_quota_bytes(io->spool) / QUOTA_SHARE;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < io->n_sources; i++) {
        struct io_source *s = &io->sources[i];
        struct memory **to = s->replayable ? &io->replay_memory : &io->live_memory;
        size_t bytes;

        if (s->kind->remember == NULL)
            continue;
        rc = memory_of(io, s->replayable, to);
        bytes = s->kind->remember(s->self, NULL, 0);
        s->memory_is_refused = bytes > MEMORY_MAX_BYTES || bytes > left;
        if (rc != 0 || s->memory_is_refused)
            continue;
        if (s->kind->tend != NULL)
            bytes = room_of_exchanged(bytes, left);
        if (bytes == 0)
            continue;
        rc = memory_add(*to, i, s->kind, s->self, bytes);
        left -= bytes;
    }
    return rc;
}

static void tell(struct io *io, const struct io_source *s, size_t bytes, const char *what)
{
    struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE,
                           .severity = 1,
                           .time_ns = clock_wall_unix_ns(&io->daemon->clock)};

    snprintf(e.text, sizeof e.text, "what it knows takes %zu bytes, %s", bytes, what);
    log_warn("not_kept", "source=%s msg=%s", s->name, log_quote(e.text));
    io_event(io, &e, s->name);
}

void io_memory_tell(struct io *io)
{
    for (unsigned i = 0; i < io->n_sources; i++) {
        struct io_source *s = &io->sources[i];

        if (s->memory_is_refused)
            tell(io, s, s->kind->remember(s->self, NULL, 0),
                 "more than are kept: it begins anew at each start; shorter windows or a larger "
                 "store.map_bytes help");
    }
}

/* Of a replay all blocks end here: what comes is not known to the images. */
static void close_replayed(struct io *io)
{
    for (uint32_t i = 0; i < io->n_groups && io->error == 0; i++) {
        struct io_group *g = &io->groups[i];

        if (g->pack == NULL || !io->sources[g->source].replayable)
            continue;
        if (pack_rows(g->pack) > 0)
            io_close_pack(io, g);
        else
            io_reduced_mark(io, g);
    }
    io->mark_no = batch_last_no(io->batch);
}

void io_mark(struct io *io, bool is_replay)
{
    struct memory *m = is_replay ? io->replay_memory : io->live_memory;

    /* Of a replay nothing else may be committed. */
    io->urgent |= is_replay;
    io->waits = true;
    if (is_replay)
        close_replayed(io);
    for (unsigned i = 0; i < io->n_sources; i++) {
        struct io_source *s = &io->sources[i];
        struct span image = memory_image(m, i);
        size_t missed = memory_missed(m, i);

        if (missed > 0 && missed != s->memory_missed)
            tell(io, s, missed,
                 "more than there is room for since it was exchanged: restart the device, or it begins anew "
                 "at the next start");
        s->memory_missed = missed;
        if (image.len == 0)
            continue;
        buf_reset(&s->memory_next);
        buf_append(&s->memory_next, image.data, image.len);
        s->memory_is_new = s->memory_next.error == 0;
    }
    memory_release(m);
}

bool io_is_behind_mark(const struct io *io, const struct batch_entry *e)
{
    return io->replay_memory != NULL && e->source != BATCH_NO_SOURCE && io->sources[e->source].replayable &&
           e->no > io->mark_no;
}

static int keep(struct io *io, struct io_source *s)
{
    size_t end = s->memory.len > s->memory_next.len ? s->memory.len : s->memory_next.len;
    char fact[FACT_BYTES];
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < end; at += PIECE_BYTES) {
        struct span now = piece(&s->memory_next, at);

        if (span_equal(now, piece(&s->memory, at)))
            continue;
        fact_name(s->name, at, fact);
        rc = now.len > 0 ? spool_fact_put(io->spool, fact, now) : spool_fact_delete(io->spool, fact);
    }
    return rc;
}

int io_keep_memory(struct io *io)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < io->n_sources; i++)
        if (io->sources[i].memory_is_new)
            rc = keep(io, &io->sources[i]);
    io->memory_is_written = rc == 0;
    return rc;
}

void io_memory_kept(struct io *io)
{
    for (unsigned i = 0; io->memory_is_written && i < io->n_sources; i++) {
        struct io_source *s = &io->sources[i];
        struct buf before = s->memory;

        if (!s->memory_is_new)
            continue;
        s->memory = s->memory_next;
        s->memory_next = before;
        s->memory_is_new = false;
    }
}
