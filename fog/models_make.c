/* models_make.c - entries of the configuration, their files, and who looks at which column. */
#include "base/log.h"
#include "fog/models_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- files ---- */

static int refuse(const struct models_def *d, const struct model_use *use, struct errmsg *err)
{
    if (use->operations > MODELS_OPERATIONS_MAX)
        return errmsg_set(err, -E2BIG,
                          "%s takes %llu operations a run, a fog gives it %d: run it on the device",
                          d->settings.file, (unsigned long long)use->operations, MODELS_OPERATIONS_MAX);
    if (use->features != NULL && feature_image(use->features).len > MODELS_STATE_MAX_BYTES)
        return errmsg_set(err, -E2BIG, "%s looks back on %zu bytes of each device, at most %d are kept",
                          d->settings.file, feature_image(use->features).len, MODELS_STATE_MAX_BYTES);
    return 0;
}

/* Features of its own for each device, as it was or as new. */
static int give_features(struct models *m, struct models_def *d)
{
    struct db_txn *txn;
    int rc = spool_txn(m->o.spool, &txn);

    for (unsigned i = 0; rc == 0 && i < m->n_instances; i++) {
        struct models_instance *in = m->instances[i];
        struct errmsg err;

        if (&m->defs[in->def] != d || d->own == NULL)
            continue;
        feature_free(in->features);
        in->features = NULL;
        rc = feature_new(feature_recipe(d->own), &in->features, &err);
        if (rc == 0)
            rc = models_recall(m, txn, in);
    }
    return rc < 0 ? rc : 0;
}

int models_load(struct models *m, struct models_def *d)
{
    struct errmsg err = {""};
    struct model_use *use = NULL;
    char text[400];
    int rc;

    if (stat(d->settings.file, &d->tried) != 0)
        d->tried = (struct stat){0};
    rc = model_use_load(&d->settings, &use, &err);
    if (rc == 0)
        rc = refuse(d, use, &err);
    if (rc != 0) {
        model_use_free(use);
        snprintf(text, sizeof text, "model %s says nothing: %.300s", d->c->name, err.text);
        log_warn("model_refused", "model=%s msg=%s", d->c->name, log_quote(err.text));
        m->o.note(m->o.ctx, 2, text);
        return rc == -ENOMEM ? rc : 0;
    }
    d->use = use;
    d->own = use->features;
    d->n_outputs = use->n_outputs;
    log_info("model_loaded", "model=%s id=%s", d->c->name, use->id);
    return give_features(m, d);
}

/* ---- entries ---- */

int models_define(struct models *m, struct errmsg *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < m->o.models->n && i < MODELS_MAX; i++) {
        struct models_def *d = &m->defs[m->n_defs++];

        d->c = m->o.models->at[i].value;
        d->kind = m->o.models->at[i].kind;
        if (d->kind == MODELS_DETECTOR) {
            d->n_outputs = DETECTOR_OUTPUTS;
            rc = detector_settings_spec(&d->c->detector, d->c->inputs.n, &d->spec, err);
            continue;
        }
        d->settings = (struct model_settings){.allow_unsigned = d->c->allow_unsigned,
                                              .arena_bytes = (size_t)d->c->arena_bytes,
                                              .n_inputs = (unsigned)d->c->inputs.n};
        snprintf(d->settings.file, sizeof d->settings.file, "%s", d->c->file);
        model_keys_take(&d->settings, &d->c->keys);
        rc = models_load(m, d);
        if (rc != 0)
            errmsg_set(err, rc, "models: %s", strerror(-rc));
    }
    return rc;
}

static void instance_free(struct models_instance *in)
{
    if (in == NULL)
        return;
    free(in->detector);
    feature_free(in->features);
    free(in);
}

void models_undefine(struct models *m)
{
    for (unsigned i = 0; i < m->n_instances; i++)
        instance_free(m->instances[i]);
    free(m->instances);
    for (unsigned i = 0; i < m->n_defs; i++)
        model_use_free(m->defs[i].use);
}

/* ---- instances ---- */

