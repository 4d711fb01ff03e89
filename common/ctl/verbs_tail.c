/* The verb `tail`: what is in the store now and then, and what the daemon shows while it passes. */
#include "ctl/verbs_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/interval.h"
#include "base/name.h"
#include "ctl/record_text.h"
#include "ctl/tap.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

enum { TAIL_POLL_MS = 200, TAIL_ARENA_BYTES = 2 * 1024 * 1024, SUMMARY_CHARS = 200, WALK_ENOUGH = 1 };

int verb_read_filter(const struct ctl *ctl, struct walk_filter *ret_f)
{
    struct walk_filter f = {
        .origin = ctl_option(ctl, "origin"), .epoch = ctl_option(ctl, "epoch"), .lane = -1};
    const char *kind = ctl_option(ctl, "kind");
    int64_t lane;
    int code = ctl_option_i64(ctl, "lane", 0, SPOOL_LANES - 1, -1, &lane);

    if (code != CTL_OK)
        return code;
    f.lane = (int)lane;
    if (kind != NULL && !record_kind_parse(kind, &f.kind))
        return ctl_fail(ctl, CTL_USAGE,
                        "--kind: `%s` is none of descriptor, block, event, health, ledger, reply", kind);
    *ret_f = f;
    return CTL_OK;
}

int verb_show_record(struct ctl *ctl, struct walk_descriptors *d, const struct walk_record *r,
                     unsigned max_rows, bool lines)
{
    owned(json_freep) struct json *j = NULL;
    struct record_view v = {&r->record, walk_descriptors_find, d, max_rows};
    int rc;

    if (r->damaged)
        return ctl_fail(ctl, CTL_DAMAGED, "record %u/%" PRIu64 " of %s is damaged", seq_lane(r->record.seq),
                        seq_count(r->record.seq), r->record.origin);
    if (!ctl->json) {
        rc = record_text(&v, ctl->out);
    } else {
        if (ctl_json(ctl, lines, &j) != CTL_OK)
            return CTL_FAILED;
        rc = record_json(&v, j);
        int end = json_end(j);
        rc = end < 0 ? end : rc;
    }
    if (rc < 0)
        return ctl_fail(ctl, CTL_FAILED, "cannot show the record: %s", strerror(-rc));
    return rc == RECORD_TEXT_DAMAGED ? ctl_fail(ctl, CTL_DAMAGED, "its payload does not decode") : CTL_OK;
}

/* What of a stream was shown: store and daemon both tell of a record, in any order. Kept by name, because a
 * stream's number may be given again. */
struct tail_place {
    char origin[SPOOL_NAME_BYTES];
    struct id128 epoch;
    struct interval_set shown[SPOOL_LANES];
};

struct tail {
    struct ctl *ctl;
    const struct walk_filter *filter;
    const char *pattern; /* NULL: all */
    struct wire_arena *arena;
    struct walk_streams streams;
    struct walk_descriptors descriptors;
    struct tail_place *at;
    size_t n;
    int64_t left;
};

static struct tail_place *tail_place_of(struct tail *t, const char *origin, const struct id128 *epoch)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->at[i].origin, origin) == 0 && id128_equal(&t->at[i].epoch, epoch))
            return &t->at[i];
    struct tail_place *at = realloc(t->at, (t->n + 1) * sizeof(*at));
    if (at == NULL)
        return NULL;
    t->at = at;
    at[t->n] = (struct tail_place){.epoch = *epoch};
    snprintf(at[t->n].origin, sizeof(at[t->n].origin), "%s", origin);
    return &at[t->n++];
}

static int tail_print(struct tail *t, const struct walk_record *r)
{
    char summary[SUMMARY_CHARS];
    int code = CTL_OK;

    if (ctl_option(t->ctl, "full") != NULL || t->ctl->json) {
        code = verb_show_record(t->ctl, &t->descriptors, r, 0, true);
    } else {
        record_summary(&r->record, summary, sizeof(summary));
        fprintf(t->ctl->out, "%s %u/%" PRIu64 " %s %" PRIu32 " samples: %s\n", r->record.origin,
                seq_lane(r->record.seq), seq_count(r->record.seq), record_kind_name(r->record.kind),
                r->record.samples, summary);
    }
    if (fflush(t->ctl->out) != 0)
        return -EPIPE;
    return code == CTL_FAILED ? -EIO : 0;
}

