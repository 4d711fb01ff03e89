#include "fog/stages.h"

#include "fog/fog_private.h"

/* Held for the cloud as it came: its bytes are the device's, and so is the authenticator over them. */
static int relay_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    struct spool_record out = {
        .kind = r->kind, .flags = r->flags, .samples = r->samples, .payload = r->payload};
    int rc;

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

/* For the questions of the site. After the relay: what that refuses comes again. */
static int store_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    return history_put(f->history, s, r);
}

/* After the store, which knows what the record's channels are. */
static int rule_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    return f->rules == NULL ? 0 : site_rules_record(f->rules, s, r);
}

/* For whoever looks with `tail`: a record may be settled and gone before the store is looked at. */
static int show_record(struct fog *f, struct spool_stream *s, const struct record *r)
{
    (void)s;
    tap_record(f->tap, r);
    return 0;
}

const struct stage stages[] = {
    {"relay", relay_record},
    {"store", store_record},
    {"rules", rule_record},
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
