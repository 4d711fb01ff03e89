#include "hop/archive_word.h"
#include "hop/outbox_private.h"

#include <stdio.h>

const struct counter_info outbox_counter_info[OUTBOX_COUNTERS] = {
    [OUTBOX_RECORDS_SENT] = {"records_sent", COUNTER_TOTAL, "records",
                             "Records handed to the link, repeats included"},
    [OUTBOX_RECORDS_RESENT] = {"records_resent", COUNTER_TOTAL, "records",
                               "Records handed to the link again"},
    [OUTBOX_RECORDS_DRILLED] = {"records_drilled", COUNTER_TOTAL, "records",
                                "Records handed to the link since the upper side asked for them"},
    [OUTBOX_DATA_SENT] = {"data_sent", COUNTER_TOTAL, "frames", "Data messages handed to the link"},
    [OUTBOX_DATA_BYTES] = {"data_bytes", COUNTER_TOTAL, "bytes", "Bytes of Data messages before encryption"},
    [OUTBOX_HELLOS] = {"hellos_sent", COUNTER_TOTAL, "frames", "Hello messages: greetings and polls"},
    [OUTBOX_STATES] = {"states", COUNTER_TOTAL, "frames", "State messages accepted"},
    [OUTBOX_STATES_IGNORED] = {"states_ignored", COUNTER_TOTAL, "frames",
                               "State messages of another session, run or store"},
    [OUTBOX_STATES_MALFORMED] = {"states_malformed", COUNTER_TOTAL, "frames",
                                 "Down messages that did not parse"},
    [OUTBOX_SESSIONS] = {"sessions", COUNTER_TOTAL, "1", "Sessions begun"},
    [OUTBOX_CUTS] = {"cuts", COUNTER_TOTAL, "1",
                     "Changes of the store above: all older records are sent as `again`"},
    [OUTBOX_WATCHDOG_RESETS] = {"watchdog_resets", COUNTER_TOTAL, "1", "Links made anew since no State came"},
    [OUTBOX_MARKS] = {"marks", COUNTER_TOTAL, "1", "Marks accepted"},
    [OUTBOX_MARKS_REFUSED] = {"marks_refused", COUNTER_TOTAL, "1",
                              "Marks with a wrong authenticator or archive"},
    [OUTBOX_ARCHIVES_TAKEN] = {"archives_taken", COUNTER_TOTAL, "1",
                               "Times the operator's word named the archive"},
    [OUTBOX_ARCHIVES_REFUSED] = {"archives_refused", COUNTER_TOTAL, "1",
                                 "Documents naming an archive, forged or no newer than what is known"},
    [OUTBOX_RECORDS_SETTLED] = {"records_settled", COUNTER_TOTAL, "records",
                                "Records let go since they are settled"},
    [OUTBOX_RECORDS_EVICTED] = {"records_evicted", COUNTER_TOTAL, "records", "Records let go at the quota"},
    [OUTBOX_SAMPLES_EVICTED] = {"samples_evicted", COUNTER_TOTAL, "samples",
                                "Samples in records let go at the quota"},
    [OUTBOX_LEDGER_RECORDS] = {"ledger_records", COUNTER_TOTAL, "records",
                               "Ledger records cut from the account"},
    [OUTBOX_RECORDS_DAMAGED] = {"records_damaged", COUNTER_TOTAL, "records",
                                "Records that did not verify when read"},
    [OUTBOX_EPOCHS_FORCED] = {"epochs_forced", COUNTER_TOTAL, "1",
                              "Epochs begun since the spool had gone back in time"},
};

enum { MS_PER_DAY = 24 * 3600 * 1000, SESSION_JUMP_BITS = 40 };
/* A former life cannot be further on than a few jumps: more is somebody who wants to use the numbers up. */
#define SESSION_AHEAD_MAX (UINT64_C(1) << 56)

static int64_t jitter(struct outbox *ob, int64_t ms) /* +-20 % */
{
    return ms * 8 / 10 + (int64_t)rng_below(&ob->rng, (uint64_t)(ms * 4 / 10 + 1));
}

static int64_t poll_ms(const struct outbox *ob)
{
    return ob->options.poll_ms != 0 ? ob->options.poll_ms : HOP_POLL_MS;
}

