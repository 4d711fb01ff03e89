/* Backlog of several nodes at one cloud: who drains how fast. */
#include "base/cleanup.h"
#include "world.h"

#include <errno.h>

enum { RECORD_BYTES = 4000, BATCH = 512 };

static void plan_drain(struct plan *p, const struct sim_drain *d)
{
    *p = (struct plan){
        .n_fogs = d->n,
        .stage = STAGE_RELAY,
        .noisy_ms = INT64_MAX,
        .delay_ms = 1,
        .make_every_ms = 1,
        .fog_map_bytes = 2 * d->backlog_bytes + (4 << 20),
        .cloud_map_bytes = 4 * d->n * d->backlog_bytes + (16 << 20),
        .memory_bytes = d->memory_bytes,
        .window_max_bytes = d->window_max_bytes,
        .events_max = 10000000,
    };
}

/* What is there before the first Hello is backlog. */
static void fill(struct node *n, uint64_t bytes)
{
    owned(buf_deinit) struct buf payload = {0};
    struct maker_record r = {.lane = LANE_ORDINARY, .kind = FOGLINE__V1__KIND__KIND_BLOCK, .samples = 1};
    int rc = 0;

    payload_reading(&payload, 1, RECORD_BYTES);
    r.payload = span_of(payload.data, payload.len);
    for (uint64_t i = 0; rc == 0 && i < bytes / payload.len; i++) {
        rc = maker_append(n->sp, n->ob, n->end.tag, &r, NULL);
        if (rc == 0 && i % BATCH == BATCH - 1)
            rc = spool_commit(n->sp);
    }
    if (rc == 0)
        rc = spool_commit(n->sp);
    if (rc == 0)
        rc = outbox_new_session(n->ob, n->w->now_ms);
    fatal(n, "backlog", rc);
}

static void taken(const struct world *w, uint64_t ret_bytes[SIM_DRAINS_MAX])
{
    const struct inbox *ib = w->node[w->n_nodes - 1].ib;

    for (size_t i = 0; i < inbox_n_peers(ib); i++) {
        struct inbox_peer_info info;

        inbox_peer_at(ib, i, w->now_ms, &info);
        for (unsigned k = 0; k + 1 < w->n_nodes; k++)
            if (strcmp(w->node[k].name, info.node) == 0)
                ret_bytes[k] = info.bytes;
    }
}

int sim_drain_run(const struct sim_drain *d, struct sim_result *ret, uint64_t ret_bytes[SIM_DRAINS_MAX])
{
    struct sim_options o = {.seed = d->seed};
    struct world *w = world_new(&o, ret);
    struct event e;

    if (w == NULL)
        return -ENOMEM;
    memset(ret_bytes, 0, SIM_DRAINS_MAX * sizeof *ret_bytes);
    plan_drain(&w->plan, d);
    world_begin(w);
    for (unsigned i = 0; i < d->n && !w->stopped; i++) {
        w->node[i].weight = d->weight[i];
        w->node[i].travel_ms = d->round_trip_ms[i] / 2;
        fill(&w->node[i], d->backlog_bytes);
    }
    while (!w->stopped && w->now_ms < d->for_ms && world_pop(w, &e))
        world_event(w, &e);
    if (!w->stopped)
        taken(w, ret_bytes);
    world_free(w);
    return 0;
}
