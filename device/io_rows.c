#include "device/io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void note_loss(struct io *io, uint64_t samples, int64_t from_ns, int64_t to_ns)
{
    struct io_loss *l = &io->loss;

    if (l->samples == 0 || from_ns < l->from_ns)
        l->from_ns = from_ns;
    if (l->samples == 0 || to_ns > l->to_ns)
        l->to_ns = to_ns;
    l->samples += samples;
}

/* The kernel's word on the clock costs a system call: once a second is enough. */
static const struct pack_clock *clock_now(struct io *io)
{
    int64_t now_ms = loop_now_ms(io->daemon->loop), error_us = 0;

    if (now_ms - io->clock_read_ms >= 1000) {
        io->clock.state = clock_sync_state(&error_us);
        io->clock.error_us = error_us > UINT32_MAX ? UINT32_MAX : (uint32_t)error_us;
        io->clock_read_ms = now_ms;
    }
    return &io->clock;
}

void io_close_pack(struct io *io, struct io_group *g)
{
    struct batch_entry e = {
        .kind = FOGLINE__V1__KIND__KIND_BLOCK, .source = (uint16_t)g->source, .lane = LANE_ORDINARY};
    struct pack_block block;
    int64_t since_ns = pack_since_mono_ns(g->pack);
    int rc = io_add_descriptor(io, g);

    if (rc == 0)
        rc = pack_close(g->pack, clock_now(io), NULL, batch_begin(io->batch), &block);
    if (rc == 0) {
        e.samples = block.samples;
        e.has_position = g->has_position || g->pending_has_position;
        e.position = g->pending_has_position ? g->pending_position : g->position;
        e.reduced = g->pending;
        e.time_first_ns = block.time_first_ns;
        e.time_last_ns = block.time_last_ns;
        rc = batch_end(io->batch, &e, &io->sources[g->source].last_entry);
    }
    if (rc == 0) {
        g->pending = (struct keep_counts){0};
        g->pending_has_position = false;
        rc = io_learn(io, g);
    }
    if (rc != 0) {
        io_fail(io, rc); /* no memory: what was read is not lost, it was never produced; a restart says so */
        return;
    }
    io->counter[IO_BLOCKS]++;
    io->counter[IO_BLOCKS_RAW] += block.encoding == BLOCK_ENCODING_RAW;
    io->counter[IO_PLAIN_BYTES] += block.plain_bytes;
    io->counter[IO_COLUMN_BYTES] += block.column_bytes;
    if (since_ns < io->batch_oldest_ns)
        io->batch_oldest_ns = since_ns;
    io->waits = true;
}

bool io_waits_for_mark(const struct io *io, const struct io_group *g)
{
    return io->replay_memory != NULL && io->sources[g->source].replayable;
}

static struct pack_keep keep_of(const struct config_list *channels, const struct pack_channel *channel)
{
    const struct channel_config *c = channel_config_of(channels, channel->name);
    struct pack_keep keep = {KEEP_RAW};
    struct keep_rule rule;

    channel_keep_rule(c, channel->type, &rule);
    if (keep_does_anything(&rule))
        keep.policy = rule.policy;
    if (rule.policy == KEEP_CHANGE) {
        /* A minimum interval goes before the deadband: then nothing can be said. */
        keep.deadband = rule.deadband_percent > 0 || rule.min_interval_ns > 0 ? 0 : rule.deadband;
        keep.max_silence_ms = (uint32_t)(rule.max_silence_ns / NS_PER_MS);
    }
    return keep;
}