void outbox_flight_end(struct outbox *ob, struct flight *f)
{
    ob->window[f->class].in_flight -= f->bytes;
    *f->lane_link = f->lane_next;
    if (f->lane_next != NULL)
        f->lane_next->lane_link = f->lane_link;
    if (f->time_prev != NULL)
        f->time_prev->time_next = f->time_next;
    else
        ob->oldest = f->time_next;
    if (f->time_next != NULL)
        f->time_next->time_prev = f->time_prev;
    else
        ob->newest = f->time_prev;
    f->lane_next = ob->spare;
    ob->spare = f;
}

static void stream_out_free(struct outbox *ob, struct stream_out *so)
{
    if (so == NULL)
        return;
    for (unsigned l = 0; l < LANE_COUNT; l++) {
        while (so->lane[l].flights != NULL)
            outbox_flight_end(ob, so->lane[l].flights);
        interval_set_deinit(&so->lane[l].unsent);
        interval_set_deinit(&so->lane[l].stored);
        interval_set_deinit(&so->lane[l].settled);
        interval_set_deinit(&so->lane[l].corrupt);
        interval_set_deinit(&so->lane[l].drill);
        interval_set_deinit(&so->lane[l].drill_unsent);
    }
    free(so);
}

void outbox_stream_drop(struct outbox *ob, struct spool_stream *s)
{
    stream_out_free(ob, s->lower_state);
    s->lower_state = NULL;
}

int outbox_refill_unsent(struct stream_out *so, unsigned lane)
{
    struct lane_out *lo = &so->lane[lane];
    int rc = interval_set_copy(&lo->unsent, &so->stream->lane[lane].held);

    if (rc == 0)
        rc = interval_set_subtract(&lo->unsent, &lo->stored);
    if (rc == 0)
        rc = interval_set_subtract(&lo->unsent, &lo->settled);
    if (rc == 0)
        rc = interval_set_subtract(&lo->unsent, &lo->corrupt);
    for (struct flight *f = lo->flights; rc == 0 && f != NULL; f = f->lane_next)
        rc = interval_set_remove(&lo->unsent, f->from, f->to);
    return rc == 0 ? outbox_drill_split(so, lane) : rc;
}

int outbox_stream_out(struct outbox *ob, struct spool_stream *s, struct stream_out **ret_so)
{
    struct stream_out *so = s->lower_state;
    int rc;

    (void)ob;
    if (so == NULL) {
        so = calloc(1, sizeof *so);
        if (so == NULL)
            return -ENOMEM;
        so->stream = s;
        s->lower_state = so;
        for (unsigned l = 0; l < LANE_COUNT; l++) {
            so->lane[l].live_from = 1; /* what begins now is live */
            rc = outbox_refill_unsent(so, l);
            if (rc != 0)
                return rc;
        }
    }
    *ret_so = so;
    return 0;
}

/* Highest count held or made, so that what comes after it is live. */
static uint64_t lane_top(const struct spool_stream *s, unsigned lane)
{
    const struct spool_lane *sl = &s->lane[lane];

    if (s->own && sl->next > 0)
        return sl->next - 1;
    return sl->held.n > 0 ? sl->held.at[sl->held.n - 1].to : 0;
}

int outbox_begin_session(struct outbox *ob, uint64_t session, int64_t now_ms)
{
    int rc;

    ob->phase = OUTBOX_HELLO;
    ob->session = session;
    ob->lease_until_ms = INT64_MIN;
    ob->hello_at_ms = now_ms;
    ob->blocked = false;
    ob->unanswered_since_ms = INT64_MIN;
    backoff_reset(&ob->hello_backoff);
    outbox_drill_ask_again(ob);
    ob->counter[OUTBOX_SESSIONS]++;
    while (ob->oldest != NULL)
        outbox_flight_end(ob, ob->oldest);
    rc = spool_fact_put_u64(ob->spool, "session", session);
    if (rc == 0)
        rc = spool_commit(ob->spool);
    for (size_t i = 0; rc == 0 && i < spool_n_streams(ob->spool); i++) {
        struct stream_out *so;

        rc = outbox_stream_out(ob, spool_stream_at(ob->spool, i), &so);
        for (unsigned l = 0; rc == 0 && l < LANE_COUNT; l++) {
            interval_set_clear(&so->lane[l].stored);
            so->lane[l].live_from = lane_top(so->stream, l) + 1;
            rc = outbox_refill_unsent(so, l);
        }
    }
    return rc == DB_FULL ? -ENOSPC : rc;
}

