/* What the test itself knows of every reading, and what must never be seen. Nothing here asks the code under
 * test whether it is right: it looks at what is committed where. */
#include "base/cleanup.h"
#include "world.h"

#include <inttypes.h>
#include <stdarg.h>

void violate(struct world *w, const char *fmt, ...)
{
    va_list args;

    if (w->stopped)
        return;
    w->stopped = true;
    w->result->ok = false;
    w->result->at_ms = w->now_ms;
    va_start(args, fmt);
    vsnprintf(w->result->violation, sizeof w->result->violation, fmt, args);
    va_end(args);
    if (w->options->trace != NULL)
        fprintf(w->options->trace, "%9" PRId64 " VIOLATION %s\n", w->now_ms, w->result->violation);
}

void note(struct world *w, const struct node *n, const char *fmt, ...)
{
    va_list args;

    if (w->options->trace == NULL)
        return;
    fprintf(w->options->trace, "%9" PRId64 " %-6s ", w->now_ms, n != NULL ? n->name : "world");
    va_start(args, fmt);
    vfprintf(w->options->trace, fmt, args);
    va_end(args);
    fputc('\n', w->options->trace);
}

/* ---- books ---- */

struct book *oracle_book(struct world *w, unsigned node, const struct id128 *epoch, bool make)
{
    struct oracle *o = &w->oracle;

    for (size_t i = 0; i < o->n_books; i++)
        if (o->books[i].node == node && id128_equal(&o->books[i].epoch, epoch))
            return &o->books[i];
    if (!make)
        return NULL;
    if (o->n_books == o->alloc) {
        o->alloc = o->alloc > 0 ? 2 * o->alloc : 16;
        o->books = realloc(o->books, o->alloc * sizeof *o->books);
        if (o->books == NULL)
            abort();
    }
    o->books[o->n_books] = (struct book){.epoch = *epoch, .node = node};
    return &o->books[o->n_books++];
}

struct reading *oracle_reading(struct world *w, unsigned node, const struct id128 *epoch, unsigned lane,
                               uint64_t count, bool make)
{
    struct book *b = oracle_book(w, node, epoch, make);

    if (b == NULL || count == 0 || (count >= b->n[lane] && (!make || count > 100000)))
        return NULL;
    if (count >= b->n[lane]) {
        size_t n = count + 64;

        b->at[lane] = realloc(b->at[lane], n * sizeof *b->at[lane]);
        if (b->at[lane] == NULL)
            abort();
        memset(b->at[lane] + b->n[lane], 0, (n - b->n[lane]) * sizeof *b->at[lane]);
        b->n[lane] = n;
    }
    return &b->at[lane][count];
}

void oracle_deinit(struct oracle *o)
{
    for (size_t i = 0; i < o->n_books; i++)
        for (unsigned l = 0; l < LANE_COUNT; l++)
            free(o->books[i].at[l]);
    free(o->books);
    *o = (struct oracle){0};
}

/* Is it in the archive, or does something archived stand for it? */
static bool settled(const struct reading *r)
{
    return r->archived || r->aggregates > 0 || r->filtered || r->evicted_archived;
}

/* ---- pending: what becomes true with the next commit of a node ---- */

void oracle_pend(struct node *n, unsigned origin, const struct id128 *epoch, uint64_t seq, uint32_t kind,
                 uint64_t value, struct span payload)
{
    struct pending *p;

    if (n->n_pending == n->alloc_pending) {
        n->alloc_pending = n->alloc_pending > 0 ? 2 * n->alloc_pending : 64;
        n->pending = realloc(n->pending, n->alloc_pending * sizeof *n->pending);
        if (n->pending == NULL)
            abort();
    }
    p = &n->pending[n->n_pending++];
    *p = (struct pending){.node = origin, .epoch = *epoch, .seq = seq, .kind = kind, .value = value};
    if (payload.len > 0)
        buf_append(&p->payload, payload.data, payload.len);
}

void oracle_drop_pending(struct node *n)
{
    for (size_t i = 0; i < n->n_pending; i++)
        buf_deinit(&n->pending[i].payload);
    n->n_pending = 0;
}

static const char *name_of(struct world *w, unsigned node)
{
    return w->node[node].name;
}

