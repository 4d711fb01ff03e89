/* why: what each stage did with a record, as far as this fog's store still tells. */
#include "archive/ctl_reading.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/numfmt.h"
#include "ctl/record_text.h"
#include "ctl/store_walk.h"
#include "fog/covers_walk.h"
#include "fog/fog_config.h"
#include "fog/fog_ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum { SAYS_CHARS = 400, STEPS_MAX = 64, FOUND = 1 };

struct step {
    const char *stage;
    char says[SAYS_CHARS];
};

struct why {
    struct ctl *ctl;
    struct reading reading;
    struct walk_streams streams;
    const struct walk_stream *stream;
    const struct walk_stream *own; /* of the present epoch: the one made last */
    unsigned lane;
    uint64_t count;
    uint32_t flags;
    bool is_seen, is_held, is_block;
    const struct view_set *set; /* of a block that is in the history */
    struct step steps[STEPS_MAX];
    unsigned n_steps;
};

static void why_deinit(struct why *w)
{
    walk_streams_deinit(&w->streams);
    reading_close(&w->reading);
}

static void say(struct why *w, const char *stage, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(struct why *w, const char *stage, const char *fmt, ...)
{
    va_list ap;

    if (w->n_steps == STEPS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(w->steps[w->n_steps].says, SAYS_CHARS, fmt, ap);
    va_end(ap);
    w->steps[w->n_steps++].stage = stage;
}

/* ---- inbox ---- */

/* The interval of the lane's seen set that holds the number. */
static int look_seen(struct why *w)
{
    struct db_cursor *c = NULL;
    struct row_key from = {.len = 0};
    struct span key, value;
    struct db_txn *txn;
    int r = db_begin(w->reading.db, false, &txn);

    if (r != 0)
        return r > 0 ? -EIO : r;
    prefix_put(&from, w->stream->no);
    from.bytes[from.len++] = (uint8_t)w->lane;
    r = db_cursor_new(txn, SPOOL_TABLE_SEEN, &c);
    if (r == 0)
        for (r = db_cursor_seek(c, row_key_span(&from), &key, &value);
             (r == 0 || r == DB_DAMAGED) && key_begins(key, &from); r = db_cursor_next(c, &key, &value)) {
            uint64_t first = key.len == from.len + 8 ? load_be64((const uint8_t *)key.data + from.len) : 0;

            if (r == 0 && value.len >= 8 && first > 0 && w->count >= first &&
                w->count <= load_le64(value.data))
                w->is_seen = true;
        }
    db_cursor_free(c);
    db_abort(txn);
    return r < 0 ? r : 0;
}

/* ---- store ---- */

static int on_block(void *ctx, const struct view_block *b)
{
    struct why *w = ctx;
    char time[48];

    if (b->key.seq != seq_make(w->lane, w->count) || !id128_equal(&b->epoch, &w->stream->epoch))
        return 0;
    w->set = b->set;
    w->is_block = true;
    say(w, "store", "in the history: a block of %s, %" PRIu32 " rows from %s on, %" PRIu32 " samples",
        b->set->group != NULL ? b->set->group : "unknown channels", b->head.rows,
        clock_format_utc(b->key.time_first_ns, time), b->head.samples);
    return FOUND;
}

static int on_other(void *ctx, const struct view_other *o)
{
    struct why *w = ctx;
    char summary[SAYS_CHARS / 2];
    struct record r = {.origin = w->stream->origin,
                       .epoch = o->epoch,
                       .seq = o->key.seq,
                       .kind = o->key.kind,
                       .payload = o->record.payload};

    if (o->key.seq != seq_make(w->lane, w->count) || !id128_equal(&o->epoch, &w->stream->epoch))
        return 0;
    record_summary(&r, summary, sizeof summary);
    say(w, "store", "in the history: %s: %s", record_kind_name(o->key.kind), summary);
    return FOUND;
}

static int look_history(struct why *w)
{
    static const struct view_range all = {INT64_MIN, INT64_MAX};
    const struct view_device *d = view_find_device(w->reading.view, w->stream->origin);
    int r = 0;

    for (size_t i = 0; d != NULL && r == 0 && i < d->n_sets; i++)
        r = view_scan(w->reading.view, &d->sets[i], &all, on_block, w);
    if (d != NULL && r == 0)
        r = view_others(w->reading.view, d, 0, on_other, w);
    if (r == 0)
        say(w, "store", "not in the history: it never was, or has gone for age or room");
    return r < 0 ? r : 0;
}

/* ---- uplink ---- */

/* Of each channel, by the list as it is now. */
static void look_uplink(struct why *w)
{
    const struct fog_config *config = w->ctl->values;

    if (!w->is_block || w->set == NULL || w->set->n_channels == 0)
        return;
    for (uint32_t i = 0; i < w->set->n_channels && i < STEPS_MAX / 4; i++) {
        const struct view_channel *c = &w->set->channels[i];
        const struct uplink_config *u =
            uplink_rule_of(&config->uplink, w->set->device->site, w->set->device->name, c->name, c->tags);

        if (u == NULL)
            say(w, "uplink", "%s: raw, no pattern fits", c->name);
        else
            say(w, "uplink", "%s: %s, by %s", c->name, uplink_way_names[u->send], u->select);
    }
}

/* ---- relay ---- */

static int on_held(void *ctx, const struct walk_stream *s, const struct walk_record *r)
{
    struct why *w = ctx;

    (void)s;
    w->is_held = seq_count(r->record.seq) == w->count;
    if (w->is_held)
        say(w, "relay", "held for the cloud as it came, %zu bytes%s%s", r->record.payload.len,
            (r->record.flags & RECORD_FLAG_AGAIN) != 0 ? ", flagged again: another fog may have it" : "",
            r->damaged ? ", damaged" : "");
    return FOUND;
}

static int look_held(struct why *w)
{
    int r = walk_records(w->reading.db, w->stream, w->lane, w->count, 0, on_held, w);

    return r < 0 ? r : 0;
}

/* ---- the cover account ---- */

static int on_own(void *ctx, const struct walk_stream *s, const struct walk_record *r)
{
    uint64_t *count = ctx;

    (void)s;
    *count = seq_count(r->record.seq);
    return FOUND;
}

static bool own_is_held(struct why *w, uint64_t seq)
{
    uint64_t count = 0;

    return w->own != NULL &&
           walk_records(w->reading.db, w->own, seq_lane(seq), seq_count(seq), 0, on_own, &count) == FOUND &&
           count == seq_count(seq);
}

static void name_own(struct why *w, const char *what, uint64_t seq)
{
    say(w, "cover", "%s: own record %" PRIu64 " of lane %u, %s", what, seq_count(seq), seq_lane(seq),
        own_is_held(w, seq) ? "which the cloud has not confirmed" : "which the cloud has");
}

static int on_cover(void *ctx, const struct covers_row *row)
{
    enum { NEEDS_NAMED = 8 };
    struct why *w = ctx;

    if (row->state == COVERS_STATE_WAITING)
        say(w, "cover", "withheld; %" PRIu32 " parts of what stands for it are still to be made", row->parts);
    else if (row->state == COVERS_STATE_COVERED)
        say(w, "cover", "withheld; all that stands for it is made, and the ledger tells it soon");
    else
        say(w, "cover", "withheld, and told to the cloud%s",
            row->asked >= COVERS_ASKED_MAX
                ? ", which does not count it: its reduce_sites does not name this site"
                : "");
    for (size_t i = 0; i < row->n_needs && i < NEEDS_NAMED; i++)
        name_own(w, "it stands in", row->needs[i]);
    if (row->state == COVERS_STATE_SAID)
        name_own(w, "told in", row->ledger);
    return FOUND;
}

static void conclude(struct why *w, bool is_withheld)
{
    if (w->is_held)
        say(w, "fate", "goes up as it came, or has: it is held until the cloud has archived it");
    else if (is_withheld)
        say(w, "fate", "stays here; its device holds it until the cloud has confirmed what stands for it");
    else if (w->is_seen)
        say(w, "fate", "done: it is archived, or explained in the ledger; `cloudctl gaps` tells which");
    else
        say(w, "fate", "not seen by this fog in its present life: its device may hold it, or another fog");
}

/* ---- the command ---- */

static int print(const struct why *w)
{
    owned(json_freep) struct json *j = NULL;
    char epoch[ID128_HEX_CHARS + 1];
    int code;

    id128_hex(&w->stream->epoch, epoch);
    if (!w->ctl->json) {
        fprintf(w->ctl->out, "%s, epoch %s, lane %u, number %" PRIu64 "\n", w->stream->origin, epoch, w->lane,
                w->count);
        for (unsigned i = 0; i < w->n_steps; i++)
            fprintf(w->ctl->out, "%-8s %s\n", w->steps[i].stage, w->steps[i].says);
        return CTL_OK;
    }
    code = ctl_json(w->ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "device", w->stream->origin);
    json_kstr(j, "epoch", epoch);
    json_ku64(j, "lane", w->lane);
    json_ku64(j, "seq", w->count);
    json_kbool(j, "seen", w->is_seen);
    json_kbool(j, "held", w->is_held);
    json_key(j, "steps");
    json_array(j);
    for (unsigned i = 0; i < w->n_steps; i++) {
        json_object(j);
        json_kstr(j, "stage", w->steps[i].stage);
        json_kstr(j, "what", w->steps[i].says);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(w->ctl, j);
}

/* The newest epoch that knows the number; without one the newest that fits. */
static int choose_stream(struct why *w, const struct walk_filter *f)
{
    const struct walk_stream *newest = NULL;
    int r = 0;

    for (size_t i = 0; i < w->streams.n; i++)
        if (w->streams.at[i].own)
            w->own = &w->streams.at[i];
    for (size_t i = w->streams.n; i-- > 0 && r == 0 && !w->is_seen;) {
        const struct walk_stream *s = &w->streams.at[i];

        if (!walk_filter_stream(f, s))
            continue;
        newest = newest == NULL ? s : newest;
        w->stream = s;
        r = look_seen(w);
        w->is_seen |= s->own && w->count < s->lane[w->lane].next;
    }
    if (!w->is_seen)
        w->stream = newest;
    return r;
}

static int look(struct why *w)
{
    bool is_withheld;
    int r;

    if (w->stream->own)
        say(w, "made", "%s", w->is_seen ? "by this fog" : "not yet: this fog has not come to this number");
    else
        say(w, "inbox", "%s", w->is_seen ? "taken" : "not taken in the present life of this store");
    r = look_history(w);
    look_uplink(w);
    if (r == 0)
        r = look_held(w);
    if (r < 0)
        return r;
    r = covers_find(w->reading.db, w->stream->no, w->lane, w->count, on_cover, w);
    is_withheld = r == FOUND;
    conclude(w, is_withheld);
    return r < 0 ? r : 0;
}

int verb_why(struct ctl *ctl)
{
    owned(why_deinit) struct why w = {.ctl = ctl};
    struct walk_filter filter = {.origin = ctl->args[0], .epoch = ctl_option(ctl, "epoch"), .lane = -1};
    int64_t count = 0, lane;
    int code = ctl_option_i64(ctl, "lane", 0, SPOOL_LANES - 1, 0, &lane), r;

    if (code == CTL_OK && (!numfmt_parse_i64(ctl->args[1], strlen(ctl->args[1]), &count) || count < 1))
        code = ctl_fail(ctl, CTL_USAGE, "`%s` is no sequence number; `%s store ls` lists them", ctl->args[1],
                        ctl->tier->cli);
    if (code == CTL_OK)
        code = reading_open(ctl, &w.reading);
    if (code != CTL_OK)
        return code;
    w.lane = (unsigned)lane;
    w.count = (uint64_t)count;
    r = walk_streams_read(w.reading.db, &w.streams);
    if (r == 0)
        r = choose_stream(&w, &filter);
    if (r == 0 && w.stream == NULL)
        return ctl_fail(ctl, CTL_NOT_FOUND, "nothing of %s is here; `%s report devices` lists who was",
                        ctl->args[0], ctl->tier->cli);
    if (r == 0)
        r = look(&w);
    return reading_verdict(ctl, &w.reading, r < 0 ? reading_failed(ctl, r) : print(&w));
}
