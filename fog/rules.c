#include "fog/rules.h"

#include "base/cleanup.h"
#include "fog/rules_private.h"

#include <errno.h>

static int64_t mono_ns(const struct site_rules *s)
{
    return clock_mono_ns(s->o.clock);
}

int site_rules_record(struct site_rules *s, const struct spool_stream *stream, const struct record *r)
{
    struct record_at at = {stream->epoch, stream->no, r->seq};
    struct db_txn *txn;
    int rc;

    if (s->n_rules == 0 ||
        (r->kind != FOGLINE__V1__KIND__KIND_DESCRIPTOR && r->kind != FOGLINE__V1__KIND__KIND_BLOCK))
        return 0;
    if (r->kind == FOGLINE__V1__KIND__KIND_BLOCK && (r->flags & RECORD_FLAG_AGAIN) != 0) {
        s->counters[SITE_RULES_BLOCKS_AGAIN]++;
        return 0;
    }
    rc = spool_txn(s->o.spool, &txn);
    if (rc == 0)
        rc = r->kind == FOGLINE__V1__KIND__KIND_BLOCK ? rules_hear(s, txn, &at, r) : rules_wake(s, txn, r);
    if (rc == STAGE_READER_UNKNOWN)
        rc = rules_wait(s, txn, &at, r);
    rules_drive(s);
    if (rc >= 0)
        rc = s->failed;
    return rc < 0 ? rc : 0;
}

/* ---- start and end ---- */

/* Of a rule over several the count; of one on a single channel that may be missing this channel. */
static int make_first_instances(struct site_rules *s)
{
    int rc = 0;

    for (unsigned i = 0; rc >= 0 && i < s->n_rules; i++) {
        struct rules_rule *r = &s->rules[i];
        const char *channel = strchr(r->config->select, '/');
        unsigned no;

        if (r->is_group)
            rc = rules_instance(s, i, r->config->select, true, mono_ns(s), &r->group_instance);
        if (rc >= 0 && r->kind == RULE_MISSING && site_rule_is_of_one(r->config))
            rc = rules_instance(s, i, channel + 1, false, mono_ns(s), &no);
    }
    return rc < 0 ? rc : 0;
}

int site_rules_reload(struct site_rules *s)
{
    struct db_txn *txn;
    int rc = spool_txn(s->o.spool, &txn);

    for (unsigned i = 0; i < s->n_instances; i++) {
        struct rules_instance *in = &s->instances[i];

        in->is_told = in->is_stale = in->has_row = in->is_dirty = false;
        in->state = (struct rule_state){.raised = false};
        in->value.is_there = false;
    }
    s->is_dirty = false;
    s->is_owing = s->is_drive_due = true;
    if (rc == 0)
        rc = rules_read(s, txn, mono_ns(s));
    if (rc == 0)
        rc = rules_count_waiting(s, txn);
    return rc < 0 ? rc : 0;
}

int site_rules_new(struct site_rules **ret_s, const struct site_rules_options *options, struct errmsg *err)
{
    struct site_rules *s = calloc(1, sizeof *s);
    int rc = 0;

    if (s == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    s->o = *options;
    s->last_round_ns = mono_ns(s);
    s->drive_next_ns = INT64_MAX;
    s->map = calloc(RULES_MAP, sizeof *s->map);
    if (s->map == NULL)
        rc = errmsg_set(err, -ENOMEM, "no memory");
    if (rc == 0)
        rc = rules_define(s, err);
    if (rc == 0) {
        rc = make_first_instances(s);
        if (rc == 0)
            rc = site_rules_reload(s);
        rules_drive(s);
        if (rc < 0)
            errmsg_set(err, rc, "cannot read the states of rules: %s", strerror(-rc));
    }
    if (rc < 0) {
        site_rules_free(s);
        return rc;
    }
    *ret_s = s;
    return 0;
}

struct site_rules *site_rules_free(struct site_rules *s)
{
    if (s == NULL)
        return NULL;
    exec_free(s->exec);
    stage_reader_let_go(s->o.reader, s->o.user);
    free(s->instances);
    free(s->map);
    buf_deinit(&s->scratch);
    buf_deinit(&s->waking);
    free(s);
    return NULL;
}
