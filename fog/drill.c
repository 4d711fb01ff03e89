#include "fog/drill_private.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const struct counter_info drill_counter_info[DRILL_COUNTERS] = {
    [DRILL_REQUESTS] = {"requests", COUNTER_TOTAL, "1", "Requests of the cloud for raw records."},
    [DRILL_REFUSED] = {"refused", COUNTER_TOTAL, "1", "Requests that were refused with a reply."},
    [DRILL_DONE] = {"done", COUNTER_TOTAL, "1", "Requests done: what they asked for is archived."},
    [DRILL_RECORDS] = {"records", COUNTER_TOTAL, "records",
                       "Records of the history that wait for the cloud once more."},
    [DRILL_BYTES] = {"bytes", COUNTER_TOTAL, "bytes", "Their payloads: what the day's budget counts."},
    [DRILL_HELD] = {"held", COUNTER_TOTAL, "records", "Records asked for that waited for the cloud already."},
    [DRILL_WAITED] = {"waited", COUNTER_TOTAL, "1",
                      "Times a request had to wait for the next day's budget or for room."},
};

enum { ROOM_TENTHS = 8 };
#define DAY_NS (86400 * NS_PER_S)

static const char for_budget[] = "the budget of the next day (drill.bytes_per_day)",
                  for_room[] = "room in the store";

/* ---- requests ---- */

static int say_refused(struct drill *d, const struct command *c, const char *why)
{
    int rc = d->o.reply(d->o.ctx, c->counter, false, why);

    if (rc == 0)
        d->counters[DRILL_REFUSED]++;
    return rc;
}

int drill_take(struct drill *d, const struct command *c)
{
    struct drill_request r = {.counter = c->counter, .first_ns = INT64_MAX};
    int rc;

    if (!drill_order_parse(c->argument, &r.order))
        return say_refused(d, c, "drill: the request cannot be read; is the fog older than the cloud?");
    if (strcmp(r.order.device, spool_node(d->o.spool)) == 0)
        return say_refused(d, c, "drill: that is this fog itself; all it makes goes up");
    if (d->bytes_per_day == 0)
        return say_refused(d, c, "drill: refused by the configuration of this fog (drill.bytes_per_day: 0)");
    if (d->n_requests == DRILL_REQUESTS_MAX)
        return say_refused(d, c, "drill: too many requests wait here; ask again when one is done");
    rc = drill_save_request(d, &r);
    if (rc != 0)
        return rc;
    d->requests[d->n_requests++] = r;
    d->counters[DRILL_REQUESTS]++;
    return 0;
}

static const char *range_text(const struct drill_order *o, char out[128])
{
    char from[48] = "the beginning", to[48] = "the end";

    if (o->from_ns != INT64_MIN)
        clock_format_utc(o->from_ns, from);
    if (o->to_ns != INT64_MAX)
        clock_format_utc(o->to_ns, to);
    snprintf(out, 128, "%s to %s", from, to);
    return out;
}

/* 0; DRILL_NO_ROOM; ... */
static int finish(struct drill *d)
{
    const struct drill_request *r = &d->requests[0];
    char text[640], range[128], first[48] = "";
    int rc;

    if (r->first_ns != INT64_MAX)
        clock_format_utc(r->first_ns, first);
    if (r->records + r->held == 0)
        snprintf(text, sizeof text, "drill %s, %s: nothing of it is here", r->order.device,
                 range_text(&r->order, range));
    else
        snprintf(text, sizeof text,
                 "drill %s, %s: %" PRIu64 " records given, %" PRIu64 " samples, %" PRIu64 " bytes; %" PRIu64
                 " more were on their way; what is here begins at %s%s",
                 r->order.device, range_text(&r->order, range), r->records, r->samples, r->bytes, r->held,
                 first, r->is_cut ? "; the end of it left out: the most that was asked for is met" : "");
    rc = d->o.reply(d->o.ctx, r->counter, true, text);
    if (rc == 0)
        rc = drill_delete_request(d, r);
    if (rc != 0)
        return rc;
    memmove(&d->requests[0], &d->requests[1], --d->n_requests * sizeof d->requests[0]);
    d->counters[DRILL_DONE]++;
    return 0;
}

/* ---- what is under way ---- */

