/* decide_private.h - what decide.c, decide_make.c and decide_outputs.c share. */
#ifndef FOGLINE_DEVICE_DECIDE_DECIDE_PRIVATE_H
#define FOGLINE_DEVICE_DECIDE_DECIDE_PRIVATE_H

#include "act/drive.h"
#include "device/decide/decide.h"
#include "rule/rule.h"

struct decide_rule {
    struct rule rule;
    const struct rule_config *config;
    struct drive_action actions[RULE_ACTIONS_MAX];
    unsigned slots[RULE_ACTIONS_MAX]; /* of exec */
    unsigned n_actions;
};

struct instance {
    unsigned rule, source;
    char name[DECIDE_CHANNEL_CHARS]; /* "source/channel" */
    struct rule_state state;
    bool has_heard;            /* a good reading */
    bool is_stale;             /* as an output saw it */
    int64_t since_ns;          /* raised, since 1970 UTC */
    int64_t turned_mono_ns;    /* raised in this life of the process; blinking counts from here */
    bool pulses;               /* it was raised in this life: pulses count from there */
    struct feed_decision last; /* the last good reading */
};

struct watch {
    uint16_t column, instance;
};

struct decide_group {
    uint32_t first, n; /* of the watches */
    enum rule_type type[BLOCK_COLUMNS_MAX];
};

struct untold {
    unsigned source;
    struct feed_decision decision;
};

struct decide {
    struct clock clock;
    struct feed *feed;
    const struct config_list *rule_list, *output_list;
    struct decide_source sources[SOURCES_MAX];
    unsigned n_sources;
    unsigned n_instances_of[SOURCES_MAX];
    struct decide_rule *rules;
    unsigned n_rules;
    struct drive *drive;
    struct decide_raised *raised;
    unsigned n_raised;
    struct instance *instances;
    unsigned n_instances;
    struct watch *watches;
    uint32_t n_watches;
    struct decide_group *groups; /* SOURCE_GROUPS_MAX */
    struct untold *untold;       /* DECIDE_INSTANCES_MAX, in order, while the ring has no room */
    unsigned n_untold;
    struct exec *exec;
    struct decide_counters counters;
    bool is_dirty; /* outputs are to be looked at */
    void (*on_raised)(void *ctx, unsigned source, const char *channel, int64_t time_ns); /* NULL: nobody */
    void *on_raised_ctx;
    bool was_set;                           /* an output was switched in this row */
    int64_t rules_next_ns, outputs_next_ns; /* not before these is anything due */
};

static inline void decide_count(_Atomic uint64_t *c, uint64_t n)
{
    /* One writer. */
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline int64_t decide_later(int64_t from_ns, int64_t ms)
{
    int64_t t;

    return __builtin_add_overflow(from_ns, ms * NS_PER_MS, &t) ? INT64_MAX : t;
}

/* decide_make.c */
/* The instance of the rule on the channel, made if need be; NULL: no room. */
struct instance *decide_instance(struct decide *d, unsigned rule, unsigned source, const char *channel);
int decide_hear_group(void *ctx, unsigned source, uint32_t group, const struct source_group *g);

/* decide_outputs.c */
/* Levels by what is raised now. */
void decide_drive(struct decide *d, int64_t now_ns);
must_check int decide_open_outputs(struct decide *d, struct errmsg *err);

#endif