static void on_group(struct io *io, const struct feed_message *m)
{
    struct io_source *s = &io->sources[m->source];
    const struct source_config *config = io->config->sources.at[m->source].value;
    double bounds[BLOCK_COLUMNS_MAX];
    struct pack_keep keeps[BLOCK_COLUMNS_MAX];
    struct pack_options o = {.group = s->name,
                             .channels = m->channels,
                             .n_channels = m->n_channels,
                             .max_rows = (uint32_t)io->config->pack_rows,
                             .max_bytes = io->config->pack_bytes,
                             .encoding = source_encoding(config),
                             .error_bounds = bounds,
                             .keeps = keeps,
                             .tools = &io->tools};
    struct io_group *g = &io->groups[m->group];
    int rc;

    for (uint32_t i = 0; i < m->n_channels; i++) {
        bool is_derived = keeper_is_derived(m->channels, i, &config->channels);

        bounds[i] = is_derived ? 0 : channel_bound(&config->channels, m->channels[i].name);
        keeps[i] = is_derived ? (struct pack_keep){.policy = KEEP_AGGREGATE}
                              : keep_of(&config->channels, &m->channels[i]);
    }
    rc = pack_new(&g->pack, &o);
    if (rc == 0 && o.encoding != BLOCK_ENCODING_RAW)
        rc = io_take_up_sets(io, g);
    if (rc != 0) {
        io_fail(io, rc);
        return;
    }
    g->source = m->source;
    if (m->group >= io->n_groups)
        io->n_groups = m->group + 1;
}

/* What was left out of a row, and before it, belongs to the block of the row; without one, to the next
 * commit, and so does its position. */
static void note_reduced(struct io *io, struct io_group *g, const struct feed_message *m, bool is_in_block)
{
    keep_counts_add(&g->pending, &m->reduced);
    g->pending_has_position = !is_in_block && m->has_position;
    if (g->pending_has_position)
        g->pending_position = m->position;
    /* Counts of a live source go with whatever is committed next. */
    io->waits |= g->pending_has_position;
}

static void on_row(struct io *io, const struct feed_message *m)
{
    struct io_group *g = &io->groups[m->group];
    struct io_source *s = &io->sources[m->source];
    struct pack_row row = {m->time_ns, m->mono_ns, m->cells, m->n_cells};
    /* Wanted for replayed rows only. */
    int64_t now_ns = m->mono_ns != 0 ? 0 : clock_mono_ns(&io->daemon->clock);
    int rc;

    if (m->is_account) {
        s->last_group = m->group;
        note_reduced(io, g, m, false);
        return;
    }
    rc = pack_add(g->pack, &row, now_ns);
    if (rc == PACK_CLOSE_FIRST) {
        io_close_pack(io, g);
        rc = pack_add(g->pack, &row, now_ns);
    }
    note_reduced(io, g, m, rc == 0);
    if (rc != 0) {
        io->counter[IO_ROWS_TOO_BIG]++;
        note_loss(io, m->n_samples, m->time_ns, m->time_ns);
        return;
    }
    g->has_position = m->has_position;
    if (m->has_position)
        g->position = m->position;
    s->last_group = m->group;
    io->counter[IO_ROWS]++;
    io->counter[IO_SAMPLES] += m->n_samples;
    s->rows++;
    s->samples += m->n_samples;
    if (pack_is_full(g->pack))
        io_close_pack(io, g);
}

/* Follows its row: the block of that row is closed so that its commit can be waited for. */
static void on_receipt(struct io *io, const struct feed_message *m)
{
    struct io_receipt *r = &io->receipts[io->n_receipts];
    struct io_source *s = &io->sources[m->source];
    struct io_group *g = &io->groups[s->last_group];

    if (pack_rows(g->pack) > 0)
        io_close_pack(io, g);
    r->to = m->receipt;
    r->entry = s->last_entry;
    io->n_receipts++;
    io->urgent = true;
}

void io_source_event(struct io *io, unsigned source, const struct feed_event *e)
{
    struct io_source *s = &io->sources[source];
    char subject[2 * SOURCE_NAME_BYTES];

    snprintf(subject, sizeof subject, "%s%s%s", s->name, e->channel[0] != '\0' ? "/" : "", e->channel);
    log_line(e->severity > 0 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "source_event", "source=%s msg=%s", subject,
             log_quote(e->text));
    if (e->channel[0] == '\0' && e->type == FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED)
        s->has_failed = true;
    if (e->channel[0] == '\0' && e->type == FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED)
        s->has_failed = false;
    /* A source's last rows are durable before its end is told. */
    if (e->type == FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_ENDED) {
        s->has_ended = true;
        io_close_all_packs(io);
    }
    io_event(io, e, subject);
}

