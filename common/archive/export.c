#include "archive/export.h"

#include "archive/text_out.h"
#include "base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static const char *const quality_names[] = {"good", "uncertain", "bad", "stale"};

enum { PREFIX_BYTES = 3 * SPOOL_NAME_BYTES + 3 };

struct exporter {
    const struct export_options *options;
    struct view *view;
    const struct view_set *set;
    bool chosen[BLOCK_COLUMNS_MAX];
    int only_column;
    char (*prefix)[PREFIX_BYTES]; /* per column, csv: "site,device,channel," */
    char epoch[ID128_HEX_CHARS + 1];
    struct export_counts counts;
    struct text_out text;
};

static bool present(const struct column *c, uint32_t row)
{
    return c->absent == NULL || !c->absent[row];
}

static unsigned quality_of(const struct column *c, uint32_t row)
{
    return c->quality == NULL ? QUALITY_GOOD : c->quality[row] & 3;
}

static void put_time(struct exporter *e, int64_t t)
{
    if (e->options->unix_ns)
        text_i64(&e->text, t);
    else
        text_time(&e->text, t);
}

static void put_number(struct exporter *e, const struct view_channel *ch, const struct column *c,
                       uint32_t row)
{
    struct text_out *t = &e->text;
    double v;

    if (c->type == COLUMN_BOOL) {
        text_str(t, c->i64[row] != 0 ? "true" : "false");
        return;
    }
    if (c->type == COLUMN_INT64 && ch->scale == 0) {
        text_i64(t, c->i64[row]);
        return;
    }
    v = view_number(ch, c, row);
    if (e->options->format == EXPORT_JSONL && !isfinite(v)) {
        text_char(t, '"');
        text_double(t, v);
        text_char(t, '"');
    } else {
        text_double(t, v);
    }
}

/* ---- csv ---- */

static void csv_row(struct exporter *e, const struct view_block *vb, const struct block *b, uint32_t row)
{
    struct text_out *t = &e->text;

    for (uint32_t i = 0; i < e->set->n_channels; i++) {
        const struct column *c = &b->columns[i];

        if (!e->chosen[i] || !present(c, row))
            continue;
        text_room(t);
        text_str(t, e->prefix[i]);
        put_time(e, b->time_ns[row]);
        text_char(t, ',');
        if (c->type == COLUMN_TEXT)
            text_csv(t, c->text[row]);
        else
            put_number(e, &e->set->channels[i], c, row);
        text_char(t, ',');
        text_str(t, quality_names[quality_of(c, row)]);
        text_char(t, ',');
        text_put(t, e->epoch, ID128_HEX_CHARS);
        text_char(t, ',');
        text_u64(t, vb->key.seq);
        text_char(t, ',');
        text_u64(t, vb->key.row + row);
        text_char(t, '\n');
        e->counts.samples++;
    }
}

/* ---- jsonl ---- */

static void json_name(struct text_out *t, const char *key, const char *value)
{
    text_str(t, key);
    text_json(t, span_str(value));
}

static void json_values(struct exporter *e, const struct block *b, uint32_t row)
{
    struct text_out *t = &e->text;
    bool first = true;

    text_str(t, ",\"values\":{");
    for (uint32_t i = 0; i < e->set->n_channels; i++) {
        const struct column *c = &b->columns[i];

        if (!e->chosen[i] || !present(c, row))
            continue;
        text_room(t);
        json_name(t, first ? "" : ",", e->set->channels[i].name);
        text_char(t, ':');
        if (c->type == COLUMN_TEXT)
            text_json(t, c->text[row]);
        else
            put_number(e, &e->set->channels[i], c, row);
        first = false;
        e->counts.samples++;
    }
    text_char(t, '}');
}

static void json_quality(struct exporter *e, const struct block *b, uint32_t row)
{
    struct text_out *t = &e->text;
    bool any = false;

    for (uint32_t i = 0; i < e->set->n_channels; i++) {
        const struct column *c = &b->columns[i];

        if (!e->chosen[i] || !present(c, row) || quality_of(c, row) == QUALITY_GOOD)
            continue;
        text_room(t);
        json_name(t, any ? "," : ",\"quality\":{", e->set->channels[i].name);
        json_name(t, ":", quality_names[quality_of(c, row)]);
        any = true;
    }
    if (any)
        text_char(t, '}');
}

static bool any_present(const struct exporter *e, const struct block *b, uint32_t row)
{
    for (uint32_t i = 0; i < e->set->n_channels; i++)
        if (e->chosen[i] && present(&b->columns[i], row))
            return true;
    return false;
}

