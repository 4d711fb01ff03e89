/* What stages have in memory: made at the start, in step with the transaction, made anew at a reload. */
#include "fog/fog_private.h"

#include <stdlib.h>

/* ---- what rules ask the fog ---- */

static void each_device(void *ctx, void (*fn)(void *fn_ctx, const struct site_rules_device *d), void *fn_ctx)
{
    struct fog *f = ctx;
    struct inbox *ib = upper_port_inbox(f->upper);

    for (size_t i = 0; i < f->nodes.n; i++) {
        const struct upper_port_node *n = &f->nodes.at[i];

        if (strcmp(n->role, "device") == 0 && strcmp(n->site, f->d->settings->site) == 0 && !n->revoked)
            fn(fn_ctx, &(struct site_rules_device){n->id, true, INT64_MIN});
    }
    for (size_t i = 0; i < inbox_n_peers(ib); i++) {
        struct inbox_peer_info p;

        inbox_peer_at(ib, i, loop_now_ms(f->d->loop), &p);
        fn(fn_ctx, &(struct site_rules_device){p.node, false, p.last_heard_ms});
    }
}

static void note(void *ctx, unsigned severity, const char *text)
{
    struct fog *f = ctx;
    int r = fog_say_note(f, severity, text);

    if (r < 0)
        fog_fail(f, r, "record");
}

static void on_drive(void *ctx)
{
    struct fog *f = ctx;

    if (f->rules != NULL)
        site_rules_drive(f->rules);
}

static void wake(void *ctx, int64_t mono_ns)
{
    struct fog *f = ctx;

    loop_timer_set(f->drive_timer, mono_ns / NS_PER_MS + 1);
}

/* ---- in step with the transaction ---- */

int fog_stages_flush(struct fog *f)
{
    int r = f->rules == NULL ? 0 : site_rules_flush(f->rules);

    return r != 0 || f->models == NULL ? r : models_flush(f->models);
}

int fog_stages_reload(struct fog *f)
{
    int r = f->rules == NULL ? 0 : site_rules_reload(f->rules);

    return r != 0 || f->models == NULL ? r : models_reload(f->models);
}

int fog_stages_round(struct fog *f)
{
    int r = f->rules == NULL ? 0 : site_rules_round(f->rules);

    return r != 0 || f->models == NULL ? r : models_round(f->models);
}

/* ---- made and let go ---- */

static int open_rules(struct fog *f, const struct fog_config *config, struct errmsg *err)
{
    struct site_rules_options o = {.spool = f->spool,
                                   .derived = f->derived,
                                   .reader = f->reader,
                                   .user = f->rules_user,
                                   .clock = &f->d->clock,
                                   .rules = &config->rules,
                                   .drive = f->drive,
                                   .site = f->d->settings->site,
                                   .table = FOG_TABLE_RULES,
                                   .devices = each_device,
                                   .devices_ctx = f,
                                   .wake = wake,
                                   .wake_ctx = f};

    return site_rules_new(&f->rules, &o, err);
}

static int open_models(struct fog *f, const struct fog_config *config, struct errmsg *err)
{
    struct models_options o = {.spool = f->spool,
                               .derived = f->derived,
                               .reader = f->reader,
                               .user = f->models_user,
                               .clock = &f->d->clock,
                               .models = &config->models,
                               .site = f->d->settings->site,
                               .table = FOG_TABLE_MODELS,
                               .note = note,
                               .ctx = f};

    return models_new(&f->models, &o, err);
}

int fog_stages_open(struct fog *f, struct errmsg *err)
{
    int r = stage_reader_new(&f->reader);

    if (r == 0)
        r = loop_timer_new(f->d->loop, on_drive, f, &f->drive_timer);
    if (r < 0)
        return errmsg_set(err, r, "no memory");
    f->rules_user = stage_reader_join(f->reader, free);
    f->models_user = stage_reader_join(f->reader, free);
    r = drive_open(&f->drive, &(struct drive_options){&f->config->outputs, note, f}, err);
    if (r == 0)
        r = open_rules(f, f->config, err);
    return r < 0 ? r : open_models(f, f->config, err);
}

void fog_stages_close(struct fog *f)
{
    f->models = models_free(f->models);
    f->rules = site_rules_free(f->rules);
    f->drive = drive_close(f->drive);
    loop_timer_free(f->drive_timer);
    f->reader = stage_reader_free(f->reader);
}

void fog_stages_renew(struct fog *f, const struct fog_config *config)
{
    struct errmsg err = {""};
    int r = fog_stages_flush(f);

    f->models = models_free(f->models);
    f->rules = site_rules_free(f->rules);
    if (r == 0)
        r = open_rules(f, config, &err);
    if (r == 0)
        r = open_models(f, config, &err);
    if (r < 0) {
        log_error("reload_failed", "msg=%s", log_quote(err.text));
        fog_fail(f, r, "reload");
    }
}
