/* models_rows.c - what models know of devices, on disk: hash be64 of entry and device -> format u8 = 1, name
 * of the entry, device (varint length, bytes), newest record (u8 there, epoch[16], stream le32, seq le64),
 * step (u8 there, i64), inputs (varint number; each u8 present, f64, i64), the image of detector or features
 * (the rest). */
#include "base/cleanup.h"
#include "base/log.h"
#include "fog/models_private.h"

#include <errno.h>
#include <sodium.h>

enum { FORMAT = 1, HASH_BYTES = 16, KEY_BYTES_M = 8 };

uint64_t models_hash(const char *name, const char *device)
{
    uint8_t hash[HASH_BYTES];
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    crypto_generichash_update(&state, (const uint8_t *)name, strlen(name) + 1);
    crypto_generichash_update(&state, (const uint8_t *)device, strlen(device));
    crypto_generichash_final(&state, hash, sizeof hash);
    return load_le64(hash);
}

static void put_text(struct buf *out, const char *text)
{
    buf_varint(out, strlen(text));
    buf_append(out, text, strlen(text));
}

static struct span get_text(struct reader *r)
{
    uint64_t n = reader_varint(r);
    const uint8_t *at = n <= SPOOL_NAME_BYTES ? reader_take(r, (size_t)n) : NULL;

    r->bad |= at == NULL;
    return span_of(at, at != NULL ? (size_t)n : 0);
}

static void put(struct models *m, const struct models_instance *in)
{
    const struct models_def *d = &m->defs[in->def];
    struct buf *out = &m->scratch;
    struct span image = span_of(NULL, 0);

    buf_reset(out);
    buf_u8(out, FORMAT);
    put_text(out, d->c->name);
    put_text(out, in->device);
    buf_u8(out, in->has_at);
    buf_append(out, in->at.epoch.bytes, ID128_BYTES);
    buf_le32(out, in->at.stream);
    buf_le64(out, in->at.seq);
    buf_u8(out, in->has_step);
    buf_le64(out, (uint64_t)in->step_no);
    buf_varint(out, d->c->inputs.n);
    for (size_t i = 0; i < d->c->inputs.n; i++) {
        uint64_t bits;

        memcpy(&bits, &in->inputs[i].value, sizeof bits);
        buf_u8(out, in->inputs[i].is_present);
        buf_le64(out, bits);
        buf_le64(out, (uint64_t)in->inputs[i].time_ns);
    }
    if (in->detector != NULL) {
        detector_save(in->detector, m->image);
        image = span_of(m->image, detector_state_bytes(&d->spec));
    } else if (in->features != NULL) {
        image = feature_image(in->features);
    }
    if (image.len > 0)
        buf_append(out, image.data, image.len);
}

int models_flush(struct models *m)
{
    struct db_txn *txn;
    int rc = m->is_dirty ? spool_txn(m->o.spool, &txn) : 0;

    for (unsigned i = 0; m->is_dirty && rc == 0 && i < m->n_instances; i++) {
        struct models_instance *in = m->instances[i];
        uint8_t key[KEY_BYTES_M];

        if (!in->is_dirty)
            continue;
        store_be64(key, in->hash);
        put(m, in);
        rc = m->scratch.error != 0 ? m->scratch.error
                                   : db_put(txn, m->o.table, span_of(key, sizeof key),
                                            span_of(m->scratch.data, m->scratch.len));
        in->is_dirty = false;
    }
    m->is_dirty = false;
    return rc < 0 ? rc : 0; /* of a full map the commit says so */
}

/* ---- reading ---- */

static void renew(struct models *m, struct models_instance *in)
{
    in->has_at = in->has_step = in->is_dirty = false;
    memset(in->inputs, 0, sizeof in->inputs);
    if (in->detector != NULL)
        detector_init(in->detector, &m->defs[in->def].spec);
    if (in->features != NULL)
        feature_reset(in->features);
}

