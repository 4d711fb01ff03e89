/* query: last values, or aggregates. */
#include "archive/ctl_reading.h"

#include "archive/query.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/numfmt.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <math.h>

static const char *const quality_names[] = {"good", "uncertain", "bad", "stale"};

struct output {
    struct ctl *ctl;
    struct table *table;
    struct json *json;
};

static void cell_double(struct table *t, double v)
{
    char text[NUMFMT_DOUBLE_CHARS];

    numfmt_double(v, text);
    table_cell(t, isnan(v) ? "" : text);
}

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

/* ---- aggregates ---- */

static int by_option(struct ctl *ctl, struct query_options *q)
{
    const char *by = ctl_option(ctl, "by");

    q->by_site = q->by_device = q->by_channel = by == NULL;
    while (by != NULL && *by != 0) {
        size_t n = strcspn(by, ",");

        if (n == 4 && strncmp(by, "site", n) == 0)
            q->by_site = true;
        else if (n == 6 && strncmp(by, "device", n) == 0)
            q->by_device = true;
        else if (n == 7 && strncmp(by, "channel", n) == 0)
            q->by_channel = true;
        else if (!(n == 3 && strncmp(by, "all", n) == 0))
            return ctl_fail(ctl, CTL_USAGE, "--by: `%.*s` is none of site, device, channel, all", (int)n, by);
        by += n + (by[n] == ',');
    }
    return CTL_OK;
}

static const char *const stat_names[QUERY_STATS] = {"count",  "min",   "max",  "avg",    "sum",
                                                    "stddev", "first", "last", "rate",   "time_avg",
                                                    "p50",    "p90",   "p99",  "p_error"};

/* What is shown, in the order of the columns. */
struct stats {
    enum query_stat at[QUERY_STATS];
    unsigned n;
    bool asked; /* by --stats */
};

static int stats_option(struct ctl *ctl, struct stats *s, struct query_options *q)
{
    const char *names = ctl_option(ctl, "stats");

    s->asked = names != NULL;
    names = s->asked ? names : "count,min,max,avg,sum";
    do {
        size_t n = strcspn(names, ",");
        unsigned i = 0;

        while (i < QUERY_STATS && (strlen(stat_names[i]) != n || strncmp(stat_names[i], names, n) != 0))
            i++;
        if (i == QUERY_STATS)
            return ctl_fail(
                ctl, CTL_USAGE,
                "--stats: `%.*s` is none of count, min, max, avg, sum, stddev, first, last, rate, "
                "time_avg, p50, p90, p99, p_error",
                (int)n, names);
        if ((q->wanted & QUERY_BIT(i)) != 0)
            return ctl_fail(ctl, CTL_USAGE, "--stats: `%s` is named twice; leave one out", stat_names[i]);
        q->wanted |= QUERY_BIT(i);
        s->at[s->n++] = (enum query_stat)i;
        names += n;
    } while (*names++ == ',');
    return CTL_OK;
}

/* Unknown: left out of the default's, null where it was asked for. */
static void stat_json(struct json *j, const struct stats *s, enum query_stat stat,
                      const struct query_row *row)
{
    if (stat == QUERY_COUNT) {
        json_ku64(j, "count", row->count);
    } else if (!isnan(row->stat[stat]) || (!s->asked && !isnan(row->stat[QUERY_MIN]))) {
        json_kdouble(j, stat_names[stat], row->stat[stat]);
    } else if (s->asked) {
        json_key(j, stat_names[stat]);
        json_null(j);
    }
}

static void row_json(struct json *j, const struct query_options *q, const struct stats *s,
                     const struct query_row *row)
{
    char time[40];

    json_object(j);
    if (row->site != NULL)
        json_kstr(j, "site", row->site);
    if (row->device != NULL)
        json_kstr(j, "device", row->device);
    if (row->channel != NULL)
        json_kstr(j, "channel", row->channel);
    if (q->bucket_ns > 0) {
        json_kstr(j, "time", clock_format_utc(row->bucket_ns, time));
        json_ki64(j, "time_unix_ns", row->bucket_ns);
    }
    for (unsigned i = 0; i < s->n; i++)
        stat_json(j, s, s->at[i], row);
    if (row->unit != NULL)
        json_kstr(j, "unit", row->unit);
    json_object_end(j);
}

