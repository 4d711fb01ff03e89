#include "cloud/account.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

const struct counter_info account_counter_info[ACCOUNT_COUNTERS] = {
    [ACCOUNT_COVERS] = {"covers_total", COUNTER_TOTAL, "1", "Covers taken by this run."},
    [ACCOUNT_COVERS_REFUSED] = {"covers_refused_total", COUNTER_TOTAL, "1",
                                "Covers about others than their carrier that reduce_sites does not allow."},
    [ACCOUNT_COVERS_WAITING] = {"covers_waiting", COUNTER_GAUGE, "1",
                                "Covers waiting for records they need."},
    [ACCOUNT_MALFORMED] = {"malformed_total", COUNTER_TOTAL, "records",
                           "Ledger records and covers that do not unpack."},
    [ACCOUNT_REPORTS] = {"reports_total", COUNTER_TOTAL, "1", "Lane reports written."},
    [ACCOUNT_REPORTS_STALE] = {"reports_stale_total", COUNTER_TOTAL, "1",
                               "Lane reports older than what is known."},
};

/* A relay asks with what its devices said last, which may be this old (HOP_LEASE_MS and a poll, doubled). */
enum { ARENA_BYTES = 1024 * 1024, LOST_SETTLES_MS = 60000 };

struct account_lane {
    struct interval_set explained;
    bool grown;
};

struct account_stream {
    struct spool_stream *stream;
    struct account_lane lane[SPOOL_LANES];
};

/* A cover not yet in force. */
struct pending {
    struct spool_stream *target, *carrier;
    unsigned lane;
    uint64_t *needs;
    struct interval *at;
    size_t n_needs, n;
};

struct account {
    struct spool *spool;
    struct account_stream *streams; /* index = stream number */
    size_t n_streams;
    struct pending *pending;
    size_t n_pending, alloc_pending;
    bool any_grown;
    struct id128 archive_id;
    uint64_t life;
    bool peer_knows; /* the Hello whose reports come now names this archive */
    struct wire_arena *arena;
    struct buf scratch;
    uint64_t counters[ACCOUNT_COUNTERS];
};

static int condition(int r)
{
    if (r == DB_FULL)
        return ACCOUNT_FULL;
    return r > 0 && r != ACCOUNT_FULL ? -EIO : r;
}

static int stream_of(struct account *ac, struct spool_stream *s, struct account_stream **ret_as)
{
    size_t n = ac->n_streams == 0 ? 64 : ac->n_streams;

    while (n <= s->no)
        n *= 2;
    if (n > ac->n_streams) {
        struct account_stream *at = reallocarray(ac->streams, n, sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        memset(at + ac->n_streams, 0, (n - ac->n_streams) * sizeof *at);
        ac->streams = at;
        ac->n_streams = n;
    }
    *ret_as = &ac->streams[s->no];
    (*ret_as)->stream = s;
    return 0;
}

const struct interval_set *account_explained(struct account *ac, const struct spool_stream *s, unsigned lane)
{
    static const struct interval_set none;

    return s->no < ac->n_streams ? &ac->streams[s->no].lane[lane].explained : &none;
}

/* ---- covers ---- */

static int put_in_force(struct account *ac, struct spool_stream *target, unsigned lane,
                        const struct interval *at, size_t n)
{
    struct account_stream *as;
    int r = stream_of(ac, target, &as);

    for (size_t i = 0; i < n && r == 0; i++)
        r = interval_set_add(&as->lane[lane].explained, at[i].from, at[i].to);
    if (r == 0)
        as->lane[lane].grown = ac->any_grown = true;
    return r;
}

static bool needs_met(const struct spool_stream *carrier, const uint64_t *needs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned lane = seq_lane(needs[i]);

        if (lane >= SPOOL_LANES || !interval_set_has(&carrier->lane[lane].seen, seq_count(needs[i])))
            return false;
    }
    return true;
}

static void pending_deinit(struct pending *p)
{
    free(p->needs);
    free(p->at);
}