static bool set_has(struct tail *t, const char *origin, struct span packed)
{
    Fogline__V1__DescriptorSet *set;

    if (wire_descriptor_set_unpack(t->arena, packed, &set) != 0)
        return false;
    for (size_t i = 0; i < set->n_channels; i++) {
        const Fogline__V1__Descriptor *c = set->channels[i];
        const char *tags[WIRE_TAGS_MAX + 1] = {NULL};

        for (size_t k = 0; k < c->n_tags && k < WIRE_TAGS_MAX; k++)
            tags[k] = c->tags[k];
        if (pattern_match(t->pattern, t->ctl->settings->site, origin, c->name, tags))
            return true;
    }
    return false;
}

/* Of a block the channels count; what has none matches a pattern that takes any. */
static bool tail_selects(struct tail *t, const struct record *r)
{
    Fogline__V1__Block *block;
    struct span packed;

    if (t->pattern == NULL || pattern_match(t->pattern, t->ctl->settings->site, r->origin, "", NULL))
        return true;
    wire_arena_reset(t->arena);
    if (r->kind == FOGLINE__V1__KIND__KIND_DESCRIPTOR)
        return set_has(t, r->origin, r->payload);
    return r->kind == FOGLINE__V1__KIND__KIND_BLOCK && wire_block_unpack(t->arena, r->payload, &block) == 0 &&
           walk_descriptors_find(&t->descriptors, r, block->set_id, &packed) && set_has(t, r->origin, packed);
}

static int tail_take(struct tail *t, const struct walk_record *r)
{
    struct tail_place *p = tail_place_of(t, r->record.origin, &r->record.epoch);
    unsigned lane = seq_lane(r->record.seq);
    uint64_t count = seq_count(r->record.seq);

    if (p == NULL)
        return -ENOMEM;
    if (lane >= SPOOL_LANES || interval_set_has(&p->shown[lane], count))
        return 0;
    if (interval_set_add(&p->shown[lane], count, count) < 0)
        return -ENOMEM;
    if (r->damaged || (t->filter->kind != 0 && t->filter->kind != r->record.kind))
        return 0;
    if (r->record.kind == FOGLINE__V1__KIND__KIND_DESCRIPTOR &&
        walk_descriptors_add(&t->descriptors, &r->record) < 0)
        return -ENOMEM;
    if (!tail_selects(t, &r->record))
        return 0;
    if (t->left == 0)
        return WALK_ENOUGH;
    t->left--;
    return tail_print(t, r);
}

static int tail_one(void *ctx, const struct walk_stream *s, const struct walk_record *r)
{
    (void)s;
    return tail_take(ctx, r);
}

/* `skip`: only notes what is there. Else shows what lies above all that was shown; what comes in below that,
 * the tap shows. */
static int tail_lane(struct tail *t, struct db *db, const struct walk_stream *s, unsigned lane, bool skip)
{
    struct tail_place *p = tail_place_of(t, s->origin, &s->epoch);
    const struct interval_set *shown = p == NULL ? NULL : &p->shown[lane];
    uint64_t last;
    int r;

    if (p == NULL)
        return -ENOMEM;
    if (!skip)
        return walk_records(db, s, lane, shown->n == 0 ? 1 : shown->at[shown->n - 1].to + 1, 0, tail_one, t);
    r = walk_last(db, s, lane, &last);
    return r < 0 || last == 0 ? r : interval_set_add(&p->shown[lane], 1, last);
}