static void made(struct node *n, const struct pending *p)
{
    struct world *w = n->w;
    struct reading *r = oracle_reading(w, p->node, &p->epoch, seq_lane(p->seq), seq_count(p->seq), true);

    if (r == NULL)
        return;
    if (r->made && !r->lost)
        violate(w, "%s made number %u/%" PRIu64 " twice", n->name, seq_lane(p->seq), seq_count(p->seq));
    *r = (struct reading){.made = true, .held = true, .value = p->value};
    w->oracle.n_made++;
    w->result->records++;
}

/* What an archived record says about others. */
static void covers_take(struct world *w, unsigned carrier, Fogline__V1__Cover *const *covers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Fogline__V1__Cover *c = covers[i];
        const struct node *about = c->origin[0] == '\0' ? &w->node[carrier] : world_find(w, c->origin);
        struct id128 epoch;

        if (about == NULL || !wire_id128(c->epoch, &epoch)) {
            violate(w, "a cover names nobody");
            return;
        }
        for (size_t k = 0; k + 1 < c->n_bounds; k += 2)
            for (uint64_t count = c->bounds[k]; count <= c->bounds[k + 1]; count++) {
                struct reading *r =
                    oracle_reading(w, about->no, &epoch, c->lane, count, about->role == ROLE_FOG);

                if (r == NULL || (!r->made && about->role == ROLE_DEVICE))
                    violate(w, "a cover of %s speaks of %s %u/%" PRIu64 ", never made", name_of(w, carrier),
                            about->name, c->lane, count);
                else if (c->reason == FOGLINE__V1__REASON__REASON_FILTERED)
                    r->filtered = true;
                else if (c->reason == FOGLINE__V1__REASON__REASON_MERGED)
                    r->merged_claimed = true;
                else
                    r->evicted_archived = true;
            }
    }
}

static void aggregate_take(struct world *w, const struct pending *p)
{
    struct fold_item item[FOLD_MAX];
    uint64_t sum = 0;
    unsigned n = 0;

    if (!payload_items(w->arena, span_of(p->payload.data, p->payload.len), item, &n)) {
        violate(w, "an archived block of %s does not read", name_of(w, p->node));
        return;
    }
    for (unsigned i = 0; i < n && !w->stopped; i++) {
        struct reading *r =
            oracle_reading(w, item[i].device, &item[i].epoch, item[i].lane, item[i].count, false);

        if (r == NULL || !r->made || r->value != item[i].value)
            violate(w, "an aggregate of %s sums %s %u/%" PRIu64 ", which was not made so",
                    name_of(w, p->node), name_of(w, item[i].device), item[i].lane, item[i].count);
        else if (++r->aggregates > 1)
            violate(w, "%s %u/%" PRIu64 " is in two archived aggregates", name_of(w, item[i].device),
                    item[i].lane, item[i].count);
        sum += item[i].value;
    }
    if (n > 0 && sum != p->value)
        violate(w, "an aggregate of %s is not the sum of its readings", name_of(w, p->node));
    oracle_reading(w, p->node, &p->epoch, seq_lane(p->seq), seq_count(p->seq), true)->sums = n > 0;
    w->oracle.n_aggregates += n > 0;
    w->result->aggregates += n > 0;
}

static void archived(struct node *n, const struct pending *p)
{
    struct world *w = n->w;
    bool fog = w->node[p->node].role == ROLE_FOG;
    struct reading *r = oracle_reading(w, p->node, &p->epoch, seq_lane(p->seq), seq_count(p->seq), fog);
    struct span payload = span_of(p->payload.data, p->payload.len);

    if (r == NULL || (!r->made && !fog)) {
        violate(w, "archived %s %u/%" PRIu64 ", which was never made", name_of(w, p->node), seq_lane(p->seq),
                seq_count(p->seq));
        return;
    }
    if (r->archived)
        violate(w, "%s %u/%" PRIu64 " is archived twice", name_of(w, p->node), seq_lane(p->seq),
                seq_count(p->seq));
    if (!fog && p->kind == FOGLINE__V1__KIND__KIND_BLOCK && r->value != p->value)
        violate(w, "%s %u/%" PRIu64 " is archived with another value", name_of(w, p->node), seq_lane(p->seq),
                seq_count(p->seq));
    r->archived = true;
    r->value = p->value;
    w->oracle.n_archived++;
    w->result->archived++;
    if (p->kind == FOGLINE__V1__KIND__KIND_BLOCK && fog)
        aggregate_take(w, p);
    wire_arena_reset(w->arena);
    if (p->kind == FOGLINE__V1__KIND__KIND_LEDGER) {
        Fogline__V1__Ledger *ledger;

        if (wire_ledger_unpack(w->arena, payload, &ledger) != 0)
            violate(w, "an archived ledger record does not read");
        else
            covers_take(w, p->node, ledger->covers, ledger->n_covers);
    } else if (p->kind == FOGLINE__V1__KIND__KIND_BLOCK) {
        Fogline__V1__Block *block;

        if (wire_block_unpack(w->arena, payload, &block) != 0)
            violate(w, "an archived block does not read");
        else
            covers_take(w, p->node, block->covers, block->n_covers);
    }
}

