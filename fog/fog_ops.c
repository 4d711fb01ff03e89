/* What the two halves of the hop ask the fog. */
#include "fog/fog_private.h"
#include "fog/stages.h"
#include "hop/archive_word.h"

#include <errno.h>
#include <inttypes.h>

/* ---- upper side: devices ---- */

static bool op_may_carry(void *ctx, const char *peer, const char *origin)
{
    (void)ctx; /* a device brings its own; that it is one of this site the gate has seen to */
    return strcmp(peer, origin) == 0;
}

static int op_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    int rc = stages_record(ctx, s, r);

    return rc == STAGE_REFUSED ? INBOX_REFUSED : rc;
}

static size_t op_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                       struct interval range, Fogline__V1__Mark **out, size_t max)
{
    struct fog *f = ctx;

    return marks_get(f->marks, s, lane, range, a, out, max);
}

/* The operator's word on the archive, for a device that does not have it. */
static size_t add_archive_word(struct fog *f, const Fogline__V1__Hello *hello, struct wire_arena *a,
                               Fogline__V1__Document **out, size_t max)
{
    uint64_t version;
    struct span packed = outbox_archive_document(lower_port_outbox(f->lower), &version);

    return hello != NULL && max > 0 && archive_word_held(hello) < version && packed.len > 0 &&
           wire_document_unpack(a, packed, out) == 0;
}

static size_t op_documents(void *ctx, struct wire_arena *a, const char *peer, const Fogline__V1__Hello *hello,
                           Fogline__V1__Document **out, size_t max)
{
    struct fog *f = ctx;
    size_t n = add_archive_word(f, hello, a, out, max);

    return n + letters_for(&f->letters, peer, hello, a, out + n, max - n);
}

static void op_forgetting(void *ctx, struct spool_stream *s)
{
    struct fog *f = ctx;

    outbox_stream_drop(lower_port_outbox(f->lower), s);
    marks_drop(f->marks, s);
    if (history_forget(f->history, s) < 0)
        fog_fail(f, -EIO, "history");
    if (covers_forget(f->covers, s) < 0)
        fog_fail(f, -EIO, "covers");
}

/* Withheld records that no ledger record names yet: forgotten, they would look lost. */
static int op_is_needed(void *ctx, struct spool_stream *s)
{
    struct fog *f = ctx;

    return covers_has_open(f->covers, s);
}

static int op_reported(void *ctx, const char *peer, struct spool_stream *s, const Fogline__V1__LaneReport *r)
{
    struct fog *f = ctx;

    if (strcmp(peer, s->origin) == 0)
        covers_reported(f->covers, s, r->lane, r->lowest_held > 0 ? r->lowest_held : r->next);
    return 0;
}

static unsigned op_weight(void *ctx, const char *node)
{
    const struct fog *f = ctx;

    return ctl_grant_weight(f->d->settings, f->d->settings->site, node);
}

struct inbox_ops fog_inbox_ops(struct fog *f)
{
    return (struct inbox_ops){.ctx = f,
                              .may_carry = op_may_carry,
                              .record = op_record,
                              .marks = op_marks,
                              .documents = op_documents,
                              .fill = fog_store_fill,
                              .weight = op_weight,
                              .is_needed = op_is_needed,
                              .reported = op_reported,
                              .forgetting = op_forgetting};
}

/* ---- lower side: the cloud ---- */

static void op_clocks(void *ctx, Fogline__V1__Clocks *ret)
{
    struct fog *f = ctx;
    int64_t error_us = 0;

    ret->wall_unix_ns = clock_wall_unix_ns(&f->d->clock);
    ret->mono_ns = (uint64_t)clock_mono_ns(&f->d->clock);
    ret->boot_id = wire_bytes(span_of(f->boot_id.bytes, ID128_BYTES));
    ret->state = (uint32_t)clock_sync_state(&error_us);
    ret->error_us = error_us < 0 || error_us > UINT32_MAX ? UINT32_MAX : (uint32_t)error_us;
}

/* What is held here of others the outbox asks about itself. */
static size_t op_asks(void *ctx, struct wire_arena *a, Fogline__V1__EpochReport **out, size_t max)
{
    struct fog *f = ctx;

    return inbox_asks(upper_port_inbox(f->upper), a, loop_now_ms(f->d->loop), out, max);
}

