/* From a seed to a schedule: which faults there are at all, how often, and when the big ones come. Every
 * fault is optional, and often absent: a fault that always comes heals what a missing rule broke. */
#include "world.h"

static int64_t between(struct rng *r, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(r, (uint64_t)(high - low + 1));
}

static bool one_in(struct rng *r, unsigned n)
{
    return rng_below(r, n) == 0;
}

/* Zero in two schedules of three. */
static double maybe(struct rng *r, double most)
{
    return one_in(r, 3) ? rng_unit(r) * most : 0;
}

static void fault_add(struct plan *p, struct rng *r, enum fault_kind kind, unsigned node,
                      int64_t lasts_max_ms)
{
    if (p->n_faults == FAULTS_MAX)
        return;
    p->fault[p->n_faults++] = (struct fault){.kind = kind,
                                             .node = node,
                                             .at_ms = between(r, 500, p->noisy_ms),
                                             .lasts_ms = between(r, 0, lasts_max_ms)};
}

static void faults_add(struct plan *p, struct rng *r, enum fault_kind kind, unsigned first, unsigned n,
                       unsigned most, int64_t lasts_max_ms)
{
    for (unsigned i = (unsigned)rng_below(r, most + 1); i > 0; i--)
        fault_add(p, r, kind, first + (unsigned)rng_below(r, n), lasts_max_ms);
}

static void restores_add(struct plan *p, struct rng *r, unsigned node)
{
    fault_add(p, r, FAULT_COPY, node, 0);
    fault_add(p, r, FAULT_COPY, node, 0);
    fault_add(p, r, FAULT_RESTORE, node, p->down_ms);
}

static void plan_faults(struct plan *p, struct rng *r)
{
    unsigned devices = p->n_devices, fogs = p->n_fogs, all = devices + fogs + 1;

    if (one_in(r, 2))
        faults_add(p, r, FAULT_CRASH, 0, all, 4, p->down_ms);
    if (one_in(r, 3))
        faults_add(p, r, FAULT_REBOOT, 0, all, 2, p->down_ms);
    if (one_in(r, 3))
        faults_add(p, r, FAULT_STORE_LOST, devices, fogs, 2, p->down_ms);
    if (one_in(r, 5))
        restores_add(p, r, (unsigned)rng_below(r, devices));
    if (one_in(r, 5))
        restores_add(p, r, devices + (unsigned)rng_below(r, fogs));
    if (fogs > 1 && one_in(r, 2))
        faults_add(p, r, FAULT_FAILOVER, 0, devices, 6, 0);
    if (one_in(r, 3))
        faults_add(p, r, FAULT_PARTITION, 0, devices + fogs, 3, 40000);
    if (one_in(r, 12))
        fault_add(p, r, FAULT_DEAD, (unsigned)rng_below(r, devices), 0);
    if (one_in(r, 20)) { /* more epochs than a Hello has room for */
        unsigned node = (unsigned)rng_below(r, devices);

        for (int i = 0; i < 30; i++)
            fault_add(p, r, FAULT_REBOOT, node, 200);
        fault_add(p, r, FAULT_PARTITION, node, 60000);
    }
    if (one_in(r, 10))
        fault_add(p, r, FAULT_PARTITION, (unsigned)rng_below(r, devices + fogs), 90000);
    if (p->stage == STAGE_FOLD && one_in(r, 10)) { /* messages of former lives, many times */
        p->late = 0.1 + rng_unit(r) * 0.2;
        p->late_ms = between(r, 3000, 20000);
        p->to_next_life = 0.5;
        for (int i = 0; i < 3; i++)
            restores_add(p, r, (unsigned)rng_below(r, devices));
        for (int i = 0; i < 3; i++)
            fault_add(p, r, FAULT_CRASH, devices + (unsigned)rng_below(r, fogs), 3000);
    }
    p->backup = one_in(r, 8);
    for (int64_t at = 5000; p->backup && at < p->noisy_ms && p->n_faults < FAULTS_MAX - 2; at += 20000)
        p->fault[p->n_faults++] = (struct fault){.kind = FAULT_COPY, .node = all - 1, .at_ms = at};
    if (p->backup)
        fault_add(p, r, FAULT_RESTORE, all - 1, p->down_ms);
}

static void plan_network(struct plan *p, struct rng *r)
{
    p->loss = maybe(r, 0.3);
    p->doubled = maybe(r, 0.2);
    p->late = maybe(r, 0.2);
    p->late_ms = between(r, 100, 40000);
    p->delay_ms = one_in(r, 3) ? between(r, 1, 3000) : between(r, 1, 100);
    p->to_next_life = one_in(r, 2) ? 0.5 : 0;
    p->blocked = maybe(r, 0.1);
}

static void plan_load(struct plan *p, struct rng *r)
{
    static const uint64_t memory[] = {2 * HOP_WINDOW_MIN_BYTES, 4 * HOP_WINDOW_MIN_BYTES, 1 << 20, 4 << 20};

    p->make_every_ms = between(r, 200, 4000);
    p->make_batch = (unsigned)between(r, 1, 6);
    p->small_bytes = (uint32_t)between(r, 8, 1500);
    p->large = maybe(r, 0.1);
    p->large_bytes = (uint32_t)between(r, 2000, 50000);
    p->urgent = maybe(r, 0.3);
    p->device_map_bytes = 1 << 20;
    p->fog_map_bytes = 2 << 20;
    if (one_in(r, 3)) {
        p->device_quota_bytes = (uint64_t)between(r, 4000, 30000);
        p->large_bytes = (uint32_t)between(r, 1000, 3000);
    }
    if (one_in(r, 4)) {
        p->fog_quota_bytes = (uint64_t)between(r, 20000, 60000);
        p->large_bytes = (uint32_t)between(r, 1000, 8000);
    }
    if (one_in(r, 8)) {
        p->device_map_bytes = (uint64_t)between(r, 100, 160) * 4096;
        p->large_bytes = (uint32_t)between(r, 1000, 3000);
    }
    if (one_in(r, 8)) {
        p->fog_map_bytes = (uint64_t)between(r, 100, 200) * 4096;
        p->large_bytes = (uint32_t)between(r, 1000, 3000);
    }
    p->memory_bytes = memory[rng_below(r, sizeof memory / sizeof memory[0])];
    p->window_max_bytes = (uint64_t)between(r, HOP_WINDOW_MIN_BYTES, 256 << 10);
    p->fog_makes = one_in(r, 2);
    p->fold_rows = (unsigned)between(r, 1, 20);
}

