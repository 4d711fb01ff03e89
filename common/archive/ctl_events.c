/* events: what nodes reported besides readings: events, replies, on request health. */
#include "archive/ctl_reading.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/record_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum { EVENTS_DEFAULT = 50, EVENTS_MAX = 100000, SUMMARY_CHARS = 400, ARENA_BYTES = 512 * 1024 };

struct event {
    int64_t time_ns;
    const struct view_device *device;
    struct id128 epoch;
    uint32_t kind;
    uint64_t seq;
    struct buf payload;
};

/* The newest `most` events seen so far, in no order; a heap would be faster and is not needed for what a
 * person reads.
 */
struct events {
    struct ctl *ctl;
    struct wire_arena *arena;
    struct view_range range;
    struct event *at;
    size_t n, most;
    uint64_t malformed;
};

static bool time_of(struct events *e, const struct view_other *o, int64_t *ret_ns)
{
    Fogline__V1__Event *event;
    Fogline__V1__Reply *reply;
    Fogline__V1__Health *health;

    wire_arena_reset(e->arena);
    switch (o->key.kind) {
    case FOGLINE__V1__KIND__KIND_EVENT:
        if (wire_event_unpack(e->arena, o->record.payload, &event) != 0)
            return false;
        *ret_ns = event->time_ns;
        return true;
    case FOGLINE__V1__KIND__KIND_REPLY:
        if (wire_reply_unpack(e->arena, o->record.payload, &reply) != 0)
            return false;
        *ret_ns = reply->time_ns;
        return true;
    default:
        if (wire_health_unpack(e->arena, o->record.payload, &health) != 0)
            return false;
        *ret_ns = health->time_ns;
        return true;
    }
}

static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;

    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Keeps the newest half when the room for two times `most` is used up. */
static void thin(struct events *e)
{
    size_t drop = e->n > e->most ? e->n - e->most : 0;

    qsort(e->at, e->n, sizeof *e->at, by_time);
    for (size_t i = 0; i < drop; i++)
        buf_deinit(&e->at[i].payload);
    memmove(e->at, e->at + drop, (e->n - drop) * sizeof *e->at);
    e->n -= drop;
}

static int on_other(void *ctx, const struct view_other *o)
{
    struct events *e = ctx;
    struct event *ev;
    int64_t time_ns;

    if (!time_of(e, o, &time_ns)) {
        e->malformed++;
        return 0;
    }
    if (time_ns < e->range.from_ns || time_ns >= e->range.to_ns)
        return 0;
    if (e->n == 2 * e->most)
        thin(e);
    ev = &e->at[e->n++];
    *ev = (struct event){
        .time_ns = time_ns, .device = o->device, .epoch = o->epoch, .kind = o->key.kind, .seq = o->key.seq};
    buf_append(&ev->payload, o->record.payload.data, o->record.payload.len);
    return ev->payload.error;
}

static int print_one(const struct events *e, const struct event *ev, struct json *j)
{
    struct record r = {.origin = ev->device->name,
                       .epoch = ev->epoch,
                       .seq = ev->seq,
                       .kind = ev->kind,
                       .payload = span_of(ev->payload.data, ev->payload.len)};
    struct record_view v = {.record = &r};
    char time[40], summary[SUMMARY_CHARS];
    size_t said;
    int code;

    clock_format_utc(ev->time_ns, time);
    if (j == NULL) {
        record_summary(&r, summary, sizeof summary);
        /* Some summaries begin with the time. */
        said = strncmp(summary, time, strlen(time)) == 0 ? strlen(time) : 0;
        said += summary[said] == ' ';
        fprintf(e->ctl->out, "%-30s  %s/%s  %s\n", time, ev->device->site, ev->device->name, summary + said);
        return CTL_OK;
    }
    json_object(j);
    json_kstr(j, "site", ev->device->site);
    json_kstr(j, "device", ev->device->name);
    json_kstr(j, "time", time);
    json_ki64(j, "time_unix_ns", ev->time_ns);
    json_key(j, "record");
    code = record_json(&v, j) < 0 ? CTL_FAILED : CTL_OK;
    json_object_end(j);
    return code == CTL_OK ? ctl_json_end(e->ctl, j) : code;
}

static int print_all(struct events *e)
{
    owned(json_freep) struct json *j = NULL;
    int code = e->ctl->json ? ctl_json(e->ctl, true, &j) : CTL_OK;

    thin(e);
    for (size_t i = 0; i < e->n && code == CTL_OK; i++)
        code = print_one(e, &e->at[i], j);
    if (e->malformed > 0)
        ctl_note(e->ctl, "left out: %" PRIu64 " records that do not decode", e->malformed);
    return code;
}

static int collect(struct events *e, struct view *v, const char *pattern, bool health)
{
    static const uint32_t kinds[] = {FOGLINE__V1__KIND__KIND_EVENT, FOGLINE__V1__KIND__KIND_REPLY,
                                     FOGLINE__V1__KIND__KIND_HEALTH};
    int r = 0;

    for (size_t i = 0; i < view_n_devices(v) && r == 0; i++) {
        const struct view_device *d = view_device_at(v, i);

        if (!pattern_match(pattern, d->site, d->name, "", NULL))
            continue;
        for (size_t k = 0; k < (health ? 3U : 2U) && r == 0; k++)
            r = view_others(v, d, kinds[k], on_other, e);
    }
    return r;
}

int verb_events(struct ctl *ctl)
{
    owned(reading_close) struct reading rd = {0};
    struct events e = {.ctl = ctl};
    char device_pattern[NAME_PART_CHARS + 8] = "**";
    const char *pattern = device_pattern;
    int64_t most;
    int code = ctl_option_i64(ctl, "last", 1, EVENTS_MAX, EVENTS_DEFAULT, &most), r;

    if (code == CTL_OK && ctl_option(ctl, "select") != NULL)
        code = ctl_pattern(ctl, &pattern);
    if (code == CTL_OK && ctl->n_args > 0) {
        if (!name_part_ok(ctl->args[0], strlen(ctl->args[0])))
            return ctl_fail(ctl, CTL_USAGE, "`%s` is no node name", ctl->args[0]);
        snprintf(device_pattern, sizeof device_pattern, "*/%s", ctl->args[0]);
        pattern = device_pattern;
    }
    if (code == CTL_OK)
        code = ctl_range(ctl, &e.range);
    if (code == CTL_OK)
        code = reading_open(ctl, &rd);
    if (code != CTL_OK)
        return code;
    e.most = (size_t)most;
    e.at = calloc(2 * e.most, sizeof *e.at);
    r = e.at == NULL ? -ENOMEM : wire_arena_new(&e.arena, ARENA_BYTES);
    if (r == 0)
        r = collect(&e, rd.view, pattern, ctl_option(ctl, "health") != NULL);
    code = r < 0 ? reading_failed(ctl, r) : print_all(&e);
    for (size_t i = 0; i < e.n; i++)
        buf_deinit(&e.at[i].payload);
    free(e.at);
    wire_arena_free(e.arena);
    return reading_verdict(ctl, &rd, code);
}