static struct spool_stream *stream_of(const struct drill *d, uint32_t no)
{
    size_t low = 0, high = spool_n_streams(d->o.spool);

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct spool_stream *s = spool_stream_at(d->o.spool, mid);

        if (s->no == no)
            return s;
        if (s->no < no)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static bool is_held(const struct drill *d, const struct drill_run *run)
{
    const struct spool_stream *s = stream_of(d, run->stream);
    uint64_t count;

    return s != NULL && interval_set_next(&s->lane[run->lane].held, run->counts.from, &count) &&
           count <= run->counts.to;
}

/* The cloud has said of all of them that it has them, or they are here no more for another reason. */
static bool has_arrived(const struct drill *d)
{
    for (unsigned i = 0; i < d->n_runs; i++)
        if (is_held(d, &d->runs[i]))
            return false;
    return true;
}

static int tell_outbox(struct drill *d)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < d->n_runs; i++) {
        struct spool_stream *s = stream_of(d, d->runs[i].stream);

        if (s != NULL)
            rc = outbox_drill(d->o.outbox, s, d->runs[i].lane, d->runs[i].counts);
    }
    return rc;
}

static void note_run(struct drill *d, const struct spool_stream *s, unsigned lane, uint64_t count)
{
    struct drill_run *last = d->n_runs > 0 ? &d->runs[d->n_runs - 1] : NULL;

    if (last != NULL && last->stream == s->no && last->lane == lane && last->counts.to + 1 == count)
        last->counts.to = count;
    else
        d->runs[d->n_runs++] = (struct drill_run){s->no, lane, {count, count}};
}

/* ---- a piece ---- */

enum { PUT_FULL = 1, PUT_LIMIT = 2, PUT_CUT = 3 };

/* The first record of a day goes whatever the budget is: else one larger than it would never go. */
static int may_put(const struct drill *d, const struct drill_request *r, size_t bytes)
{
    if (r->order.max_bytes > 0 && r->bytes + bytes > r->order.max_bytes)
        return PUT_CUT;
    return d->today_bytes > 0 && d->today_bytes + bytes > d->bytes_per_day ? PUT_LIMIT : 0;
}

static int put(struct drill *d, struct db_txn *txn, struct drill_request *r, struct drill_found *f)
{
    unsigned lane = seq_lane(f->seq);
    uint64_t count = seq_count(f->seq);
    struct spool_stream *s;
    struct id128 epoch;
    int rc = drill_epoch(txn, f->stream, &epoch);

    if (rc != 0)
        return rc < 0 ? rc : 0; /* of a damaged one nobody knows whose it is */
    rc = spool_stream_make(d->o.spool, r->order.device, &epoch, &s);
    if (rc != 0 || s->own || lane >= SPOOL_LANES)
        return rc < 0 ? rc : 0;
    if (f->first_ns < r->first_ns)
        r->first_ns = f->first_ns;
    if (interval_set_has(&s->lane[lane].held, count)) {
        r->held++;
        d->counters[DRILL_HELD]++;
        return 0;
    }
    rc = may_put(d, r, f->record.payload.len);
    if (rc != 0)
        return rc;
    f->record.flags |= RECORD_FLAG_AGAIN; /* it may be in an aggregate: nobody above folds it */
    rc = spool_put(d->o.spool, s, f->seq, &f->record);
    if (rc == SPOOL_FULL)
        return PUT_FULL;
    if (rc == 0 && !interval_set_has(&s->lane[lane].seen, count))
        rc = spool_seen_add(d->o.spool, s, lane, (struct interval){count, count});
    if (rc != 0)
        return rc;
    note_run(d, s, lane, count);
    r->records++;
    r->samples += f->record.samples;
    r->bytes += f->record.payload.len;
    d->today_bytes += f->record.payload.len;
    d->counters[DRILL_RECORDS]++;
    d->counters[DRILL_BYTES] += f->record.payload.len;
    return 0;
}

static void wait_for(struct drill *d, const char *what)
{
    d->waits = what;
    d->counters[DRILL_WAITED]++;
}

/* A condition of put ends the piece before its record. */
static void end_piece(struct drill *d, struct drill_request *r, int why)
{
    r->is_cut = r->is_walked = why == PUT_CUT;
    if (why == PUT_FULL && d->n_runs == 0)
        wait_for(d, for_room);
    if (why == PUT_LIMIT && d->n_runs == 0)
        wait_for(d, for_budget);
}