static int make_instance(struct models *m, unsigned def, const char *device, struct models_instance **ret)
{
    const struct models_def *d = &m->defs[def];
    struct models_instance *in = calloc(1, sizeof *in);
    struct errmsg err;
    int rc = in == NULL ? -ENOMEM : 0;

    if (rc == 0 && d->kind == MODELS_DETECTOR) {
        in->detector = calloc(1, detector_state_bytes(&d->spec));
        rc = in->detector == NULL ? -ENOMEM : 0;
    } else if (rc == 0 && d->own != NULL) {
        rc = feature_new(feature_recipe(d->own), &in->features, &err);
    }
    if (rc != 0) {
        instance_free(in);
        return rc;
    }
    in->def = def;
    in->hash = models_hash(d->c->name, device);
    snprintf(in->device, sizeof in->device, "%s", device);
    *ret = in;
    return 0;
}

static int grow(struct models *m)
{
    unsigned n = m->alloc_instances == 0 ? 64 : 2 * m->alloc_instances;
    struct models_instance **more;

    if (m->n_instances < m->alloc_instances)
        return 0;
    more = reallocarray(m->instances, n, sizeof(struct models_instance *));
    if (more == NULL)
        return -ENOMEM;
    m->instances = more;
    m->alloc_instances = n;
    return 0;
}

enum { NO_PLACE = 64 };
/* 0; NO_PLACE; DB_FULL; negative errno. */
static int instance(struct models *m, struct db_txn *txn, unsigned def, const char *device, unsigned *ret_no)
{
    uint64_t hash = models_hash(m->defs[def].c->name, device);
    struct models_instance *in;
    int rc;

    for (unsigned i = 0; i < m->n_instances; i++)
        if (m->instances[i]->hash == hash) {
            *ret_no = i;
            return 0;
        }
    if (m->n_instances == MODELS_INSTANCES_MAX) {
        m->counters[MODELS_INSTANCES_REFUSED]++;
        if (!m->is_refusal_told)
            log_warn("model_without_effect",
                     "model=%s channel=%s msg=\"no room for so many models times devices\"",
                     m->defs[def].c->name, device);
        m->is_refusal_told = true;
        return NO_PLACE;
    }
    rc = grow(m);
    if (rc == 0)
        rc = make_instance(m, def, device, &in);
    if (rc != 0)
        return rc;
    rc = models_recall(m, txn, in);
    if (rc != 0) {
        instance_free(in);
        return rc;
    }
    m->instances[m->n_instances] = in;
    *ret_no = m->n_instances++;
    m->counters[MODELS_INSTANCES] = m->n_instances;
    return 0;
}

/* ---- plans ---- */

/* Which columns hold its inputs; false: none does. */
static bool find_columns(const struct models_def *d, const struct stage_set *set, struct models_watch *w)
{
    bool has_any = false;

    for (size_t i = 0; i < d->c->inputs.n; i++) {
        w->column[i] = MODELS_NO_COLUMN;
        for (uint32_t c = 0; c < set->n_channels && w->column[i] == MODELS_NO_COLUMN; c++)
            if (set->types[c] != COLUMN_TEXT && strcmp(set->channels[c].name, d->c->inputs.at[i]) == 0)
                w->column[i] = (uint16_t)c;
        has_any |= w->column[i] != MODELS_NO_COLUMN;
    }
    w->is_first = w->column[0] != MODELS_NO_COLUMN;
    return has_any;
}

int models_plan_of(struct models *m, struct db_txn *txn, struct stage_set *set,
                   const struct models_plan **ret_p)
{
    struct models_plan *p = set->user[m->o.user];
    int rc = 0;

    *ret_p = p;
    if (p != NULL)
        return 0;
    p = calloc(1, sizeof *p + m->n_defs * sizeof p->watches[0]);
    if (p == NULL)
        return -ENOMEM;
    for (unsigned i = 0; rc == 0 && i < m->n_defs; i++) {
        struct models_watch *w = &p->watches[p->n_watches];

        if (!pattern_match(m->defs[i].c->select, m->o.site, set->origin, "c", NULL) ||
            !find_columns(&m->defs[i], set, w))
            continue;
        rc = instance(m, txn, i, set->origin, &w->instance);
        p->n_watches += rc == 0;
        rc = rc == NO_PLACE ? 0 : rc;
    }
    if (rc != 0) {
        free(p);
        return rc;
    }
    set->user[m->o.user] = p;
    *ret_p = p;
    return 0;
}
