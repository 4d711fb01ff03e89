/* Looking at single records: store ls, store get; and the table of these verbs. */
#include "ctl/verbs_private.h"

#include "base/cleanup.h"
#include "base/numfmt.h"
#include "ctl/record_text.h"
#include "ctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { LS_LIMIT = 1000, SUMMARY_CHARS = 200 };

static void close_db(struct db **db)
{
    *db = db_close(*db);
}

struct listing {
    struct ctl *ctl;
    struct table *table; /* NULL with --json */
    struct json *json;
    int64_t left;
    uint64_t n_damaged;
};

enum { WALK_ENOUGH = 1 };

static int list_one(void *ctx, const struct walk_stream *s, const struct walk_record *r)
{
    struct listing *l = ctx;
    char hex[ID128_HEX_CHARS + 1], summary[SUMMARY_CHARS];

    if (l->left-- == 0)
        return WALK_ENOUGH;
    l->n_damaged += r->damaged;
    id128_hex(&s->epoch, hex);
    if (r->damaged)
        snprintf(summary, sizeof(summary), "damaged");
    else
        record_summary(&r->record, summary, sizeof(summary));
    if (l->json != NULL) {
        json_object(l->json);
        json_kstr(l->json, "origin", s->origin);
        json_kstr(l->json, "epoch", hex);
        json_ku64(l->json, "lane", seq_lane(r->record.seq));
        json_ku64(l->json, "seq", seq_count(r->record.seq));
        json_kstr(l->json, "kind", r->damaged ? "damaged" : record_kind_name(r->record.kind));
        json_ku64(l->json, "bytes", r->record.payload.len);
        json_ku64(l->json, "samples", r->record.samples);
        json_kstr(l->json, "summary", summary);
        json_object_end(l->json);
        return json_end(l->json);
    }
    table_cell(l->table, s->origin);
    table_cellf(l->table, "%.8s", hex);
    table_cellf(l->table, "%u", seq_lane(r->record.seq));
    table_cellf(l->table, "%" PRIu64, seq_count(r->record.seq));
    table_cell(l->table, r->damaged ? "damaged" : record_kind_name(r->record.kind));
    table_cellf(l->table, "%zu", r->record.payload.len);
    table_cellf(l->table, "%" PRIu32, r->record.samples);
    table_cell(l->table, summary);
    return 0;
}

static int walk_filtered(struct db *db, const struct walk_streams *streams, const struct walk_filter *f,
                         uint64_t from, walk_fn fn, void *ctx)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < streams->n; i++)
        for (unsigned lane = 0; r == 0 && lane < SPOOL_LANES; lane++)
            if (walk_filter_stream(f, &streams->at[i]) && (f->lane < 0 || f->lane == (int)lane))
                r = walk_records(db, &streams->at[i], lane, from, f->kind, fn, ctx);
    return r;
}

static int verb_ls(struct ctl *ctl)
{
    static const struct table_column columns[] = {{"ORIGIN", false}, {"EPOCH", false}, {"LANE", true},
                                                  {"SEQ", true},     {"KIND", false},  {"BYTES", true},
                                                  {"SAMPLES", true}, {"WHAT", false}};
    owned(close_db) struct db *db = NULL;
    owned(walk_streams_deinit) struct walk_streams streams = {0};
    owned(table_freep) struct table *t = NULL;
    owned(json_freep) struct json *j = NULL;
    struct walk_filter f;
    int64_t limit, from;
    int code = verb_read_filter(ctl, &f), r;

    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "limit", 1, INT64_MAX - 1, LS_LIMIT, &limit);
    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "from", 0, INT64_MAX, 0, &from);
    if (code == CTL_OK)
        code = ctl_store_open(ctl, &db);
    if (code == CTL_OK && ctl->json)
        code = ctl_json(ctl, true, &j);
    if (code != CTL_OK)
        return code;
    if (!ctl->json && table_new(&t, columns, 8) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    struct listing l = {.ctl = ctl, .table = t, .json = j, .left = limit};
    r = walk_streams_read(db, &streams);
    if (r == 0)
        r = walk_filtered(db, &streams, &f, (uint64_t)from, list_one, &l);
    if (r < 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->paths.store, strerror(-r));
    if (t != NULL && table_print(t, ctl->out, ctl->color) < 0)
        return ctl_fail(ctl, CTL_FAILED, "cannot print the table");
    if (r == WALK_ENOUGH)
        ctl_note(ctl, "there are more; see --limit and --from");
    return l.n_damaged > 0 ? ctl_fail(ctl, CTL_DAMAGED, "%" PRIu64 " records are damaged", l.n_damaged)
                           : CTL_OK;
}

