#include "fog/stages.h"

#include "fog/fog_private.h"

/* For the questions of the site. First of all: it has the descriptor sets, and says what is new here. */
static int store_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    uint64_t before = history_counters(f->history)[HISTORY_RECORDS];
    int rc = history_put(f->history, s, r);

    f->is_new_here = history_counters(f->history)[HISTORY_RECORDS] > before;
    return rc;
}

/* What goes up of it. */
static int uplink_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    struct uplink_record u = {s, r, f->is_new_here, covers_is_refused(f->covers, s->origin)};
    int rc;

    f->way = UPLINK_RAW;
    f->changes = 0;
    f->parts = 0;
    if (f->uplink == NULL)
        return 0;
    rc = uplink_judge(f->uplink, &u, &f->way);
    if (rc == 0 && f->way == UPLINK_CHANGES)
        rc = uplink_changes(f->uplink, &u, &f->changes);
    if (rc == UPLINK_GOES_RAW) {
        f->way = UPLINK_RAW;
        rc = 0;
    }
    return rc == DB_FULL ? 0 : rc; /* the commit says so */
}

/* Changes that were sent stand for it; without any there was nothing to be said. */
static uint8_t reason_of(const struct fog *f)
{
    if (f->changes != 0 || f->parts > 0)
        return FOGLINE__V1__REASON__REASON_MERGED;
    return f->way == UPLINK_CHANGES ? FOGLINE__V1__REASON__REASON_FILTERED
                                    : FOGLINE__V1__REASON__REASON_LOCAL;
}

/* Nothing of it goes up as it came. What no stage makes anything of stays here. */
static int withhold(struct fog *f, struct spool_stream *s, const struct record *r)
{
    uint32_t parts = f->parts + (f->changes != 0);
    int rc = covers_withhold(f->covers, s, r->seq, reason_of(f), r->samples, parts);

    if (rc == 0 && f->changes != 0)
        rc = covers_part(f->covers, s, r->seq, f->changes);
    return rc == DB_FULL ? 0 : rc;
}

/* Held for the cloud as it came: its bytes are the device's, and so is the authenticator over them. What was
 * refused for want of room comes again, and is not new to the history then: it goes up raw. */
static int relay_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    struct spool_record out = {
        .kind = r->kind, .flags = r->flags, .samples = r->samples, .payload = r->payload};
    int rc;

    if (f->way != UPLINK_RAW)
        return withhold(f, s, r);
    memcpy(out.tag, r->tag, sizeof(out.tag));
    rc = spool_put(f->spool, s, r->seq, &out);
    if (rc == SPOOL_FULL || rc == DB_FULL) {
        f->counter[FOG_RECORDS_NO_ROOM]++;
        return STAGE_REFUSED;
    }
    if (rc == 0)
        outbox_added(lower_port_outbox(f->lower), s, r->seq);
    return rc;
}

/* After the store, which knows what the record's channels are. */
static int rule_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    return f->rules == NULL ? 0 : site_rules_record(f->rules, s, r);
}

/* Last of all that computes: it hears the readings as they came. */
static int model_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    return f->models == NULL ? 0 : models_record(f->models, s, r);
}

/* For whoever looks with `tail`: a record may be settled and gone before the store is looked at. */
static int show_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    (void)s;
    tap_record(f->tap, r);
    return 0;
}

const struct stage stages[] = {
    {"store", store_record},
    {"uplink", uplink_record},
    {"relay", relay_record},
    {"rules", rule_record},
    {"infer", model_record},
    {"show", show_record},
    {NULL, NULL},
};

int stages_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    for (const struct stage *st = stages; st->name != NULL; st++) {
        int rc = st->record(f, s, r);
        if (rc != 0)
            return rc;
    }
    return 0;
}