static int put_piece(struct drill *d, struct db_txn *txn)
{
    struct drill_request *r = &d->requests[0];
    uint64_t enough = r->bytes + DRILL_PIECE_BYTES;
    struct drill_found f;
    int rc = 0;

    while (rc == 0 && d->n_runs < DRILL_PIECE_RECORDS && r->bytes < enough) {
        struct drill_place before = r->place;

        rc = drill_walk(d, txn, r, &f);
        if (rc == DRILL_END)
            r->is_walked = true;
        if (rc != 0)
            break;
        rc = put(d, txn, r, &f);
        if (rc > 0) {
            r->place = before;
            end_piece(d, r, rc);
        }
    }
    return rc < 0 ? rc : 0;
}

int drill_round(struct drill *d, int64_t now_unix_ns)
{
    int64_t day = now_unix_ns / DAY_NS;
    struct db_txn *txn;
    int rc;

    if (!drill_wants_round(d))
        return 0;
    rc = spool_txn(d->o.spool, &txn);
    if (rc == 0 && d->n_runs > 0) {
        d->n_runs = 0;
        rc = drill_save_runs(d);
    }
    if (day != d->day)
        d->today_bytes = 0;
    d->day = day;
    if (rc == 0 && !d->requests[0].is_walked)
        rc = put_piece(d, txn);
    if (rc == 0 && d->requests[0].is_walked && d->n_runs == 0) {
        rc = finish(d);
        if (rc == DRILL_NO_ROOM)
            wait_for(d, for_room);
        return rc == DRILL_NO_ROOM ? drill_save_request(d, &d->requests[0]) : rc;
    }
    if (rc == 0)
        rc = drill_save_request(d, &d->requests[0]);
    if (rc == 0)
        rc = drill_save_runs(d);
    if (rc == 0)
        rc = drill_save_meter(d);
    return rc == 0 ? tell_outbox(d) : rc;
}

bool drill_wants_round(struct drill *d)
{
    return d->n_requests > 0 && d->waits == NULL && has_arrived(d);
}

void drill_tick(struct drill *d, int64_t now_unix_ns)
{
    bool has_room = spool_held_bytes(d->o.spool) < spool_quota_bytes(d->o.spool) / 10 * ROOM_TENTHS;

    if (!has_room) {
        if (d->waits == NULL && d->n_requests > 0)
            wait_for(d, for_room);
    } else if (d->waits == for_room || (d->waits == for_budget && now_unix_ns / DAY_NS != d->day)) {
        d->waits = NULL;
    }
}

/* ---- start and end ---- */

int drill_reload(struct drill *d)
{
    int rc = drill_load(d);

    d->waits = NULL;
    return rc == 0 ? tell_outbox(d) : rc;
}

int drill_new(struct drill **ret_d, const struct drill_options *options)
{
    struct drill *d = calloc(1, sizeof *d);
    int rc;

    if (d == NULL)
        return -ENOMEM;
    d->o = *options;
    rc = drill_reload(d);
    if (rc != 0) {
        drill_free(d);
        return rc < 0 ? rc : -EIO;
    }
    *ret_d = d;
    return 0;
}

struct drill *drill_free(struct drill *d)
{
    if (d == NULL)
        return NULL;
    buf_deinit(&d->payload);
    buf_deinit(&d->scratch);
    free(d);
    return NULL;
}

void drill_limit(struct drill *d, uint64_t bytes_per_day)
{
    d->bytes_per_day = bytes_per_day;
    if (d->waits == for_budget)
        d->waits = NULL;
}

void drill_status(struct drill *d, struct drill_status *ret)
{
    const struct drill_request *r = d->n_requests > 0 ? &d->requests[0] : NULL;

    *ret = (struct drill_status){.requests = d->n_requests,
                                 .device = r != NULL ? r->order.device : NULL,
                                 .waits = d->waits != NULL             ? d->waits
                                          : r != NULL && d->n_runs > 0 ? "the cloud"
                                                                       : "",
                                 .records = r != NULL ? r->records : 0,
                                 .bytes = r != NULL ? r->bytes : 0,
                                 .bytes_today = d->today_bytes,
                                 .bytes_per_day = d->bytes_per_day};
}

const uint64_t *drill_counters(const struct drill *d)
{
    return d->counters;
}
