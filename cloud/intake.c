#include "cloud/intake.h"

#include "base/cleanup.h"
#include "base/name.h"
#include "cloud/marks.h"
#include "hop/inbox.h"
#include "link/keys.h"

#include <errno.h>
#include <stdlib.h>

const struct counter_info intake_counter_info[INTAKE_COUNTERS] = {
    [INTAKE_ORIGIN_UNKNOWN] = {"origin_unknown_total", COUNTER_TOTAL, "records",
                               "Refused: origin not on the list."},
    [INTAKE_ORIGIN_PROVISIONAL] =
        {"origin_provisional_total", COUNTER_TOTAL, "records",
         "Refused: origin accepted by a fog only; `cloudctl enroll accept` lets its data in."},
    [INTAKE_ORIGIN_REVOKED] = {"origin_revoked_total", COUNTER_TOTAL, "records",
                               "Refused: origin was revoked."},
};

enum { ARENA_BYTES = 256 * 1024 };

struct origin {
    struct upper_port_node node;
    struct end_keys keys;
    enum { KEYS_NOT_YET, KEYS_READY, KEYS_BAD } state;
};

struct intake {
    struct archive *archive;
    struct account *account;
    const struct node_keys *keys;
    const struct clock *clock;
    struct origin *origins; /* sorted by id */
    size_t n_origins;
    uint32_t *of_stream; /* index = stream number: 1 + index of its origin; 0: not looked up */
    size_t n_of_stream;
    char **reduce;
    size_t n_reduce;
    void (*reply)(void *ctx, const char *origin, uint64_t counter);
    void *ctx;
    struct wire_arena *arena;
    int error; /* of a call that could not return it; told by intake_flush */
    char refused_origin[SPOOL_NAME_BYTES];
    const char *refused_why;
    uint64_t counters[INTAKE_COUNTERS];
};

/* ---- origins ---- */

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct origin *)a)->node.id, ((const struct origin *)b)->node.id);
}

static struct origin *origin_find(const struct intake *in, const char *id)
{
    size_t low = 0, high = in->n_origins;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = strcmp(in->origins[mid].node.id, id);