/* Decisions on a replayed source stand before their row in the ring: all rows before are in the same commit
 * or an earlier one, so that after a crash the row is read again with its change made. */
static void on_decision(struct io *io, const struct feed_message *m)
{
    for (uint32_t i = 0; io->sources[m->source].replayable && i < io->n_groups && io->error == 0; i++) {
        struct io_group *g = &io->groups[i];

        if (g->pack != NULL && g->source == m->source && !io_waits_for_mark(io, g) && pack_rows(g->pack) > 0)
            io_close_pack(io, g);
    }
    if (io->error == 0)
        io_decision(io, m->source, &m->decision);
}

static void on_message(struct io *io, const struct feed_message *m)
{
    switch (m->kind) {
    case FEED_GROUP:
        on_group(io, m);
        break;
    case FEED_ROW:
        on_row(io, m);
        break;
    case FEED_EVENT:
        io_source_event(io, m->source, &m->event);
        break;
    case FEED_RECEIPT:
        on_receipt(io, m);
        break;
    case FEED_DECISION:
        on_decision(io, m);
        break;
    case FEED_MARK:
        break;
    }
}

/* true: messages are left, since the batch is full. */
static bool drain(struct io *io, struct ring *ring)
{
    size_t limit = io->stuck_bytes + IO_BATCH_BYTES;
    bool has_more = true;
    struct feed_message m;
    unsigned since_wake = 0;

    while (io->error == 0 && batch_bytes(io->batch) < limit && io->n_receipts < IO_RECEIPTS_MAX) {
        if (!feed_read(io->feed, ring, &m)) {
            has_more = !ring_consumer_sleeps(ring);
            if (!has_more)
                break;
            continue;
        }
        if (m.kind == FEED_MARK)
            io_mark(io, ring == io->replay);
        else
            on_message(io, &m);
        ring_release(ring);
        if (++since_wake == 256) {
            ring_wake_producer(ring);
            since_wake = 0;
        }
    }
    ring_wake_producer(ring);
    return has_more;
}

void io_drain(struct io *io)
{
    io->has_more = drain(io, io->live);
    if (io->replay != NULL && !io->is_stuck)
        io->has_more |= drain(io, io->replay);
    if (io->replay_memory != NULL && batch_bytes(io->batch) > io->stuck_bytes + IO_BATCH_BYTES / 2)
        memory_want(io->replay_memory);
}

static void close_packs(struct io *io, int64_t before_ns, bool with_marked)
{
    for (uint32_t i = 0; i < io->n_groups && io->error == 0; i++) {
        struct io_group *g = &io->groups[i];

        if (g->pack != NULL && pack_rows(g->pack) > 0 && pack_since_mono_ns(g->pack) <= before_ns &&
            (with_marked || !io_waits_for_mark(io, g)))
            io_close_pack(io, g);
    }
}

void io_close_all_packs(struct io *io)
{
    close_packs(io, INT64_MAX, true);
}

void io_close_packs(struct io *io, int64_t now_ms)
{
    if (io_is_boundary(io, io_pack_ms(io), now_ms))
        close_packs(io, INT64_MAX, false);
    else if (io->urgent)
        close_packs(io, (now_ms - IO_LEFT_OPEN_MS) * NS_PER_MS, false);
}

int64_t io_next_pack_ms(const struct io *io)
{
    return io_oldest_pack_ns(io) == INT64_MAX ? INT64_MAX
                                              : io_boundary_ms(io, io_pack_ms(io), io->looked_ms + 1);
}

int64_t io_oldest_pack_ns(const struct io *io)
{
    int64_t oldest = INT64_MAX;

    for (uint32_t i = 0; i < io->n_groups; i++)
        if (io->groups[i].pack != NULL && !io_waits_for_mark(io, &io->groups[i]) &&
            pack_since_mono_ns(io->groups[i].pack) < oldest)
            oldest = pack_since_mono_ns(io->groups[i].pack);
    return oldest;
}