/* A disk that cannot prove that it goes on where it stopped may have used the next numbers before, and
 * messages of that life may still be under way: a Hello of the same number, without the new epoch in it,
 * would make the upper side forget what it has seen of it. So the number jumps by chance. */
static uint64_t unused_session(struct outbox *ob)
{
    return ob->session + 1 + (rng_u64(&ob->rng) >> (64 - SESSION_JUMP_BITS));
}

int outbox_new_session(struct outbox *ob, int64_t now_ms)
{
    ob->watch_from_ms = now_ms;
    return outbox_begin_session(ob, ob->session + 1, now_ms);
}

static const char *cut_fact(char out[32], unsigned lane)
{
    snprintf(out, 32, "cut/%u", lane);
    return out;
}

static int load_facts(struct outbox *ob)
{
    owned(buf_deinit) struct buf value = {0};
    char name[32];
    struct stream_out *so;
    int rc = spool_fact_get_u64(ob->spool, "session", &ob->session);

    if (rc < 0)
        return rc;
    rc = spool_fact_get(ob->spool, "peer", &value);
    if (rc < 0)
        return rc;
    if (rc == 0 && value.len == ID128_BYTES) {
        memcpy(ob->peer_store.bytes, value.data, ID128_BYTES);
        ob->has_peer = true;
    }
    rc = outbox_archive_load(ob);
    if (rc < 0)
        return rc;
    rc = outbox_stream_out(ob, spool_own(ob->spool), &so);
    for (unsigned l = 0; rc == 0 && l < LANE_COUNT; l++) {
        rc = outbox_rule(ob, HOP_RULE_CUT_ON_DISK)
                 ? spool_fact_get_u64(ob->spool, cut_fact(name, l), &so->lane[l].cut)
                 : 0;
        rc = rc > 0 ? 0 : rc;
    }
    return rc;
}

/* The numbers of another epoch say nothing about this one: they are all `again` without a cut. Goes with the
 * next commit. */
static int clear_cut(struct outbox *ob)
{
    struct stream_out *so;
    char name[32];
    int rc = outbox_stream_out(ob, spool_own(ob->spool), &so);

    for (unsigned l = 0; rc == 0 && l < LANE_COUNT; l++) {
        so->lane[l].cut = 0;
        rc = spool_fact_put_u64(ob->spool, cut_fact(name, l), 0);
    }
    return rc;
}

int outbox_new(struct outbox **ret_ob, const struct outbox_options *options, int64_t now_ms)
{
    struct outbox *ob = calloc(1, sizeof *ob);
    int rc;

    if (ob == NULL)
        return -ENOMEM;
    ob->spool = options->spool;
    ob->options = *options;
    ob->rng.state = options->seed;
    ob->last_state_ms = INT64_MIN;
    ob->watch_from_ms = now_ms;
    ob->rto_ms = HOP_RTO_MIN_MS;
    backoff_init(&ob->hello_backoff, HOP_HELLO_FIRST_MS, HOP_HELLO_CAP_MS, 50, rng_u64(&ob->rng));
    backoff_init(&ob->reset_backoff, HOP_RESET_FIRST_MS, HOP_RESET_CAP_MS, 50, rng_u64(&ob->rng));
    rc = wire_arena_new(&ob->arena, 2 * 1024 * 1024);
    if (rc == 0)
        rc = load_facts(ob);
    if (rc == 0 && spool_began_epoch(ob->spool))
        rc = clear_cut(ob);
    if (rc == 0)
        rc = outbox_begin_session(ob, spool_began_epoch(ob->spool) ? unused_session(ob) : ob->session + 1,
                                  now_ms);
    if (rc != 0) {
        outbox_free(ob);
        return rc;
    }
    *ret_ob = ob;
    return 0;
}

