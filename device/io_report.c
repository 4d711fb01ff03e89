#include "device/io.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

const struct counter_info io_counter_info[IO_COUNTERS] = {
    [IO_ROWS] = {"rows", COUNTER_TOTAL, "1", "Rows taken from sources"},
    [IO_SAMPLES] = {"samples", COUNTER_TOTAL, "samples", "Present cells of these rows"},
    [IO_BLOCKS] = {"blocks", COUNTER_TOTAL, "1", "Blocks closed"},
    [IO_BLOCK_BYTES] = {"payload_bytes", COUNTER_TOTAL, "bytes", "Payloads made durable"},
    [IO_PLAIN_BYTES] = {"plain_bytes", COUNTER_TOTAL, "bytes",
                        "Readings of closed blocks: 8 a time, 8 a number, texts as long as they are"},
    [IO_COLUMN_BYTES] = {"column_bytes", COUNTER_TOTAL, "bytes", "What the encoding made of these"},
    [IO_BLOCKS_RAW] = {"blocks_raw", COUNTER_TOTAL, "1",
                       "Blocks written raw: asked for, or shorter than in the encoding asked for"},
    [IO_SETS_LEARNT] = {"sets_learnt", COUNTER_TOTAL, "1",
                        "Descriptor sets made since better starts were learnt"},
    [IO_EVENTS] = {"events", COUNTER_TOTAL, "1", "Events made"},
    [IO_COMMITS] = {"commits", COUNTER_TOTAL, "1", "Commits of the spool"},
    [IO_COMMIT_US] = {"commit_us", COUNTER_TOTAL, "us", "Time spent writing and committing"},
    [IO_STORE_FULL] = {"store_full", COUNTER_TOTAL, "1", "Times the store had no room"},
    [IO_SAMPLES_REFUSED] = {"samples_refused", COUNTER_TOTAL, "samples",
                            "Live samples given up since the store was full"},
    [IO_ROWS_TOO_BIG] = {"rows_too_big", COUNTER_TOTAL, "1", "Rows that fit in no block"},
    [IO_COMMANDS] = {"commands", COUNTER_TOTAL, "1", "Commands carried out"},
    [IO_COMMANDS_REFUSED] = {"commands_refused", COUNTER_TOTAL, "1", "Commands not well signed or sealed"},
    [IO_STORES_QUARANTINED] = {"stores_quarantined", COUNTER_TOTAL, "1",
                               "Broken stores moved away at this start"},
};

enum act_counter {
    ACT_ROWS,
    ACT_SAMPLES,
    ACT_ROWS_DROPPED,
    ACT_SAMPLES_DROPPED,
    ACT_TICKS_MISSED,
    ACT_EVENTS_DROPPED,
    ACT_OUT_OF_RANGE,
    ACT_NO_CHANGE,
    ACT_TOO_SOON,
    ACT_AGGREGATED,
    ACT_LOCAL,
    ACT_SENT_LATER,
    ACT_DERIVED,
    ACT_COUNTERS
};

static const struct counter_info act_counter_info[ACT_COUNTERS] = {
    [ACT_ROWS] = {"rows", COUNTER_TOTAL, "1", "Rows put into the ring"},
    [ACT_SAMPLES] = {"samples", COUNTER_TOTAL, "samples", "Present cells of these rows"},
    [ACT_ROWS_DROPPED] = {"rows_dropped", COUNTER_TOTAL, "1", "Live rows that found no room in the ring"},
    [ACT_SAMPLES_DROPPED] = {"samples_dropped", COUNTER_TOTAL, "samples", "Present cells of these rows"},
    [ACT_TICKS_MISSED] = {"ticks_missed", COUNTER_TOTAL, "1", "Ticks of live sources that went by"},
    [ACT_EVENTS_DROPPED] = {"events_dropped", COUNTER_TOTAL, "1",
                            "Events of sources that found no room in the ring"},
    [ACT_OUT_OF_RANGE] = {"out_of_range", COUNTER_TOTAL, "samples",
                          "Values outside the valid range of their channel"},
    [ACT_NO_CHANGE] = {"reduced_no_change", COUNTER_TOTAL, "samples", "Not sent: within the deadband"},
    [ACT_TOO_SOON] = {"reduced_too_soon", COUNTER_TOTAL, "samples", "Not sent: within the minimum interval"},
    [ACT_AGGREGATED] = {"reduced_aggregated", COUNTER_TOTAL, "samples", "Not sent: in aggregates"},
    [ACT_LOCAL] = {"reduced_local", COUNTER_TOTAL, "samples", "Not sent: kept local"},
    [ACT_SENT_LATER] = {"sent_later", COUNTER_TOTAL, "samples", "Of these, sent around alarms"},
    [ACT_DERIVED] = {"derived", COUNTER_TOTAL, "samples", "Present cells of aggregates"},
};

