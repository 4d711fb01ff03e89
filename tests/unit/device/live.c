#include "live.h"

#include "base/clock.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void live_open(struct live *l, const struct source_kind *kind, const char *yaml)
{
    struct source_open o = {.name = "s", .run_dir = "/tmp"};
    void *config = recorder_config(kind, yaml);
    struct errmsg err = {""};

    *l = (struct live){.kind = kind};
    o.config = config;
    if (kind->open(&o, &l->self, &err) != 0)
        fail_msg("%s", err.text);
    recorder_config_free(kind, config);
    recorder_init(&l->recorder);
    if (kind->declare != NULL)
        assert_int_equal(kind->declare(l->self, &l->recorder.sink), 0);
}

void live_close(struct live *l)
{
    l->kind->close(l->self);
    recorder_deinit(&l->recorder);
}

void live_once(struct live *l)
{
    struct source_now now = {0, clock_mono_ns(&clock_real)};
    struct pollfd p = {l->kind->fd != NULL ? l->kind->fd(l->self) : -1, POLLIN, 0};
    int64_t left_ns = l->next_ns - now.mono_ns, took_ns;
    int rc;

    if (left_ns > NS_PER_S)
        left_ns = NS_PER_S; /* so that a test without an end meets its deadline */
    if (left_ns > 0 && poll(&p, 1, (int)(left_ns / NS_PER_MS) + 1) == 0 &&
        clock_mono_ns(&clock_real) < l->next_ns)
        return;
    now = (struct source_now){clock_wall_unix_ns(&clock_real), clock_mono_ns(&clock_real)};
    l->next_ns = INT64_MAX;
    rc = l->kind->step(l->self, &l->recorder.sink, &now, &l->next_ns);
    assert_int_equal(rc, 0);
    if (l->kind->interval_ms != NULL && l->kind->interval_ms(l->self) > 0)
        l->next_ns = now.mono_ns + l->kind->interval_ms(l->self) * NS_PER_MS;
    took_ns = clock_mono_ns(&clock_real) - now.mono_ns;
    if (took_ns > l->slowest_step_ns)
        l->slowest_step_ns = took_ns;
    l->steps++;
}

void live_until(struct live *l, bool (*is_so)(const struct live *l, const void *ctx), const void *ctx)
{
    int64_t deadline_ns = clock_mono_ns(&clock_real) + LIVE_DEADLINE_S * NS_PER_S;

    while (!is_so(l, ctx)) {
        live_once(l);
        if (clock_mono_ns(&clock_real) > deadline_ns)
            fail_msg("it did not happen in %d s; %u rows, %u events, the last: %s", LIVE_DEADLINE_S,
                     l->recorder.n_rows, l->recorder.n_events, l->recorder.event_text);
    }
}

bool live_has_events(const struct live *l, const void *of_type)
{
    const uint32_t *want = of_type;

    return l->recorder.n_events_of[want[0]] >= want[1];
}

void live_until_event(struct live *l, uint32_t type, uint32_t n)
{
    live_until(l, live_has_events, (const uint32_t[]){type, n});
}

struct wanted_row {
    const char *channel;
    enum quality quality;
    uint32_t from;
};

static bool is_row(const struct live *l, const struct wanted_row *w, uint32_t i)
{
    const struct recorder *r = &l->recorder;

    return r->rows[i].cells[0].quality == w->quality &&
           strcmp(r->first_names[r->rows[i].group], w->channel) == 0;
}

static bool has_row(const struct live *l, const void *ctx)
{
    const struct wanted_row *w = ctx;

    for (uint32_t i = w->from; i < l->recorder.n_rows; i++)
        if (is_row(l, w, i))
            return true;
    return false;
}

uint32_t live_until_row(struct live *l, const char *channel, enum quality quality, uint32_t from)
{
    struct wanted_row w = {channel, quality, from};

    live_until(l, has_row, &w);
    while (!is_row(l, &w, from))
        from++;
    return from;
}