static int result_json(struct ctl *ctl, const struct query_options *q, const struct stats *s,
                       const struct query_result *res)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_array(j);
    for (size_t i = 0; i < res->n; i++)
        row_json(j, q, s, &res->at[i]);
    json_array_end(j);
    return ctl_json_end(ctl, j);
}

static int result_text(struct ctl *ctl, const struct query_options *q, const struct stats *s,
                       const struct query_result *res)
{
    struct table_column columns[5 + QUERY_STATS];
    owned(table_freep) struct table *t = NULL;
    unsigned n = 0;

    if (q->by_site)
        columns[n++] = (struct table_column){"site", false};
    if (q->by_device)
        columns[n++] = (struct table_column){"device", false};
    if (q->by_channel)
        columns[n++] = (struct table_column){"channel", false};
    if (q->bucket_ns > 0)
        columns[n++] = (struct table_column){"time", false};
    for (unsigned i = 0; i < s->n; i++)
        columns[n++] = (struct table_column){stat_names[s->at[i]], true};
    columns[n++] = (struct table_column){"unit", false};
    if (table_new(&t, columns, n) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < res->n; i++) {
        const struct query_row *row = &res->at[i];
        char time[40];

        if (q->by_site)
            table_cell(t, row->site);
        if (q->by_device)
            table_cell(t, row->device);
        if (q->by_channel)
            table_cell(t, row->channel);
        if (q->bucket_ns > 0)
            table_cell(t, clock_format_utc(row->bucket_ns, time));
        for (unsigned k = 0; k < s->n; k++)
            if (s->at[k] == QUERY_COUNT)
                table_cellf(t, "%" PRIu64, row->count);
            else
                cell_double(t, row->stat[s->at[k]]);
        table_cell(t, row->unit != NULL ? row->unit : "mixed");
    }
    return table_print(t, ctl->out, ctl->color) < 0 ? CTL_FAILED : CTL_OK;
}

static int aggregates(struct ctl *ctl, struct reading *rd, const struct query_options *q,
                      const struct stats *s)
{
    struct query_result res = {0};
    int r = query_run(rd->view, q, &res), code;

    if (r < 0)
        return reading_failed(ctl, r);
    code = ctl->json ? result_json(ctl, q, s, &res) : result_text(ctl, q, s, &res);
    query_result_deinit(&res);
    return code;
}

int verb_query(struct ctl *ctl)
{
    owned(reading_close) struct reading rd = {0};
    struct query_options q = {.bad_too = ctl_option(ctl, "bad") != NULL};
    const char *bucket = ctl_option(ctl, "bucket");
    struct stats stats = {.n = 0};
    struct errmsg err = {""};
    int code = ctl_pattern(ctl, &q.pattern);

    if (code == CTL_OK && ctl->n_args > 0) {
        q.pattern = ctl->args[0];
        if (pattern_check(q.pattern, &err) != 0)
            code = ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    }
    if (code == CTL_OK)
        code = ctl_range(ctl, &q.range);
    if (code == CTL_OK)
        code = by_option(ctl, &q);
    if (code == CTL_OK)
        code = stats_option(ctl, &stats, &q);
    if (code == CTL_OK && bucket != NULL && !ctl_width_parse(bucket, &q.bucket_ns))
        code = ctl_fail(ctl, CTL_USAGE, "--bucket: `%s` is no width; try 1s, 5m, 1h or 1d", bucket);
    if (code == CTL_OK)
        code = reading_open(ctl, &rd);
    if (code != CTL_OK)
        return code;
    reading_matches(&rd, q.pattern);
    if (!stats.asked && bucket == NULL && ctl_option(ctl, "by") == NULL && ctl_option(ctl, "from") == NULL &&
        ctl_option(ctl, "to") == NULL)
        return reading_verdict(ctl, &rd, last_values(ctl, &rd, q.pattern));
    code = aggregates(ctl, &rd, &q, &stats);
    code = reading_begins(&rd, q.pattern, q.range.from_ns, code);
    return reading_verdict(ctl, &rd, code);
}
