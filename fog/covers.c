#include "base/cleanup.h"
#include "fog/covers_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct counter_info covers_counter_info[COVERS_COUNTERS] = {
    [COVERS_WITHHELD] = {"withheld", COUNTER_TOTAL, "records",
                         "Records that the cloud does not get as they came."},
    [COVERS_COVERED] = {"covered", COUNTER_TOTAL, "records", "Of these: all that is made of them is made."},
    [COVERS_LEDGER_RECORDS] = {"ledger_records", COUNTER_TOTAL, "records", "Ledger records that name them."},
    [COVERS_SETTLED] = {"settled", COUNTER_TOTAL, "records", "Of these: the cloud counts them as explained."},
    [COVERS_REFUSED] = {"refused", COUNTER_TOTAL, "records",
                        "Covered records that the cloud does not count: its reduce_sites does not allow it."},
    [COVERS_SAID_AGAIN] = {"said_again", COUNTER_TOTAL, "records", "Covered records named once more."},
    [COVERS_NO_ROOM] = {"no_room", COUNTER_TOTAL, "1", "Ledger records put off: no room in the store."},
    [COVERS_NEEDS_LOST] =
        {"needs_lost", COUNTER_TOTAL, "1",
         "Runs that need more records than can be kept: never covered, their devices hold them."},
    [COVERS_DROPPED] = {"dropped", COUNTER_TOTAL, "rows",
                        "Rows that ended with a life of the store: devices give these records again."},
};

/* Key of the row that says whose life the others belong to. */
static const uint8_t life_key[] = {0};

bool covers_is_held(const struct covers *c, uint64_t own_seq)
{
    unsigned lane = seq_lane(own_seq);

    return lane < SPOOL_LANES &&
           interval_set_has(&spool_own(c->options.spool)->lane[lane].held, seq_count(own_seq));
}

void covers_needs_prune(const struct covers *c, struct covers_row *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_needs; i++)
        if (covers_is_held(c, r->needs[i]))
            r->needs[n++] = r->needs[i];
    r->n_needs = n;
}

struct spool_stream *covers_stream(const struct covers *c, uint32_t no)
{
    size_t low = 0, high = spool_n_streams(c->options.spool);

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (spool_stream_at(c->options.spool, mid)->no < no)
            low = mid + 1;
        else
            high = mid;
    }
    struct spool_stream *s =
        low < spool_n_streams(c->options.spool) ? spool_stream_at(c->options.spool, low) : NULL;
    return s != NULL && s->no == no ? s : NULL;
}

/* ---- lives ---- */

static int drop_all(struct covers *c, struct db_txn *txn)
{
    owned(db_cursor_freep) struct db_cursor *cursor = NULL;
    uint8_t life[2 * ID128_BYTES];
    struct span key;
    int rc = db_cursor_new(txn, c->options.table, &cursor);

    c->has_emptied =
        c->rows[COVERS_STATE_WAITING] + c->rows[COVERS_STATE_COVERED] + c->rows[COVERS_STATE_SAID] > 0 &&
        id128_equal(&c->store, spool_store_id(c->options.spool));
    if (rc == 0)
        rc = db_cursor_seek(cursor, span_of("", 0), &key, NULL);
    while (rc == 0) {
        rc = db_cursor_del(cursor);
        c->counters[COVERS_DROPPED]++;
        if (rc == 0)
            rc = db_cursor_next(cursor, &key, NULL);
    }
    if (rc != DB_NOT_FOUND)
        return rc;
    cursor = db_cursor_free(cursor);
    memcpy(life, spool_store_id(c->options.spool)->bytes, ID128_BYTES);
    memcpy(life + ID128_BYTES, spool_own(c->options.spool)->epoch.bytes, ID128_BYTES);
    rc = db_put(txn, c->options.table, span_of(life_key, sizeof life_key), span_of(life, sizeof life));
    if (rc != 0)
        return rc;
    memset(c->rows, 0, sizeof c->rows);
    memset(c->seqs, 0, sizeof c->seqs);
    c->needs = c->refused_seqs = 0;
    c->n_refused = 0;
    covers_marks_drop(c, NULL);
    memcpy(c->store.bytes, life, ID128_BYTES);
    memcpy(c->epoch.bytes, life + ID128_BYTES, ID128_BYTES);
    return 0;
}

bool covers_emptied(struct covers *c)
{
    bool emptied = c->has_emptied;

    c->has_emptied = false;
    return emptied;
}