static void drop_stream(void *ctx, struct spool_stream *s)
{
    outbox_stream_drop(ctx, s);
}

struct outbox *outbox_free(struct outbox *ob)
{
    if (ob == NULL)
        return NULL;
    spool_stream_objects(ob->spool, drop_stream, ob);
    while (ob->spare != NULL) {
        struct flight *f = ob->spare;
        ob->spare = f->lane_next;
        free(f);
    }
    wire_arena_free(ob->arena);
    buf_deinit(&ob->out);
    buf_deinit(&ob->archive_document);
    free(ob);
    return NULL;
}

void outbox_added(struct outbox *ob, struct spool_stream *s, uint64_t seq)
{
    struct stream_out *so;
    uint64_t count = seq_count(seq);

    /* No memory here: the record stays held and is found by the refill of the next session. */
    if (outbox_stream_out(ob, s, &so) == 0 &&
        interval_set_add(&so->lane[seq_lane(seq)].unsent, count, count) != 0)
        return;
}

int outbox_reload(struct outbox *ob, int64_t now_ms)
{
    for (size_t i = 0; i < spool_n_streams(ob->spool); i++) {
        struct stream_out *so = spool_stream_at(ob->spool, i)->lower_state;
        for (unsigned l = 0; so != NULL && l < LANE_COUNT; l++) {
            interval_set_clear(&so->lane[l].settled);
            interval_set_clear(&so->lane[l].corrupt);
        }
    }
    return outbox_new_session(ob, now_ms);
}

/* ---- State ---- */

static int commit_cut(struct outbox *ob, const struct id128 *store)
{
    struct spool_stream *own = spool_own(ob->spool);
    struct stream_out *so;
    char name[32];
    int rc = outbox_stream_out(ob, own, &so);

    if (rc == 0 && ob->has_peer) {
        ob->counter[OUTBOX_CUTS]++;
        for (unsigned l = 0; rc == 0 && l < LANE_COUNT; l++) {
            so->lane[l].cut = own->lane[l].next > 0 ? own->lane[l].next - 1 : 0;
            if (outbox_rule(ob, HOP_RULE_CUT_ON_DISK))
                rc = spool_fact_put_u64(ob->spool, cut_fact(name, l), so->lane[l].cut);
        }
    }
    if (rc == 0)
        rc = spool_fact_put(ob->spool, "peer", span_of(store->bytes, ID128_BYTES));
    if (rc == 0)
        rc = spool_commit(ob->spool);
    if (rc == 0) {
        ob->peer_store = *store;
        ob->has_peer = true;
    }
    return rc == DB_FULL ? -ENOSPC : rc;
}

/* The spool went back in time: somebody has seen numbers that it has not made yet. */
static int force_epoch(struct outbox *ob, int64_t now_ms)
{
    int rc;

    if (!outbox_rule(ob, HOP_RULE_NEW_EPOCH))
        return 0;
    if (now_ms - ob->epochs_day_ms > MS_PER_DAY) {
        ob->epochs_day_ms = now_ms;
        ob->epochs_today = 0;
    }
    if (ob->epochs_today >= HOP_EPOCHS_PER_DAY_MAX)
        return 0;
    ob->epochs_today++;
    ob->counter[OUTBOX_EPOCHS_FORCED]++;
    rc = spool_new_epoch(ob->spool);
    if (rc == 0)
        rc = clear_cut(ob);
    return rc == 0 ? outbox_begin_session(ob, unused_session(ob), now_ms) : rc;
}

/* A round trip only tells something when the run was sent once. */
static void measure(struct outbox *ob, const struct flight *f, int64_t now_ms)
{
    double rtt = (double)(now_ms - f->sent_ms);

    if (f->resent) {
        ob->rto_ms = HOP_RTO_MIN_MS;
        return;
    }
    ob->smoothed_rtt_ms = ob->smoothed_rtt_ms > 0 ? 0.875 * ob->smoothed_rtt_ms + 0.125 * rtt : rtt;
    ob->rto_ms = (int64_t)(4 * ob->smoothed_rtt_ms);
    if (ob->rto_ms < HOP_RTO_MIN_MS)
        ob->rto_ms = HOP_RTO_MIN_MS;
}