/* Takes p's arrays, also on failure. */
static int pending_add(struct account *ac, struct pending *p)
{
    if (ac->n_pending >= ACCOUNT_PENDING_MAX) {
        pending_deinit(p);
        return 0;
    }
    if (ac->n_pending == ac->alloc_pending) {
        size_t n = ac->alloc_pending == 0 ? 16 : ac->alloc_pending * 2;
        struct pending *at = reallocarray(ac->pending, n, sizeof *at);

        if (at == NULL) {
            pending_deinit(p);
            return -ENOMEM;
        }
        ac->pending = at;
        ac->alloc_pending = n;
    }
    ac->pending[ac->n_pending++] = *p;
    ac->counters[ACCOUNT_COVERS_WAITING] = ac->n_pending;
    return 0;
}

/* The row's cover comes into force, or waits. */
static int admit(struct account *ac, const struct cover_row *row, struct spool_stream *target,
                 struct spool_stream *carrier)
{
    struct pending p = {.target = target, .carrier = carrier, .lane = row->lane, .n = row->n_bounds / 2};
    int r;

    p.n_needs = row->n_needs;
    p.at = calloc(p.n + 1, sizeof *p.at);
    p.needs = calloc(p.n_needs + 1, sizeof *p.needs);
    if (p.at == NULL || p.needs == NULL) {
        pending_deinit(&p);
        return -ENOMEM;
    }
    for (size_t i = 0; i < p.n; i++) {
        p.at[i] = cover_interval(row, i);
        if (p.at[i].from > p.at[i].to) {
            pending_deinit(&p);
            return -EIO;
        }
    }
    for (size_t i = 0; i < p.n_needs; i++)
        p.needs[i] = cover_need(row, i);
    if (!needs_met(carrier, p.needs, p.n_needs))
        return pending_add(ac, &p);
    r = put_in_force(ac, target, p.lane, p.at, p.n);
    pending_deinit(&p);
    return r;
}

int account_flush(struct account *ac)
{
    int r = 0;

    for (size_t i = 0; i < ac->n_pending && r == 0;) {
        struct pending p = ac->pending[i];

        if (!needs_met(p.carrier, p.needs, p.n_needs)) {
            i++;
            continue;
        }
        r = put_in_force(ac, p.target, p.lane, p.at, p.n);
        pending_deinit(&p);
        ac->pending[i] = ac->pending[--ac->n_pending];
    }
    ac->counters[ACCOUNT_COVERS_WAITING] = ac->n_pending;
    return r;
}

static int cover_write(struct account *ac, const struct cover_row *row)
{
    struct db_txn *txn;
    struct row_key key;
    int r = spool_txn(ac->spool, &txn);

    if (r != 0)
        return r;
    cover_key_put(&key, row);
    buf_reset(&ac->scratch);
    cover_value_put(&ac->scratch, row);
    if (ac->scratch.error != 0)
        return ac->scratch.error;
    return db_put(txn, CLOUD_TABLE_EXPLAINED, row_key_span(&key), span_of(ac->scratch.data, ac->scratch.len));
}

static int put_cover(struct account *ac, struct spool_stream *s, uint64_t seq, uint16_t index,
                     const Fogline__V1__Cover *c, const struct account_policy *policy)
{
    const char *origin = c->origin[0] == 0 ? s->origin : c->origin;
    bool own = strcmp(origin, s->origin) == 0;
    struct cover_row row = {.lane = c->lane, .carrier = s->no, .carrier_seq = seq, .index = index};
    struct spool_stream *target;
    struct id128 epoch;
    int r;

    if (!wire_id128(c->epoch, &epoch) || c->lane >= SPOOL_LANES || c->n_needs > ROWS_NEEDS_MAX) {
        ac->counters[ACCOUNT_MALFORMED]++;
        return 0;
    }
    row.allowed = own || (policy->may_reduce != NULL && policy->may_reduce(policy->ctx, origin));
    if (!row.allowed) {
        ac->counters[ACCOUNT_COVERS_REFUSED]++;
        return 0;
    }
    r = spool_stream_make(ac->spool, origin, &epoch, &target);
    if (r == SPOOL_LIMIT) {
        ac->counters[ACCOUNT_COVERS_REFUSED]++;
        return 0;
    }
    if (r != 0)
        return r;
    row.stream = target->no;
    row.reason = c->reason >= 0 && c->reason <= UINT8_MAX ? (uint8_t)c->reason : 0;
    row.samples = c->samples;
    (void)wire_id128(c->store, &row.store);
    row.needs = (const uint8_t *)c->needs;
    row.n_needs = (uint32_t)c->n_needs;
    row.bounds = (const uint8_t *)c->bounds;
    row.n_bounds = (uint32_t)c->n_bounds;
    ac->counters[ACCOUNT_COVERS]++;
    r = cover_write(ac, &row);
    return r == 0 ? admit(ac, &row, target, s) : r;
}