        if (c == 0)
            return &in->origins[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct upper_port_node *intake_node(const struct intake *in, const char *id)
{
    const struct origin *o = origin_find(in, id);

    return o != NULL ? &o->node : NULL;
}

/* The keys of the origin, derived on first use: a list may be long and few of it talk. */
static const struct end_keys *keys_of(struct intake *in, struct origin *o)
{
    if (o->state == KEYS_NOT_YET)
        o->state =
            end_keys_derive(in->keys->end_secret, in->keys->end_public, o->node.end, false, &o->keys) == 0
                ? KEYS_READY
                : KEYS_BAD;
    return o->state == KEYS_READY ? &o->keys : NULL;
}

static struct origin *origin_of_stream(struct intake *in, const struct spool_stream *s)
{
    struct origin *o;

    if (s->no < in->n_of_stream && in->of_stream[s->no] != 0)
        return &in->origins[in->of_stream[s->no] - 1];
    o = origin_find(in, s->origin);
    if (o != NULL && s->no >= in->n_of_stream) {
        size_t n = in->n_of_stream == 0 ? 64 : in->n_of_stream;
        uint32_t *at;

        while (n <= s->no)
            n *= 2;
        at = reallocarray(in->of_stream, n, sizeof *at);
        if (at == NULL)
            return o; /* only slower */
        memset(at + in->n_of_stream, 0, (n - in->n_of_stream) * sizeof *at);
        in->of_stream = at;
        in->n_of_stream = n;
    }
    if (o != NULL)
        in->of_stream[s->no] = (uint32_t)(o - in->origins) + 1;
    return o;
}

static void origins_wipe(struct intake *in)
{
    for (size_t i = 0; i < in->n_origins; i++)
        end_keys_wipe(&in->origins[i].keys);
    free(in->origins);
    in->origins = NULL;
    in->n_origins = 0;
}

int intake_set_nodes(struct intake *in, const struct upper_port_node *nodes, size_t n)
{
    struct origin *at = calloc(n + 1, sizeof *at);
    int r = 0;

    if (at == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        at[i].node = nodes[i];
    qsort(at, n, sizeof *at, by_id);
    origins_wipe(in);
    in->origins = at;
    in->n_origins = n;
    if (in->n_of_stream > 0)
        memset(in->of_stream, 0, in->n_of_stream * sizeof *in->of_stream);
    for (size_t i = 0; i < n && r == 0; i++)
        r = archive_set_site(in->archive, nodes[i].id, nodes[i].site);
    return r;
}

static void note_refused(struct intake *in, const char *origin, const char *why)
{
    snprintf(in->refused_origin, sizeof in->refused_origin, "%s", origin);
    in->refused_why = why;
}

const char *intake_refused(struct intake *in, char ret_origin[SPOOL_NAME_BYTES])
{
    const char *why = in->refused_why;

    if (why != NULL)
        memcpy(ret_origin, in->refused_origin, SPOOL_NAME_BYTES);
    in->refused_why = NULL;
    return why;
}

bool intake_may_carry(void *ctx, const char *peer, const char *origin)
{
    struct intake *in = ctx;
    const struct upper_port_node *p = intake_node(in, peer), *o = intake_node(in, origin);

    if (p == NULL || p->revoked)
        return false;
    if (o != NULL && (p == o || (strcmp(p->role, "fog") == 0 && strcmp(p->site, o->site) == 0)))
        return true;
    note_refused(in, origin, o == NULL ? "not on the list" : "carried by a node that is no fog of its site");
    return false;
}

/* ---- policy ---- */

static void reduce_forget(struct intake *in)
{
    for (size_t i = 0; i < in->n_reduce; i++)
        free(in->reduce[i]);
    free(in->reduce);
    in->reduce = NULL;
    in->n_reduce = 0;
}

int intake_set_reduce(struct intake *in, const char *const *patterns, size_t n)
{
    reduce_forget(in);
    in->reduce = calloc(n + 1, sizeof *in->reduce);
    if (in->reduce == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        in->reduce[i] = strdup(patterns[i]);
        if (in->reduce[i] == NULL)
            return -ENOMEM;
        in->n_reduce++;
    }
    return 0;
}

/* A cover speaks of whole records, all channels: the channel part must match any name, so a pattern with one
 * does not.
 */
static bool may_reduce(void *ctx, const char *origin)
{
    const struct intake *in = ctx;
    const struct upper_port_node *o = intake_node(in, origin);

    for (size_t i = 0; o != NULL && i < in->n_reduce; i++)
        if (pattern_match(in->reduce[i], o->site, o->id, "", NULL))
            return true;
    return false;
}

/* ---- ops ---- */

static struct origin *origin_admitted(struct intake *in, const struct spool_stream *s,
                                      const struct end_keys **ret_keys)
{
    struct origin *o = origin_of_stream(in, s);
    unsigned refused;

    *ret_keys = o != NULL ? keys_of(in, o) : NULL;
    if (o == NULL || *ret_keys == NULL)
        refused = INTAKE_ORIGIN_UNKNOWN;
    else if (o->node.revoked)
        refused = INTAKE_ORIGIN_REVOKED;
    else if (o->node.provisional)
        refused = INTAKE_ORIGIN_PROVISIONAL;
    else
        return o;
    in->counters[refused]++;
    note_refused(in, s->origin,
                 refused == INTAKE_ORIGIN_UNKNOWN   ? "not on the list"
                 : refused == INTAKE_ORIGIN_REVOKED ? "revoked"
                                                    : "not confirmed by `cloudctl enroll accept`");
    return NULL;
}

static void take_reply(struct intake *in, const struct record *r)
{
    Fogline__V1__Reply *reply;

    wire_arena_reset(in->arena);
    if (in->reply != NULL && wire_reply_unpack(in->arena, r->payload, &reply) == 0)
        in->reply(in->ctx, r->origin, reply->counter);
}

int intake_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    struct intake *in = ctx;
    const struct end_keys *keys;
    struct origin *o = origin_admitted(in, s, &keys);
    struct archive_origin ao;
    struct archive_found found = {0};
    int e;

    if (o == NULL)
        return INBOX_REFUSED;
    ao = (struct archive_origin){.site = o->node.site, .tag_key = keys->tag};
    e = archive_put(in->archive, s, r, &ao, &found);
    if (e == 0 && found.has_covers) {
        const struct account_policy policy = {.ctx = in, .may_reduce = may_reduce};

        e = account_put(in->account, s, r, &policy);
    }
    if (e == 0 && r->kind == FOGLINE__V1__KIND__KIND_REPLY)
        take_reply(in, r);
    if (e == ARCHIVE_WRONG_TAG)
        note_refused(in, s->origin, "not authenticated by the end key on the list");
    if (e > 0 && (e == ARCHIVE_FULL || e == ACCOUNT_FULL))
        in->error = ARCHIVE_FULL;
    return e > 0 ? INBOX_REFUSED : e;
}

int intake_reported(void *ctx, const char *peer, struct spool_stream *s, const Fogline__V1__LaneReport *r)
{
    struct intake *in = ctx;
    const struct upper_port_node *o = intake_node(in, s->origin);
    int e;

    if (o == NULL || o->provisional)
        return 0;
    e = archive_touch(in->archive, s, o->site);
    if (e == 0)
        e = account_report(in->account, s, peer, r, clock_wall_unix_ns(in->clock));
    if (e == ARCHIVE_FULL || e == ACCOUNT_FULL)
        in->error = ARCHIVE_FULL;
    return e > 0 ? 0 : e;
}

void intake_hello(void *ctx, const char *peer, const Fogline__V1__Hello *hello)
{
    struct intake *in = ctx;
    int e = account_hello(in->account, peer, hello);

    if (e != 0 && in->error == 0)
        in->error = e < 0 ? e : ARCHIVE_FULL;
}

size_t intake_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                    struct interval range, Fogline__V1__Mark **out, size_t max)
{
    struct intake *in = ctx;
    struct origin *o = origin_of_stream(in, s);
    const struct end_keys *keys = o != NULL && !o->node.provisional ? keys_of(in, o) : NULL;
    struct marks_subject m = {.archive_id = archive_id(in->archive),
                              .epoch = &s->epoch,
                              .origin = s->origin,
                              .lane = lane,
                              .archived = &s->lane[lane].seen,
                              .explained = account_explained(in->account, s, lane)};

    if (keys == NULL)
        return 0;
    m.mark_key = keys->mark;
    return marks_make(&m, range, a, out, max);
}

/* ---- transactions ---- */

int intake_flush(struct intake *in)
{
    int e = in->error;

    if (e == 0)
        e = account_flush(in->account);
    if (e == 0)
        e = archive_flush(in->archive);
    return e;
}

void intake_committed(struct intake *in, void (*fn)(void *ctx, struct spool_stream *s, unsigned lane),
                      void *ctx)
{
    archive_committed(in->archive, fn, ctx);
    account_committed(in->account, fn, ctx);
}

int intake_reload(struct intake *in)
{
    int e;

    in->error = 0;
    if (in->n_of_stream > 0)
        memset(in->of_stream, 0, in->n_of_stream * sizeof *in->of_stream);
    e = archive_reload(in->archive);
    return e == 0 ? account_reload(in->account) : e;
}

int intake_new(struct intake **ret_in, const struct intake_options *options)
{
    struct intake *in = calloc(1, sizeof *in);
    int e;

    if (in == NULL)
        return -ENOMEM;
    in->archive = options->archive;
    in->keys = options->keys;
    in->clock = options->clock;
    in->reply = options->reply;
    in->ctx = options->ctx;
    e = account_new(&in->account, archive_spool(in->archive));
    if (e == 0)
        account_set_archive(in->account, archive_id(in->archive), archive_life(in->archive));
    if (e == 0)
        e = wire_arena_new(&in->arena, ARENA_BYTES);
    if (e == 0)
        e = intake_set_reduce(in, options->reduce, options->n_reduce);
    if (e != 0) {
        intake_free(in);
        return e;
    }
    *ret_in = in;
    return 0;
}

struct intake *intake_free(struct intake *in)
{
    if (in == NULL)
        return NULL;
    origins_wipe(in);
    reduce_forget(in);
    account_free(in->account);
    wire_arena_free(in->arena);
    free(in->of_stream);
    free(in);
    return NULL;
}

struct account *intake_account(struct intake *in)
{
    return in->account;
}

const uint64_t *intake_counters(const struct intake *in)
{
    return in->counters;
}