/* A rule taken away is looked for where it can matter; the faults stay as optional as ever. */
static void plan_for_rules(struct plan *p, uint32_t aim)
{
    if (aim & (HOP_RULE_AGAIN | HOP_RULE_CUT_ON_DISK | HOP_RULE_RUN_IN_DATA | HOP_RULE_COVERS_TOGETHER |
               HOP_RULE_DROP_OLD_FOLD | HOP_RULE_SESSION))
        p->stage = STAGE_FOLD;
    if (aim & (HOP_RULE_AGAIN | HOP_RULE_CUT_ON_DISK))
        p->n_fogs = 2;
    if (aim & HOP_RULE_MARK_AFTER_SAFE)
        p->backup = true;
}

static void plan_faults_for_rules(struct plan *p, struct rng *r, uint32_t aim)
{
    unsigned devices = p->n_devices, fogs = p->n_fogs;

    if (aim &
        (HOP_RULE_STORE_ID | HOP_RULE_RUN_IN_DATA | HOP_RULE_COVERS_TOGETHER | HOP_RULE_NO_FREE_RELEASE))
        faults_add(p, r, FAULT_STORE_LOST, devices, fogs, 3, 3000);
    if (aim & (HOP_RULE_AGAIN | HOP_RULE_CUT_ON_DISK))
        faults_add(p, r, FAULT_FAILOVER, 0, devices, 6, 0);
    if (aim & HOP_RULE_CUT_ON_DISK)
        faults_add(p, r, FAULT_CRASH, 0, devices, 6, 1000);
    if (aim & HOP_RULE_DROP_OLD_FOLD)
        restores_add(p, r, devices + (unsigned)rng_below(r, fogs));
    if (aim & HOP_RULE_NEW_EPOCH)
        restores_add(p, r, (unsigned)rng_below(r, devices));
    if (aim & HOP_RULE_SESSION)
        faults_add(p, r, FAULT_REBOOT, 0, devices, 5, 1000);
    if (aim & (HOP_RULE_STORE_ID | HOP_RULE_RUN_IN_DATA | HOP_RULE_SESSION) && one_in(r, 2)) {
        p->late = rng_unit(r) * 0.3;
        p->to_next_life = 0.5;
    }
}

/* Messages so late that an epoch is forgotten meanwhile. No disk is put back: numbers of sessions of such a
 * disk's lives are in no order, and then only the minute protects before which nothing is forgotten. */
static void plan_for_sessions(struct plan *p, struct rng *r)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_faults; i++)
        if (p->fault[i].kind != FAULT_RESTORE)
            p->fault[n++] = p->fault[i];
    p->n_faults = n;
    p->backup = false;
    p->noisy_ms = 300 * 1000;
    p->late = 0.05 + rng_unit(r) * 0.2;
    p->late_ms = 200 * 1000;
}

void plan_make(struct plan *p, struct rng *r, uint32_t aimed_at)
{
    *p = (struct plan){.n_devices = 1 + (unsigned)rng_below(r, DEVICES_MAX),
                       .n_fogs = 1 + (unsigned)rng_below(r, PLAN_FOGS_MAX),
                       .cloud_map_bytes = 16 << 20,
                       .events_max = 2000000};
    p->stage = one_in(r, 2) ? STAGE_FOLD : one_in(r, 4) ? STAGE_FILTER : STAGE_RELAY;
    p->noisy_ms = between(r, 10, 90) * 1000;
    p->calm_ms = one_in(r, 8) || aimed_at & HOP_RULE_POLL ? 3 * LINKED_MS / 2 : 0;
    p->down_ms = one_in(r, 4) ? between(r, 1000, 40000) : between(r, 100, 5000);
    plan_network(p, r);
    plan_load(p, r);
    for (unsigned i = 0; i < POINTS; i++)
        p->crash[i] = maybe(r, 0.05);
    p->crashes_max = (unsigned)between(r, 0, 6);
    p->reboot = maybe(r, 0.5);
    p->commit_fails = maybe(r, 0.05);
    if (one_in(r, 40)) { /* many records and many gaps: the sets of intervals are torn */
        p->stage = STAGE_FILTER;
        p->noisy_ms = 120 * 1000;
        p->make_every_ms = between(r, 100, 400);
        p->make_batch = 8;
        p->small_bytes = 60;
        p->large = 0;
        p->device_quota_bytes = 0;
        p->device_map_bytes = p->fog_map_bytes = 4 << 20;
    }
    plan_for_rules(p, aimed_at);
    plan_faults(p, r);
    if (aimed_at & HOP_RULE_MARK_AFTER_SAFE && !p->backup) {
        p->backup = true;
        fault_add(p, r, FAULT_COPY, p->n_devices + p->n_fogs, 0);
        fault_add(p, r, FAULT_RESTORE, p->n_devices + p->n_fogs, p->down_ms);
    }
    plan_faults_for_rules(p, r, aimed_at);
    if (aimed_at & HOP_RULE_SESSION)
        plan_for_sessions(p, r);
}
