/* A peer says who it is, what it has made and what it holds. */
#include "hop/inbox_private.h"

#include <errno.h>
#include <stdio.h>

static size_t streams_of(const struct inbox *ib, const char *origin)
{
    size_t n = 0;

    for (size_t i = 0; i < spool_n_streams(ib->spool); i++)
        n += strcmp(spool_stream_at(ib->spool, i)->origin, origin) == 0;
    return n;
}

int inbox_stream_make(struct inbox *ib, const char *origin, const struct id128 *epoch,
                      struct spool_stream **ret_s)
{
    size_t max = ib->is_archive ? HOP_STREAMS_ARCHIVE_MAX : HOP_STREAMS_MAX;

    *ret_s = spool_find(ib->spool, origin, epoch);
    if (*ret_s != NULL)
        return 0;
    return streams_of(ib, origin) >= max ? SPOOL_LIMIT : spool_stream_make(ib->spool, origin, epoch, ret_s);
}

static bool listed(const struct peer *p, const struct id128 *epoch)
{
    for (size_t i = 0; i < p->n_listed; i++)
        if (id128_equal(&p->listed[i], epoch))
            return true;
    return false;
}

/* Nothing points to the stream any more. */
static void drop_pointers(struct inbox *ib, const struct spool_stream *s)
{
    for (size_t k = 0; k < ib->n_peers; k++) {
        struct peer *q = ib->peers[k];
        size_t kept = 0;

        for (size_t d = 0; d < q->n_dirty; d++)
            if (q->dirty[d].stream != s)
                q->dirty[kept++] = q->dirty[d];
        q->n_dirty = kept;
        kept = 0;
        for (size_t t = 0; t < q->n_touched; t++) {
            struct stream_in *si = q->touched[t].stream->upper_state;
            unsigned lane = q->touched[t].lane;

            if (q->touched[t].stream == s)
                continue;
            q->touched[kept++] = q->touched[t];
            if (si != NULL && si->touch_peer[lane] == q)
                si->touch[lane] = kept;
        }
        q->n_touched = kept;
    }
}

int inbox_forget(struct inbox *ib, struct spool_stream *s)
{
    int rc = ib->options.ops.is_needed != NULL ? ib->options.ops.is_needed(ib->options.ops.ctx, s) : 0;

    if (rc != 0)
        return rc < 0 ? rc : -EBUSY;
    rc = spool_stream_forget(ib->spool, s); /* it stays readable until the commit */
    if (rc != 0)
        return rc;
    drop_pointers(ib, s);
    if (ib->options.ops.forgetting != NULL)
        ib->options.ops.forgetting(ib->options.ops.ctx, s);
    free(s->upper_state);
    s->upper_state = NULL;
    return 0;
}

/* Has the session now spoken for the stream been silent about it for long? One Hello is not enough: it may be
 * of a former life whose session number was further on, come late; the owner overtakes it with its next Hello
 * and lists its epoch again. */
static bool long_unlisted(struct spool_stream *s, const struct peer *p, int64_t now_ms)
{
    struct stream_in *si;

    if (inbox_stream_in(s, &si) != 0)
        return false;
    if (si->unlisted_session != p->session) {
        si->unlisted_session = p->session;
        si->unlisted_since_ms = now_ms;
    }
    return now_ms - si->unlisted_since_ms >= HOP_FORGET_MS;
}

/* A stream not listed by its owner for long and not held here is of no more use: nothing of it can come again
 * in this session, and an older session is not heard. One with rows on the account waits until they are in a
 * ledger record. */
static int forget_unlisted(struct inbox *ib, const struct peer *p, int64_t now_ms)
{
    for (size_t i = spool_n_streams(ib->spool); i-- > 0;) {
        struct spool_stream *s = spool_stream_at(ib->spool, i);
        struct stream_in *si = s->upper_state;
        int rc;

        if (s->own || strcmp(s->origin, p->node) != 0)
            continue;
        if (listed(p, &s->epoch)) {
            if (si != NULL)
                si->unlisted_session = 0;
            continue;
        }
        if (!long_unlisted(s, p, now_ms) || s->lane[0].held.n > 0 || s->lane[1].held.n > 0)
            continue;
        rc = inbox_forget(ib, s);
        if (rc != 0 && rc != -EBUSY)
            return rc;
    }
    return 0;
}

static int take_lane_report(struct inbox *ib, struct peer *p, struct spool_stream *s,
                            const Fogline__V1__LaneReport *r)
{
    struct stream_in *si;
    int rc = inbox_stream_in(s, &si);

    if (rc != 0)
        return rc;
    if (strcmp(s->origin, p->node) == 0 || si->carrier[r->lane] == NULL || r->next > 0) {
        si->carrier[r->lane] = p;
        si->asked_from[r->lane] = r->lowest_held;
        si->floor[r->lane] = r->lowest_held > 0 ? r->lowest_held : r->next;
    }
    return ib->options.ops.reported != NULL ? ib->options.ops.reported(ib->options.ops.ctx, p->node, s, r)
                                            : 0;
}

