/* rules.h - rules over the devices of a site: what they find becomes events of the fog, and programs run.
 *
 * Each rule has a state for each channel (of `silent`, each device) that its pattern selects. A rule with
 * `at_least` counts those that are so, and it is the count that is raised. A change acts at once, before it
 * is durable; its event, in the urgent lane, and the state stand in the spool's open transaction: after any
 * crash both are there or neither, and a batch that comes again decides the same again.
 *
 * Time: states go by the times of readings, and only readings newer than those looked at move them: a record
 * counts as newer when its epoch or its number does, whatever order records arrive in. So a backlog raises
 * nothing. A hold that no newer reading ends is over when its time and late_ms have passed here. Silences
 * (`missing`, `silent`, stale_ms) go by this machine's monotonic clock and begin anew with the process, and
 * after a pause in which it did not listen.
 *
 * Fold once: what is flagged `again` is passed over. A block whose descriptor set has not come waits for it;
 * of each set the newest one. Limits: SITE_RULES_MAX rules, SITE_RULES_INSTANCES_MAX states. Threads: the
 * spool's owner; programs run on a thread of their own. */
#ifndef FOGLINE_FOG_RULES_H
#define FOGLINE_FOG_RULES_H

#include "act/drive.h"
#include "act/exec.h"
#include "base/clock.h"
#include "base/counter.h"
#include "fog/derived.h"
#include "fog/rules_config.h"
#include "fog/stage_reader.h"

enum { SITE_RULES_INSTANCES_MAX = 8192, SITE_RULES_PAUSE_MS = 5000 };

struct site_rules;

/* A device, and when it was heard last. */
struct site_rules_device {
    const char *name;
    bool is_listed;        /* expected at the site; of others only what is known already is looked at */
    int64_t heard_mono_ms; /* INT64_MIN: not said here */
};

struct site_rules_options {
    struct spool *spool; /* all borrowed */
    struct derived *derived;
    struct stage_reader *reader;
    unsigned user; /* place in the reader, joined with free() */
    const struct clock *clock;
    const struct config_list *rules; /* the items for life, the list until site_rules_new returns */
    struct drive *drive;             /* of the outputs that rules name; NULL: there are none */
    const char *site;
    unsigned table; /* of the spool's environment, for rules alone */
    /* Calls fn for each device that is expected at the site and each that was heard, in any order. NULL: of
     * none anything is known. */
    void (*devices)(void *ctx, void (*fn)(void *fn_ctx, const struct site_rules_device *d), void *fn_ctx);
    void *devices_ctx;
    void (*wake)(void *ctx, int64_t mono_ns); /* site_rules_drive is to be called then; may be NULL */
    void *wake_ctx;
};
/* Takes up what is on disk, in the open transaction, and clears alarms of rules that are no more. 0 or
 * negative errno with *err. */
must_check int site_rules_new(struct site_rules **ret_s, const struct site_rules_options *options,
                              struct errmsg *err);
struct site_rules *site_rules_free(struct site_rules *s); /* accepts NULL; ends what programs still run */

/* A record in the open transaction, after the history. 0 or negative errno; of a full map the commit says
 * so. */
must_check int site_rules_record(struct site_rules *s, const struct spool_stream *stream,
                                 const struct record *r);
/* What falls due without a record; once a second or so. Begins a transaction when needed. */
must_check int site_rules_round(struct site_rules *s);
void site_rules_drive(struct site_rules *s); /* outputs that change by themselves */
/* Before each commit: writes the states that changed. */
must_check int site_rules_flush(struct site_rules *s);
must_check int site_rules_reload(struct site_rules *s); /* after a rollback */

enum site_rules_counter {
    SITE_RULES_INSTANCES,
    SITE_RULES_INSTANCES_REFUSED,
    SITE_RULES_EVALUATIONS,
    SITE_RULES_RAISED,
    SITE_RULES_CLEARED,
    SITE_RULES_EVENTS_WAITED,
    SITE_RULES_BLOCKS_LATE,
    SITE_RULES_BLOCKS_AGAIN,
    SITE_RULES_BLOCKS_NO_SET,
    SITE_RULES_BLOCKS_UNREADABLE,
    SITE_RULES_DAMAGED,
    SITE_RULES_OUTPUT_SETS,
    SITE_RULES_OUTPUT_FAILURES,
    SITE_RULES_EXEC_STARTED,
    SITE_RULES_EXEC_FAILED,
    SITE_RULES_EXEC_KILLED,
    SITE_RULES_EXEC_REFUSED,
    SITE_RULES_COUNTERS
};
extern const struct counter_info site_rules_counter_info[SITE_RULES_COUNTERS];
const uint64_t *site_rules_counters(struct site_rules *s);

/* Calls fn for each alarm that is raised. name: "device/channel", a device, or a pattern. */
struct site_alarm {
    const char *rule, *name;
    int64_t since_ns;
};
void site_rules_alarms(const struct site_rules *s, void (*fn)(void *ctx, const struct site_alarm *a),
                       void *ctx);

#endif