static int lane_stored(struct outbox *ob, struct stream_out *so, unsigned lane, int64_t now_ms)
{
    struct lane_out *lo = &so->lane[lane];
    struct flight *next;

    for (struct flight *f = lo->flights; f != NULL; f = next) {
        next = f->lane_next;
        if (!interval_set_covers(&lo->stored, f->from, f->to))
            continue;
        measure(ob, f, now_ms);
        if (!outbox_rule(ob, HOP_RULE_WATCHDOG_STATE))
            ob->watch_from_ms = now_ms;
        outbox_flight_end(ob, f);
    }
    if (!outbox_rule(ob, HOP_RULE_NO_FREE_RELEASE)) {
        ob->settled_waits = true;
        return interval_set_unite(&lo->settled, &lo->stored);
    }
    return 0;
}

static const char *origin_or_self(const struct outbox *ob, const char *origin)
{
    return origin == NULL || origin[0] == '\0' ? spool_node(ob->spool) : origin;
}

/* *ret_ahead: it names a number that our current epoch has not made. */
static int take_lane(struct outbox *ob, const Fogline__V1__LaneState *ls, int64_t now_ms, bool *ret_ahead)
{
    struct spool_stream *s;
    struct stream_out *so;
    struct id128 epoch;
    int rc;

    if (!wire_id128(ls->epoch, &epoch))
        return 0;
    s = spool_find(ob->spool, origin_or_self(ob, ls->origin), &epoch);
    if (s == NULL)
        return 0;
    if (s == spool_own(ob->spool) && ls->highest >= s->lane[ls->lane].next)
        *ret_ahead = true;
    rc = outbox_stream_out(ob, s, &so);
    if (rc == 0)
        rc = wire_bounds_add_to(&so->lane[ls->lane].stored, ls->stored, ls->n_stored);
    for (size_t i = 0; rc == 0 && i + 1 < ls->n_stored; i += 2)
        rc = outbox_unsent_remove(&so->lane[ls->lane], ls->stored[i], ls->stored[i + 1]);
    return rc == 0 ? lane_stored(ob, so, ls->lane, now_ms) : rc;
}

/* First contact takes the archive it is told by the authenticated mark; later another one needs the
 * operator's word. */
static int check_archive(struct outbox *ob, const struct id128 *id, bool *ret_ok)
{
    int rc = ob->has_archive_id ? 0 : outbox_set_archive(ob, id);

    *ret_ok = rc == 0 && id128_equal(id, &ob->archive_id);
    return rc;
}

/* Only what is held: a mark covers the whole past of an epoch, and letting go of what went long ago would
 * take up every turn of the next mark's time. */
static int settle(struct outbox *ob, struct spool_stream *s, unsigned lane, const uint64_t *bounds, size_t n)
{
    const struct interval_set *held = &s->lane[lane].held;
    struct stream_out *so;
    int rc = outbox_stream_out(ob, s, &so);

    for (size_t i = 0; rc == 0 && i + 1 < n; i += 2)
        for (size_t k = interval_set_find(held, bounds[i]);
             rc == 0 && k < held->n && held->at[k].from <= bounds[i + 1]; k++) {
            uint64_t from = held->at[k].from > bounds[i] ? held->at[k].from : bounds[i];
            uint64_t to = held->at[k].to < bounds[i + 1] ? held->at[k].to : bounds[i + 1];

            ob->settled_waits = true;
            rc = interval_set_add(&so->lane[lane].settled, from, to);
            if (rc == 0)
                rc = outbox_unsent_remove(&so->lane[lane], from, to);
        }
    return rc;
}

static bool mark_genuine(const struct outbox *ob, const Fogline__V1__Mark *m)
{
    owned(buf_deinit) struct buf head = {0};

    wire_mark_input(&head, wire_span(m->body));
    return head.error == 0 && m->key_id == 1 &&
           end_mac_ok(ob->options.keys->mark, span_of(head.data, head.len), span_of(NULL, 0),
                      wire_span(m->mac));
}

