/* rules_make.c - which rule looks at which channel. */
#include "base/log.h"
#include "fog/rules_private.h"

#include <errno.h>

/* ---- what the configuration says ---- */

static int define_actions(struct site_rules *s, struct rules_rule *r, struct exec_slot *slots, unsigned *n,
                          struct errmsg *err)
{
    for (size_t k = 0; k < r->config->actions.n && k < RULE_ACTIONS_MAX; k++) {
        const struct action_config *c = r->config->actions.at[k].value;
        struct drive_action *a = &r->actions[r->n_actions++];

        *a = (struct drive_action){.kind = r->config->actions.at[k].kind, .config = c};
        if (a->kind != ACTION_EXEC) {
            a->output = drive_output(s->o.drive, c->output);
            continue;
        }
        if (*n == EXEC_SLOTS_MAX)
            return errmsg_set(err, -E2BIG, "rules: at most %d actions of type exec; let some share a program",
                              EXEC_SLOTS_MAX);
        r->slots[k] = *n;
        slots[(*n)++] = (struct exec_slot){.argv = c->argv.at,
                                           .n_args = c->argv.n,
                                           .rule = r->config->name,
                                           .timeout_ms = c->timeout_ms,
                                           .serial = (unsigned)(r - s->rules)};
    }
    return 0;
}

int rules_define(struct site_rules *s, struct errmsg *err)
{
    struct exec_slot slots[EXEC_SLOTS_MAX];
    unsigned n_slots = 0;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < s->o.rules->n && i < SITE_RULES_MAX; i++) {
        struct rules_rule *r = &s->rules[s->n_rules];

        r->config = s->o.rules->at[i].value;
        r->kind = s->o.rules->at[i].kind;
        r->rule = site_rule_of(r->kind, r->config);
        r->is_group = r->config->at_least > 0;
        r->group = (struct rule){.kind = RULE_ABOVE,
                                 .high = (double)(r->config->at_least - 1),
                                 .hold_ns = r->config->hold_ms * NS_PER_MS,
                                 .clear_hold_ns = r->config->clear_hold_ms * NS_PER_MS};
        s->n_rules++;
        rc = define_actions(s, r, slots, &n_slots, err);
    }
    if (rc == 0 && n_slots > 0) {
        rc = exec_new(&s->exec, slots, n_slots);
        if (rc != 0)
            errmsg_set(err, rc, "cannot start the thread for programs of rules: %s", strerror(-rc));
    }
    return rc;
}

/* ---- instances ---- */

static uint32_t *place(struct site_rules *s, uint64_t hash)
{
    size_t at = hash % RULES_MAP;

    while (s->map[at] != 0 && s->instances[s->map[at] - 1].hash != hash)
        at = (at + 1) % RULES_MAP;
    return &s->map[at];
}

static int grow(struct site_rules *s)
{
    unsigned n = s->alloc_instances == 0 ? 64 : 2 * s->alloc_instances;
    struct rules_instance *more;

    if (s->n_instances < s->alloc_instances)
        return 0;
    more = reallocarray(s->instances, n, sizeof *more);
    if (more == NULL)
        return -ENOMEM;
    s->instances = more;
    s->alloc_instances = n;
    return 0;
}

int rules_instance(struct site_rules *s, unsigned rule, const char *name, bool is_group, int64_t now_ns,
                   unsigned *ret_no)
{
    uint64_t hash = rules_hash(s->rules[rule].config->name, name, is_group);
    uint32_t *at = place(s, hash);
    struct rules_instance *in;

    if (*at == 0) {
        if (s->n_instances == SITE_RULES_INSTANCES_MAX)
            return RULES_NO_ROOM;
        if (grow(s) != 0)
            return -ENOMEM;
        in = &s->instances[s->n_instances++];
        *in = (struct rules_instance){
            .is_group = is_group, .rule = rule, .hash = hash, .heard_ns = now_ns, .good_ns = now_ns};
        snprintf(in->name, sizeof in->name, "%s", name);
        *at = s->n_instances;
        s->counters[SITE_RULES_INSTANCES] = s->n_instances;
    }
    *ret_no = *at - 1;
    return 0;
}

bool rules_has_instance(struct site_rules *s, unsigned rule, const char *name)
{
    return *place(s, rules_hash(s->rules[rule].config->name, name, false)) != 0;
}

/* ---- plans ---- */

static enum rule_type type_of(enum column_type type)
{
    switch (type) {
    case COLUMN_DOUBLE:
        return RULE_DOUBLE;
    case COLUMN_INT64:
        return RULE_INTEGER;
    case COLUMN_BOOL:
        return RULE_BOOL;
    case COLUMN_TEXT:
        break;
    }
    return RULE_TEXT;
}

void rules_refuse(struct site_rules *s, const char *rule, const char *name, const char *why)
{
    s->counters[SITE_RULES_INSTANCES_REFUSED]++;
    if (!s->is_refusal_told)
        log_warn("rule_without_effect", "rule=%s channel=%s msg=%s", rule, name, log_quote(why));
    s->is_refusal_told = true;
}

static int watch(struct site_rules *s, unsigned rule, const struct stage_set *set, uint32_t column,
                 int64_t now_ns, struct rules_plan *p)
{
    const struct rules_rule *r = &s->rules[rule];
    const struct stage_channel *c = &set->channels[column];
    char name[RULES_NAME_BYTES];
    unsigned no;
    int rc;

    snprintf(name, sizeof name, "%s/%s", set->origin, c->name);
    if (!rule_suits(&r->rule, type_of(set->types[column]))) {
        rules_refuse(s, r->config->name, name, "the rule does not suit the type of this channel");
        return 0;
    }
    rc = rules_instance(s, rule, name, false, now_ns, &no);
    if (rc == RULES_NO_ROOM)
        rules_refuse(s, r->config->name, name, "no room for the states of so many rules times channels");
    if (rc != 0)
        return rc < 0 ? rc : 0;
    p->watches[p->n_watches++] = (struct rules_watch){(uint16_t)column, no};
    return 0;
}

static bool is_about(const struct site_rules *s, unsigned rule, const struct stage_set *set, uint32_t column)
{
    const struct rules_rule *r = &s->rules[rule];
    const struct stage_channel *c = &set->channels[column];

    return r->kind != SITE_RULE_SILENT &&
           pattern_match(r->config->select, s->o.site, set->origin, c->name, c->tags);
}

static uint32_t count_watches(const struct site_rules *s, const struct stage_set *set)
{
    uint32_t n = 0;

    for (uint32_t c = 0; c < set->n_channels; c++)
        for (unsigned r = 0; r < s->n_rules; r++)
            n += is_about(s, r, set, c);
    return n;
}

const struct rules_plan *rules_plan_of(struct site_rules *s, struct stage_set *set, int64_t now_ns)
{
    struct rules_plan *p = set->user[s->o.user];
    uint32_t n;

    if (p != NULL)
        return p;
    n = count_watches(s, set);
    p = calloc(1, sizeof *p + n * sizeof p->watches[0]);
    if (p == NULL)
        return NULL;
    set->user[s->o.user] = p;
    for (uint32_t c = 0; n > 0 && c < set->n_channels; c++)
        for (unsigned r = 0; r < s->n_rules; r++)
            if (is_about(s, r, set, c) && watch(s, r, set, c, now_ns, p) != 0) {
                set->user[s->o.user] = NULL;
                free(p);
                return NULL;
            }
    return p;
}
