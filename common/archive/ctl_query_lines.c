/* The options of a query, and its lines. */
#include "archive/ctl_query.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/name.h"
#include "base/numfmt.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <math.h>

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

static int stats_option(struct ctl *ctl, struct query_ask *s)
{
    const char *names = ctl_option(ctl, "stats");

    s->has_stats = names != NULL;
    names = s->has_stats ? names : "count,min,max,avg,sum";
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
        if ((s->q.wanted & QUERY_BIT(i)) != 0)
            return ctl_fail(ctl, CTL_USAGE, "--stats: `%s` is named twice; leave one out", stat_names[i]);
        s->q.wanted |= QUERY_BIT(i);
        s->stats[s->n_stats++] = (enum query_stat)i;
        names += n;
    } while (*names++ == ',');
    return CTL_OK;
}

int query_ask_read(struct ctl *ctl, struct query_ask *ret_ask)
{
    struct query_ask a = {.q = {.bad_too = ctl_option(ctl, "bad") != NULL}};
    const char *bucket = ctl_option(ctl, "bucket");
    struct errmsg err = {""};
    int code = ctl_pattern(ctl, &a.q.pattern);

    if (code == CTL_OK && ctl->n_args > 0) {
        a.q.pattern = ctl->args[0];
        if (pattern_check(a.q.pattern, &err) != 0)
            code = ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    }
    if (code == CTL_OK)
        code = ctl_range(ctl, &a.q.range);
    if (code == CTL_OK)
        code = by_option(ctl, &a.q);
    if (code == CTL_OK)
        code = stats_option(ctl, &a);
    if (code == CTL_OK && bucket != NULL && !ctl_width_parse(bucket, &a.q.bucket_ns))
        code = ctl_fail(ctl, CTL_USAGE, "--bucket: `%s` is no width; try 1s, 5m, 1h or 1d", bucket);
    a.is_aggregate = a.has_stats || bucket != NULL || ctl_option(ctl, "by") != NULL ||
                     ctl_option(ctl, "from") != NULL || ctl_option(ctl, "to") != NULL;
    if (code == CTL_OK)
        *ret_ask = a;
    return code;
}

/* Unknown: left out of the default's, null where it was asked for. */
static void stat_json(struct json *j, const struct query_ask *s, enum query_stat stat,
                      const struct query_row *row)
{
    if (stat == QUERY_COUNT) {
        json_ku64(j, "count", row->count);
    } else if (!isnan(row->stat[stat]) || (!s->has_stats && !isnan(row->stat[QUERY_MIN]))) {
        json_kdouble(j, stat_names[stat], row->stat[stat]);
    } else if (s->has_stats) {
        json_key(j, stat_names[stat]);
        json_null(j);
    }
}

static void row_json(struct json *j, const struct query_ask *s, const struct query_row *row)
{
    char time[40];

    json_object(j);
    if (row->site != NULL)
        json_kstr(j, "site", row->site);
    if (row->device != NULL)
        json_kstr(j, "device", row->device);
    if (row->channel != NULL)
        json_kstr(j, "channel", row->channel);
    if (s->q.bucket_ns > 0) {
        json_kstr(j, "time", clock_format_utc(row->bucket_ns, time));
        json_ki64(j, "time_unix_ns", row->bucket_ns);
    }
    for (unsigned i = 0; i < s->n_stats; i++)
        stat_json(j, s, s->stats[i], row);
    if (row->unit != NULL)
        json_kstr(j, "unit", row->unit);
    json_object_end(j);
}

void query_ask_rows(struct json *j, const struct query_ask *s, const struct query_result *res)
{
    json_array(j);
    for (size_t i = 0; i < res->n; i++)
        row_json(j, s, &res->at[i]);
    json_array_end(j);
}

int query_ask_json(struct ctl *ctl, const struct query_ask *s, const struct query_result *res)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    query_ask_rows(j, s, res);
    return ctl_json_end(ctl, j);
}

static void cell_double(struct table *t, double v)
{
    char text[NUMFMT_DOUBLE_CHARS];

    numfmt_double(v, text);
    table_cell(t, isnan(v) ? "" : text);
}

int query_ask_text(struct ctl *ctl, const struct query_ask *s, const struct query_result *res)
{
    struct table_column columns[5 + QUERY_STATS];
    owned(table_freep) struct table *t = NULL;
    unsigned n = 0;

    if (s->q.by_site)
        columns[n++] = (struct table_column){"site", false};
    if (s->q.by_device)
        columns[n++] = (struct table_column){"device", false};
    if (s->q.by_channel)
        columns[n++] = (struct table_column){"channel", false};
    if (s->q.bucket_ns > 0)
        columns[n++] = (struct table_column){"time", false};
    for (unsigned i = 0; i < s->n_stats; i++)
        columns[n++] = (struct table_column){stat_names[s->stats[i]], true};
    columns[n++] = (struct table_column){"unit", false};
    if (table_new(&t, columns, n) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < res->n; i++) {
        const struct query_row *row = &res->at[i];
        char time[40];

        if (s->q.by_site)
            table_cell(t, row->site);
        if (s->q.by_device)
            table_cell(t, row->device);
        if (s->q.by_channel)
            table_cell(t, row->channel);
        if (s->q.bucket_ns > 0)
            table_cell(t, clock_format_utc(row->bucket_ns, time));
        for (unsigned k = 0; k < s->n_stats; k++)
            if (s->stats[k] == QUERY_COUNT)
                table_cellf(t, "%" PRIu64, row->count);
            else
                cell_double(t, row->stat[s->stats[k]]);
        table_cell(t, row->unit != NULL ? row->unit : "mixed");
    }
    return table_print(t, ctl->out, ctl->color) < 0 ? CTL_FAILED : CTL_OK;
}
