/* decide.h - rules on channels, and what they switch: on the act thread, between sampling and keeping.
 *
 * Listens to the sampler. A reading goes to the rules of its channel, what they change goes to the outputs
 * before the row goes to the feed, and the change itself into the ring, before its row: so a replayed row
 * that is read again after a crash finds its change made, and makes no other. Each rule has one instance per
 * channel that matches, at most DECIDE_INSTANCES_MAX on a device. Holds and silences of live channels go by
 * the monotonic clock, those of replayed ones by the times of their rows.
 * On an output the raised rule of the highest severity counts; among equals set, blink, pulse; else it is
 * inactive.
 * Threads: decide_new and decide_free on the main thread (free after the act thread has ended: outputs go to
 * their level on exit), listener and round on the act thread, decide_who on any after the instance's first
 * change was read from the ring; counters are atomic. All memory is taken in decide_new. */
#ifndef FOGLINE_DEVICE_DECIDE_DECIDE_H
#define FOGLINE_DEVICE_DECIDE_DECIDE_H

#include "act/exec.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "device/decide/decide_config.h"
#include "device/sampler.h"

enum {
    DECIDE_INSTANCES_MAX = 256,
    DECIDE_WATCHES_MAX = 4096, /* columns of groups that instances look at */
    DECIDE_CHANNEL_CHARS = 2 * SOURCE_NAME_BYTES,
};

/* What was raised when the process before this one ended. */
struct decide_raised {
    char rule[NAME_PART_CHARS + 1];
    char channel[DECIDE_CHANNEL_CHARS]; /* "source/channel" */
    int64_t since_ns;                   /* since 1970 UTC */
};

struct decide_source {
    const char *name; /* borrowed for life */
    bool replayable;
};

struct decide_options {
    const struct clock *clock;                 /* copied */
    struct feed *feed;                         /* borrowed */
    const struct config_list *rules, *outputs; /* borrowed for life */
    const struct decide_source *sources;       /* copied */
    unsigned n_sources;
    const struct decide_raised *raised; /* copied */
    unsigned n_raised;
};

struct decide_counters {
    _Atomic uint64_t instances, instances_refused, evaluations, raised, cleared, changes_dropped, output_sets,
        output_failures;
    struct histogram
        output_time_ns; /* from the reading of a live sample to the return of the output's call */
};

struct decide;

/* Opens the outputs. 0 or negative errno with *err. */
must_check int decide_new(struct decide **ret_d, const struct decide_options *options, struct errmsg *err);
/* fn hears on the act thread of each rule that is raised: of which source, on which channel, at what time
 * since 1970 UTC. One at most; ctx is borrowed for the life of d. */
void decide_on_raised(struct decide *d,
                      void (*fn)(void *ctx, unsigned source, const char *channel, int64_t time_ns),
                      void *ctx);
struct decide *decide_free(struct decide *d); /* accepts NULL */
struct sampler_listener decide_listener(struct decide *d);
/* A hook of act: what falls due without a reading. Returns when to be called again, INT64_MAX: never. */
int64_t decide_round(void *ctx, int64_t now_mono_ns);

/* After the act thread has ended: changes that found no room so far go to the feed now, as far as there is
 * some. false: some are left. */
bool decide_finish(struct decide *d);

struct decide_who {
    const struct rule_config *rule;
    int kind;            /* enum rule_kind */
    const char *channel; /* "source/channel" */
};
struct decide_who decide_who(const struct decide *d, uint32_t instance);

const struct decide_counters *decide_counters(const struct decide *d);
const struct exec_counters *decide_exec_counters(const struct decide *d); /* NULL: no rule runs anything */

#endif