/* ---- what a commit let go ---- */

struct accounted {
    struct node *n;
    const struct id128 *epoch;
    const char *origin;
    unsigned lane;
    uint64_t count;
};

static int account_covers(void *ctx, const struct spool_account_row *row)
{
    const struct accounted *a = ctx;

    return row->lane == a->lane && id128_equal(&row->stream->epoch, a->epoch) &&
           strcmp(row->stream->origin, a->origin) == 0 && row->range.from <= a->count &&
           row->range.to >= a->count;
}

static bool ledger_covers(struct node *n, const struct spool_stream *s, uint64_t seq,
                          const struct accounted *a)
{
    struct world *w = n->w;
    struct spool_record r;
    Fogline__V1__Ledger *ledger;

    wire_arena_reset(w->arena);
    if (spool_get(n->sp, s, seq, &r) != 0 || r.kind != FOGLINE__V1__KIND__KIND_LEDGER ||
        wire_ledger_unpack(w->arena, r.payload, &ledger) != 0)
        return false;
    for (size_t i = 0; i < ledger->n_covers; i++) {
        const Fogline__V1__Cover *c = ledger->covers[i];

        if (c->lane != a->lane || c->epoch.len != ID128_BYTES ||
            memcmp(c->epoch.data, a->epoch->bytes, ID128_BYTES) != 0)
            continue;
        for (size_t k = 0; k + 1 < c->n_bounds; k += 2)
            if (c->bounds[k] <= a->count && a->count <= c->bounds[k + 1])
                return true;
    }
    return false;
}

/* On the open account, or in a ledger record held here. */
static bool excused(struct node *n, const char *origin, const struct id128 *epoch, unsigned lane,
                    uint64_t count)
{
    struct accounted a = {n, epoch, origin, lane, count};
    struct db_txn *txn;
    bool found = spool_account_each(n->sp, account_covers, &a) > 0;

    if (found || spool_read(n->sp, &txn) != 0)
        return found;
    for (size_t i = 0; !found && i < spool_n_streams(n->sp); i++) {
        const struct spool_stream *s = spool_stream_at(n->sp, i);
        const struct interval_set *held = &s->lane[LANE_URGENT].held;

        for (size_t k = 0; s->own && !found && k < held->n; k++)
            for (uint64_t c = held->at[k].from; !found && c <= held->at[k].to; c++)
                found = ledger_covers(n, s, seq_make(LANE_URGENT, c), &a);
    }
    spool_read_done(n->sp);
    return found;
}

static void let_go(struct node *n, const struct held_copy *m, unsigned lane, uint64_t count)
{
    struct world *w = n->w;
    const struct node *origin = world_find(w, m->origin);
    bool own = origin == n;
    struct reading *r = oracle_reading(w, origin->no, &m->epoch, lane, count, false);

    if (own && r != NULL)
        r->held = false;
    if (n->role == ROLE_FOG) { /* its own and its copies: only what is archived; or evicted, of its own */
        if ((r == NULL || !r->archived) &&
            !(own && ((r != NULL && r->evicted_archived) || excused(n, m->origin, &m->epoch, lane, count))))
            violate(w, "%s let go of %s %u/%" PRIu64 ", which is not archived", n->name, m->origin, lane,
                    count);
        return;
    }
    if (r == NULL || settled(r))
        return;
    if (excused(n, m->origin, &m->epoch, lane, count)) {
        r->evicted = true;
        w->oracle.n_evicted++;
        w->result->evicted++;
        note(w, n, "evicted %u/%" PRIu64, lane, count);
    } else if (!r->evicted) {
        violate(w, "%s let go of its %u/%" PRIu64 ": neither archived nor explained%s", n->name, lane, count,
                r->merged_claimed ? " (a cover is archived, what it speaks of is not)" : "");
    }
}

