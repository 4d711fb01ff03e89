/* report bytes: what went over each link, by day or month, and what its budget leaves. */
#include "fog/fog_ctl.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/verbs.h"
#include "fog/fog_config.h"
#include "fog/meter_rows.h"
#include "fog/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 4096, NAME_BYTES = 64, DAYS_DEFAULT = 7, MONTHS_DEFAULT = 12 };

struct rows {
    struct meter_row *at;
    size_t n;
};

static void rows_deinit(struct rows *r)
{
    free(r->at);
}

static void close_db(struct db **db)
{
    *db = db_close(*db);
}

/* Newest first, then by link. */
static int order(const void *a, const void *b)
{
    const struct meter_row *x = a, *y = b;

    if (x->index != y->index)
        return x->index > y->index ? -1 : 1;
    return strcmp(x->link, y->link);
}

static int take(struct rows *rows, enum meter_span span, struct span key, struct span value)
{
    char name[NAME_BYTES];
    struct meter_row r;
    struct meter_row *at;

    snprintf(name, sizeof name, "%.*s", (int)key.len, (const char *)key.data);
    if (!meter_row_get(name, value, &r) || r.span != span || rows->n == ROWS_MAX)
        return 0;
    at = reallocarray(rows->at, rows->n + 1, sizeof *at);
    if (at == NULL)
        return -ENOMEM;
    rows->at = at;
    rows->at[rows->n++] = r;
    return 0;
}

/* One transaction: there are some hundred rows at most. */
static int read_rows(struct db *db, enum meter_span span, struct rows *rows)
{
    struct db_cursor *c = NULL;
    struct span key, value;
    struct db_txn *txn;
    int r = db_begin(db, false, &txn);

    if (r != 0)
        return r;
    r = db_cursor_new(txn, SPOOL_TABLE_META, &c);
    if (r == 0)
        for (r = db_cursor_seek(c, span_str(METER_PREFIX), &key, &value); r == 0 || r == DB_DAMAGED;
             r = db_cursor_next(c, &key, &value)) {
            if (key.len < strlen(METER_PREFIX) || memcmp(key.data, METER_PREFIX, strlen(METER_PREFIX)) != 0)
                break;
            r = r == 0 ? take(rows, span, key, value) : 0;
            if (r != 0)
                break;
        }
    db_cursor_free(c);
    db_abort(txn);
    if (rows->n > 0)
        qsort(rows->at, rows->n, sizeof rows->at[0], order);
    return r < 0 ? r : 0;
}

static void put_row(struct report *report, const struct ctl *ctl, const struct meter_row *r)
{
    const struct fog_config *config = ctl->values;
    const struct meter_config *b = meter_budget_of(&config->budgets, r->link);
    unsigned begins = b != NULL ? (unsigned)b->month_begins : 1;
    uint64_t limit = b == NULL ? 0 : r->span == METER_DAY ? b->per_day : b->per_month, all = meter_row_sum(r);
    char day[48];

    clock_format_utc(meter_begin_s(r->span, r->index, begins) * NS_PER_S, day);
    day[strlen("2026-11-30")] = '\0';
    report_text(report, day);
    report_text(report, r->link);
    for (unsigned i = 0; i < METER_CLASSES; i++)
        report_number(report, (int64_t)r->bytes[i]);
    report_number(report, (int64_t)r->doubtful);
    report_number(report, (int64_t)all);
    if (limit == 0) {
        report_unknown(report);
        report_unknown(report);
    } else {
        report_number(report, (int64_t)limit);
        report_number(report, (int64_t)(limit > all ? limit - all : 0));
    }
}

int verb_report_bytes(struct ctl *ctl)
{
    static const struct report_column columns[] = {
        {"from", "FROM", REPORT_TEXT},
        {"link", "LINK", REPORT_TEXT},
        {"alarms_bytes", "ALARMS", REPORT_BYTES},
        {"live_bytes", "LIVE", REPORT_BYTES},
        {"backlog_bytes", "BACKLOG", REPORT_BYTES},
        {"drill_bytes", "ASKED FOR", REPORT_BYTES},
        {"control_bytes", "POLLS", REPORT_BYTES},
        {"down_bytes", "DOWN", REPORT_BYTES},
        {"doubtful_bytes", "DOUBTFUL", REPORT_BYTES},
        {"all_bytes", "ALL", REPORT_BYTES},
        {"budget_bytes", "BUDGET", REPORT_BYTES},
        {"left_bytes", "LEFT", REPORT_BYTES},
    };
    enum meter_span span = ctl_option(ctl, "months") != NULL ? METER_MONTH : METER_DAY;
    owned(report_freep) struct report *report = NULL;
    owned(close_db) struct db *db = NULL;
    owned(rows_deinit) struct rows rows = {0};
    int64_t last;
    int code =
        ctl_option_i64(ctl, "last", 1, ROWS_MAX, span == METER_DAY ? DAYS_DEFAULT : MONTHS_DEFAULT, &last);
    int r;

    if (code == CTL_OK)
        code = ctl_store_open(ctl, &db);
    if (code != CTL_OK)
        return code;
    r = read_rows(db, span, &rows);
    if (r < 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->paths.store, strerror(-r));
    code = report_new(&report, ctl, "bytes", columns, sizeof columns / sizeof columns[0]);
    if (code != CTL_OK)
        return code;
    for (size_t i = 0; i < rows.n; i++)
        if (rows.at[i].index + (uint32_t)last > rows.at[0].index)
            put_row(report, ctl, &rows.at[i]);
    return report_end(report, "nothing has gone over a link yet");
}