int account_put(struct account *ac, struct spool_stream *s, const struct record *rec,
                const struct account_policy *policy)
{
    Fogline__V1__Ledger *ledger = NULL;
    Fogline__V1__Block *block = NULL;
    Fogline__V1__Cover **covers;
    size_t n;
    int r;

    wire_arena_reset(ac->arena);
    if (rec->kind == FOGLINE__V1__KIND__KIND_LEDGER)
        r = wire_ledger_unpack(ac->arena, rec->payload, &ledger);
    else
        r = wire_block_unpack(ac->arena, rec->payload, &block);
    if (r != 0) {
        ac->counters[ACCOUNT_MALFORMED]++;
        return r < 0 ? r : 0;
    }
    covers = ledger != NULL ? ledger->covers : block->covers;
    n = ledger != NULL ? ledger->n_covers : block->n_covers;
    for (size_t i = 0; i < n && i <= UINT16_MAX && r == 0; i++)
        r = put_cover(ac, s, rec->seq, (uint16_t)i, covers[i], policy);
    return condition(r);
}

void account_committed(struct account *ac, void (*fn)(void *ctx, struct spool_stream *s, unsigned lane),
                       void *ctx)
{
    if (!ac->any_grown)
        return;
    for (size_t i = 0; i < ac->n_streams; i++)
        for (unsigned l = 0; l < SPOOL_LANES; l++)
            if (ac->streams[i].lane[l].grown) {
                ac->streams[i].lane[l].grown = false;
                if (fn != NULL)
                    fn(ctx, ac->streams[i].stream, l);
            }
    ac->any_grown = false;
}

/* ---- reports ---- */

static int report_read(struct account *ac, const struct row_key *key, struct report_row *ret_row,
                       bool *ret_found)
{
    struct db_txn *txn;
    struct span value;
    int r = spool_txn(ac->spool, &txn);

    *ret_found = false;
    if (r == 0)
        r = db_get(txn, CLOUD_TABLE_REPORTS, row_key_span(key), &value);
    if (r == DB_NOT_FOUND || r == DB_DAMAGED)
        return 0; /* a damaged report is replaced by the next one */
    *ret_found = r == 0 && report_get(row_key_span(key), value, ret_row);
    return r;
}

static int report_write(struct account *ac, const struct row_key *key, const struct report_row *row)
{
    struct db_txn *txn;
    int r = spool_txn(ac->spool, &txn);

    if (r != 0)
        return r;
    buf_reset(&ac->scratch);
    report_value_put(&ac->scratch, row);
    if (ac->scratch.error != 0)
        return ac->scratch.error;
    ac->counters[ACCOUNT_REPORTS]++;
    return db_put(txn, CLOUD_TABLE_REPORTS, row_key_span(key), span_of(ac->scratch.data, ac->scratch.len));
}

static bool says_the_same(const struct report_row *a, const struct report_row *b)
{
    return a->next == b->next && a->held_count == b->held_count &&
           a->samples_produced == b->samples_produced && a->samples_held == b->samples_held &&
           a->held_cut == b->held_cut && a->n_bounds == b->n_bounds &&
           memcmp(a->bounds, b->bounds, a->n_bounds * sizeof a->bounds[0]) == 0;
}

static int64_t age_ns(const struct report_row *old, int64_t wall_unix_ns)
{
    int64_t age = wall_unix_ns - old->wall_unix_ns;

    return age < 0 ? INT64_MAX : age; /* the clock went back: write it anew */
}

