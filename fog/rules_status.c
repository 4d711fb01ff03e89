/* rules_status.c - what rules say of themselves. */
#include "fog/rules_private.h"

const struct counter_info site_rules_counter_info[SITE_RULES_COUNTERS] = {
    [SITE_RULES_INSTANCES] = {"instances", COUNTER_GAUGE, "1", "Rules times the channels they look at."},
    [SITE_RULES_INSTANCES_REFUSED] = {"instances_refused", COUNTER_TOTAL, "1",
                                      "Channels that a rule could not look at."},
    [SITE_RULES_EVALUATIONS] = {"evaluations", COUNTER_TOTAL, "1", "Readings held against a rule."},
    [SITE_RULES_RAISED] = {"raised", COUNTER_TOTAL, "1", "Times an alarm was raised."},
    [SITE_RULES_CLEARED] = {"cleared", COUNTER_TOTAL, "1", "Times an alarm was cleared."},
    [SITE_RULES_EVENTS_WAITED] = {"events_waited", COUNTER_TOTAL, "1",
                                  "Times that an event had no room in the store and had to wait."},
    [SITE_RULES_BLOCKS_LATE] = {"late", COUNTER_TOTAL, "1",
                                "Blocks times rules passed over: newer ones had come before."},
    [SITE_RULES_BLOCKS_AGAIN] = {"blocks_again", COUNTER_TOTAL, "records",
                                 "Blocks passed over: another fog may have decided on them."},
    [SITE_RULES_BLOCKS_NO_SET] = {"blocks_no_set", COUNTER_TOTAL, "records",
                                  "Blocks whose descriptor set had not come."},
    [SITE_RULES_BLOCKS_UNREADABLE] = {"blocks_unreadable", COUNTER_TOTAL, "records",
                                      "Blocks passed over: they do not decode."},
    [SITE_RULES_DAMAGED] = {"damaged", COUNTER_TOTAL, "1", "States lost to damage of the store."},
    [SITE_RULES_OUTPUT_SETS] = {"output_sets", COUNTER_TOTAL, "1", "Times an output was switched."},
    [SITE_RULES_OUTPUT_FAILURES] = {"output_failures", COUNTER_TOTAL, "1",
                                    "Times an output could not be switched."},
    [SITE_RULES_EXEC_STARTED] = {"exec_started", COUNTER_TOTAL, "1", "Programs started by rules."},
    [SITE_RULES_EXEC_FAILED] = {"exec_failed", COUNTER_TOTAL, "1",
                                "Of these, not started, killed or ended with another code than 0."},
    [SITE_RULES_EXEC_KILLED] = {"exec_killed", COUNTER_TOTAL, "1",
                                "Of these, killed since their time was over."},
    [SITE_RULES_EXEC_REFUSED] = {"exec_refused", COUNTER_TOTAL, "1",
                                 "Programs not started since too many waited."},
};

const uint64_t *site_rules_counters(struct site_rules *s)
{
    if (s->exec != NULL) {
        const struct exec_counters *x = exec_counters(s->exec);

        s->counters[SITE_RULES_EXEC_STARTED] = atomic_load_explicit(&x->started, memory_order_relaxed);
        s->counters[SITE_RULES_EXEC_FAILED] = atomic_load_explicit(&x->failed, memory_order_relaxed);
        s->counters[SITE_RULES_EXEC_KILLED] = atomic_load_explicit(&x->killed, memory_order_relaxed);
        s->counters[SITE_RULES_EXEC_REFUSED] = atomic_load_explicit(&x->refused, memory_order_relaxed);
    }
    return s->counters;
}

void site_rules_alarms(const struct site_rules *s, void (*fn)(void *ctx, const struct site_alarm *a),
                       void *ctx)
{
    for (unsigned i = 0; i < s->n_instances; i++) {
        const struct rules_instance *in = &s->instances[i];
        const struct rules_rule *r = &s->rules[in->rule];

        if (in->state.raised && (in->is_group || !r->is_group))
            fn(ctx, &(struct site_alarm){r->config->name, in->name, in->since_ns});
    }
}
