/* One schedule from its seed to its end. */
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

const struct sim_rule sim_rules[] = {
    {"no-free-release", HOP_RULE_NO_FREE_RELEASE, 100},
    {"poll", HOP_RULE_POLL, 100},
    {"store-id", HOP_RULE_STORE_ID, 400},
    {"mark-after-safe", HOP_RULE_MARK_AFTER_SAFE, 200},
    {"archived-is-dup", HOP_RULE_ARCHIVED_IS_DUP, 400},
    {"again", HOP_RULE_AGAIN, 200},
    {"cut-on-disk", HOP_RULE_CUT_ON_DISK, 400},
    {"run-in-data", HOP_RULE_RUN_IN_DATA, 1000},
    {"covers-together", HOP_RULE_COVERS_TOGETHER, 400},
    {"drop-old-fold", HOP_RULE_DROP_OLD_FOLD, 400},
    {"new-epoch", HOP_RULE_NEW_EPOCH, 200},
    {"session", HOP_RULE_SESSION, 1000},
    {"window-min", HOP_RULE_WINDOW_MIN, 100},
    {"lease", HOP_RULE_LEASE, 200},
    {"watchdog-state", HOP_RULE_WATCHDOG_STATE, 100},
};
const unsigned sim_n_rules = sizeof sim_rules / sizeof sim_rules[0];

const struct sim_rule *sim_rule_find(const char *name)
{
    for (unsigned i = 0; i < sim_n_rules; i++)
        if (strcmp(sim_rules[i].name, name) == 0)
            return &sim_rules[i];
    return NULL;
}

char *sim_replay(char *out, size_t out_bytes, const struct sim_options *options)
{
    int n = snprintf(out, out_bytes, "build/tests/sim/sim --seed %" PRIu64 " --trace", options->seed);

    for (unsigned i = 0; i < sim_n_rules && n > 0 && (size_t)n < out_bytes; i++)
        if ((options->rules_off | options->aimed_at) & sim_rules[i].bit)
            n += snprintf(out + n, out_bytes - (size_t)n, " --%s %s",
                          options->rules_off & sim_rules[i].bit ? "rules-off" : "aim-at", sim_rules[i].name);
    return out;
}

/* ---- the loop ---- */

bool node_settled(const struct node *n)
{
    if (n->dead)
        return true;
    if (!n->up || n->role == ROLE_CLOUD)
        return n->up;
    return spool_held_records(n->sp) == 0 && spool_account_rows(n->sp) == 0 && n->n_fold == 0 &&
           !spool_txn_open(n->sp);
}

static bool all_settled(const struct world *w)
{
    for (unsigned i = 0; i < w->n_nodes; i++)
        if (!node_settled(&w->node[i]))
            return false;
    return true;
}

void world_make_later(struct world *w, unsigned node)
{
    struct event e = {.kind = EVENT_MAKE, .node = node};

    e.at_ms = w->now_ms + 1 + (int64_t)rng_below(&w->rng, (uint64_t)(2 * w->plan.make_every_ms));
    if (e.at_ms < w->plan.noisy_ms)
        world_push(w, &e);
}

static void on_wake(struct node *n)
{
    n->wake_at_ms = INT64_MAX;
    if (n->role == ROLE_CLOUD)
        cloud_round(n);
    else if (n->role == ROLE_FOG)
        fog_round(n);
    else
        device_round(n);
}

static void dispatch(struct world *w, struct event *e)
{
    struct node *n = &w->node[e->node];

    switch (e->kind) {
    case EVENT_UP:
        if (!n->up) {
            if (!n->dead)
                net_again(w, e);
            else
                buf_deinit(&e->bytes);
            return;
        }
        upper_up(n, w->node[e->from].name, span_of(e->bytes.data, e->bytes.len));
        buf_deinit(&e->bytes);
        break;
    case EVENT_DOWN:
        if (n->up && n->link == e->token)
            lower_down(n, span_of(e->bytes.data, e->bytes.len));
        buf_deinit(&e->bytes);
        break;
    case EVENT_WAKE:
        if (n->up && e->token == n->wake_token)
            on_wake(n);
        break;
    case EVENT_COMMIT:
        if (n->up && e->token == n->life) {
            n->commit_planned = false;
            on_wake(n);
        }
        break;
    case EVENT_MAKE:
        if (n->up && n->role == ROLE_DEVICE)
            device_make(n);
        else if (n->up)
            fog_make(n);
        if (!n->dead)
            world_make_later(w, e->node);
        break;
    case EVENT_FAULT:
        node_fault(n, &w->plan.fault[e->token]);
        break;
    case EVENT_START:
        if (!n->up && !n->dead && e->token == n->life)
            node_open(n);
        break;
    }
}

