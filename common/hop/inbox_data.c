/* Records come in: each is taken once. */
#include "hop/inbox_private.h"

static bool epoch_listed(const struct peer *p, const struct id128 *epoch)
{
    for (size_t i = 0; i < p->n_listed; i++)
        if (id128_equal(&p->listed[i], epoch))
            return true;
    return false;
}

/* The stream of a stretch; NULL when the peer may not bring it. */
static int stretch_stream(struct inbox *ib, struct peer *p, const Fogline__V1__Stretch *t,
                          struct spool_stream **ret_s)
{
    const char *origin = t->origin[0] == '\0' ? p->node : t->origin;
    bool own = strcmp(origin, p->node) == 0;
    struct spool_stream *s;
    struct id128 epoch;
    int rc;

    *ret_s = NULL;
    if (!wire_id128(t->epoch, &epoch))
        return 0;
    if (!own && !ib->options.ops.may_carry(ib->options.ops.ctx, p->node, origin)) {
        ib->counter[INBOX_DROPPED_CARRY] += t->n_records;
        return 0;
    }
    if (own && !epoch_listed(p, &epoch)) {
        ib->counter[INBOX_DROPPED_EPOCH] += t->n_records;
        return 0;
    }
    rc = inbox_stream_make(ib, origin, &epoch, &s);
    if (rc != 0) {
        ib->counter[INBOX_DROPPED_EPOCH] += t->n_records;
        return rc < 0 ? rc : 0;
    }
    if (s->own) {
        ib->counter[INBOX_DROPPED_CARRY] += t->n_records;
        return 0;
    }
    *ret_s = s;
    return 0;
}

/* Consecutive records join one interval before the seen row is written. */
struct run {
    struct inbox *ib;
    struct peer *peer;
    struct spool_stream *stream;
    unsigned lane;
    struct interval range; /* from 0: empty */
};

static int run_end(struct run *r)
{
    struct interval range = r->range;
    int rc;

    if (range.from == 0)
        return 0;
    r->range.from = 0;
    rc = spool_seen_add(r->ib->spool, r->stream, r->lane, range);
    return rc == 0 ? inbox_touch(r->peer, r->stream, r->lane, range) : rc;
}

static bool in_run(const struct run *r, unsigned lane, uint64_t count)
{
    return r->range.from != 0 && r->lane == lane && count >= r->range.from && count <= r->range.to;
}

/* Gaps below what the owner still holds are never filled: evicted, settled elsewhere. They do not count, but
 * when there are very many the oldest part of the set is forgotten: should something of it come once more, it
 * comes as `again`. */
static int check_intervals(struct inbox *ib, struct spool_stream *s, unsigned lane, uint64_t count,
                           bool *ret_take)
{
    const struct interval_set *seen = &s->lane[lane].seen;
    const struct stream_in *si = s->upper_state;
    uint64_t floor = si != NULL ? si->floor[lane] : 0;
    size_t below = floor > 0 ? interval_set_find(seen, floor) : 0;

    *ret_take = true;
    if (ib->is_archive) /* it keeps all it ever takes, and an interval costs less than the record in it */
        return 0;
    if (interval_set_n_with(seen, count) - below > HOP_INTERVALS_MAX) {
        ib->counter[INBOX_RECORDS_INTERVALS]++;
        *ret_take = false;
    } else if (below > 0 && seen->n >= HOP_GAPS_MAX) {
        return spool_seen_drop_lowest(ib->spool, s, lane);
    }
    return 0;
}

static int take_record(struct run *run, const Fogline__V1__Record *m)
{
    struct inbox *ib = run->ib;
    struct spool_stream *s = run->stream;
    unsigned lane = seq_lane(m->seq);
    uint64_t count = seq_count(m->seq);
    struct record r = {.origin = s->origin,
                       .epoch = s->epoch,
                       .seq = m->seq,
                       .kind = m->kind,
                       .flags = m->flags,
                       .samples = m->samples,
                       .payload = wire_span(m->payload)};
    bool take = true;
    int rc;

    if (in_run(run, lane, count) || interval_set_has(&s->lane[lane].seen, count)) {
        ib->counter[INBOX_DUPLICATES]++;
        return inbox_touch(run->peer, s, lane, (struct interval){count, count});
    }
    if (m->kind == FOGLINE__V1__KIND__KIND_OBJECT) {
        ib->counter[INBOX_DROPPED_OBJECT]++;
        return 0;
    }
    if (run->range.from == 0 || run->lane != lane || count != run->range.to + 1) {
        rc = run_end(run);
        if (rc == 0)
            rc = check_intervals(ib, s, lane, count, &take);
        if (rc != 0 || !take)
            return rc;
    }
    memcpy(r.tag, m->tag.data, WIRE_TAG_BYTES);
    rc = ib->options.ops.record(ib->options.ops.ctx, s, &r);
    if (rc == INBOX_REFUSED || rc == INBOX_DUPLICATE) {
        ib->counter[rc == INBOX_REFUSED ? INBOX_RECORDS_REFUSED : INBOX_DUPLICATES]++;
        return rc == INBOX_DUPLICATE ? inbox_touch(run->peer, s, lane, (struct interval){count, count}) : 0;
    }
    if (rc != 0)
        return rc;
    ib->batch_records++;
    ib->batch_bytes += inbox_charge(m->payload.len);
    ib->counter[INBOX_RECORDS]++;
    ib->counter[INBOX_SAMPLES] += m->samples;
    ib->counter[INBOX_PAYLOAD_BYTES] += m->payload.len;
    run->peer->records++;
    run->peer->bytes += m->payload.len;
    if (run->range.from == 0) {
        run->lane = lane;
        run->range = (struct interval){count, count};
    } else {
        run->range.to = count;
    }
    return 0;
}

static int take_stretch(struct inbox *ib, struct peer *p, const Fogline__V1__Stretch *t)
{
    struct run run = {.ib = ib, .peer = p};
    int rc = stretch_stream(ib, p, t, &run.stream);

    if (rc != 0 || run.stream == NULL)
        return rc;
    for (size_t i = 0; rc == 0 && i < t->n_records; i++)
        rc = take_record(&run, t->records[i]);
    return rc == 0 ? run_end(&run) : rc;
}

static uint64_t data_charge(const Fogline__V1__Data *data)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < data->n_stretches; i++)
        for (size_t k = 0; k < data->stretches[i]->n_records; k++)
            bytes += inbox_charge(data->stretches[i]->records[k]->payload.len);
    return bytes;
}

int inbox_take_data(struct inbox *ib, struct peer *p, const Fogline__V1__Data *data, int64_t now_ms)
{
    int rc = 0;

    (void)now_ms;
    inbox_answer(ib, p, false);
    if (!p->has_session || (data->session != p->session && inbox_rule(ib, HOP_RULE_SESSION))) {
        ib->counter[INBOX_DROPPED_SESSION]++;
        return 0;
    }
    if (data->run != ib->run && inbox_rule(ib, HOP_RULE_RUN_IN_DATA)) {
        ib->counter[INBOX_DROPPED_RUN]++;
        return 0;
    }
    p->round_bytes += data_charge(data);
    if (p->round_bytes > p->granted_bytes + HOP_WINDOW_MIN_BYTES) {
        ib->counter[INBOX_DROPPED_WINDOW]++;
        return 0;
    }
    ib->counter[INBOX_DATA]++;
    p->backlog_taken_bytes += data->backlog_bytes;
    for (size_t i = 0; rc == 0 && i < data->n_stretches; i++)
        rc = take_stretch(ib, p, data->stretches[i]);
    return rc;
}