void oracle_mirror_forget(struct node *n)
{
    for (size_t i = 0; i < n->n_mirror; i++)
        for (unsigned l = 0; l < LANE_COUNT; l++) {
            interval_set_deinit(&n->mirror[i].held[l]);
            interval_set_deinit(&n->mirror[i].seen[l]);
        }
    n->n_mirror = 0;
    n->mirror_valid = false;
}

static void compare_held(struct node *n)
{
    for (size_t i = 0; i < n->n_mirror && !n->w->stopped; i++) {
        const struct held_copy *m = &n->mirror[i];
        const struct spool_stream *s = spool_find(n->sp, m->origin, &m->epoch);

        for (unsigned l = 0; l < LANE_COUNT; l++)
            for (size_t k = 0; k < m->held[l].n; k++) {
                if (s != NULL &&
                    interval_set_covers(&s->lane[l].held, m->held[l].at[k].from, m->held[l].at[k].to))
                    continue;
                for (uint64_t c = m->held[l].at[k].from; c <= m->held[l].at[k].to; c++)
                    if (s == NULL || !interval_set_has(&s->lane[l].held, c))
                        let_go(n, m, l, c);
            }
    }
}

static void mirror_take(struct node *n)
{
    size_t streams = spool_n_streams(n->sp);

    if (streams > n->n_mirror) {
        n->mirror = realloc(n->mirror, streams * sizeof *n->mirror);
        if (n->mirror == NULL)
            abort();
        memset(n->mirror + n->n_mirror, 0, (streams - n->n_mirror) * sizeof *n->mirror);
    }
    for (size_t i = streams; i < n->n_mirror; i++)
        for (unsigned l = 0; l < LANE_COUNT; l++) {
            interval_set_deinit(&n->mirror[i].held[l]);
            interval_set_deinit(&n->mirror[i].seen[l]);
        }
    n->n_mirror = streams;
    for (size_t i = 0; i < streams; i++) {
        const struct spool_stream *s = spool_stream_at(n->sp, i);
        struct held_copy *m = &n->mirror[i];

        memcpy(m->origin, s->origin, sizeof m->origin);
        m->epoch = s->epoch;
        for (unsigned l = 0; l < LANE_COUNT; l++) {
            m->next[l] = s->lane[l].next;
            if (interval_set_copy(&m->held[l], &s->lane[l].held) != 0 ||
                interval_set_copy(&m->seen[l], &s->lane[l].seen) != 0)
                abort();
        }
    }
    n->mirror_account = spool_account_rows(n->sp);
    n->mirror_valid = true;
}

/* Ledger records are made by the outbox, not by the test: found by the numbers they took. */
static void find_made(struct node *n)
{
    const struct spool_stream *own = spool_own(n->sp);

    for (unsigned l = 0; l < LANE_COUNT; l++)
        for (uint64_t c = 1; c < own->lane[l].next; c++) {
            struct reading *r = oracle_reading(n->w, n->no, &own->epoch, l, c, true);

            if (r != NULL && (!r->made || r->lost))
                *r = (struct reading){.made = true, .held = true};
        }
}

void oracle_committed(struct node *n)
{
    struct world *w = n->w;

    w->result->commits++;
    for (size_t i = 0; i < n->n_pending && !w->stopped; i++) {
        if (n->role == ROLE_CLOUD)
            archived(n, &n->pending[i]);
        else
            made(n, &n->pending[i]);
    }
    oracle_drop_pending(n);
    if (n->role == ROLE_DEVICE)
        find_made(n);
    if (n->role != ROLE_CLOUD && !w->stopped)
        compare_held(n);
    mirror_take(n);
}

/* ---- lives ---- */

static const struct spool_stream *stream_like(struct node *n, const struct held_copy *m)
{
    return spool_find(n->sp, m->origin, &m->epoch);
}

