#include "spool/spool.h"

#include "base/cleanup.h"
#include "spool/spool_private.h"

#include <sodium.h>
#include <unistd.h>

static int fail(struct errmsg *err, int r, const struct spool_options *o, const char *what)
{
    if (r > 0)
        r = -ENOSPC; /* DB_FULL: the store is too small for its own rows */
    return errmsg_set(err, r, "%s: %s: %s", o->db.path, what, strerror(-r));
}

static void set_limits(struct spool *sp, uint64_t quota_bytes)
{
    uint64_t most;

    sp->map_bytes = db_map_bytes(sp->db);
    sp->reserve_bytes = sp->map_bytes / 4 < SPOOL_RESERVE_BYTES ? sp->map_bytes / 4 : SPOOL_RESERVE_BYTES;
    most = sp->map_bytes / 10 * 9;
    sp->quota_bytes = quota_bytes == 0 || quota_bytes > most ? most : quota_bytes;
}

static must_check int check_node(struct spool *sp, const struct spool_options *o, struct errmsg *err)
{
    if (sp->own == NULL || strcmp(sp->own->s.origin, sp->node) == 0)
        return 0;
    return errmsg_set(err, -EINVAL, "%s belongs to node %s, not to %s; give each node its own folder",
                      o->db.path, sp->own->s.origin, sp->node);
}

/* Finished epochs of this node: nobody will ask for them again. */
static must_check int forget_finished(struct spool *sp)
{
    size_t i = 0;
    int r;

    while (i < sp->n_streams) {
        struct spool_entry *e = sp->streams[i];

        r = e->s.own && e != sp->own ? spool_stream_forget(sp, &e->s) : -EBUSY;
        if (r == -EBUSY)
            i++;
        else if (r != 0)
            return r;
    }
    return 0;
}

static must_check int renew_store(struct spool *sp, bool keep_seen)
{
    struct id128 id = id128_random();
    struct db_txn *t;
    int r = spool_txn(sp, &t);

    if (r == 0)
        r = db_put_id(t, SPOOL_TABLE_META, FACT_STORE_ID, &id);
    if (r == 0)
        r = spool_seen_rebuild(sp, keep_seen);
    if (r == 0)
        sp->store_id = id;
    return r;
}

int spool_new_store(struct spool *sp)
{
    return renew_store(sp, false);
}

static must_check int begin_life(struct spool *sp, const struct spool_options *o)
{
    int r = spool_new_epoch(sp);

    if (r == 0)
        r = forget_finished(sp);
    if (r == 0)
        r = renew_store(sp, o->keep_seen);
    if (r == 0)
        sp->began_epoch = true;
    return r;
}

static must_check int read_store_id(struct spool *sp, bool *ret_known)
{
    struct db_txn *t;
    int r = spool_read(sp, &t);

    if (r != 0)
        return r;
    r = db_get_id(t, SPOOL_TABLE_META, FACT_STORE_ID, &sp->store_id);
    spool_read_done(sp);
    sp->committed_store_id = sp->store_id;
    *ret_known = r == 0;
    return r == DB_NOT_FOUND || r == DB_DAMAGED ? 0 : r;
}

static must_check int start(struct spool *sp, const struct spool_options *o, struct errmsg *err)
{
    bool known = false, goes_on;
    int r = spool_load(sp, err);

    if (r == 0)
        r = check_node(sp, o, err);
    if (r == 0)
        r = spool_proof_open(sp, o, err);
    if (r != 0)
        return r;
    r = read_store_id(sp, &known);
    if (r != 0)
        return fail(err, r, o, "read the store id");
    goes_on =
        sp->own != NULL && known && !sp->seen_damaged && (o->continue_unproven || spool_proof_holds(sp));
    if (!goes_on)
        r = begin_life(sp, o);
    if (r != 0)
        return fail(err, r, o, "begin an epoch");
    r = spool_commit(sp);
    return r == 0 ? 0 : fail(err, r, o, "begin an epoch");
}

int spool_open(struct spool **ret_sp, const struct spool_options *o, struct errmsg *err)
{
    owned(spool_closep) struct spool *sp = calloc(1, sizeof *sp);
    size_t len = strnlen(o->node, SPOOL_NAME_BYTES);
    int r;

    if (sp == NULL)
        return -ENOMEM;
    sp->proof_fd = -1;
    if (len == 0 || len >= SPOOL_NAME_BYTES)
        return errmsg_set(err, -EINVAL, "%s: a node id has 1 to %d characters", o->db.path,
                          SPOOL_NAME_BYTES - 1);
    memcpy(sp->node, o->node, len + 1);
    assert(o->db.n_tables >= SPOOL_TABLES && !o->db.read_only);
    r = db_open(&sp->db, &o->db, err);
    if (r != 0)
        return r;
    randombytes_buf(sp->hash_key, sizeof sp->hash_key);
    set_limits(sp, o->quota_bytes);
    r = start(sp, o, err);
    if (r != 0)
        return r;
    *ret_sp = TAKE(sp);
    return 0;
}

struct spool *spool_close(struct spool *sp)
{
    if (sp == NULL)
        return NULL;
    if (sp->txn != NULL)
        db_abort(sp->txn);
    if (sp->read_txn != NULL)
        db_abort(sp->read_txn);
    db_close(sp->db);
    if (sp->proof_fd >= 0)
        close(sp->proof_fd);
    spool_entries_deinit(sp);
    free(sp);
    return NULL;
}

void spool_closep(struct spool **sp)
{
    *sp = spool_close(*sp);
}
