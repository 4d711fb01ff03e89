#include "ctl/verbs_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/numfmt.h"
#include "ctl/status.h"
#include "ctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { VERIFY_TIMEOUT_S = 24 * 3600 };

static struct db_options store_options(const struct ctl *ctl)
{
    return (struct db_options){.path = ctl->paths.store,
                               .tables = ctl->tier->tables,
                               .n_tables = ctl->tier->n_tables,
                               .role = ctl->tier->name,
                               .read_only = true};
}

int ctl_store_open(struct ctl *ctl, struct db **ret_db)
{
    struct errmsg err = {""};
    int code = ctl_load(ctl), r;

    if (code != CTL_OK)
        return code;
    struct db_options o = store_options(ctl);
    r = db_open(ret_db, &o, &err);
    if (r == 0)
        return CTL_OK;
    if (r == -ENOENT)
        return ctl_fail(ctl, CTL_NOT_FOUND, "%s: there is no store yet; %s makes it when it starts",
                        ctl->paths.store, ctl->tier->daemon);
    return ctl_fail(ctl,
                    r == -EUCLEAN  ? CTL_DAMAGED
                    : r == -EACCES ? CTL_UNAUTHORISED
                                   : CTL_FAILED,
                    "%s", err.text);
}

static void stream_json(struct json *j, const struct walk_stream *s)
{
    char hex[ID128_HEX_CHARS + 1];

    id128_hex(&s->epoch, hex);
    json_object(j);
    json_kstr(j, "origin", s->origin);
    json_kstr(j, "epoch", hex);
    json_kbool(j, "own", s->own);
    json_key(j, "lanes");
    json_array(j);
    for (unsigned l = 0; l < SPOOL_LANES; l++) {
        json_object(j);
        json_ku64(j, "lane", l);
        json_ku64(j, "next", s->lane[l].next);
        json_ku64(j, "held_records", s->lane[l].held_records);
        json_ku64(j, "held_bytes", s->lane[l].held_bytes);
        json_ku64(j, "held_samples", s->lane[l].held_samples);
        json_ku64(j, "produced_samples", s->lane[l].produced_samples);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
}

static int stat_json(struct ctl *ctl, struct db *db, const struct walk_streams *streams,
                     const struct db_stat_table *tables, unsigned n_tables)
{
    owned(json_freep) struct json *j = NULL;
    char hex[ID128_HEX_CHARS + 1];
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    id128_hex(db_store_id(db), hex);
    json_object(j);
    json_kstr(j, "store", ctl->paths.store);
    json_kstr(j, "environment_id", hex);
    json_ku64(j, "map_bytes", db_map_bytes(db));
    json_ku64(j, "used_bytes", db_used_bytes(db));
    json_key(j, "tables");
    json_array(j);
    for (unsigned i = 0; i < n_tables; i++) {
        json_object(j);
        json_kstr(j, "name", tables[i].name);
        json_ku64(j, "entries", tables[i].entries);
        json_ku64(j, "bytes", tables[i].bytes);
        json_object_end(j);
    }
    json_array_end(j);
    json_key(j, "streams");
    json_array(j);
    for (size_t i = 0; i < streams->n; i++)
        stream_json(j, &streams->at[i]);
    json_array_end(j);
    json_ku64(j, "damaged_streams", streams->n_damaged);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int print_tables(struct ctl *ctl, const struct db_stat_table *tables, unsigned n_tables)
{
    static const struct table_column columns[] = {{"TABLE", false}, {"ENTRIES", true}, {"SIZE", true}};
    owned(table_freep) struct table *t = NULL;
    char text[32];

    if (table_new(&t, columns, 3) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (unsigned i = 0; i < n_tables; i++) {
        table_cell(t, tables[i].name);
        table_cellf(t, "%" PRIu64, tables[i].entries);
        table_cell(t, numfmt_bytes(tables[i].bytes, text));
    }
    return table_print(t, ctl->out, ctl->color) < 0 ? ctl_fail(ctl, CTL_FAILED, "cannot print the table")
                                                    : CTL_OK;
}

static int print_streams(struct ctl *ctl, const struct walk_streams *streams)
{
    static const struct table_column columns[] = {{"ORIGIN", false}, {"EPOCH", false}, {"LANE", true},
                                                  {"NEXT", true},    {"HELD", true},   {"SAMPLES", true},
                                                  {"SIZE", true}};
    owned(table_freep) struct table *t = NULL;
    char text[40];

    if (table_new(&t, columns, 7) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < streams->n; i++)
        for (unsigned l = 0; l < SPOOL_LANES; l++) {
            const struct walk_stream *s = &streams->at[i];
            id128_hex(&s->epoch, text);
            table_cellf(t, "%s%s", s->origin, s->own ? " (own)" : "");
            table_cellf(t, "%.8s", text);
            table_cellf(t, "%u", l);
            if (s->own)
                table_cellf(t, "%" PRIu64, s->lane[l].next);
            else
                table_cell(t, "-");
            table_cellf(t, "%" PRIu64, s->lane[l].held_records);
            table_cellf(t, "%" PRIu64, s->lane[l].held_samples);
            table_cell(t, numfmt_bytes(s->lane[l].held_bytes, text));
        }
    fputc('\n', ctl->out);
    return table_print(t, ctl->out, ctl->color) < 0 ? ctl_fail(ctl, CTL_FAILED, "cannot print the table")
                                                    : CTL_OK;
}

static void close_db(struct db **db)
{
    *db = db_close(*db);
}

int verb_store_stat(struct ctl *ctl)
{
    owned(close_db) struct db *db = NULL;
    owned(walk_streams_deinit) struct walk_streams streams = {0};
    struct db_stat_table tables[DB_TABLES_MAX];
    char used[16], map[16];
    unsigned n;
    int code = ctl_store_open(ctl, &db), r;

    if (code != CTL_OK)
        return code;
    n = db_stat(db, tables, DB_TABLES_MAX);
    r = walk_streams_read(db, &streams);
    if (r < 0)
        return ctl_fail(ctl, CTL_DAMAGED, "%s: %s", ctl->paths.store, strerror(-r));
    if (ctl->json)
        return stat_json(ctl, db, &streams, tables, n);
    fprintf(ctl->out, "store  %s\nused   %s of %s\n\n", ctl->paths.store,
            numfmt_bytes(db_used_bytes(db), used), numfmt_bytes(db_map_bytes(db), map));
    code = print_tables(ctl, tables, n);
    if (code == CTL_OK)
        code = print_streams(ctl, &streams);
    if (code == CTL_OK && streams.n_damaged > 0)
        code = ctl_fail(ctl, CTL_DAMAGED, "%zu rows of table streams are damaged", streams.n_damaged);
    return code;
}

static int verify_said(struct ctl *ctl, int r, const struct db_verify_result *result, const char *text)
{
    owned(json_freep) struct json *j = NULL;
    int code = r == 0 ? CTL_OK : r == DB_DAMAGED || r == DB_UNREADABLE ? CTL_DAMAGED : CTL_FAILED;

    if (ctl->json) {
        if (ctl_json(ctl, false, &j) != CTL_OK)
            return CTL_FAILED;
        json_object(j);
        json_kstr(j, "store", ctl->paths.store);
        json_ku64(j, "values", result->n_values);
        json_ku64(j, "damaged", result->n_damaged);
        json_kbool(j, "readable", r != DB_UNREADABLE);
        json_kstr(j, "message", text);
        json_object_end(j);
        return ctl_json_end(ctl, j) == CTL_OK ? code : CTL_FAILED;
    }
    if (r == 0)
        fprintf(ctl->out, "%s: %" PRIu64 " values, none damaged\n", ctl->paths.store, result->n_values);
    else
        return ctl_fail(ctl, code, "%s: %" PRIu64 " of %" PRIu64 " values damaged%s%s", ctl->paths.store,
                        result->n_damaged, result->n_values, text[0] != '\0' ? ": " : "", text);
    return code;
}

int verb_store_verify(struct ctl *ctl)
{
    owned(close_db) struct db *db = NULL;
    struct db_verify_result result = {0};
    struct errmsg err = {""};
    int code = ctl_load(ctl), r;

    if (code != CTL_OK)
        return code;
    if (status_life(ctl->paths.status, clock_wall_unix_ns(&clock_real), NULL) == STATUS_DEAD) {
        struct db_options o = store_options(ctl);
        r = db_verify(&o, VERIFY_TIMEOUT_S, &result, &err);
        if (r == -ENOENT)
            return ctl_fail(ctl, CTL_NOT_FOUND, "%s: there is no store yet", ctl->paths.store);
        if (r < 0)
            return ctl_fail(ctl, ctl_code(r), "%s", err.text);
        return verify_said(ctl, r, &result, err.text);
    }
    code = ctl_store_open(ctl, &db);
    if (code != CTL_OK)
        return code;
    r = walk_verify(db, ctl->tier->n_tables, &result);
    if (r < 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->paths.store, strerror(-r));
    return verify_said(ctl, r, &result, "");
}