/* An owner lets go on the former archive's word until it knows this one: what it has made by then and nobody
 * has any more went with that archive. The number up to which that holds rises with its reports until a while
 * after it knows. */
static void note_lost(const struct account *ac, const struct report_row *old, struct report_row *row)
{
    bool settled;

    if (ac->life == 0)
        return;
    row->life = ac->life;
    row->lost_until_unix_ns = row->wall_unix_ns + LOST_SETTLES_MS * NS_PER_MS;
    row->lost_below = row->next;
    if (old == NULL || old->life != ac->life)
        return;
    settled = ac->peer_knows && (row->wall_unix_ns >= old->lost_until_unix_ns ||
                                 row->lost_until_unix_ns < old->lost_until_unix_ns);
    if (ac->peer_knows)
        row->lost_until_unix_ns = old->lost_until_unix_ns;
    if (settled || row->lost_below < old->lost_below)
        row->lost_below = old->lost_below;
}

int account_report(struct account *ac, struct spool_stream *s, const char *peer,
                   const Fogline__V1__LaneReport *r, int64_t wall_unix_ns)
{
    struct report_row row = {.stream = s->no, .lane = r->lane, .wall_unix_ns = wall_unix_ns}, old;
    bool relay = r->next == 0, found;
    struct row_key key;
    int e;

    if (r->lane >= SPOOL_LANES || r->n_held > 2 * WIRE_INTERVALS_MAX)
        return 0;
    if (relay)
        snprintf(row.relay, sizeof row.relay, "%s", peer);
    snprintf(row.by, sizeof row.by, "%s", peer);
    row.next = r->next;
    row.lowest_held = r->lowest_held;
    row.held_count = r->held_count;
    row.samples_produced = r->samples_produced;
    row.samples_held = r->samples_held;
    row.held_cut = r->held_cut;
    row.n_bounds = (uint32_t)r->n_held;
    if (r->n_held > 0)
        memcpy(row.bounds, r->held, r->n_held * sizeof row.bounds[0]);
    report_key_put(&key, s->no, r->lane, row.relay);
    e = report_read(ac, &key, &old, &found);
    if (e != 0)
        return condition(e);
    /* For one `next` an owner's held set only shrinks: of two reports the one that holds more is the older.
     */
    if (found && !relay && (r->next < old.next || (r->next == old.next && r->held_count > old.held_count))) {
        ac->counters[ACCOUNT_REPORTS_STALE]++;
        return 0;
    }
    if (!relay)
        note_lost(ac, found ? &old : NULL, &row);
    if (found && !old.unlisted && old.life == row.life && says_the_same(&old, &row) &&
        age_ns(&old, wall_unix_ns) < ACCOUNT_REPORT_EVERY_MS * NS_PER_MS)
        return 0;
    return condition(report_write(ac, &key, &row));
}

static bool hello_lists(const Fogline__V1__Hello *h, const struct spool_stream *s)
{
    struct id128 epoch;

    for (size_t i = 0; i < h->n_epochs; i++) {
        const Fogline__V1__EpochReport *e = h->epochs[i];

        if ((e->origin[0] == 0 || strcmp(e->origin, s->origin) == 0) && wire_id128(e->epoch, &epoch) &&
            id128_equal(&epoch, &s->epoch))
            return true;
    }
    return false;
}

static int unlist(struct account *ac, const struct spool_stream *s)
{
    int r = 0;

    for (unsigned l = 0; l < SPOOL_LANES && r == 0; l++) {
        struct report_row row;
        struct row_key key;
        bool found;

        report_key_put(&key, s->no, l, "");
        r = report_read(ac, &key, &row, &found);
        if (r != 0 || !found || row.unlisted)
            continue;
        row.unlisted = true;
        r = report_write(ac, &key, &row);
    }
    return r;
}