static int tail_store(struct tail *t, struct db *db, bool skip)
{
    const struct walk_filter *f = t->filter;
    int r = walk_streams_read(db, &t->streams);

    for (size_t i = 0; r == 0 && i < t->streams.n; i++)
        for (unsigned lane = 0; r == 0 && lane < SPOOL_LANES && walk_filter_stream(f, &t->streams.at[i]);
             lane++)
            if (f->lane < 0 || f->lane == (int)lane)
                r = tail_lane(t, db, &t->streams.at[i], lane, skip);
    return r;
}

/* What the daemon has shown since the last look. */
static int tail_tap(struct tail *t, struct tap_reader *tap)
{
    const struct walk_filter *f = t->filter;
    struct walk_record r = {0};
    int rc = 0;

    while (rc == 0 && t->left != 0) {
        rc = tap_reader_next(tap, &r.record);
        if (rc != 0)
            return rc == TAP_EMPTY ? 0 : rc;
        struct walk_stream s = {.epoch = r.record.epoch};
        snprintf(s.origin, sizeof(s.origin), "%.64s", r.record.origin);
        if (walk_filter_stream(f, &s) && (f->lane < 0 || f->lane == (int)seq_lane(r.record.seq)))
            rc = tail_take(t, &r);
    }
    return rc;
}

static int tail_loop(struct tail *t, struct db *db, struct tap_reader *tap, int64_t seconds)
{
    struct pollfd fd = {.fd = tap == NULL ? -1 : tap_reader_fd(tap), .events = POLLIN};
    int64_t began_ms = clock_mono_ms(&clock_real);
    int r = tail_store(t, db, ctl_option(t->ctl, "all") == NULL);

    while (r == 0 && t->left != 0 &&
           (seconds < 0 || clock_mono_ms(&clock_real) - began_ms < seconds * 1000)) {
        int ready = poll(&fd, 1, TAIL_POLL_MS);
        if (ready < 0)
            return errno == EINTR ? 0 : -errno;
        if (tap != NULL)
            r = tail_tap(t, tap);
        if (r == 0 && ready == 0)
            r = tail_store(t, db, false);
    }
    return r;
}

static void tail_deinit(struct tail *t)
{
    walk_descriptors_deinit(&t->descriptors);
    walk_streams_deinit(&t->streams);
    wire_arena_free(t->arena);
    for (size_t i = 0; i < t->n; i++)
        for (unsigned lane = 0; lane < SPOOL_LANES; lane++)
            interval_set_deinit(&t->at[i].shown[lane]);
    free(t->at);
}

static void close_db(struct db **db)
{
    *db = db_close(*db);
}

int verb_tail(struct ctl *ctl)
{
    owned(close_db) struct db *db = NULL;
    struct tap_reader *tap = NULL;
    struct walk_filter f;
    int64_t limit, seconds;
    struct errmsg err = {""};
    int code = verb_read_filter(ctl, &f), r;

    if (code == CTL_OK && ctl->n_args > 0 && pattern_check(ctl->args[0], &err) != 0)
        code = ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "limit", 1, INT64_MAX, -1, &limit);
    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "for", 0, INT64_MAX / 1000, -1, &seconds);
    if (code == CTL_OK)
        code = ctl_store_open(ctl, &db);
    if (code != CTL_OK)
        return code;
    r = tap_reader_new(&tap, ctl->paths.run_dir);
    if (r < 0 && r != -ENOENT)
        ctl_note(ctl, "only what stays in the store for a while is shown: no socket in %s: %s",
                 ctl->paths.run_dir, strerror(-r));
    struct tail t = {.ctl = ctl,
                     .filter = &f,
                     .pattern = ctl->n_args > 0 ? ctl->args[0] : NULL,
                     .descriptors = {.db = db, .find_set = ctl->tier->find_set},
                     .left = limit};
    t.descriptors.streams = &t.streams;
    r = wire_arena_new(&t.arena, TAIL_ARENA_BYTES);
    if (r == 0)
        r = tail_loop(&t, db, tap, seconds);
    tail_deinit(&t);
    tap_reader_free(tap);
    if (r == -EPIPE)
        return CTL_OK; /* the reader has gone */
    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->paths.store, strerror(-r)) : CTL_OK;
}
