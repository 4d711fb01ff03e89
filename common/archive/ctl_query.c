/* query: last values, or aggregates. */
#include "archive/ctl_query.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/numfmt.h"
#include "ctl/table.h"

#include <inttypes.h>

static const char *const quality_names[] = {"good", "uncertain", "bad", "stale"};

struct output {
    struct ctl *ctl;
    struct table *table;
    struct json *json;
};

/* ---- last values ---- */

static const char *value_text(const struct query_last *l, char out[BLOCK_TEXT_MAX_BYTES + 1])
{
    const struct view_channel *c = l->channel;

    if (c->type == COLUMN_TEXT)
        return l->text;
    if (c->type == COLUMN_BOOL)
        return l->i64 != 0 ? "true" : "false";
    if (c->type == COLUMN_INT64 && c->scale == 0)
        snprintf(out, BLOCK_TEXT_MAX_BYTES, "%" PRId64, l->i64);
    else
        numfmt_double((c->type == COLUMN_DOUBLE ? l->f64 : (double)l->i64) * (c->scale != 0 ? c->scale : 1),
                      out);
    return out;
}

static void value_json(struct json *j, const struct query_last *l)
{
    const struct view_channel *c = l->channel;

    json_key(j, "value");
    if (c->type == COLUMN_TEXT)
        json_str(j, l->text);
    else if (c->type == COLUMN_BOOL)
        json_bool(j, l->i64 != 0);
    else if (c->type == COLUMN_INT64 && c->scale == 0)
        json_i64(j, l->i64);
    else
        json_double(j, (c->type == COLUMN_DOUBLE ? l->f64 : (double)l->i64) * (c->scale != 0 ? c->scale : 1));
}

static int on_last(void *ctx, const struct query_last *l)
{
    struct output *o = ctx;
    char time[40], value[BLOCK_TEXT_MAX_BYTES + 1];

    clock_format_utc(l->time_ns, time);
    if (o->json != NULL) {
        json_object(o->json);
        json_kstr(o->json, "site", l->device->site);
        json_kstr(o->json, "device", l->device->name);
        json_kstr(o->json, "channel", l->channel->name);
        json_kstr(o->json, "time", time);
        json_ki64(o->json, "time_unix_ns", l->time_ns);
        value_json(o->json, l);
        json_kstr(o->json, "unit", l->channel->unit);
        json_kstr(o->json, "quality", quality_names[l->quality & 3]);
        json_object_end(o->json);
        return 0;
    }
    table_cell(o->table, l->device->site);
    table_cell(o->table, l->device->name);
    table_cell(o->table, l->channel->name);
    table_cell(o->table, time);
    table_cell(o->table, value_text(l, value));
    table_cell(o->table, l->channel->unit);
    table_cell(o->table, quality_names[l->quality & 3]);
    return 0;
}

static int last_values(struct ctl *ctl, struct reading *rd, const char *pattern)
{
    static const struct table_column columns[] = {{"site", false},   {"device", false}, {"channel", false},
                                                  {"time", false},   {"value", true},   {"unit", false},
                                                  {"quality", false}};
    owned(table_freep) struct table *t = NULL;
    owned(json_freep) struct json *j = NULL;
    struct output o = {.ctl = ctl};
    int code = ctl->json ? ctl_json(ctl, false, &j) : CTL_OK, r;

    if (code != CTL_OK)
        return code;
    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    o.table = t;
    o.json = j;
    if (j != NULL)
        json_array(j);
    r = query_last(rd->view, pattern, on_last, &o);
    if (j != NULL) {
        json_array_end(j);
        code = ctl_json_end(ctl, j);
    } else if (r == 0 && table_print(t, ctl->out, ctl->color) < 0) {
        code = CTL_FAILED;
    }
    return r < 0 ? reading_failed(ctl, r) : code;
}

static int aggregates(struct ctl *ctl, struct reading *rd, const struct query_ask *ask)
{
    struct query_result res = {0};
    int r = query_run(rd->view, &ask->q, &res), code;

    if (r < 0)
        return reading_failed(ctl, r);
    code = ctl->json ? query_ask_json(ctl, ask, &res) : query_ask_text(ctl, ask, &res);
    query_result_deinit(&res);
    return code;
}

int verb_query(struct ctl *ctl)
{
    owned(reading_close) struct reading rd = {0};
    struct query_ask ask;
    int code = query_ask_read(ctl, &ask);

    if (code == CTL_OK)
        code = reading_open(ctl, &rd);
    if (code != CTL_OK)
        return code;
    reading_matches(&rd, ask.q.pattern);
    if (!ask.is_aggregate)
        return reading_verdict(ctl, &rd, last_values(ctl, &rd, ask.q.pattern));
    code = aggregates(ctl, &rd, &ask);
    code = reading_begins(&rd, ask.q.pattern, ask.q.range.from_ns, code);
    return reading_verdict(ctl, &rd, code);
}