static int take_mark(struct outbox *ob, const Fogline__V1__Mark *m, bool *ret_ahead)
{
    Fogline__V1__MarkBody *body;
    struct spool_stream *s;
    struct id128 epoch, archive;
    bool mine, ok;
    int rc;

    if (wire_mark_body_unpack(ob->arena, wire_span(m->body), &body) != 0 ||
        !wire_id128(body->epoch, &epoch) || !wire_id128(body->archive_id, &archive)) {
        ob->counter[OUTBOX_MARKS_REFUSED]++;
        return 0;
    }
    mine = strcmp(body->origin, spool_node(ob->spool)) == 0;
    /* A mark for a device is that device's to check; what it says of our copies we believe the cloud, which
     * sealed the State it stands in. */
    if (mine && !mark_genuine(ob, m)) {
        ob->counter[OUTBOX_MARKS_REFUSED]++;
        return 0;
    }
    rc = check_archive(ob, &archive, &ok);
    if (rc != 0)
        return rc;
    if (!ok) {
        ob->counter[OUTBOX_MARKS_REFUSED]++;
        return 0;
    }
    ob->counter[OUTBOX_MARKS]++;
    s = spool_find(ob->spool, body->origin, &epoch);
    if (s != NULL && s == spool_own(ob->spool) && body->n_archived > 0 &&
        body->archived[body->n_archived - 1] >= s->lane[body->lane].next)
        *ret_ahead = true;
    if (s != NULL)
        rc = settle(ob, s, body->lane, body->archived, body->n_archived);
    /* A relay keeps what is merely explained: an entry "evicted" must not make it drop the last copy. */
    if (rc == 0 && s != NULL && mine)
        rc = settle(ob, s, body->lane, body->explained, body->n_explained);
    if (rc == 0 && !mine && ob->options.ops.mark != NULL)
        ob->options.ops.mark(ob->options.ops.ctx, body, m);
    return rc;
}

static int open_session(struct outbox *ob, const Fogline__V1__State *st, const struct id128 *store,
                        int64_t now_ms)
{
    int rc;

    if (!ob->has_peer || !id128_equal(store, &ob->peer_store)) {
        rc = commit_cut(ob, store);
        if (rc != 0)
            return rc;
    }
    ob->run = st->run;
    ob->phase = OUTBOX_OPEN;
    ob->poll_at_ms = now_ms + jitter(ob, poll_ms(ob));
    backoff_reset(&ob->hello_backoff);
    return 0;
}

static int next_session(struct outbox *ob, uint64_t session, int64_t now_ms)
{
    int rc;

    ob->counter[OUTBOX_STATES_IGNORED]++;
    rc = outbox_begin_session(ob, session, now_ms);
    return rc < 0 ? rc : 1;
}

/* 0: believe the content; 1: not for us now. */
static int admit(struct outbox *ob, const Fogline__V1__State *st, const struct id128 *store, int64_t now_ms)
{
    bool same = st->run == ob->run && id128_equal(store, &ob->peer_store);

    /* A former life of this node was further on: jump past it, or nothing we say is heard. Its last messages
     * may also come after our first ones were answered, so this holds while open too. */
    if (st->session_known > ob->session && st->session_known - ob->session < SESSION_AHEAD_MAX &&
        (same || ob->phase == OUTBOX_HELLO))
        return next_session(ob, st->session_known + 1, now_ms);
    if (ob->phase == OUTBOX_HELLO) {
        if (st->session == ob->session)
            return open_session(ob, st, store, now_ms);
        ob->counter[OUTBOX_STATES_IGNORED]++;
        return 1;
    }
    if (same || !outbox_rule(ob, HOP_RULE_STORE_ID))
        return 0;
    return next_session(ob, ob->session + 1, now_ms);
}

/* Windows count from the sending of the Hello they rest on: what a State was under way, or lay in a queue, is
 * not added to them, so they fall here before the upper side gives their memory to others. */
static int64_t lease_from_ms(const struct outbox *ob, uint64_t stamp)
{
    return stamp > 0 && stamp < (uint64_t)ob->hello_sent_ms ? (int64_t)stamp : ob->hello_sent_ms;
}