struct fetching {
    struct ctl *ctl;
    uint64_t count;
    struct walk_descriptors *descriptors;
    int code;
    unsigned max_rows;
};

static int fetch_one(void *ctx, const struct walk_stream *s, const struct walk_record *r)
{
    struct fetching *f = ctx;

    (void)s;
    if (seq_count(r->record.seq) != f->count)
        return WALK_ENOUGH + 1; /* past it: not in this stream */
    f->code = verb_show_record(f->ctl, f->descriptors, r, f->max_rows, false);
    return WALK_ENOUGH;
}

static int verb_get(struct ctl *ctl)
{
    owned(close_db) struct db *db = NULL;
    owned(walk_streams_deinit) struct walk_streams streams = {0};
    struct walk_filter filter = {.origin = ctl->args[0], .epoch = ctl_option(ctl, "epoch"), .lane = -1};
    int64_t count, lane, rows;
    int code = ctl_option_i64(ctl, "lane", 0, SPOOL_LANES - 1, 0, &lane), r;

    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "rows", 0, INT32_MAX, 0, &rows);
    if (code == CTL_OK && (!numfmt_parse_i64(ctl->args[1], strlen(ctl->args[1]), &count) || count < 1))
        code = ctl_fail(ctl, CTL_USAGE, "`%s` is no sequence number", ctl->args[1]);
    if (code == CTL_OK)
        code = ctl_store_open(ctl, &db);
    if (code != CTL_OK)
        return code;
    struct walk_descriptors d = {.db = db, .streams = &streams, .find_set = ctl->tier->find_set};
    struct fetching f = {.ctl = ctl, .count = (uint64_t)count, .descriptors = &d, .max_rows = (unsigned)rows};
    bool found = false;
    r = walk_streams_read(db, &streams);
    for (size_t i = streams.n; r >= 0 && !found && i-- > 0;) /* newest epoch first */
        if (walk_filter_stream(&filter, &streams.at[i])) {
            r = walk_records(db, &streams.at[i], (unsigned)lane, f.count, 0, fetch_one, &f);
            found = r == WALK_ENOUGH;
        }
    walk_descriptors_deinit(&d);
    if (r < 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->paths.store, strerror(-r));
    if (found)
        return f.code;
    return ctl_fail(ctl, CTL_NOT_FOUND, "no record %" PRId64 " of %s in lane %" PRId64 " is held here", count,
                    ctl->args[0], lane);
}

#define FILTER_OPTIONS                                                                                       \
    {"origin", 'o', "NAME", "records of this node; * matches any run of characters"},                        \
        {"epoch", 0, "HEX", "epochs that begin with these digits"},                                          \
        {"kind", 'k', "KIND", "descriptor, block, event, health, ledger or reply"},                          \
    {                                                                                                        \
        "lane", 0, "LANE", "0 ordinary, 1 urgent"                                                            \
    }

static const struct cmd_option ls_options[] = {
    FILTER_OPTIONS,
    {"from", 0, "SEQ", "start at this number in each lane"},
    {"limit", 'n', "N", "at most so many records (1000)"},
    {NULL},
};
static const struct cmd_option get_options[] = {
    {"epoch", 0, "HEX", "the epoch that begins with these digits; else the newest that has it"},
    {"lane", 0, "LANE", "0 ordinary (default), 1 urgent"},
    {"rows", 0, "N", "at most so many rows of a block"},
    {NULL},
};
static const struct cmd_option tail_options[] = {
    FILTER_OPTIONS,
    {"all", 0, NULL, "what is held already first"},
    {"full", 0, NULL, "whole records, not one line each"},
    {"limit", 'n', "N", "end after so many records"},
    {"for", 0, "SECONDS", "end after this time"},
    {NULL},
};

const struct cmd ctl_verbs_spool[] = {
    {"store ls", NULL, 0, 0, "list the records that are held",
     "Example: store ls --origin 'pump-*' --kind event", ls_options, verb_ls},
    {"store get", "ORIGIN SEQ", 2, 2, "one record, decoded", "Example: store get pump-1 42 --lane 1",
     get_options, verb_get},
    {"tail", "[PATTERN]", 0, 1, "follow records as they are made or arrive",
     "PATTERN is SITE/DEVICE/CHANNEL with *, **, {a,b}; fewer parts: all below. One that names a channel "
     "shows "
     "the blocks with such a channel, and no events or reports.\n\n"
     "A running daemon shows records as it takes them in, about a second after this begins; what a slow "
     "reader does not\n"
     "take is left out. On a stopped one there is only what it holds: see --all.\n\n"
     "Example: tail 'plant-a/pump-*/temperature' --full",
     tail_options, verb_tail},
    {NULL},
};