bool covers_is_this_life(const struct covers *c)
{
    return id128_equal(&c->store, spool_store_id(c->options.spool)) &&
           id128_equal(&c->epoch, &spool_own(c->options.spool)->epoch);
}

int covers_begin(struct covers *c, struct db_txn **ret_txn)
{
    int rc = spool_txn(c->options.spool, ret_txn);

    return rc != 0 || covers_is_this_life(c) ? rc : drop_all(c, *ret_txn);
}

static int load_row(struct covers *c, struct span key, struct span value)
{
    struct covers_row r;

    if (key.len == sizeof life_key && value.len == 2 * ID128_BYTES) {
        memcpy(c->store.bytes, value.data, ID128_BYTES);
        memcpy(c->epoch.bytes, (const uint8_t *)value.data + ID128_BYTES, ID128_BYTES);
        return 0;
    }
    if (!covers_row_get(key, value, &r))
        return 0;
    covers_tally(c, &r, false);
    const struct spool_stream *s = covers_row_is_refused(&r) ? covers_stream(c, r.stream) : NULL;
    return s != NULL ? covers_refuse(c, s->origin) : 0;
}

int covers_reload(struct covers *c)
{
    owned(db_cursor_freep) struct db_cursor *cursor = NULL;
    struct db_txn *txn;
    struct span key, value;
    int rc;

    memset(c->rows, 0, sizeof c->rows);
    memset(c->seqs, 0, sizeof c->seqs);
    c->needs = c->refused_seqs = 0;
    c->covered_since_ms = -1;
    c->has_emptied = false;
    c->n_refused = 0;
    c->store = c->epoch = (struct id128){{0}};
    rc = spool_read(c->options.spool, &txn);
    if (rc != 0)
        return rc;
    rc = db_cursor_new(txn, c->options.table, &cursor);
    if (rc == 0)
        for (rc = db_cursor_seek(cursor, span_of("", 0), &key, &value); rc == 0 || rc == DB_DAMAGED;
             rc = db_cursor_next(cursor, &key, &value)) {
            int r = rc == 0 ? load_row(c, key, value) : 0; /* what a damaged one says stays with the device */

            if (r != 0) {
                rc = r;
                break;
            }
        }
    cursor = db_cursor_free(cursor);
    spool_read_done(c->options.spool);
    return rc == DB_NOT_FOUND ? 0 : rc;
}

int covers_new(struct covers **ret_c, const struct covers_options *options)
{
    struct covers *c = calloc(1, sizeof *c);
    int rc;

    if (c == NULL)
        return -ENOMEM;
    c->options = *options;
    c->again_after_ms = COVERS_AGAIN_FIRST_MS;
    rc = covers_reload(c);
    if (rc != 0) {
        covers_free(c);
        return rc < 0 ? rc : -EIO;
    }
    *ret_c = c;
    return 0;
}

struct covers *covers_free(struct covers *c)
{
    if (c == NULL)
        return NULL;
    covers_marks_drop(c, NULL);
    free(c->refused);
    buf_deinit(&c->scratch);
    free(c);
    return NULL;
}

/* ---- what stages say ---- */

int covers_withhold(struct covers *c, const struct spool_stream *s, uint64_t seq, uint8_t reason,
                    uint32_t samples, uint32_t parts)
{
    struct covers_row r = {.state = parts == 0 ? COVERS_STATE_COVERED : COVERS_STATE_WAITING,
                           .stream = s->no,
                           .lane = seq_lane(seq),
                           .reason = reason,
                           .first = seq_count(seq),
                           .last = seq_count(seq),
                           .samples = samples,
                           .parts = parts};
    struct covers_row there;
    struct db_txn *txn;
    int rc = covers_begin(c, &txn);

    if (rc == 0)
        rc = covers_row_at(c, &r, &there);
    if (rc == 0 && there.first <= r.first)
        return 0;
    if (rc != 0 && rc != DB_NOT_FOUND)
        return rc;
    c->counters[COVERS_WITHHELD]++;
    c->counters[COVERS_COVERED] += parts == 0;
    return covers_row_join(c, &r);
}