/* Limited: a node that wakes itself, or a message that answers a message, for ever must not hang the test. */
void world_event(struct world *w, struct event *e)
{
    w->now_ms = e->at_ms;
    for (unsigned i = 0; i < w->n_nodes; i++) {
        w->node[i].fake.mono_ns = w->now_ms * NS_PER_MS;
        w->node[i].fake.wall_unix_ns = (INT64_C(1700000000000) + w->now_ms) * NS_PER_MS;
    }
    if (++w->events > w->plan.events_max)
        violate(w, "%" PRIu64 " events: a loop without end", w->events);
    dispatch(w, e);
}

static void quiet_begins(struct world *w)
{
    w->quiet = true;
    note(w, NULL, "quiet");
    for (unsigned i = 0; i < w->n_nodes && !w->stopped; i++)
        if (!w->node[i].up && !w->node[i].dead)
            node_open(&w->node[i]);
}

static const char *unsettled(const struct world *w, char *out, size_t out_bytes)
{
    size_t n = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < w->n_nodes; i++) {
        const struct node *x = &w->node[i];

        if (!node_settled(x) && n < out_bytes)
            n += (size_t)snprintf(out + n, out_bytes - n,
                                  " %s: %" PRIu64 " held, %zu on account, %u in a window;", x->name,
                                  spool_held_records(x->sp), spool_account_rows(x->sp), x->n_fold);
    }
    return out;
}

static void dump_counters(FILE *out, const struct counter_info *info, const uint64_t *value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (value[i] != 0)
            fprintf(out, " %s=%" PRIu64, info[i].name, value[i]);
    fputc('\n', out);
}

/* Where everybody stands at the end of a trace. */
static void dump(const struct world *w)
{
    FILE *out = w->options->trace;

    for (unsigned i = 0; i < w->n_nodes; i++) {
        const struct node *n = &w->node[i];
        struct outbox_waiting wait;

        fprintf(out, "%s: %s%s", n->name, n->up ? "up" : "down", n->dead ? " for good" : "");
        if (n->up)
            fprintf(out, ", holds %" PRIu64 " records, %" PRIu64 " of %" PRIu64 " bytes",
                    spool_held_records(n->sp), spool_held_bytes(n->sp), spool_quota_bytes(n->sp));
        fputc('\n', out);
        if (n->ob != NULL) {
            outbox_waiting(n->ob, &wait);
            fprintf(out,
                    "  %s to %s, waiting %" PRIu64 " urgent %" PRIu64 " ordinary, in flight %" PRIu64
                    ", windows %" PRIu64 " %" PRIu64 " %" PRIu64 "\n ",
                    outbox_phase(n->ob) == OUTBOX_OPEN ? "open" : "hello", w->node[n->upstream].name,
                    wait.urgent_records, wait.ordinary_records, wait.in_flight_bytes,
                    wait.window_urgent_bytes, wait.window_live_bytes, wait.window_backlog_bytes);
            dump_counters(out, outbox_counter_info, outbox_counters(n->ob), OUTBOX_COUNTERS);
        }
        if (n->ib != NULL) {
            fputc(' ', out);
            dump_counters(out, inbox_counter_info, inbox_counters(n->ib), INBOX_COUNTERS);
        }
    }
}

static void backup_in_quiet(struct world *w)
{
    struct node *cloud = &w->node[w->n_nodes - 1];

    if (!w->plan.backup || w->now_ms < cloud->backup_at_ms || spool_txn_open(cloud->sp))
        return;
    cloud->backup_at_ms = w->now_ms + 10000;
    cloud_backup(cloud);
}

static void run(struct world *w)
{
    char text[400];
    struct event e;

    while (!w->stopped && world_pop(w, &e)) {
        if (!w->quiet && e.at_ms >= w->plan.noisy_ms) {
            w->now_ms = w->plan.noisy_ms;
            quiet_begins(w);
        }
        world_event(w, &e);
        if (!w->quiet || w->stopped)
            continue;
        backup_in_quiet(w);
        if (w->now_ms - w->plan.noisy_ms >= w->plan.calm_ms && all_settled(w))
            break;
        if (w->now_ms - w->plan.noisy_ms > QUIET_MS_MAX)
            violate(w, "not settled after %d s of quiet:%s", QUIET_MS_MAX / 1000,
                    unsettled(w, text, sizeof text));
        if (w->quiet_messages > QUIET_MESSAGES_MAX)
            violate(w, "%" PRIu64 " messages in quiet:%s", w->quiet_messages,
                    unsettled(w, text, sizeof text));
    }
    w->result->settled_ms = w->now_ms - w->plan.noisy_ms;
    if (!w->stopped)
        oracle_end(w);
    if (!w->stopped)
        balance_check(w);
}

int sim_run(const struct sim_options *options, struct sim_result *ret)
{
    struct world *w = world_new(options, ret);

    if (w == NULL)
        return -ENOMEM;
    plan_make(&w->plan, &w->rng, options->rules_off | options->aimed_at);
    world_begin(w);
    run(w);
    if (options->trace != NULL)
        dump(w);
    world_free(w);
    return 0;
}