static void take_windows(struct outbox *ob, const Fogline__V1__State *st)
{
    if (st->windows == NULL)
        return;
    ob->window[CLASS_URGENT].bytes = st->windows->urgent_bytes;
    ob->window[CLASS_LIVE].bytes = st->windows->live_bytes;
    ob->window[CLASS_BACKLOG].bytes = st->windows->backlog_bytes;
    ob->lease_until_ms = lease_from_ms(ob, st->windows->stamp) + st->windows->lease_ms;
}

static int take_document(struct outbox *ob, const Fogline__V1__Document *d)
{
    if (strcmp(d->kind, ARCHIVE_WORD_KIND) == 0)
        return outbox_take_archive(ob, d);
    if (ob->options.ops.document != NULL)
        ob->options.ops.document(ob->options.ops.ctx, d);
    return 0;
}

static void note_answer(struct outbox *ob, int64_t now_ms)
{
    if (ob->unanswered_since_ms != INT64_MIN && now_ms - ob->unanswered_since_ms > ob->slowest_answer_ms)
        ob->slowest_answer_ms = now_ms - ob->unanswered_since_ms;
    ob->unanswered_since_ms = ob->oldest != NULL ? now_ms : INT64_MIN;
}

int outbox_on_down(struct outbox *ob, struct span bytes, int64_t now_ms)
{
    const Fogline__V1__State *st;
    Fogline__V1__Down *down;
    struct id128 store;
    bool ahead = false;
    int rc;

    if (ob->options.ops.moved != NULL)
        ob->options.ops.moved(ob->options.ops.ctx, 0, NULL, bytes.len);
    wire_arena_reset(ob->arena);
    if (wire_down_unpack(ob->arena, bytes, &down) != 0 || down->state == NULL ||
        !wire_id128(down->state->store, &store)) {
        ob->counter[OUTBOX_STATES_MALFORMED]++;
        return 0;
    }
    st = down->state;
    rc = admit(ob, st, &store, now_ms);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    ob->counter[OUTBOX_STATES]++;
    ob->last_state_ms = now_ms;
    if (outbox_rule(ob, HOP_RULE_WATCHDOG_STATE))
        ob->watch_from_ms = now_ms;
    backoff_reset(&ob->reset_backoff);
    take_windows(ob, st);
    /* Before the marks: those beside the operator's word are of the archive it names. */
    for (size_t i = 0; rc == 0 && i < st->n_documents; i++)
        rc = take_document(ob, st->documents[i]);
    for (size_t i = 0; rc == 0 && i < st->n_lanes; i++)
        rc = take_lane(ob, st->lanes[i], now_ms, &ahead);
    for (size_t i = 0; rc == 0 && i < st->n_marks; i++)
        rc = take_mark(ob, st->marks[i], &ahead);
    if (rc == 0 && ahead)
        rc = force_epoch(ob, now_ms);
    if (st->session == ob->session)
        outbox_drill_answered(ob);
    ob->blocked = false;
    note_answer(ob, now_ms);
    return rc;
}

/* ---- time ---- */

static int watchdog(struct outbox *ob, int64_t now_ms)
{
    if (now_ms - ob->watch_from_ms < HOP_WATCHDOG_POLLS * poll_ms(ob))
        return 0;
    ob->counter[OUTBOX_WATCHDOG_RESETS]++;
    ob->watch_from_ms = now_ms + backoff_next_ms(&ob->reset_backoff);
    ob->options.ops.reset_link(ob->options.ops.ctx);
    return outbox_begin_session(ob, ob->session + 1, now_ms);
}

/* What was not acknowledged in time goes back to be sent; the time doubles until something is acknowledged.
 */
static int retransmit(struct outbox *ob, int64_t now_ms)
{
    bool late = false;
    int rc = 0;

    while (rc == 0 && ob->oldest != NULL && now_ms - ob->oldest->sent_ms >= ob->rto_ms) {
        struct flight *f = ob->oldest;
        struct stream_out *so = f->owner;
        unsigned lane = f->lane;

        late = true;
        ob->counter[OUTBOX_RECORDS_RESENT] += f->to - f->from + 1;
        outbox_flight_end(ob, f);
        rc = outbox_refill_unsent(so, lane);
    }
    if (late) {
        ob->rto_ms = ob->rto_ms * 2 > HOP_RTO_MAX_MS ? HOP_RTO_MAX_MS : ob->rto_ms * 2;
        ob->smoothed_rtt_ms = 0;
    }
    return rc;
}