static void json_row(struct exporter *e, const struct view_block *vb, const struct block *b, uint32_t row)
{
    struct text_out *t = &e->text;

    if (!any_present(e, b, row))
        return;
    text_room(t);
    json_name(t, "{\"site\":", e->set->device->site);
    json_name(t, ",\"device\":", e->set->device->name);
    json_name(t, ",\"group\":", e->set->group);
    text_str(t, e->options->unix_ns ? ",\"time\":" : ",\"time\":\"");
    put_time(e, b->time_ns[row]);
    text_str(t, e->options->unix_ns ? ",\"epoch\":\"" : "\",\"epoch\":\"");
    text_put(t, e->epoch, ID128_HEX_CHARS);
    text_str(t, "\",\"seq\":");
    text_u64(t, vb->key.seq);
    text_str(t, ",\"row\":");
    text_u64(t, vb->key.row + row);
    json_values(e, b, row);
    json_quality(e, b, row);
    text_str(t, "}\n");
}

/* ---- blocks ---- */

static int choose(struct exporter *e, const struct view_set *set)
{
    uint32_t n = view_select(set, e->options->pattern, e->chosen);

    e->set = set;
    e->only_column = -1;
    free(e->prefix);
    e->prefix = calloc(set->n_channels + 1, sizeof *e->prefix);
    if (e->prefix == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < set->n_channels; i++) {
        if (e->chosen[i] && n == 1)
            e->only_column = (int)i;
        snprintf(e->prefix[i], PREFIX_BYTES, "%s,%s,%s,", set->device->site, set->device->name,
                 set->channels[i].name);
    }
    return 0;
}

static int on_block(void *ctx, const struct view_block *vb)
{
    struct exporter *e = ctx;
    const struct view_range *range = &e->options->range;
    const struct block *b;
    int r = view_decode(e->view, vb, e->only_column, &b);

    if (r != 0)
        return r < 0 ? r : 0;
    id128_hex(&vb->epoch, e->epoch);
    e->counts.blocks++;
    for (uint32_t row = 0; row < b->n_rows; row++) {
        if (b->time_ns[row] < range->from_ns ||
            (b->time_ns[row] >= range->to_ns && range->to_ns != INT64_MAX))
            continue;
        e->counts.rows++;
        if (e->options->format == EXPORT_CSV)
            csv_row(e, vb, b, row);
        else
            json_row(e, vb, b, row);
    }
    return e->text.error;
}

static struct exporter *exporter_new(struct view *v, const struct export_options *options)
{
    struct exporter *e = calloc(1, sizeof *e);

    if (e == NULL)
        return NULL;
    e->options = options;
    e->view = v;
    text_init(&e->text, options->out);
    return e;
}

static void exporter_freep(struct exporter **e)
{
    if (*e != NULL)
        free((*e)->prefix);
    free(*e);
}

static int finish(struct exporter *e)
{
    text_flush(&e->text);
    if (e->text.error == 0 && fflush(e->options->out) != 0)
        e->text.error = errno != 0 ? -errno : -EIO;
    return e->text.error;
}

int export_run(struct view *v, const struct export_options *options, struct export_counts *ret_counts)
{
    owned(exporter_freep) struct exporter *e = exporter_new(v, options);
    int r = 0, f;

    if (e == NULL)
        return -ENOMEM;
    if (options->format == EXPORT_CSV && !options->no_header)
        text_str(&e->text, "site,device,channel,time,value,quality,epoch,seq,row\n");
    for (size_t i = 0; i < view_n_devices(v) && r == 0; i++) {
        const struct view_device *d = view_device_at(v, i);

        for (size_t k = 0; k < d->n_sets && r == 0; k++) {
            if (view_select(&d->sets[k], options->pattern, NULL) == 0)
                continue;
            r = choose(e, &d->sets[k]);
            if (r == 0)
                r = view_scan(v, &d->sets[k], &options->range, on_block, e);
        }
    }
    f = finish(e);
    if (ret_counts != NULL)
        *ret_counts = e->counts;
    return r != 0 ? r : f;
}

int export_block(struct view *v, const struct export_options *options, const struct view_block *vb,
                 struct export_counts *counts)
{
    owned(exporter_freep) struct exporter *e = exporter_new(v, options);
    int r, f;

    if (e == NULL)
        return -ENOMEM;
    e->counts = *counts;
    r = choose(e, vb->set);
    if (r == 0)
        r = on_block(e, vb);
    f = finish(e);
    *counts = e->counts;
    return r != 0 ? r : f;
}