void oracle_opened(struct node *n)
{
    bool same_life = n->mirror_valid && !spool_began_epoch(n->sp);

    for (size_t i = 0; n->mirror_valid && i < n->n_mirror && !n->w->stopped; i++) {
        const struct held_copy *m = &n->mirror[i];
        const struct spool_stream *s = stream_like(n, m);

        for (unsigned l = 0; l < LANE_COUNT; l++) {
            if (s == NULL ? m->held[l].n > 0 : !interval_set_equal(&s->lane[l].held, &m->held[l]))
                violate(n->w, "%s: the set of held records of %s is another after the start", n->name,
                        m->origin);
            if (same_life && (s == NULL || !interval_set_equal(&s->lane[l].seen, &m->seen[l])))
                violate(n->w, "%s: the seen set of %s is another after the start", n->name, m->origin);
            if (same_life && s != NULL && s->lane[l].next != m->next[l])
                violate(n->w, "%s: next of %s is another after the start", n->name, m->origin);
        }
    }
    if (n->mirror_valid && n->mirror_account != spool_account_rows(n->sp))
        violate(n->w, "%s: the account has other rows after the start", n->name);
    mirror_take(n);
    for (size_t i = 0; n->role == ROLE_DEVICE && i < n->n_mirror; i++)
        for (unsigned l = 0; l < LANE_COUNT; l++)
            for (size_t k = 0; k < n->mirror[i].held[l].n; k++)
                for (uint64_t c = n->mirror[i].held[l].at[k].from; c <= n->mirror[i].held[l].at[k].to; c++) {
                    struct reading *r = oracle_reading(n->w, n->no, &n->mirror[i].epoch, l, c, false);

                    if (r != NULL) { /* a copy put back may hold what had been let go */
                        r->held = true;
                        r->evicted = false;
                    }
                }
}

/* The books as they are now, for the archive's copy. */
static struct oracle *books_copy(const struct oracle *o)
{
    struct oracle *c = calloc(1, sizeof *c);

    if (c != NULL)
        c->books = calloc(o->n_books + 1, sizeof *c->books);
    if (c == NULL || c->books == NULL)
        abort();
    for (; c->n_books < o->n_books; c->n_books++) {
        struct book *to = &c->books[c->n_books];

        *to = o->books[c->n_books];
        for (unsigned l = 0; l < LANE_COUNT; l++) {
            to->at[l] = calloc(to->n[l] + 1, sizeof *to->at[l]);
            if (to->at[l] == NULL)
                abort();
            if (to->n[l] > 0)
                memcpy(to->at[l], o->books[c->n_books].at[l], to->n[l] * sizeof *to->at[l]);
        }
    }
    return c;
}

/* What was archived after the copy is not any more. */
static void archive_goes_back(struct world *w, const struct oracle *to)
{
    static const struct reading nothing;

    for (size_t i = 0; i < w->oracle.n_books; i++)
        for (unsigned l = 0; l < LANE_COUNT; l++)
            for (uint64_t c = 0; c < w->oracle.books[i].n[l]; c++) {
                struct reading *r = &w->oracle.books[i].at[l][c];
                const struct reading *was =
                    i < to->n_books && c < to->books[i].n[l] ? &to->books[i].at[l][c] : &nothing;

                r->archived = was->archived;
                r->filtered = was->filtered;
                r->evicted_archived = was->evicted_archived;
                r->merged_claimed = was->merged_claimed;
                r->aggregates = was->aggregates;
            }
}

void oracle_copied(struct node *n)
{
    struct copy_mark *c = &n->copied;

    if (n->role == ROLE_CLOUD) {
        if (n->backup != NULL)
            oracle_deinit(n->backup);
        free(n->backup);
        n->backup = books_copy(&n->w->oracle);
    }

    *c = (struct copy_mark){.there = true};
    for (size_t i = 0; i < spool_n_streams(n->sp) && c->n_books < 64; i++) {
        const struct spool_stream *s = spool_stream_at(n->sp, i);

        if (!s->own)
            continue;
        c->epoch[c->n_books] = s->epoch;
        for (unsigned l = 0; l < LANE_COUNT; l++)
            c->next[c->n_books][l] = s->lane[l].next;
        c->n_books++;
    }
}

static void lose(struct world *w, struct reading *r)
{
    r->lost = true;
    r->held = false;
    w->oracle.n_lost++;
    w->result->lost_with_spool++;
}