static void earlier(int64_t *next, int64_t at)
{
    if (at < *next)
        *next = at;
}

int outbox_tick(struct outbox *ob, int64_t now_ms, int64_t *ret_next_ms)
{
    int64_t next = INT64_MAX;
    int rc = watchdog(ob, now_ms);

    if (rc == 0 && ob->phase == OUTBOX_HELLO && now_ms >= ob->hello_at_ms)
        rc = outbox_send_hello(ob, now_ms);
    if (rc == 0 && ob->phase == OUTBOX_OPEN) {
        if (outbox_rule(ob, HOP_RULE_POLL) && now_ms >= ob->poll_at_ms) {
            rc = outbox_send_hello(ob, now_ms);
            ob->poll_at_ms = now_ms + jitter(ob, poll_ms(ob));
        }
        if (rc == 0)
            rc = retransmit(ob, now_ms);
        if (rc == 0)
            rc = outbox_send_data(ob, now_ms);
        earlier(&next, ob->poll_at_ms);
        if (ob->oldest != NULL)
            earlier(&next, ob->oldest->sent_ms + ob->rto_ms);
        if (ob->blocked)
            earlier(&next, now_ms + 100);
    } else if (rc == 0) {
        earlier(&next, ob->hello_at_ms);
    }
    earlier(&next, ob->watch_from_ms + HOP_WATCHDOG_POLLS * poll_ms(ob));
    if (rc == 0)
        *ret_next_ms = next;
    return rc;
}

/* ---- what others ask ---- */

enum outbox_phase outbox_phase(const struct outbox *ob)
{
    return ob->phase;
}

bool outbox_has_archive_id(const struct outbox *ob, struct id128 *ret_id)
{
    if (ob->has_archive_id)
        *ret_id = ob->archive_id;
    return ob->has_archive_id;
}

int64_t outbox_last_state_ms(const struct outbox *ob)
{
    return ob->last_state_ms;
}

int64_t outbox_unanswered_ms(const struct outbox *ob, int64_t now_ms, int64_t *ret_slowest_ms)
{
    *ret_slowest_ms = ob->slowest_answer_ms;
    return ob->unanswered_since_ms != INT64_MIN ? now_ms - ob->unanswered_since_ms : 0;
}

double outbox_round_trip_ms(const struct outbox *ob)
{
    return ob->smoothed_rtt_ms;
}

void outbox_waiting(const struct outbox *ob, struct outbox_waiting *ret_w)
{
    *ret_w = (struct outbox_waiting){
        .window_urgent_bytes = ob->window[CLASS_URGENT].bytes,
        .window_live_bytes = ob->window[CLASS_LIVE].bytes,
        .window_backlog_bytes = ob->window[CLASS_BACKLOG].bytes,
        .unsettled_records = spool_held_records(ob->spool),
    };
    for (int c = 0; c < CLASS_COUNT; c++)
        ret_w->in_flight_bytes += ob->window[c].in_flight;
    for (size_t i = 0; i < spool_n_streams(ob->spool); i++) {
        const struct stream_out *so = spool_stream_at(ob->spool, i)->lower_state;
        if (so == NULL)
            continue;
        ret_w->ordinary_records += interval_set_count(&so->lane[LANE_ORDINARY].unsent);
        ret_w->urgent_records += interval_set_count(&so->lane[LANE_URGENT].unsent);
        for (unsigned l = 0; l < LANE_COUNT; l++) {
            ret_w->drill_records += interval_set_count(&so->lane[l].drill_unsent);
            for (const struct flight *f = so->lane[l].flights; f != NULL; f = f->lane_next)
                *(f->class == CLASS_DRILL ? &ret_w->drill_records
                  : l == LANE_URGENT      ? &ret_w->urgent_records
                                          : &ret_w->ordinary_records) += f->to - f->from + 1;
        }
    }
}

const uint64_t *outbox_counters(const struct outbox *ob)
{
    return ob->counter;
}