static size_t op_documents_held(void *ctx, struct wire_arena *a, Fogline__V1__DocumentVersion **out,
                                size_t max)
{
    struct fog *f = ctx;
    Fogline__V1__DocumentVersion *v = wire_arena_alloc(a, sizeof(*v));

    if (v == NULL || max == 0 || f->nodes.version == 0)
        return 0;
    fogline__v1__document_version__init(v);
    v->kind = (char *)"nodes";
    v->version = f->nodes.version;
    out[0] = v;
    return 1;
}

static void take_nodes(struct fog *f, const Fogline__V1__Document *d)
{
    struct errmsg err = {""};
    int r = nodes_take_document(f->d->paths.nodes_doc, d, f->trust.operator_public, f->nodes.version, &err);

    if (r == NODES_OLD)
        return;
    if (r != 0) {
        f->counter[FOG_DOCUMENTS_FORGED] += r == NODES_FORGED;
        log_error("nodes_refused", "msg=%s", log_quote(err.text));
        return;
    }
    f->counter[FOG_DOCUMENTS_TAKEN]++;
    (void)nodes_watch_changed(&f->nodes_watch, f->d->paths.nodes_doc, f->d->paths.nodes_local);
    if (fog_nodes_load(f, &err) < 0)
        log_error("nodes_refused", "msg=%s", log_quote(err.text));
}

static void op_document(void *ctx, const Fogline__V1__Document *d)
{
    struct fog *f = ctx;

    if (strcmp(d->kind, "nodes") == 0 &&
        (d->target[0] == '\0' || strcmp(d->target, f->d->settings->node) == 0)) {
        take_nodes(f, d);
    } else if (strcmp(d->target, f->d->settings->node) == 0) {
        fog_take_order(f, d);
    } else if (d->target[0] != '\0' && upper_port_find(f->upper, d->target) != NULL) {
        f->counter[FOG_DOCUMENTS_TAKEN]++;
        if (letters_put(&f->letters, d) < 0)
            log_warn("document_lost", "kind=%s target=%s msg=\"no memory; it comes again\"", d->kind,
                     d->target);
    }
}

static void op_mark(void *ctx, const Fogline__V1__MarkBody *body, const Fogline__V1__Mark *mark)
{
    struct fog *f = ctx;
    struct spool_stream *s;
    struct id128 epoch;

    if (!wire_id128(body->epoch, &epoch))
        return;
    s = spool_find(f->spool, body->origin, &epoch);
    if (s == NULL || marks_put(f->marks, body, mark) < 0)
        return; /* the device asks again */
    f->counter[FOG_MARKS_PASSED]++;
    covers_marked(f->covers, s, body);
    inbox_marks_changed(upper_port_inbox(f->upper), s, body->lane);
}

/* Devices hold what the former archive had not told them; this fog may have let its copies go on that
 * archive's word. With another store id and nothing seen but what is held, they give it again. Kept marks are
 * the former one's. */
static int op_archive_changes(void *ctx)
{
    struct fog *f = ctx;
    int r = fog_new_life(f);

    if (r != 0)
        return r;
    marks_clear(f->marks);
    log_warn("archive_changed",
             "msg=\"the operator named another archive; devices give again what they hold\"");
    return 0;
}

/* Another store id, nothing seen but what is held: the device gives the damaged record again, or those that
 * an own one stood for, with whatever else it holds. */
static int op_relay_damaged(void *ctx)
{
    struct fog *f = ctx;

    f->wants_new_life = true; /* a batch may be under way */
    log_warn("record_damaged", "msg=\"a stored record does not verify; devices give again what they hold\"");
    return 0;
}

struct outbox_ops fog_outbox_ops(struct fog *f)
{
    return (struct outbox_ops){.ctx = f,
                               .clocks = op_clocks,
                               .asks = op_asks,
                               .documents_held = op_documents_held,
                               .document = op_document,
                               .mark = op_mark,
                               .archive_changes = op_archive_changes,
                               .relay_damaged = op_relay_damaged,
                               .allowed = fog_link_allowed,
                               .moved = fog_link_moved};
}
