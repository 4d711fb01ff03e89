/* The operator's word on which archive counts: documents of kind "archive". */
#include "hop/archive_word.h"
#include "hop/outbox_private.h"

#include <errno.h>

#define FACT_ID "archive"
#define FACT_VERSION "archive/version"
#define FACT_DOCUMENT "archive/document"

int outbox_archive_load(struct outbox *ob)
{
    owned(buf_deinit) struct buf value = {0};
    int rc = spool_fact_get(ob->spool, FACT_ID, &value);

    if (rc < 0)
        return rc;
    if (rc == 0 && value.len == ID128_BYTES) {
        memcpy(ob->archive_id.bytes, value.data, ID128_BYTES);
        ob->has_archive_id = true;
    }
    rc = spool_fact_get_u64(ob->spool, FACT_VERSION, &ob->archive_version);
    if (rc == 0)
        rc = spool_fact_get(ob->spool, FACT_DOCUMENT, &ob->archive_document);
    return rc < 0 ? rc : 0;
}

/* What the former archive said is settled and was not yet applied may be missing in this one: held on to. */
static int forget_settled(struct outbox *ob)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < spool_n_streams(ob->spool); i++) {
        struct stream_out *so = spool_stream_at(ob->spool, i)->lower_state;

        for (unsigned l = 0; so != NULL && rc == 0 && l < LANE_COUNT; l++) {
            interval_set_clear(&so->lane[l].settled);
            rc = outbox_refill_unsent(so, l);
        }
    }
    return rc;
}

/* Id, and with a word (version not 0) that word, in one commit. DB_FULL: nothing happened. */
static int commit_archive(struct outbox *ob, const struct id128 *id, uint64_t version, struct span packed)
{
    const struct outbox_ops *ops = &ob->options.ops;
    bool another = ob->has_archive_id && !id128_equal(id, &ob->archive_id);
    int rc = spool_fact_put(ob->spool, FACT_ID, span_of(id->bytes, ID128_BYTES));

    if (rc == 0 && version != 0)
        rc = spool_fact_put_u64(ob->spool, FACT_VERSION, version);
    if (rc == 0 && version != 0)
        rc = spool_fact_put(ob->spool, FACT_DOCUMENT, packed);
    if (rc == 0 && another && ops->archive_changes != NULL)
        rc = ops->archive_changes(ops->ctx);
    if (rc == DB_FULL) {
        rc = spool_rollback(ob->spool);
        return rc == 0 ? DB_FULL : rc;
    }
    if (rc == 0)
        rc = spool_commit(ob->spool);
    if (rc != 0)
        return rc;
    ob->archive_id = *id;
    ob->has_archive_id = true;
    return another ? forget_settled(ob) : 0;
}

int outbox_set_archive(struct outbox *ob, const struct id128 *id)
{
    int rc;

    if (ob->has_archive_id && id128_equal(id, &ob->archive_id))
        return 0;
    rc = commit_archive(ob, id, 0, span_of(NULL, 0));
    return rc == DB_FULL ? -ENOSPC : rc;
}

int outbox_take_archive(struct outbox *ob, const Fogline__V1__Document *d)
{
    owned(buf_deinit) struct buf packed = {0};
    struct id128 id;
    int rc = ob->options.operator_public == NULL || d->version <= ob->archive_version
                 ? ARCHIVE_WORD_FORGED
                 : archive_word_check(d, ob->options.operator_public, &id);

    if (rc == ARCHIVE_WORD_FORGED) {
        ob->counter[OUTBOX_ARCHIVES_REFUSED]++;
        return 0;
    }
    if (rc == 0)
        rc = archive_word_pack(d, &packed);
    if (rc != 0)
        return rc;
    rc = commit_archive(ob, &id, d->version, span_of(packed.data, packed.len));
    if (rc == DB_FULL)
        return 0; /* it comes again */
    if (rc != 0)
        return rc;
    ob->archive_version = d->version;
    buf_deinit(&ob->archive_document);
    ob->archive_document = packed;
    packed = (struct buf){0};
    ob->counter[OUTBOX_ARCHIVES_TAKEN]++;
    return 0;
}

size_t outbox_archive_held(const struct outbox *ob, Fogline__V1__DocumentVersion **out)
{
    Fogline__V1__DocumentVersion *v =
        ob->archive_version == 0 ? NULL : wire_arena_alloc(ob->arena, sizeof *v);

    if (v == NULL)
        return 0;
    fogline__v1__document_version__init(v);
    v->kind = (char *)ARCHIVE_WORD_KIND;
    v->version = ob->archive_version;
    *out = v;
    return 1;
}

struct span outbox_archive_document(const struct outbox *ob, uint64_t *ret_version)
{
    *ret_version = ob->archive_version;
    return span_of(ob->archive_document.data, ob->archive_document.len);
}
