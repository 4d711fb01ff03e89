#include "fog/models.h"

#include "archive/block_head.h"
#include "base/cleanup.h"
#include "fog/models_private.h"

#include <errno.h>
#include <stdlib.h>

static void hear_watch(struct models *m, const struct models_watch *w, const struct block *b,
                       const struct record_at *at, int *rc)
{
    struct models_instance *in = m->instances[w->instance];

    if (in->has_at && !record_at_is_newer(at, &in->at)) {
        m->counters[MODELS_BLOCKS_LATE]++;
        return;
    }
    in->has_at = true;
    in->at = *at;
    in->is_dirty = m->is_dirty = true;
    *rc = models_hear(m, w, b);
}

/* 0; DB_FULL; STAGE_READER_UNKNOWN; negative errno. */
static int hear_block(struct models *m, struct db_txn *txn, const struct spool_stream *stream,
                      const struct record *r)
{
    struct record_at at = {stream->epoch, stream->no, r->seq};
    const struct models_plan *plan;
    const struct block *b;
    struct block_head head;
    struct stage_set *set;
    int rc;

    if (!block_head_read(r->payload, &head)) {
        m->counters[MODELS_BLOCKS_UNREADABLE]++;
        return 0;
    }
    rc = stage_reader_set(m->o.reader, txn, r->origin, head.set_id, &set);
    if (rc == 0)
        rc = models_plan_of(m, txn, set, &plan);
    if (rc != 0 || plan->n_watches == 0)
        return rc;
    rc = stage_reader_block(m->o.reader, set, r, &head, &b);
    if (rc > 0)
        m->counters[MODELS_BLOCKS_UNREADABLE]++;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    for (uint32_t i = 0; rc == 0 && i < plan->n_watches; i++)
        hear_watch(m, &plan->watches[i], b, &at, &rc);
    return rc;
}

int models_record(struct models *m, const struct spool_stream *stream, const struct record *r)
{
    struct db_txn *txn;
    int rc;

    if (m->n_defs == 0 || r->kind != FOGLINE__V1__KIND__KIND_BLOCK)
        return 0;
    if ((r->flags & RECORD_FLAG_AGAIN) != 0) {
        m->counters[MODELS_BLOCKS_AGAIN]++;
        return 0;
    }
    rc = spool_txn(m->o.spool, &txn);
    if (rc == 0)
        rc = hear_block(m, txn, stream, r);
    m->counters[MODELS_BLOCKS_NO_SET] += rc == STAGE_READER_UNKNOWN;
    return rc < 0 ? rc : 0;
}

static bool has_changed(const struct models_def *d)
{
    struct stat now;

    return stat(d->settings.file, &now) == 0 &&
           (now.st_ino != d->tried.st_ino || now.st_size != d->tried.st_size ||
            now.st_mtim.tv_sec != d->tried.st_mtim.tv_sec || now.st_mtim.tv_nsec != d->tried.st_mtim.tv_nsec);
}

int models_round(struct models *m)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < m->n_defs; i++) {
        struct models_def *d = &m->defs[i];
        char text[NAME_PART_CHARS + MODEL_ID_CHARS + 40];

        if (d->kind != MODELS_MODEL || d->use != NULL || !has_changed(d))
            continue;
        rc = models_load(m, d);
        if (rc != 0 || d->use == NULL)
            continue;
        snprintf(text, sizeof text, "model %s runs as %s", d->c->name, d->use->id);
        m->o.note(m->o.ctx, 0, text);
    }
    return rc;
}

int models_new(struct models **ret_m, const struct models_options *options, struct errmsg *err)
{
    struct models *m = calloc(1, sizeof *m);
    struct db_txn *txn;
    int rc = m == NULL ? -ENOMEM : 0;

    if (rc == 0) {
        m->o = *options;
        m->rows.cells = calloc(DERIVED_ROWS, MODEL_OUTPUTS_MAX * sizeof *m->rows.cells);
        m->rows.texts = calloc(DERIVED_ROWS, MODEL_OUTPUTS_MAX * sizeof *m->rows.texts);
        rc = m->rows.cells == NULL || m->rows.texts == NULL ? -ENOMEM : 0;
    }
    if (rc != 0)
        errmsg_set(err, rc, "no memory");
    if (rc == 0)
        rc = models_define(m, err);
    if (rc == 0) {
        rc = spool_txn(options->spool, &txn);
        if (rc == 0)
            rc = models_forget_others(m, txn);
        if (rc < 0)
            errmsg_set(err, rc, "cannot read what models know: %s", strerror(-rc));
    }
    if (rc < 0) {
        models_free(m);
        return rc;
    }
    *ret_m = m;
    return 0;
}

struct models *models_free(struct models *m)
{
    if (m == NULL)
        return NULL;
    stage_reader_let_go(m->o.reader, m->o.user);
    models_undefine(m);
    free(m->rows.cells);
    free(m->rows.texts);
    buf_deinit(&m->scratch);
    free(m);
    return NULL;
}

const struct counter_info models_counter_info[MODELS_COUNTERS] = {
    [MODELS_INSTANCES] = {"instances", COUNTER_GAUGE, "1", "Models times the devices they look at."},
    [MODELS_INSTANCES_REFUSED] = {"instances_refused", COUNTER_TOTAL, "1",
                                  "Devices that a model could not look at."},
    [MODELS_RUNS] = {"runs", COUNTER_TOTAL, "1", "Steps of detectors and models."},
    [MODELS_FAILURES] = {"failures", COUNTER_TOTAL, "1", "Of these, steps that came to nothing good."},
    [MODELS_ROWS] = {"rows", COUNTER_TOTAL, "1", "Rows that they said."},
    [MODELS_NO_ROOM] = {"no_room", COUNTER_TOTAL, "1",
                        "Times that rows had no room in the store and were lost."},
    [MODELS_BLOCKS_LATE] = {"late", COUNTER_TOTAL, "1",
                            "Blocks times models passed over: newer ones had come before."},
    [MODELS_BLOCKS_AGAIN] = {"blocks_again", COUNTER_TOTAL, "records",
                             "Blocks passed over: another fog may have scored them."},
    [MODELS_BLOCKS_NO_SET] = {"blocks_no_set", COUNTER_TOTAL, "records",
                              "Blocks passed over: their descriptor set had not come."},
    [MODELS_BLOCKS_UNREADABLE] = {"blocks_unreadable", COUNTER_TOTAL, "records",
                                  "Blocks passed over: they do not decode."},
    [MODELS_BEGUN_ANEW] = {"begun_anew", COUNTER_TOTAL, "1",
                           "States that were of other settings or damaged, and began anew."},
};

const uint64_t *models_counters(const struct models *m)
{
    return m->counters;
}