/* Those numbers of a waiting row that are in the run: they leave it, what is left on both sides stays. */
static int change_row(struct covers *c, const struct covers_row *row, struct interval run, uint64_t need,
                      bool is_part)
{
    struct covers_row left = *row, right = *row, mid = *row;
    int rc = covers_row_delete(c, row);

    if (mid.first < run.from)
        mid.first = run.from;
    if (mid.last > run.to)
        mid.last = run.to;
    left.last = mid.first - 1;
    right.first = mid.last + 1;
    if (rc == 0 && left.first <= left.last)
        rc = covers_row_write(c, &left);
    if (rc == 0 && right.first <= right.last)
        rc = covers_row_write(c, &right);
    if (rc != 0)
        return rc;
    if (need != 0 && !covers_needs_add(&mid, need)) {
        covers_needs_prune(c, &mid);
        if (!covers_needs_add(&mid, need)) {
            mid.parts = UINT32_MAX;
            c->counters[COVERS_NEEDS_LOST]++;
        }
    }
    if (is_part && mid.parts != UINT32_MAX)
        mid.parts--;
    if (mid.parts == 0) {
        mid.state = COVERS_STATE_COVERED;
        mid.samples *= covers_row_length(&mid);
        c->counters[COVERS_COVERED] += covers_row_length(&mid);
    }
    return covers_row_join(c, &mid);
}

static int change_run(struct covers *c, const struct spool_stream *s, unsigned lane, struct interval run,
                      uint64_t need, bool is_part)
{
    struct covers_row at = {.state = COVERS_STATE_WAITING, .stream = s->no, .lane = lane}, row;
    struct db_txn *txn;
    int rc = covers_begin(c, &txn);

    /* All reasons there are, each from where the run begins. */
    while (rc == 0 && (rc = covers_row_next(c, &at, &row)) == 0 && row.stream == s->no && row.lane == lane) {
        unsigned reason = at.reason = row.reason;

        for (at.first = run.from; at.first <= run.to; at.first = row.last + 1) {
            rc = covers_row_at(c, &at, &row);
            if (rc != 0 || row.first > run.to)
                break;
            /* From here on: what came before is done, and may have been joined with this row. */
            rc = change_row(c, &row, (struct interval){at.first, run.to}, need, is_part);
            if (rc != 0)
                return rc;
        }
        if (rc != 0 && rc != DB_NOT_FOUND)
            return rc;
        rc = 0;
        if (reason == UINT8_MAX)
            break;
        at.reason = (uint8_t)(reason + 1);
        at.first = 0;
    }
    return rc == DB_NOT_FOUND ? 0 : rc;
}

int covers_part_run(struct covers *c, const struct spool_stream *s, unsigned lane, struct interval run,
                    uint64_t need)
{
    return change_run(c, s, lane, run, need, true);
}

int covers_part(struct covers *c, const struct spool_stream *s, uint64_t seq, uint64_t need)
{
    struct interval one = {seq_count(seq), seq_count(seq)};

    return change_run(c, s, seq_lane(seq), one, need, true);
}

int covers_need(struct covers *c, const struct spool_stream *s, unsigned lane, struct interval run,
                uint64_t need)
{
    return change_run(c, s, lane, run, need, false);
}

int covers_has_open(struct covers *c, const struct spool_stream *s)
{
    struct db_txn *txn;
    int rc = covers_begin(c, &txn);

    for (int state = COVERS_STATE_WAITING; rc == 0 && state <= COVERS_STATE_COVERED; state++) {
        struct covers_row at = {.state = (enum covers_state)state, .stream = s->no}, row;

        rc = covers_row_next(c, &at, &row);
        if (rc == 0 && row.stream == s->no)
            return 1;
        rc = rc == DB_NOT_FOUND ? 0 : rc;
    }
    return rc;
}

int covers_forget(struct covers *c, const struct spool_stream *s)
{
    struct db_txn *txn;
    int rc = covers_begin(c, &txn);

    for (int state = COVERS_STATE_WAITING; rc == 0 && state <= COVERS_STATE_SAID; state++) {
        struct covers_row at = {.state = (enum covers_state)state, .stream = s->no}, row;

        while ((rc = covers_row_next(c, &at, &row)) == 0 && row.stream == s->no) {
            rc = covers_row_delete(c, &row);
            if (rc != 0)
                return rc;
        }
        rc = rc == DB_NOT_FOUND ? 0 : rc;
    }
    covers_marks_drop(c, s);
    covers_unrefuse(c, s->origin);
    return rc;
}

void covers_status(struct covers *c, struct covers_status *ret)
{
    *ret = (struct covers_status){.waiting_records = c->seqs[COVERS_STATE_WAITING],
                                  .covered_records = c->seqs[COVERS_STATE_COVERED],
                                  .said_records = c->seqs[COVERS_STATE_SAID],
                                  .refused_records = c->refused_seqs,
                                  .refused_origins = c->n_refused,
                                  .a_refused_origin = c->n_refused > 0 ? c->refused[0] : NULL};
}

const uint64_t *covers_counters(const struct covers *c)
{
    return c->counters;
}
