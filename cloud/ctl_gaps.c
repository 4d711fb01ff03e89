/* cloudctl gaps, store ls: the ledger, and the streams it is kept of. */
#include "cloud/ctl_private.h"

#include "base/cleanup.h"
#include "cloud/view_ledger.h"
#include "cloud/view_reduced.h"
#include "ctl/table.h"

#include <inttypes.h>

struct gaps {
    struct ctl *ctl;
    struct json *json;   /* NULL: text */
    struct table *holes; /* text */
};

static void put_by_reason(struct json *j, const uint64_t *by_reason)
{
    json_object(j);
    for (unsigned i = 0; i < LEDGER_REASONS; i++)
        if (by_reason[i] > 0)
            json_ku64(j, ledger_reason_name(i), by_reason[i]);
    json_object_end(j);
}

static void put_count(struct json *j, const char *key, const struct ledger_count *c)
{
    json_key(j, key);
    json_object(j);
    json_ku64(j, "produced", c->produced);
    json_ku64(j, "archived", c->archived);
    json_ku64(j, "held", c->held);
    json_key(j, "explained");
    put_by_reason(j, c->by_reason);
    json_ku64(j, "explained_total", c->explained);
    json_ku64(j, "unexplained", c->unexplained);
    json_object_end(j);
}

/* Beside the balance: these samples have no numbers. */
static void put_reduced(struct json *j, const struct view_reduced *r)
{
    json_key(j, "reduced");
    put_by_reason(j, r->samples);
    json_key(j, "reduced_sent_later");
    put_by_reason(j, r->sent_later);
}

static void add_reduced(struct view_reduced *sum, const struct view_reduced *r)
{
    for (unsigned i = 0; i < LEDGER_REASONS; i++) {
        sum->samples[i] += r->samples[i];
        sum->sent_later[i] += r->sent_later[i];
    }
}

static void put_balance(struct json *j, const struct ledger_balance *b)
{
    put_count(j, "records", &b->records);
    put_count(j, "samples", &b->samples);
    json_kbool(j, "estimated", b->estimated);
    json_kbool(j, "unreported", b->unreported);
}

