#include "check.h"

#include "base/cleanup.h"
#include "cloud/intake.h"
#include "cloud/view_ledger.h"
#include "hop/inbox.h"
#include "hop/maker.h"
#include "hop/outbox.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { VERIFY_TIMEOUT_S = 20, TABLES_MAX = 16 };

const char *const check_verdict_name[CHECK_VERDICTS] = {"good", "acknowledged_lost", "half", "unopened",
                                                        "worse"};

static bool there(const char *path)
{
    char data[STORE_PATH_CHARS + 16];

    snprintf(data, sizeof data, "%s/data.mdb", path);
    return access(data, F_OK) == 0;
}

static int digest(enum store_tier t, const char *path, struct check_commit *ret_c, uint64_t *ret_rows,
                  struct errmsg *err)
{
    struct db_options o = store_db(t, path);
    owned(db_closep) struct db *db = NULL;
    struct db_txn *txn;
    int r;

    *ret_c = (struct check_commit){0};
    if (!there(path))
        return 0;
    o.read_only = true;
    r = db_open(&db, &o, err);
    if (r == 0)
        r = db_begin(db, false, &txn);
    if (r != 0)
        return r;
    r = store_digest(txn, o.n_tables, ret_c->digest, ret_rows);
    db_abort(txn);
    ret_c->readable = r == 0;
    return r;
}

int check_digest(enum store_tier t, const char *path, struct check_commit *ret_c)
{
    struct errmsg err = {""};

    return digest(t, path, ret_c, NULL, &err);
}

static enum check_verdict compare(const struct check_commit *c, const struct check_allowed *a,
                                  struct errmsg *err)
{
    size_t first = a->any ? a->acknowledged : 0, i;

    if (!c->readable) {
        if (!a->any)
            return CHECK_GOOD;
        (void)errmsg_set(err, 0, "the store is not there");
        return CHECK_LOST;
    }
    for (i = a->n_commits; i-- > 0;)
        if (a->commits[i].readable && memcmp(a->commits[i].digest, c->digest, STORE_DIGEST_BYTES) == 0) {
            if (i >= first)
                return CHECK_GOOD;
            (void)errmsg_set(err, 0, "holds commit %zu, %zu was acknowledged", i, first);
            return CHECK_LOST;
        }
    (void)errmsg_set(err, 0, "holds what no commit made");
    return CHECK_HALF;
}

/* ---- as the daemons open them ---- */

/* Every record that the set of a lane names reads back. */
static int read_all(struct spool *sp, uint64_t *ret_records, struct errmsg *err)
{
    struct db_txn *txn;
    int r = spool_read(sp, &txn);

    if (r != 0)
        return r;
    for (size_t i = 0; i < spool_n_streams(sp) && r == 0; i++) {
        const struct spool_stream *s = spool_stream_at(sp, i);

        for (unsigned l = 0; l < SPOOL_LANES; l++)
            for (size_t k = 0; k < s->lane[l].held.n && r == 0; k++)
                for (uint64_t c = s->lane[l].held.at[k].from; c <= s->lane[l].held.at[k].to && r == 0; c++) {
                    struct spool_record record;

                    r = spool_get(sp, s, seq_make(l, c), &record);
                    ++*ret_records;
                }
    }
    spool_read_done(sp);
    return r == 0 ? 0 : errmsg_set(err, -EUCLEAN, "a record does not read: %d", r);
}

static int append_one(struct spool *sp, struct errmsg *err)
{
    static const uint8_t key[KEY_BYTES] = {1};
    struct maker_record r = {.lane = LANE_URGENT, .kind = 100, .payload = span_str("after the power cut")};
    uint64_t seq;
    int rc = maker_append(sp, NULL, key, &r, &seq);

    if (rc == SPOOL_FULL) /* it may be: then the cut lost no room, and a fact still fits */
        rc = spool_fact_put_u64(sp, "after", 1);
    if (rc == 0)
        rc = spool_commit(sp);
    return rc == 0 ? 0 : errmsg_set(err, -EIO, "nothing can be written: %d", rc);
}

static int send_nothing(void *ctx, struct span up)
{
    (void)ctx;
    (void)up;
    return OUTBOX_BLOCKED;
}

static void answer_nothing(void *ctx, const char *node, struct span down)
{
    (void)ctx;
    (void)node;
    (void)down;
}

static bool carry_none(void *ctx, const char *peer, const char *origin)
{
    (void)ctx;
    (void)peer;
    (void)origin;
    return false;
}

static int take_none(void *ctx, struct spool_stream *s, const struct record *r)
{
    (void)ctx;
    (void)s;
    (void)r;
    return INBOX_REFUSED;
}

static void no_link(void *ctx)
{
    (void)ctx;
}

