/* rules_private.h - the inside of the site's rules, for rules*.c only. */
#ifndef FOGLINE_FOG_RULES_PRIVATE_H
#define FOGLINE_FOG_RULES_PRIVATE_H

#include "fog/record_at.h"
#include "fog/rules.h"
#include "rule/rule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RULES_NAME_BYTES = 256, /* "device/channel", a device, or the pattern of a rule over several */
    RULES_TEXT_BYTES = 40,  /* of a text, in events */
    RULES_VALUE_CHARS = 64,
    RULES_MAP = 2 * SITE_RULES_INSTANCES_MAX,
    RULES_WAITS_MAX = 1024, /* blocks whose descriptor set has not come */
};

struct rules_rule {
    struct rule rule;  /* of one channel */
    struct rule group; /* of how many of them are so; with at_least */
    const struct site_rule_config *config;
    int kind; /* config_item.kind */
    bool is_group;
    unsigned group_instance;
    struct drive_action actions[RULE_ACTIONS_MAX];
    unsigned slots[RULE_ACTIONS_MAX]; /* of exec */
    unsigned n_actions;
};

/* The last good reading. */
struct rules_value {
    bool is_there;
    enum rule_type type;
    uint8_t text_bytes;
    int64_t i64; /* or the bits of a double */
    char text[RULES_TEXT_BYTES];
};

/* A rule on a channel or a device, or on how many of them are so. What stands on disk of it is above the
 * line, rules_rows.c. */
struct rules_instance {
    char name[RULES_NAME_BYTES];
    bool is_group;
    bool is_told;  /* its last event said: raised */
    bool is_stale; /* a member that does not count */
    struct rule_state state;
    int64_t since_ns;   /* raised, since 1970 UTC */
    int64_t changed_ns; /* raised or cleared, likewise */
    bool has_row;       /* then: the record looked at last, and the time of its last row */
    struct record_at at;
    int64_t row_ns;
    struct rules_value value;
    /* ---- */
    unsigned rule;
    uint64_t hash;             /* its key */
    int64_t heard_ns, good_ns; /* monotonic: when it heard last, and something good, or began */
    int64_t turned_ns;         /* monotonic: raised, in this life of the process or before */
    bool is_dirty;
    bool is_present; /* of SILENT: on the list of devices */
    /* For outputs. */
    bool has_heard, is_output_stale;
    bool pulses; /* it was raised in this life of the process */
};

struct rules_watch {
    uint16_t column;
    uint32_t instance;
};

/* Which columns of a descriptor set are looked at by which instances. */
struct rules_plan {
    uint32_t n_watches;
    struct rules_watch watches[];
};

struct site_rules {
    struct site_rules_options o;
    struct rules_rule rules[SITE_RULES_MAX];
    unsigned n_rules;
    struct rules_instance *instances;
    unsigned n_instances, alloc_instances;
    struct exec *exec; /* NULL: no rule runs anything */
    struct buf scratch, waking;
    int64_t last_round_ns, drive_next_ns;
    uint32_t *map; /* RULES_MAP: hash -> instance + 1 */
    unsigned n_waiting;
    bool is_dirty, is_owing, is_refusal_told; /* owing: some event found no room */
    bool is_drive_due;                        /* outputs are to be looked at */
    int failed;                               /* of a change, for whoever goes on */
    uint64_t counters[SITE_RULES_COUNTERS];
};

/* By which clock its state goes: silence by the monotonic one here, all else by the times of readings. */
static inline bool rules_by_mono(const struct site_rules *s, const struct rules_instance *in)
{
    return s->rules[in->rule].rule.kind == RULE_MISSING;
}

static inline const struct rule *rules_rule_of(const struct site_rules *s, const struct rules_instance *in)
{
    return in->is_group ? &s->rules[in->rule].group : &s->rules[in->rule].rule;
}

/* rules_make.c */
must_check int rules_define(struct site_rules *s, struct errmsg *err);
bool rules_has_instance(struct site_rules *s, unsigned rule, const char *name);
void rules_refuse(struct site_rules *s, const char *rule, const char *name, const char *why);
enum { RULES_NO_ROOM = 1 };
/* The instance, made if need be. 0 with *ret_no; RULES_NO_ROOM; -ENOMEM. */
must_check int rules_instance(struct site_rules *s, unsigned rule, const char *name, bool is_group,
                              int64_t now_ns, unsigned *ret_no);
/* Of the set; NULL: no memory. */
const struct rules_plan *rules_plan_of(struct site_rules *s, struct stage_set *set, int64_t now_ns);

/* rules_hear.c. A block: 0; STAGE_READER_UNKNOWN; DB_FULL; negative errno. */
must_check int rules_hear(struct site_rules *s, struct db_txn *txn, const struct record_at *at,
                          const struct record *r);
void rules_advance(struct site_rules *s, struct rules_instance *in, int64_t now_ns);
void rules_changed(struct site_rules *s, struct rules_instance *in, int64_t at_ns);
void rules_count(struct site_rules *s, unsigned rule, int64_t now_ns); /* of a group */

/* rules_due.c: outputs, when something changed that they look at. */
void rules_drive(struct site_rules *s);

/* rules_wait.c: of each descriptor set that has not come the newest block waits. 0; DB_FULL; negative errno.
 */
must_check int rules_wait(struct site_rules *s, struct db_txn *txn, const struct record_at *at,
                          const struct record *r);
must_check int rules_wake(struct site_rules *s, struct db_txn *txn, const struct record *set);
must_check int rules_count_waiting(struct site_rules *s, struct db_txn *txn);

/* rules_rows.c: the table. */
void rules_touch(struct site_rules *s, struct rules_instance *in); /* to be written with this batch */
/* Takes what is on disk into the instances of rules that are there. What belongs to no rule any more goes,
 * and its alarm is cleared. 0; DB_FULL; negative errno. */
must_check int rules_read(struct site_rules *s, struct db_txn *txn, int64_t now_ns);
uint64_t rules_hash(const char *rule, const char *name, bool is_group);

/* rules_say.c: events. 0: said, or to be said when there is room; negative errno. */
must_check int rules_tell(struct site_rules *s, struct rules_instance *in);
/* 0; DERIVED_NO_ROOM; negative errno. */
must_check int rules_tell_gone(struct site_rules *s, const char *rule, const struct rules_instance *in);
void rules_value_text(const struct rules_value *v, char out[RULES_VALUE_CHARS]);

#endif
