/* What the cloud says to covers: taken, or not. */
#include "base/cleanup.h"
#include "fog/covers_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t place_of(const struct covers *c, const char *origin)
{
    size_t low = 0, high = c->n_refused;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(c->refused[mid], origin) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool covers_is_refused(const struct covers *c, const char *origin)
{
    size_t i = place_of(c, origin);

    return i < c->n_refused && strcmp(c->refused[i], origin) == 0;
}

int covers_refuse(struct covers *c, const char *origin)
{
    size_t i = place_of(c, origin);

    if (covers_is_refused(c, origin))
        return 0;
    if (c->n_refused == c->alloc_refused) {
        size_t n = c->alloc_refused == 0 ? 16 : 2 * c->alloc_refused;
        char(*at)[SPOOL_NAME_BYTES] = reallocarray(c->refused, n, sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        c->refused = at;
        c->alloc_refused = n;
    }
    memmove(&c->refused[i + 1], &c->refused[i], (c->n_refused - i) * sizeof c->refused[0]);
    snprintf(c->refused[i], sizeof c->refused[i], "%s", origin);
    c->n_refused++;
    return 0;
}

void covers_unrefuse(struct covers *c, const char *origin)
{
    size_t i = place_of(c, origin);

    if (!covers_is_refused(c, origin))
        return;
    memmove(&c->refused[i], &c->refused[i + 1], (c->n_refused - i - 1) * sizeof c->refused[0]);
    c->n_refused--;
}

void covers_marks_drop(struct covers *c, const struct spool_stream *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < c->n_marks; i++) {
        if (s != NULL && c->marks[i].stream != s->no)
            c->marks[n++] = c->marks[i];
        else
            interval_set_deinit(&c->marks[i].settled);
    }
    c->n_marks = n;
}

/* One that is left out comes again: the device asks until it is settled. */
static bool has_use(const struct covers *c, unsigned lane)
{
    return c->rows[COVERS_STATE_SAID] > 0 && c->n_marks < COVERS_MARKS_MAX && lane < SPOOL_LANES;
}

static void remember(struct covers *c, struct covers_mark *m)
{
    struct spool_stream *own = spool_own(c->options.spool);

    for (unsigned lane = 0; lane < SPOOL_LANES; lane++) {
        const struct interval_set *held = &own->lane[lane].held;

        m->own_from[lane] = held->n > 0 ? held->at[0].from : own->lane[lane].next;
        if (m->is_poll && !c->is_link_open) /* no silence of the cloud's */
            m->own_from[lane] = 0;
    }
    c->marks[c->n_marks++] = *m;
}

void covers_marked(struct covers *c, const struct spool_stream *s, const Fogline__V1__MarkBody *mark)
{
    struct covers_mark m = {.stream = s->no, .lane = mark->lane, .range = {mark->from, mark->to}};

    if (!has_use(c, mark->lane))
        return;
    if (wire_bounds_add_to(&m.settled, mark->archived, mark->n_archived) != 0 ||
        wire_bounds_add_to(&m.settled, mark->explained, mark->n_explained) != 0) {
        interval_set_deinit(&m.settled);
        return;
    }
    remember(c, &m);
}

void covers_reported(struct covers *c, const struct spool_stream *s, unsigned lane, uint64_t lowest_held)
{
    struct covers_mark m = {.stream = s->no, .lane = lane, .range = {1, UINT64_MAX - 1}, .is_poll = true};

    if (has_use(c, lane) && (lowest_held <= 1 || interval_set_add(&m.settled, 1, lowest_held - 1) == 0))
        remember(c, &m);
}

/* The cloud had it when this came. */
static bool had(const struct covers_mark *m, uint64_t own_seq)
{
    unsigned lane = seq_lane(own_seq);

    return lane < SPOOL_LANES && seq_count(own_seq) < m->own_from[lane];
}

/* So what it says, or does not say, of the row's numbers is its answer. */
static bool is_answered(const struct covers_mark *m, const struct covers_row *r)
{
    for (size_t i = 0; i < r->n_needs; i++)
        if (!had(m, r->needs[i]))
            return false;
    return had(m, r->ledger);
}

/* What the row's count of asking becomes. */
static uint32_t asked_after(const struct covers_mark *m, const struct covers_row *r, uint64_t left_in_range)
{
    if (covers_row_is_refused(r) || left_in_range == 0 || !is_answered(m, r))
        return r->asked;
    return m->is_poll ? r->asked + 1 : COVERS_ASKED_MAX;
}

static int judge(struct covers *c, const struct covers_mark *m, const struct covers_row *r)
{
    owned(interval_set_deinit) struct interval_set rest = {0};
    struct spool_stream *s = covers_stream(c, r->stream);
    uint64_t all = r->last - r->first + 1, left;
    struct covers_row piece = *r;
    int rc = interval_set_add(&rest, r->first, r->last);

    if (rc == 0)
        rc = interval_set_subtract(&rest, &m->settled);
    if (rc != 0)
        return rc;
    left = interval_set_count(&rest);
    piece.asked = asked_after(m, r, interval_set_count_in(&rest, m->range.from, m->range.to));
    if (left == all && piece.asked == r->asked)
        return 0;
    if (left < all && !m->is_poll) {
        c->counters[COVERS_SETTLED] += all - left;
        if (s != NULL)
            covers_unrefuse(c, s->origin);
    }
    rc = covers_row_delete(c, r);
    for (size_t i = 0; rc == 0 && i < rest.n; i++) {
        piece.first = rest.at[i].from;
        piece.last = rest.at[i].to;
        piece.samples = (uint64_t)((double)r->samples * (double)(piece.last - piece.first + 1) / (double)all);
        rc = covers_row_write(c, &piece);
    }
    if (rc == 0 && s != NULL && covers_row_is_refused(&piece) && !covers_row_is_refused(r)) {
        c->counters[COVERS_REFUSED] += left;
        rc = covers_refuse(c, s->origin);
    }
    return rc;
}

static int apply_mark(struct covers *c, const struct covers_mark *m)
{
    struct covers_row at = {.state = COVERS_STATE_SAID, .stream = m->stream, .lane = m->lane}, row;
    int rc;

    while ((rc = covers_row_next(c, &at, &row)) == 0 && row.stream == m->stream && row.lane == m->lane) {
        if (row.first <= m->range.to && row.last >= m->range.from)
            rc = judge(c, m, &row);
        if (rc != 0)
            return rc;
        at.reason = row.reason;
        at.first = row.last + 1;
    }
    return rc == DB_NOT_FOUND ? 0 : rc;
}

int covers_apply_marks(struct covers *c, int64_t now_ms)
{
    uint64_t refused = c->refused_seqs;
    int rc = 0;

    if (c->n_marks == 0)
        return 0;
    for (unsigned i = 0; rc == 0 && i < c->n_marks; i++)
        rc = apply_mark(c, &c->marks[i]);
    if (rc == 0)
        covers_marks_drop(c, NULL);
    if (refused == 0 && c->refused_seqs > 0)
        c->again_at_ms = now_ms + c->again_after_ms;
    else if (c->refused_seqs == 0 && c->n_refused == 0)
        c->again_after_ms = COVERS_AGAIN_FIRST_MS;
    return rc;
}

int covers_say_again(struct covers *c, int64_t now_ms)
{
    struct covers_row at = {.state = COVERS_STATE_SAID}, row;
    int rc = 0;

    if (c->refused_seqs == 0 || now_ms < c->again_at_ms)
        return 0;
    while (rc == 0 && (rc = covers_row_next(c, &at, &row)) == 0) {
        at = row;
        at.first = row.last + 1;
        if (!covers_row_is_refused(&row))
            continue;
        rc = covers_row_delete(c, &row);
        c->counters[COVERS_SAID_AGAIN] += row.last - row.first + 1;
        row.state = COVERS_STATE_COVERED;
        row.asked = 0;
        row.ledger = 0;
        covers_needs_prune(c, &row);
        if (rc == 0)
            rc = covers_row_join(c, &row);
    }
    c->again_after_ms *= 2;
    if (c->again_after_ms > COVERS_AGAIN_MOST_MS)
        c->again_after_ms = COVERS_AGAIN_MOST_MS;
    c->again_at_ms = now_ms + c->again_after_ms;
    return rc == DB_NOT_FOUND ? 0 : rc;
}