static int restore_image(struct models *m, struct models_instance *in, struct span image, struct errmsg *err)
{
    if (in->detector != NULL)
        return detector_restore(in->detector, &m->defs[in->def].spec, image, err);
    if (in->features != NULL)
        return feature_restore(in->features, image, err);
    return 0;
}

/* -EINVAL: it is of other settings, inputs or features. */
static int take(struct models *m, struct models_instance *in, struct span value, struct errmsg *err)
{
    struct reader r = reader_of(value);
    bool ok = reader_u8(&r) == FORMAT;
    const uint8_t *epoch;
    uint64_t n;

    (void)get_text(&r);
    (void)get_text(&r);
    in->has_at = reader_u8(&r) != 0;
    epoch = reader_take(&r, ID128_BYTES);
    if (epoch != NULL)
        memcpy(in->at.epoch.bytes, epoch, ID128_BYTES);
    in->at.stream = reader_le32(&r);
    in->at.seq = reader_le64(&r);
    in->has_step = reader_u8(&r) != 0;
    in->step_no = (int64_t)reader_le64(&r);
    n = reader_varint(&r);
    if (!ok || r.bad || n != m->defs[in->def].c->inputs.n)
        return errmsg_set(err, -EINVAL, "it was of other inputs");
    for (uint64_t i = 0; i < n; i++) {
        uint64_t bits;

        in->inputs[i].is_present = reader_u8(&r) != 0;
        bits = reader_le64(&r);
        memcpy(&in->inputs[i].value, &bits, sizeof bits);
        in->inputs[i].time_ns = (int64_t)reader_le64(&r);
    }
    if (r.bad)
        return errmsg_set(err, -EINVAL, "it is cut short");
    return restore_image(m, in, span_of(r.at, reader_left(&r)), err);
}

int models_recall(struct models *m, struct db_txn *txn, struct models_instance *in)
{
    struct errmsg err = {"it is damaged"};
    uint8_t key[KEY_BYTES_M];
    struct span value;
    int rc;

    renew(m, in);
    store_be64(key, in->hash);
    rc = db_get(txn, m->o.table, span_of(key, sizeof key), &value);
    if (rc == DB_NOT_FOUND)
        return 0;
    if (rc != 0 && rc != DB_DAMAGED)
        return rc;
    if (rc == 0 && take(m, in, value, &err) == 0)
        return 0;
    renew(m, in);
    m->counters[MODELS_BEGUN_ANEW]++;
    log_warn("model_begins_anew", "model=%s channel=%s msg=%s", m->defs[in->def].c->name, in->device,
             log_quote(err.text));
    return 0;
}

int models_reload(struct models *m)
{
    struct db_txn *txn;
    int rc = spool_txn(m->o.spool, &txn);

    m->is_dirty = false;
    for (unsigned i = 0; rc == 0 && i < m->n_instances; i++)
        rc = models_recall(m, txn, m->instances[i]);
    return rc < 0 ? rc : 0;
}

static bool is_of_entry(const struct models *m, struct span value)
{
    struct reader r = reader_of(value);
    bool ok = reader_u8(&r) == FORMAT;
    struct span name = get_text(&r);

    for (unsigned i = 0; ok && !r.bad && i < m->n_defs; i++)
        if (span_equal(name, span_str(m->defs[i].c->name)))
            return true;
    return false;
}

int models_forget_others(struct models *m, struct db_txn *txn)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key, value;
    int rc = db_cursor_new(txn, m->o.table, &c);

    if (rc == 0)
        rc = db_cursor_seek(c, span_of("", 0), &key, &value);
    for (; rc == 0 || rc == DB_DAMAGED; rc = db_cursor_next(c, &key, &value))
        if (rc == DB_DAMAGED || !is_of_entry(m, value)) {
            rc = db_cursor_del(c);
            if (rc != 0)
                return rc;
        }
    return rc == DB_NOT_FOUND ? 0 : rc;
}
