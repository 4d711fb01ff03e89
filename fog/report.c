#include "fog/report.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/numfmt.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 16, TEXT_CHARS = 64 };

struct report {
    struct ctl *ctl;
    const struct report_column *columns;
    unsigned n_columns, at;
    struct table_column titles[COLUMNS_MAX]; /* the table borrows them */
    struct table *table;
    struct json *json;
};

int report_new(struct report **ret_r, struct ctl *ctl, const char *name, const struct report_column *columns,
               unsigned n_columns)
{
    struct report *r = calloc(1, sizeof *r);
    int code = CTL_OK;

    if (r == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    r->ctl = ctl;
    r->columns = columns;
    r->n_columns = n_columns < COLUMNS_MAX ? n_columns : COLUMNS_MAX;
    for (unsigned i = 0; i < r->n_columns; i++)
        r->titles[i] = (struct table_column){columns[i].title, columns[i].kind != REPORT_TEXT};
    if (ctl->json)
        code = ctl_json(ctl, false, &r->json);
    else if (table_new(&r->table, r->titles, r->n_columns) < 0)
        code = ctl_fail(ctl, CTL_FAILED, "no memory");
    if (code != CTL_OK) {
        report_free(r);
        return code;
    }
    if (r->json != NULL) {
        json_object(r->json);
        json_kstr(r->json, "report", name);
        json_key(r->json, "rows");
        json_array(r->json);
    }
    *ret_r = r;
    return CTL_OK;
}

struct report *report_free(struct report *r)
{
    if (r == NULL)
        return NULL;
    table_free(r->table);
    json_free(r->json);
    free(r);
    return NULL;
}

void report_freep(struct report **r)
{
    *r = report_free(*r);
}

void report_duration(int64_t ms, char out[32])
{
    int64_t s = ms / 1000;

    if (ms < 0)
        snprintf(out, 32, "-");
    else if (ms < 10000)
        snprintf(out, 32, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
    else if (s < 120)
        snprintf(out, 32, "%" PRId64 " s", s);
    else if (s < 7200)
        snprintf(out, 32, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else if (s < 172800)
        snprintf(out, 32, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    else
        snprintf(out, 32, "%" PRId64 " d %" PRId64 " h", s / 86400, s % 86400 / 3600);
}

/* The column of the next cell; rows begin and end with their first and last one. */
static const struct report_column *begin_cell(struct report *r)
{
    const struct report_column *c = &r->columns[r->at];

    if (r->json == NULL)
        return c;
    if (r->at == 0)
        json_object(r->json);
    json_key(r->json, c->key);
    return c;
}

static void end_cell(struct report *r)
{
    r->at = (r->at + 1) % r->n_columns;
    if (r->json != NULL && r->at == 0)
        json_object_end(r->json);
}

void report_text(struct report *r, const char *text)
{
    bool known = text != NULL && text[0] != '\0';

    (void)begin_cell(r);
    if (r->json != NULL)
        json_str(r->json, known ? text : NULL);
    else
        table_cell(r->table, known ? text : "-");
    end_cell(r);
}

void report_unknown(struct report *r)
{
    report_text(r, NULL);
}

void report_number(struct report *r, int64_t v)
{
    const struct report_column *c = begin_cell(r);
    char text[TEXT_CHARS];

    snprintf(text, sizeof text, "%" PRId64, v);
    if (r->json == NULL && c->kind == REPORT_BYTES)
        numfmt_bytes((uint64_t)v, text);
    else if (r->json == NULL && c->kind == REPORT_MS)
        report_duration(v, text);
    else if (r->json == NULL && c->kind == REPORT_UNIX_NS)
        clock_format_utc(v / NS_PER_S * NS_PER_S, text);
    if (r->json != NULL)
        json_i64(r->json, v);
    else
        table_cell(r->table, text);
    end_cell(r);
}

int report_end(struct report *r, const char *none)
{
    if (r->json != NULL) {
        json_array_end(r->json);
        json_object_end(r->json);
        return ctl_json_end(r->ctl, r->json);
    }
    if (table_rows(r->table) == 0) {
        fprintf(r->ctl->out, "%s\n", none);
        return CTL_OK;
    }
    return table_print(r->table, r->ctl->out, r->ctl->color) < 0
               ? ctl_fail(r->ctl, CTL_FAILED, "cannot print the table")
               : CTL_OK;
}