static int lane_json(void *ctx, const struct view_lane_balance *l)
{
    struct gaps *g = ctx;
    struct json *j = g->json;
    char epoch[ID128_HEX_CHARS + 1];

    id128_hex(&l->stream->epoch, epoch);
    json_object(j);
    json_kstr(j, "epoch", epoch);
    json_ku64(j, "lane", l->lane);
    json_kbool(j, "over", l->dead);
    json_ki64(j, "reported_unix_ns", l->reported_unix_ns);
    put_balance(j, l->balance);
    json_key(j, "holes");
    json_array(j);
    for (size_t i = 0; i < l->balance->holes.n; i++) {
        json_array(j);
        json_u64(j, l->balance->holes.at[i].from);
        json_u64(j, l->balance->holes.at[i].to);
        json_array_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    return 0;
}

static int lane_text(void *ctx, const struct view_lane_balance *l)
{
    struct gaps *g = ctx;
    char epoch[ID128_HEX_CHARS + 1], holes[256];

    if (l->balance->records.unexplained == 0 && l->balance->samples.unexplained == 0)
        return 0;
    id128_hex(&l->stream->epoch, epoch);
    table_cell(g->holes, l->stream->device->name);
    table_cellf(g->holes, "%.8s", epoch);
    table_cellf(g->holes, "%u", l->lane);
    table_cellf(g->holes, "%" PRIu64, l->balance->records.unexplained);
    table_cellf(g->holes, "%" PRIu64, l->balance->samples.unexplained);
    table_cell(g->holes, interval_set_format(&l->balance->holes, holes, sizeof holes));
    return 0;
}

static void add_reason(char *out, size_t out_bytes, unsigned reason, uint64_t samples)
{
    size_t n = strlen(out);

    snprintf(out + n, out_bytes - n, "%s%s %" PRIu64, n > 0 ? ", " : "", ledger_reason_name(reason), samples);
}

static void row_text(struct table *t, const char *site, const char *name, const struct ledger_balance *b,
                     const struct view_reduced *reduced)
{
    char reasons[256] = "", kept[256] = "";

    for (unsigned i = 0; i < LEDGER_REASONS; i++) {
        if (b->samples.by_reason[i] > 0 || b->records.by_reason[i] > 0)
            add_reason(reasons, sizeof reasons, i, b->samples.by_reason[i]);
        if (reduced->samples[i] > 0)
            add_reason(kept, sizeof kept, i, reduced->samples[i] - reduced->sent_later[i]);
    }
    table_cell(t, site);
    table_cell(t, name);
    table_cellf(t, "%s%" PRIu64, b->unreported && b->samples.produced > 0 ? ">=" : "", b->samples.produced);
    table_cellf(t, "%" PRIu64, b->samples.archived);
    table_cellf(t, "%" PRIu64, b->samples.held);
    table_cellf(t, "%s%" PRIu64, b->estimated ? "~" : "", b->samples.explained);
    table_cellf(t, "%" PRIu64, b->samples.unexplained);
    table_cellf(t, "%" PRIu64, b->records.produced);
    table_cellf(t, "%" PRIu64, b->records.unexplained);
    table_cell(t, reasons);
    table_cell(t, kept);
}

static int gaps_text(struct gaps *g, struct view *v, const struct view_device *only,
                     struct ledger_balance *total)
{
    static const struct table_column columns[] = {
        {"site", false},     {"device", false}, {"produced", true}, {"archived", true},        {"held", true},
        {"explained", true}, {"missing", true}, {"records", true},  {"records missing", true}, {"why", false},
        {"not sent", false}};
    static const struct table_column hole_columns[] = {
        {"device", false},         {"epoch", false},          {"lane", true},
        {"records missing", true}, {"samples missing", true}, {"numbers", false}};
    owned(table_freep) struct table *t = NULL;
    owned(table_freep) struct table *holes = NULL;
    struct view_reduced all = {0};
    int r = table_new(&t, columns, sizeof columns / sizeof columns[0]);

    if (r == 0)
        r = table_new(&holes, hole_columns, sizeof hole_columns / sizeof hole_columns[0]);
    g->holes = holes;
    for (size_t i = 0; i < view_n_devices(v) && r == 0; i++) {
        const struct view_device *d = view_device_at(v, i);
        struct view_reduced reduced = {0};
        struct ledger_balance b;

        if (only != NULL && d != only)
            continue;
        r = view_balance(v, d, lane_text, g, &b);
        if (r == 0)
            r = view_reduced(v, d, &reduced);
        if (r == 0) {
            row_text(t, d->site, d->name, &b, &reduced);
            add_reduced(&all, &reduced);
            ledger_add(total, &b);
        }
    }
    if (r < 0)
        return r;
    if (only == NULL)
        row_text(t, "", "all", total, &all);
    r = table_print(t, g->ctl->out, g->ctl->color);
    if (r == 0 && table_rows(holes) > 0) {
        fprintf(g->ctl->out, "\n");
        r = table_print(holes, g->ctl->out, g->ctl->color);
    }
    return r;
}

static int gaps_json(struct gaps *g, struct view *v, const struct view_device *only,
                     struct ledger_balance *total)
{
    struct json *j = g->json;
    struct view_reduced all = {0};
    int r = 0;

    json_object(j);
    json_key(j, "devices");
    json_array(j);
    for (size_t i = 0; i < view_n_devices(v) && r == 0; i++) {
        const struct view_device *d = view_device_at(v, i);
        struct view_reduced reduced = {0};
        struct ledger_balance b;

        if (only != NULL && d != only)
            continue;
        json_object(j);
        json_kstr(j, "site", d->site);
        json_kstr(j, "device", d->name);
        json_key(j, "lanes");
        json_array(j);
        r = view_balance(v, d, lane_json, g, &b);
        json_array_end(j);
        if (r == 0)
            r = view_reduced(v, d, &reduced);
        if (r == 0) {
            put_balance(j, &b);
            put_reduced(j, &reduced);
            add_reduced(&all, &reduced);
            ledger_add(total, &b);
        }
        json_object_end(j);
    }
    json_array_end(j);
    put_balance(j, total);
    put_reduced(j, &all);
    json_kbool(j, "balanced", total->records.unexplained == 0 && total->samples.unexplained == 0);
    json_object_end(j);
    return r;
}

int verb_gaps(struct ctl *ctl)
{
    owned(reading_close) struct reading rd = {0};
    owned(json_freep) struct json *j = NULL;
    struct gaps g = {.ctl = ctl};
    struct ledger_balance total = {0};
    const struct view_device *only = NULL;
    int code = reading_open(ctl, &rd), r;

    if (code != CTL_OK)
        return code;
    if (ctl->n_args > 0) {
        only = view_find_device(rd.view, ctl->args[0]);
        if (only == NULL)
            return ctl_fail(ctl, CTL_NOT_FOUND, "the archive knows no device `%s`", ctl->args[0]);
    }
    if (ctl->json) {
        code = ctl_json(ctl, false, &j);
        if (code != CTL_OK)
            return code;
        g.json = j;
        r = gaps_json(&g, rd.view, only, &total);
        code = ctl_json_end(ctl, j);
    } else {
        r = gaps_text(&g, rd.view, only, &total);
    }
    if (r < 0)
        return reading_failed(ctl, r);
    if (code == CTL_OK && (total.records.unexplained > 0 || total.samples.unexplained > 0))
        code = CTL_UNBALANCED;
    return reading_verdict(ctl, &rd, code);
}

/* ---- store ls ---- */

int verb_store_ls(struct ctl *ctl)
{
    static const struct table_column columns[] = {{"site", false},   {"device", false},
                                                  {"epoch", false},  {"records", true},
                                                  {"samples", true}, {"urgent records", true}};
    owned(reading_close) struct reading rd = {0};
    owned(table_freep) struct table *t = NULL;
    owned(json_freep) struct json *j = NULL;
    int code = reading_open(ctl, &rd);

    if (code == CTL_OK && ctl->json)
        code = ctl_json(ctl, true, &j);
    if (code != CTL_OK)
        return code;
    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < view_n_streams(rd.view); i++) {
        const struct view_stream *s = view_stream_at(rd.view, i);
        char epoch[ID128_HEX_CHARS + 1];

        if (ctl->n_args > 0 && strcmp(ctl->args[0], s->device->name) != 0)
            continue;
        id128_hex(&s->epoch, epoch);
        if (j != NULL) {
            json_object(j);
            json_kstr(j, "site", s->device->site);
            json_kstr(j, "device", s->device->name);
            json_kstr(j, "epoch", epoch);
            json_ku64(j, "records", s->lane[0].records);
            json_ku64(j, "samples", s->lane[0].samples + s->lane[1].samples);
            json_ku64(j, "urgent_records", s->lane[1].records);
            json_object_end(j);
            code = ctl_json_end(ctl, j);
            if (code != CTL_OK)
                return code;
            continue;
        }
        table_cell(t, s->device->site);
        table_cell(t, s->device->name);
        table_cell(t, epoch);
        table_cellf(t, "%" PRIu64, s->lane[0].records);
        table_cellf(t, "%" PRIu64, s->lane[0].samples + s->lane[1].samples);
        table_cellf(t, "%" PRIu64, s->lane[1].records);
    }
    if (j == NULL && table_print(t, ctl->out, ctl->color) < 0)
        return CTL_FAILED;
    return reading_verdict(ctl, &rd, CTL_OK);
}