enum spool_gauge {
    GAUGE_HELD_RECORDS,
    GAUGE_HELD_BYTES,
    GAUGE_QUOTA_BYTES,
    GAUGE_COMMITS,
    GAUGE_DAMAGED,
    GAUGES
};

static const struct counter_info spool_gauge_info[GAUGES] = {
    [GAUGE_HELD_RECORDS] = {"held_records", COUNTER_GAUGE, "records", "Records held"},
    [GAUGE_HELD_BYTES] = {"held_bytes", COUNTER_GAUGE, "bytes", "Bytes of records held"},
    [GAUGE_QUOTA_BYTES] = {"quota_bytes", COUNTER_GAUGE, "bytes", "Bytes of records that may be held"},
    [GAUGE_COMMITS] = {"commits", COUNTER_TOTAL, "1", "Transactions committed"},
    [GAUGE_DAMAGED] = {"damaged", COUNTER_TOTAL, "1", "Values found damaged"},
};

enum { SETS = 6 };

/* Values that are not kept in an array of counters, and all sets together. */
struct numbers {
    uint64_t act[ACT_COUNTERS], spool[GAUGES], rules[IO_RULE_COUNTERS];
    struct counter_set set[SETS];
};

static uint64_t load(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static void read_numbers(struct io *io, struct numbers *n)
{
    const struct feed_counters *c = feed_counters(io->feed);
    const struct keeper_counters *keep = keeper_counters(sampler_keeper(io->sampler));
    struct db *db = spool_db(io->spool);

    n->act[ACT_ROWS] = load(&c->rows);
    n->act[ACT_SAMPLES] = load(&c->samples);
    n->act[ACT_ROWS_DROPPED] = load(&c->rows_dropped);
    n->act[ACT_SAMPLES_DROPPED] = load(&c->samples_dropped);
    n->act[ACT_TICKS_MISSED] = load(&c->ticks_missed);
    n->act[ACT_EVENTS_DROPPED] = load(&c->events_dropped);
    n->act[ACT_OUT_OF_RANGE] = load(&sampler_counters(io->sampler)->out_of_range);
    for (unsigned i = 0; i < KEEP_REASONS; i++)
        n->act[ACT_NO_CHANGE + i] = load(&keep->reduced[i]);
    n->act[ACT_SENT_LATER] = load(&keep->sent_later);
    n->act[ACT_DERIVED] = load(&keep->derived);
    n->spool[GAUGE_HELD_RECORDS] = spool_held_records(io->spool);
    n->spool[GAUGE_HELD_BYTES] = spool_held_bytes(io->spool);
    n->spool[GAUGE_QUOTA_BYTES] = spool_quota_bytes(io->spool);
    n->spool[GAUGE_COMMITS] = db_commits(db);
    n->spool[GAUGE_DAMAGED] = db_damaged(db);
    n->set[0] = (struct counter_set){"act", act_counter_info, n->act, ACT_COUNTERS};
    n->set[1] = (struct counter_set){"io", io_counter_info, io->counter, IO_COUNTERS};
    n->set[2] = (struct counter_set){"spool", spool_gauge_info, n->spool, GAUGES};
    n->set[3] =
        (struct counter_set){"outbox", outbox_counter_info, outbox_counters(io->outbox), OUTBOX_COUNTERS};
    n->set[4] =
        (struct counter_set){"link", link_counter_info, lower_port_link_counters(io->port), LINK_COUNTERS};
    io_rule_counters(io, n->rules);
    n->set[5] = (struct counter_set){"rules", io_rule_counter_info, n->rules, IO_RULE_COUNTERS};
}

/* ---- health ---- */

enum { OWN_COUNTERS_MAX = 192 };

/* A Health and what it points to. */
struct health_record {
    Fogline__V1__Health m;
    struct io_number numbers[OWN_COUNTERS_MAX + SOURCES_MAX * IO_WORK_COUNTERS];
    Fogline__V1__Counter counters[OWN_COUNTERS_MAX + SOURCES_MAX * IO_WORK_COUNTERS];
    Fogline__V1__Counter *counter_list[OWN_COUNTERS_MAX + SOURCES_MAX * IO_WORK_COUNTERS];
    struct io_number work[SOURCES_MAX * IO_WORK_MEASURES];
    Fogline__V1__Measure measures[HEALTH_MEASURES + SOURCES_MAX * IO_WORK_MEASURES];
    Fogline__V1__Measure *measure_list[HEALTH_MEASURES + SOURCES_MAX * IO_WORK_MEASURES];
    Fogline__V1__Reductions reductions;
    Fogline__V1__Reduced reduced[SOURCES_MAX * KEEP_REASONS], *reduced_list[SOURCES_MAX * KEEP_REASONS];
};

static void add_counters(struct io *io, struct health_record *h)
{
    struct numbers numbers;
    size_t n = 0;

    read_numbers(io, &numbers);
    for (unsigned s = 0; s < SETS; s++)
        for (size_t i = 0; i < numbers.set[s].n && n < OWN_COUNTERS_MAX; i++, n++) {
            snprintf(h->numbers[n].name, IO_HEALTH_NAME_BYTES, "%s.%s", numbers.set[s].prefix,
                     numbers.set[s].info[i].name);
            h->numbers[n].value = numbers.set[s].value[i];
        }
    n += io_work_numbers(io, false, h->numbers + n);
    for (size_t i = 0; i < n; i++) {
        fogline__v1__counter__init(&h->counters[i]);
        h->counters[i].name = h->numbers[i].name;
        h->counters[i].value = h->numbers[i].value;
        h->counter_list[i] = &h->counters[i];
    }
    h->m.n_counters = n;
    h->m.counters = h->counter_list;
}

static void add_measure(struct health_record *h, const char *name, double value)
{
    Fogline__V1__Measure *m = &h->measures[h->m.n_measures];

    if (!isfinite(value))
        return;
    fogline__v1__measure__init(m);
    m->name = (char *)name;
    m->value = value;
    h->measure_list[h->m.n_measures++] = m;
}

static void add_measures(struct io *io, struct health_record *h)
{
    size_t n = io_work_numbers(io, true, h->work);

    io_measure(io, true);
    h->m.measures = h->measure_list;
    for (unsigned i = 0; i < HEALTH_MEASURES; i++)
        add_measure(h, health_info[i].name, io->measures[i]);
    for (size_t i = 0; i < n; i++)
        add_measure(h, h->work[i].name, (double)h->work[i].value);
}

void io_health(struct io *io)
{
    struct health_record h;

    fogline__v1__health__init(&h.m);
    fogline__v1__reductions__init(&h.reductions);
    h.reductions.epoch = wire_bytes(span_of(spool_own(io->spool)->epoch.bytes, ID128_BYTES));
    h.reductions.n_reduced = io_reduced_list(io, h.reduced);
    h.reductions.reduced = h.reduced_list;
    for (size_t i = 0; i < h.reductions.n_reduced; i++)
        h.reduced_list[i] = &h.reduced[i];
    h.m.format = WIRE_FORMAT;
    h.m.time_ns = clock_wall_unix_ns(&io->daemon->clock);
    add_counters(io, &h);
    add_measures(io, &h);
    io->is_reduced_untold = false;
    if (h.reductions.n_reduced > 0)
        h.m.reductions = &h.reductions;
    io_add_message(io, LANE_ORDINARY, FOGLINE__V1__KIND__KIND_HEALTH, &h.m.base);
}

/* ---- the link, for people ---- */

static void own_key(const struct io *io, char out[KEY_TEXT_CHARS])
{
    struct node_public p;

    memcpy(p.transport, io->daemon->keys.transport_public, KEY_BYTES);
    memcpy(p.end, io->daemon->keys.end_public, KEY_BYTES);
    node_public_format(&p, out);
}

static bool not_accepted(const struct lower_port_status *s, int64_t now_ms)
{
    return s->link == LOWER_PORT_REACHED && now_ms - s->since_mono_ms >= IO_NOT_ACCEPTED_MS;
}

void io_watch_link(struct io *io, int64_t now_ms)
{
    struct lower_port_status s;
    char key[KEY_TEXT_CHARS];

    lower_port_status(io->port, &s);
    if ((int)s.link != io->last_link) {
        io->last_link = (int)s.link;
        io->said_not_accepted = false;
        log_info("link", "state=%s upstream=%s", log_quote(lower_port_link_name(s.link)), s.upstream);
    }
    if (io->said_not_accepted || !not_accepted(&s, now_ms))
        return;
    io->said_not_accepted = true;
    own_key(io, key);
    log_warn("key_not_accepted",
             "upstream=%s key=%s msg=\"the fog is reachable but has not accepted this key; run there: fogctl "
             "enroll "
             "accept %s %s\"",
             s.upstream, s.fingerprint, io->config->settings.node, key);
}

static void link_facts(struct io *io, struct json *j)
{
    int64_t now_ms = loop_now_ms(io->daemon->loop), heard_ms = outbox_last_state_ms(io->outbox);
    struct lower_port_status s;
    struct outbox_waiting w;
    char key[KEY_TEXT_CHARS], hint[2 * KEY_TEXT_CHARS + 512];

    lower_port_status(io->port, &s);
    json_kstr(j, "link", lower_port_link_name(s.link));
    json_kstr(j, "upstream", s.upstream);
    json_ki64(j, "link_since_ms", now_ms - s.since_mono_ms);
    json_kstr(j, "key", s.fingerprint);
    if (heard_ms != INT64_MIN)
        json_ki64(j, "last_heard_ms", now_ms - heard_ms);
    if (not_accepted(&s, now_ms)) {
        own_key(io, key);
        snprintf(hint, sizeof hint,
                 "fog reachable but has not accepted key %s; run on the fog: fogctl enroll accept %s %s",
                 s.fingerprint, io->config->settings.node, key);
        json_kstr(j, "hint", hint);
    }
    outbox_waiting(io->outbox, &w);
    json_ku64(j, "waiting_urgent_records", w.urgent_records);
    json_ku64(j, "waiting_records", w.ordinary_records);
    json_ku64(j, "unsettled_records", w.unsettled_records);
    json_ku64(j, "in_flight_bytes", w.in_flight_bytes);
    json_ku64(j, "window_live_bytes", w.window_live_bytes);
    json_ku64(j, "window_backlog_bytes", w.window_backlog_bytes);
}

static void spool_facts(struct io *io, struct json *j)
{
    const struct spool_stream *own = spool_own(io->spool);
    char epoch[ID128_HEX_CHARS + 1];

    id128_hex(&own->epoch, epoch);
    json_kstr(j, "epoch", epoch);
    json_ku64(j, "held_records", spool_held_records(io->spool));
    json_ku64(j, "held_bytes", spool_held_bytes(io->spool));
    json_ku64(j, "quota_bytes", spool_quota_bytes(io->spool));
    json_ku64(j, "produced_samples", own->lane[LANE_ORDINARY].produced_samples);
    json_ku64(j, "ring_used_bytes", ring_used(io->live));
    json_ku64(j, "ring_bytes", ring_bytes(io->live));
    json_kbool(j, "replay_waits_for_room", io->is_stuck);
}

static void health_facts(struct io *io, struct json *j)
{
    io_measure(io, false);
    json_key(j, "health");
    json_object(j);
    for (unsigned i = 0; i < HEALTH_MEASURES; i++)
        if (isfinite(io->measures[i]))
            json_kdouble(j, health_info[i].name, io->measures[i]);
    json_object_end(j);
}

static void source_facts(struct io *io, struct json *j)
{
    json_key(j, "sources");
    json_array(j);
    for (unsigned i = 0; i < io->n_sources; i++) {
        json_object(j);
        json_kstr(j, "name", io->sources[i].name);
        json_kstr(j, "kind", io->sources[i].kind->name);
        json_ku64(j, "rows", io->sources[i].rows);
        json_ku64(j, "samples", io->sources[i].samples);
        json_kstr(j, "state",
                  io->sources[i].has_ended    ? "ended"
                  : io->sources[i].has_failed ? "failed"
                                              : "reads");
        json_object_end(j);
    }
    json_array_end(j);
}

void io_write_status(struct io *io)
{
    struct numbers numbers;
    struct json *j;
    int rc = status_begin(io->status, clock_wall_unix_ns(&io->daemon->clock), &j);

    if (rc == 0) {
        link_facts(io, j);
        spool_facts(io, j);
        health_facts(io, j);
        source_facts(io, j);
        io_work_facts(io, j);
        io_alarm_facts(io, j);
        read_numbers(io, &numbers);
        rc = status_end(io->status, numbers.set, SETS);
    }
    if (rc != 0)
        log_debug("status_not_written", "error=%d", -rc);
}