/* The two halves of the hop start over the store. */
static int start_hop(struct spool *sp, enum store_tier t, struct errmsg *err)
{
    static const struct end_keys keys;
    struct outbox_options oo = {.spool = sp,
                                .role = store_name[t],
                                .software = "crash",
                                .keys = &keys,
                                .seed = 1,
                                .ops = {.send = send_nothing, .reset_link = no_link}};
    struct inbox_options io = {.spool = sp,
                               .node = store_name[t],
                               .seed = 1,
                               .memory_bytes = 1 << 20,
                               .window_max_bytes = 256 << 10,
                               .ops = {.send = answer_nothing, .may_carry = carry_none, .record = take_none}};
    struct outbox *ob = NULL;
    struct inbox *ib = NULL;
    int64_t next = INT64_MAX;
    int r = outbox_new(&ob, &oo, 1000);

    if (r == 0)
        r = outbox_tick(ob, 1001, &next);
    if (r == 0 && t == STORE_FOG)
        r = inbox_new(&ib, &io);
    inbox_free(ib);
    outbox_free(ob);
    return r == 0 ? 0 : errmsg_set(err, -EIO, "the hop does not start: %d", r);
}

static int check_spool(enum store_tier t, const char *path, const char *proof, uint64_t n_records,
                       struct errmsg *err)
{
    struct spool_options o = {
        .db = store_db(t, path), .node = store_name[t], .proof_path = proof, .boot_id = id128_random()};
    owned(spool_closep) struct spool *sp = NULL;
    uint64_t found = 0;
    int r = spool_open(&sp, &o, err);

    if (r != 0)
        return errmsg_set(err, -EUCLEAN, "spool_open: %d", r);
    if (!spool_began_epoch(sp))
        return errmsg_set(err, -EUCLEAN, "goes on with an epoch nothing proves");
    r = read_all(sp, &found, err);
    if (r == 0 && found != n_records)
        r = errmsg_set(err, -EUCLEAN, "had %llu records, has %llu", (unsigned long long)n_records,
                       (unsigned long long)found);
    if (r == 0)
        r = start_hop(sp, t, err);
    return r == 0 ? append_one(sp, err) : r;
}

/* Totals of every lane stand in the transaction of the records they count. */
static int check_totals(struct archive *a, struct errmsg *err)
{
    struct spool *sp = archive_spool(a);

    for (size_t i = 0; i < spool_n_streams(sp); i++) {
        const struct spool_stream *s = spool_stream_at(sp, i);

        for (unsigned l = 0; l < SPOOL_LANES && !s->own; l++) {
            uint64_t seen = interval_set_count(&s->lane[l].seen), total = archive_totals(a, s, l).records;

            if (seen != total)
                return errmsg_set(err, -EUCLEAN, "%s lane %u: seen %llu, archived %llu", s->origin, l,
                                  (unsigned long long)seen, (unsigned long long)total);
        }
    }
    return 0;
}

/* What the tools compute from the tables. */
static int check_view(const char *path, struct errmsg *err)
{
    struct db_options o = store_db(STORE_CLOUD, path);
    owned(db_closep) struct db *db = NULL;
    owned(view_freep) struct view *v = NULL;
    struct ledger_balance b;
    int r;

    if (!there(path))
        return 0;
    o.read_only = true;
    r = db_open(&db, &o, err);
    if (r == 0)
        r = view_new(&v, db);
    for (size_t i = 0; r == 0 && i < view_n_devices(v); i++)
        r = view_balance(v, view_device_at(v, i), NULL, NULL, &b);
    return r == 0 ? 0 : errmsg_set(err, -EUCLEAN, "the tools cannot read it: %d", r);
}

static int check_archive(const char *path, const char *proof, struct errmsg *err)
{
    struct spool_options so = {.db = store_db(STORE_CLOUD, path),
                               .node = store_name[STORE_CLOUD],
                               .proof_path = proof,
                               .boot_id = id128_random()};
    struct archive_options o = cloud_archive_options(&so);
    owned(archive_closep) struct archive *a = NULL;
    struct node_keys keys = {{0}};
    struct intake_options in = {.keys = &keys, .clock = &clock_real};
    struct intake *intake = NULL;
    int r = check_view(path, err);

    if (r != 0)
        return r;
    r = archive_open(&a, &o, err);
    if (r != 0)
        return errmsg_set(err, -EUCLEAN, "archive_open: %d", r);
    r = check_totals(a, err);
    if (r == 0) {
        in.archive = a;
        r = intake_new(&intake, &in);
        if (r != 0)
            r = errmsg_set(err, -EUCLEAN, "intake_new: %d", r);
    }
    if (r == 0)
        r = append_one(archive_spool(a), err);
    intake_free(intake);
    return r;
}

enum check_verdict check_state(enum store_tier t, const char *folder, const struct check_allowed *allowed,
                               struct errmsg *err)
{
    char path[STORE_PATH_CHARS] = "", proof[STORE_PATH_CHARS];
    struct db_options o = store_db(t, path);
    struct db_verify_result verified;
    struct check_commit found;
    uint64_t rows[TABLES_MAX] = {0};
    enum check_verdict v;
    int r;

    snprintf(path, sizeof path, "%s/%s", folder, store_name[t]);
    snprintf(proof, sizeof proof, "%s/continuity", folder);
    r = db_verify(&o, VERIFY_TIMEOUT_S, &verified, err);
    if (r == 0)
        r = digest(t, path, &found, rows, err);
    if (r != 0)
        return CHECK_UNOPENED;
    v = compare(&found, allowed, err);
    if (v != CHECK_GOOD)
        return v;
    r = t == STORE_CLOUD ? check_archive(path, proof, err)
                         : check_spool(t, path, proof, rows[SPOOL_TABLE_RECORDS], err);
    return r == 0 ? CHECK_GOOD : CHECK_WORSE;
}