int account_hello(struct account *ac, const char *peer, const Fogline__V1__Hello *hello)
{
    struct id128 known;
    int r = 0;

    ac->peer_knows = wire_id128(hello->archive_id, &known) && id128_equal(&known, &ac->archive_id);
    if (hello->n_epochs >= WIRE_EPOCHS_MAX)
        return 0; /* there may be more than were listed */
    for (size_t i = 0; i < spool_n_streams(ac->spool) && r == 0; i++) {
        const struct spool_stream *s = spool_stream_at(ac->spool, i);

        if (strcmp(s->origin, peer) == 0 && !hello_lists(hello, s))
            r = unlist(ac, s);
    }
    return condition(r);
}

/* ---- loading ---- */

struct by_no {
    struct spool_stream **at;
    size_t n;
};

static int load_cover(struct account *ac, const struct by_no *by_no, struct span key, struct span value)
{
    struct cover_row row;

    if (!cover_get(key, value, &row))
        return -EIO;
    if (!row.allowed || row.stream >= by_no->n || row.carrier >= by_no->n || by_no->at[row.stream] == NULL ||
        by_no->at[row.carrier] == NULL)
        return 0;
    return admit(ac, &row, by_no->at[row.stream], by_no->at[row.carrier]);
}

static int load_covers(struct account *ac, const struct by_no *by_no)
{
    struct db_cursor *c = NULL;
    struct db_txn *txn;
    struct span key, value;
    int r = db_begin(spool_db(ac->spool), false, &txn);

    if (r != 0)
        return r;
    r = db_cursor_new(txn, CLOUD_TABLE_EXPLAINED, &c);
    if (r == 0) {
        for (r = db_cursor_seek(c, span_of("", 0), &key, &value); r == 0 || r == DB_DAMAGED;
             r = db_cursor_next(c, &key, &value)) {
            int e = r == 0 ? load_cover(ac, by_no, key, value) : 0; /* a damaged cover explains nothing */

            if (e < 0) {
                r = e;
                break;
            }
        }
        db_cursor_free(c);
    }
    db_abort(txn);
    return r == DB_NOT_FOUND ? 0 : condition(r);
}

static void forget_all(struct account *ac)
{
    for (size_t i = 0; i < ac->n_streams; i++)
        for (unsigned l = 0; l < SPOOL_LANES; l++)
            interval_set_deinit(&ac->streams[i].lane[l].explained);
    for (size_t i = 0; i < ac->n_pending; i++)
        pending_deinit(&ac->pending[i]);
    free(ac->streams);
    ac->streams = NULL;
    ac->n_streams = ac->n_pending = 0;
    ac->any_grown = false;
}

int account_reload(struct account *ac)
{
    owned(free_ptr) struct spool_stream **at = NULL;
    struct by_no by_no = {0};
    int r;

    forget_all(ac);
    for (size_t i = 0; i < spool_n_streams(ac->spool); i++)
        if (spool_stream_at(ac->spool, i)->no >= by_no.n)
            by_no.n = spool_stream_at(ac->spool, i)->no + 1;
    at = calloc(by_no.n + 1, sizeof *at);
    if (at == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < spool_n_streams(ac->spool); i++)
        at[spool_stream_at(ac->spool, i)->no] = spool_stream_at(ac->spool, i);
    by_no.at = at;
    r = load_covers(ac, &by_no);
    account_committed(ac, NULL, NULL);
    return r;
}

int account_new(struct account **ret_ac, struct spool *sp)
{
    struct account *ac = calloc(1, sizeof *ac);
    int r;

    if (ac == NULL)
        return -ENOMEM;
    ac->spool = sp;
    r = wire_arena_new(&ac->arena, ARENA_BYTES);
    if (r == 0)
        r = account_reload(ac);
    if (r != 0) {
        account_free(ac);
        return r;
    }
    *ret_ac = ac;
    return 0;
}

struct account *account_free(struct account *ac)
{
    if (ac == NULL)
        return NULL;
    forget_all(ac);
    free(ac->pending);
    wire_arena_free(ac->arena);
    buf_deinit(&ac->scratch);
    free(ac);
    return NULL;
}

const uint64_t *account_counters(const struct account *ac)
{
    return ac->counters;
}

void account_set_archive(struct account *ac, const struct id128 *id, uint64_t life)
{
    ac->archive_id = *id;
    ac->life = life;
}