/* One epoch a peer speaks of, its own or (asked) another's. *ret_s NULL: not taken. */
static int take_report(struct inbox *ib, struct peer *p, const char *origin,
                       const Fogline__V1__EpochReport *e)
{
    struct spool_stream *s;
    struct id128 epoch;
    int rc = 0;

    if (!wire_id128(e->epoch, &epoch))
        return 0;
    rc = inbox_stream_make(ib, origin, &epoch, &s);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (s->own)
        return 0;
    for (size_t l = 0; rc == 0 && l < e->n_lanes; l++)
        rc = take_lane_report(ib, p, s, e->lanes[l]);
    return rc;
}

static void remember(struct peer *p, const Fogline__V1__Hello *h, struct span raw)
{
    snprintf(p->role, sizeof p->role, "%s", h->role);
    snprintf(p->software, sizeof p->software, "%s", h->software);
    p->backlog_waiting_bytes = h->waiting_backlog_bytes;
    p->fill = h->fill;
    p->n_listed = 0;
    for (size_t i = 0; i < h->n_epochs && p->n_listed < WIRE_EPOCHS_MAX; i++)
        if (wire_id128(h->epochs[i]->epoch, &p->listed[p->n_listed]))
            p->n_listed++;
    buf_reset(&p->hello);
    if (raw.len <= INBOX_HELLO_KEPT_BYTES)
        buf_append(&p->hello, raw.data, raw.len);
    if (p->hello.error != 0)
        buf_reset(&p->hello);
}

/* The session outlives this process: a Hello of an older one that was under way meanwhile would have epochs
 * forgotten whose records are in a window here, and they would be folded again. Names may be too long for a
 * fact, so it is named by a digest and holds the name. Only where epochs are forgotten. */
static void session_fact(const struct peer *p, char out[SESSION_FACT_BYTES])
{
    snprintf(out, SESSION_FACT_BYTES, "session/%016llx",
             (unsigned long long)wire_descriptor_set_id(span_str(p->node)));
}

int inbox_load_session(struct inbox *ib, struct peer *p)
{
    owned(buf_deinit) struct buf value = {0};
    char name[SESSION_FACT_BYTES];
    int rc;

    if (!ib->options.forget_epochs)
        return 0;
    session_fact(p, name);
    rc = spool_fact_get(ib->spool, name, &value);
    if (rc == 0 && value.len == 8 + strlen(p->node) && memcmp(value.data + 8, p->node, value.len - 8) == 0)
        p->session = p->session_saved = load_le64(value.data);
    return rc < 0 ? rc : 0;
}

static int save_session(struct inbox *ib, struct peer *p)
{
    owned(buf_deinit) struct buf value = {0};
    char name[SESSION_FACT_BYTES];
    int rc;

    if (!ib->options.forget_epochs || p->session == p->session_saved)
        return 0;
    session_fact(p, name);
    buf_le64(&value, p->session);
    buf_append(&value, p->node, strlen(p->node));
    rc = value.error != 0 ? value.error : spool_fact_put(ib->spool, name, span_of(value.data, value.len));
    if (rc == 0)
        p->session_saved = p->session;
    return rc;
}

int inbox_take_hello(struct inbox *ib, struct peer *p, const Fogline__V1__Up *up, struct span raw,
                     int64_t now_ms)
{
    const Fogline__V1__Hello *h = up->hello;
    int rc = 0;

    if (h->version_min > HOP_VERSION || h->version_max < HOP_VERSION) {
        ib->counter[INBOX_MALFORMED]++;
        return 0;
    }
    if (h->session < p->session && inbox_rule(ib, HOP_RULE_SESSION)) {
        ib->counter[INBOX_DROPPED_SESSION]++;
        inbox_answer(ib, p,
                     false); /* it says which session is known, so that a restored peer can jump past it */
        return 0;
    }
    ib->counter[INBOX_HELLOS]++;
    if (!p->has_session || h->session > p->session) {
        p->round_bytes = 0;
        p->stamp = 0;
        p->backlog_taken_bytes = p->backlog_window_ms = p->turnaround_us = 0;
        p->pace_from_ms = p->paced_ms = now_ms;
    }
    if (h->stamp > p->stamp)
        p->stamp = h->stamp;
    p->session = h->session;
    p->has_session = true;
    rc = save_session(ib, p);
    if (rc != 0)
        return rc;
    remember(p, h, raw);
    if (ib->options.ops.hello != NULL)
        ib->options.ops.hello(ib->options.ops.ctx, p->node, h);
    for (size_t i = 0; rc == 0 && i < h->n_epochs; i++)
        if (h->epochs[i]->origin[0] == '\0' || strcmp(h->epochs[i]->origin, p->node) == 0)
            rc = take_report(ib, p, p->node, h->epochs[i]);
    for (size_t i = 0; rc == 0 && i < h->n_asks; i++) {
        const char *origin = h->asks[i]->origin;

        if (origin[0] == '\0' || !ib->options.ops.may_carry(ib->options.ops.ctx, p->node, origin))
            ib->counter[INBOX_DROPPED_CARRY]++;
        else
            rc = take_report(ib, p, origin, h->asks[i]);
    }
    if (rc == 0 && ib->options.forget_epochs)
        rc = forget_unlisted(ib, p, now_ms);
    if (rc == 0)
        inbox_answer(ib, p, true);
    return rc;
}