/* What a device made after the copy exists no more in its spool; what it had let go since is there again. */
void oracle_restored(struct node *n)
{
    struct world *w = n->w;

    oracle_mirror_forget(n);
    if (n->role == ROLE_CLOUD)
        archive_goes_back(w, n->backup);
    for (size_t i = 0; n->role == ROLE_DEVICE && i < w->oracle.n_books; i++) {
        struct book *b = &w->oracle.books[i];
        size_t k = 0;

        if (b->node != n->no)
            continue;
        while (k < n->copied.n_books && !id128_equal(&n->copied.epoch[k], &b->epoch))
            k++;
        for (unsigned l = 0; l < LANE_COUNT; l++)
            for (uint64_t c = 1; c < b->n[l]; c++)
                if (b->at[l][c].made && !b->at[l][c].lost &&
                    !(k < n->copied.n_books && c < n->copied.next[k][l]) &&
                    (k < n->copied.n_books || b->at[l][c].held || !settled(&b->at[l][c])))
                    lose(w, &b->at[l][c]);
    }
}

void oracle_store_lost(struct node *n)
{
    oracle_mirror_forget(n);
}

/* ---- the end ---- */

static void end_of_reading(struct world *w, const struct book *b, unsigned lane, uint64_t count,
                           const struct reading *r)
{
    const struct node *n = &w->node[b->node];

    /* What explains it may stand on a disk that never came back: of what the archive had and lost, too. */
    if (!r->made || r->lost || (n->dead && (r->held || r->evicted || w->archive_renewed)))
        return;
    if (!settled(r))
        violate(w, "the end: %s %u/%" PRIu64 " is neither archived nor explained%s", n->name, lane, count,
                r->evicted ? " (it was evicted)" : "");
}

struct walk {
    uint64_t rows, sum;
};

/* The archive's own rows, read back: as many as were archived, and they sum up to the readings that stand for
 * themselves. */
static void walk_table(struct world *w, struct node *cloud, unsigned table, struct walk *walk)
{
    struct db_cursor *c = NULL;
    struct db_txn *txn;
    struct span key, value;
    int rc = spool_read(cloud->sp, &txn);

    if (rc == 0)
        rc = db_cursor_new(txn, table, &c);
    if (rc == 0)
        rc = db_cursor_seek(c, span_of(NULL, 0), &key, &value);
    while (rc == 0) {
        struct spool_record r;
        uint64_t v = 0;

        if (!record_get(value, &r))
            violate(w, "a row of the archive does not read");
        else if (r.kind == FOGLINE__V1__KIND__KIND_BLOCK && !payload_value(w->arena, r.payload, &v))
            violate(w, "a block of the archive does not read");
        walk->rows++;
        walk->sum += v;
        rc = db_cursor_next(c, &key, &value);
    }
    db_cursor_free(c);
    spool_read_done(cloud->sp);
    if (rc != DB_NOT_FOUND)
        violate(w, "the archive cannot be walked: %d", rc);
}

void oracle_end(struct world *w)
{
    struct node *cloud = &w->node[w->n_nodes - 1];
    struct walk walk = {0};
    uint64_t once = 0, both = 0, expect_rows = 0;

    for (size_t i = 0; i < w->oracle.n_books && !w->stopped; i++) {
        const struct book *b = &w->oracle.books[i];
        bool device = w->node[b->node].role == ROLE_DEVICE;

        for (unsigned l = 0; l < LANE_COUNT; l++)
            for (uint64_t c = 1; c < b->n[l] && !w->stopped; c++) {
                const struct reading *r = &b->at[l][c];

                if (device)
                    end_of_reading(w, b, l, c, r);
                expect_rows += r->archived;
                if (device && (r->archived || r->aggregates > 0))
                    once += r->value;
                if (!device && r->archived && !r->sums)
                    once += r->value;
                if (device && r->archived && r->aggregates > 0)
                    both += r->value;
            }
    }
    walk_table(w, cloud, ARCHIVE_TABLE_SAMPLES, &walk);
    walk_table(w, cloud, ARCHIVE_TABLE_OTHERS, &walk);
    if (walk.rows != expect_rows)
        violate(w, "the archive has %" PRIu64 " records, %" PRIu64 " were archived", walk.rows, expect_rows);
    /* Aggregates and raw records; those in both are to be counted once. */
    if (walk.sum - both != once)
        violate(w, "the sum of the archive is %" PRIu64 ", of what was made %" PRIu64, walk.sum - both, once);
}
