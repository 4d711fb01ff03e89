#include "device/codec_tool_compare.h"

#include "base/cleanup.h"
#include "base/numfmt.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <math.h>

bool comparison_is_exact(const struct comparison *c)
{
    bool exact = true;

    for (unsigned e = 0; e < COMPARE_ENCODINGS; e++) {
        exact &= c->exact[e].exact;
        for (unsigned i = 0; i < c->percents.n; i++)
            exact &= c->bounded[i][e].exact;
    }
    return exact;
}

static double m_s(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds / 1e6 : 0;
}

/* ---- JSON ---- */

static void json_per_encoding(struct json *j, const char *key, const double *v)
{
    json_key(j, key);
    json_object(j);
    for (unsigned e = 0; e < COMPARE_ENCODINGS; e++)
        json_kdouble(j, block_encoding_name(compare_encodings[e]), v[e]);
    json_object_end(j);
}

static void json_line(struct json *j, const char *name, uint64_t bytes, uint64_t n, const double seconds[2])
{
    json_object(j);
    json_kstr(j, "name", name);
    json_ku64(j, "bytes", bytes);
    json_kdouble(j, "bytes_per_sample", per_sample((double)bytes, n));
    if (seconds != NULL) {
        json_kdouble(j, "encode_m_s", m_s(n, seconds[0]));
        json_kdouble(j, "decode_m_s", m_s(n, seconds[1]));
    }
    json_object_end(j);
}

static void json_exact(struct json *j, const struct comparison *c)
{
    json_key(j, "encodings");
    json_array(j);
    json_line(j, "plain", c->plain.plain_bytes, c->set.n_samples, NULL);
    if (c->has_zstd)
        json_line(j, "plain_zstd3", c->plain.bytes, c->set.n_samples,
                  (double[]){c->plain.encode_s, c->plain.decode_s});
    for (unsigned e = 0; e < COMPARE_ENCODINGS; e++)
        json_line(j, block_encoding_name(compare_encodings[e]), c->exact[e].bytes, c->set.n_samples,
                  (double[]){c->exact[e].encode_s, c->exact[e].decode_s});
    json_array_end(j);
}

static void json_bound(struct json *j, const struct comparison *c, unsigned i)
{
    const struct codec_measured *m = c->bounded[i];
    double bytes[COMPARE_ENCODINGS], largest[COMPARE_ENCODINGS];

    for (unsigned e = 0; e < COMPARE_ENCODINGS; e++) {
        bytes[e] = per_sample((double)m[e].bytes, c->set.n_samples);
        largest[e] = m[e].largest_of_bound;
    }
    json_object(j);
    json_kdouble(j, "percent", c->percents.at[i]);
    json_per_encoding(j, "bytes_per_sample", bytes);
    json_per_encoding(j, "largest_error_of_bound", largest);
    json_key(j, "channels");
    json_array(j);
    for (size_t k = 0; k < c->set.n_channels; k++) {
        for (unsigned e = 0; e < COMPARE_ENCODINGS; e++) {
            bytes[e] = per_sample(m[e].channels[k].body_bytes, m[e].channels[k].n_cells);
            largest[e] = m[e].channels[k].largest_error;
        }
        json_object(j);
        json_kstr(j, "name", c->set.channels[k].header);
        json_kdouble(j, "bound", m[0].channels[k].bound);
        json_per_encoding(j, "bytes_per_sample", bytes);
        json_per_encoding(j, "largest_error", largest);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
}

static void json_rows(struct json *j, const struct comparison *c)
{
    json_key(j, "rows_per_block");
    json_array(j);
    for (unsigned i = 0; i < COMPARE_BLOCK_ROWS; i++) {
        double v[2][COMPARE_ENCODINGS];

        for (unsigned e = 0; e < COMPARE_ENCODINGS; e++)
            for (unsigned cold = 0; cold < 2; cold++)
                v[cold][e] = c->of_rows[i][e][cold];
        json_object(j);
        json_ku64(j, "rows", compare_block_rows[i]);
        json_per_encoding(j, "bytes_per_sample", v[0]);
        json_per_encoding(j, "bytes_per_sample_cold", v[1]);
        json_object_end(j);
    }
    json_array_end(j);
}

static int show_json(struct ctl *ctl, const struct comparison *c)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_ku64(j, "files", ctl->n_args);
    json_ku64(j, "channels", c->set.n_channels);
    json_ku64(j, "rows", c->set.n_rows);
    json_ku64(j, "samples", c->set.n_samples);
    json_ku64(j, "block_rows", c->rows);
    json_kbool(j, "cold", c->cold);
    json_ku64(j, "start_bytes", c->start_bytes);
    json_kbool(j, "exact", comparison_is_exact(c));
    json_exact(j, c);
    json_key(j, "bounds");
    json_array(j);
    for (unsigned i = 0; i < c->percents.n; i++)
        json_bound(j, c, i);
    json_array_end(j);
    json_rows(j, c);
    json_key(j, "intervals");
    json_array(j);
    for (unsigned i = 0; i < c->intervals.n; i++) {
        json_object(j);
        json_kdouble(j, "interval_s", c->intervals.at[i]);
        json_ku64(j, "rows", c->of_interval[i].n_rows);
        json_ku64(j, "samples", c->of_interval[i].n_samples);
        json_per_encoding(j, "bytes_per_sample", c->of_interval[i].per_sample);
        json_per_encoding(j, "bytes_per_day", c->of_interval[i].bytes_per_day);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

/* ---- text ---- */

/* Takes the table; a failure of it is remembered in *ok. */
static void print(struct ctl *ctl, struct table *t, bool *ok)
{
    if (table_print(t, ctl->out, ctl->color) != 0)
        *ok = false;
    table_free(t);
}

static void line(struct table *t, const char *name, uint64_t bytes, uint64_t n, const double seconds[2])
{
    table_cell(t, name);
    table_cellf(t, "%" PRIu64, bytes);
    table_cellf(t, "%.3f", per_sample((double)bytes, n));
    for (unsigned i = 0; i < 2; i++) {
        if (seconds != NULL)
            table_cellf(t, "%.1f", m_s(n, seconds[i]));
        else
            table_cell(t, "-");
    }
}

static void show_exact(struct ctl *ctl, const struct comparison *c, bool *ok)
{
    static const struct table_column columns[] = {
        {"ENCODING", false}, {"BYTES", true}, {"B/SAMPLE", true}, {"ENCODE M/s", true}, {"DECODE M/s", true}};
    uint64_t n = c->set.n_samples;
    struct table *t;

    if (table_new(&t, columns, 5) != 0) {
        *ok = false;
        return;
    }
    line(t, "plain: time, value", c->plain.plain_bytes, n, NULL);
    if (c->has_zstd) {
        line(t, "zstd -3 of that", c->plain.bytes, n, (double[]){c->plain.encode_s, c->plain.decode_s});
    } else {
        table_cell(t, "zstd -3 of that");
        for (unsigned i = 0; i < 4; i++)
            table_cell(t, "-");
    }
    for (unsigned e = 0; e < COMPARE_ENCODINGS; e++)
        line(t, block_encoding_name(compare_encodings[e]), c->exact[e].bytes, n,
             (double[]){c->exact[e].encode_s, c->exact[e].decode_s});
    print(ctl, t, ok);
}

static void bound_row(struct table *t, const struct comparison *c, unsigned i)
{
    const struct codec_measured *m = c->bounded[i];
    unsigned worst = m[1].largest_of_bound > m[0].largest_of_bound ? 1 : 0;

    table_cellf(t, "%g %%", c->percents.at[i]);
    table_cell(t, "all");
    table_cell(t, "");
    table_cellf(t, "%.4f of it", m[worst].largest_of_bound);
    for (unsigned e = 0; e < COMPARE_ENCODINGS; e++)
        table_cellf(t, "%.3f", per_sample((double)m[e].bytes, c->set.n_samples));
    for (size_t k = 0; k < c->set.n_channels; k++) {
        if (!(m[0].channels[k].bound > 0))
            continue;
        table_cell(t, "");
        table_cell(t, c->set.channels[k].header);
        table_cellf(t, "%.6g", m[0].channels[k].bound);
        table_cellf(t, "%.6g", fmax(m[0].channels[k].largest_error, m[1].channels[k].largest_error));
        for (unsigned e = 0; e < COMPARE_ENCODINGS; e++)
            table_cellf(t, "%.3f", per_sample(m[e].channels[k].body_bytes, m[e].channels[k].n_cells));
    }
}

static void show_bounds(struct ctl *ctl, const struct comparison *c, bool *ok)
{
    static const struct table_column columns[] = {{"OF RANGE", true}, {"CHANNEL", false},
                                                  {"BOUND", true},    {"LARGEST ERROR", true},
                                                  {"FAST B", true},   {"SMALL B", true}};
    struct table *t;

    if (table_new(&t, columns, 6) != 0) {
        *ok = false;
        return;
    }
    for (unsigned i = 0; i < c->percents.n; i++)
        bound_row(t, c, i);
    fputs("\nWith a bound, in percent of each channel's range, bytes a sample:\n", ctl->out);
    print(ctl, t, ok);
}

static void show_rows(struct ctl *ctl, const struct comparison *c, bool *ok)
{
    static const struct table_column columns[] = {
        {"ROWS", true}, {"FAST B", true}, {"SMALL B", true}, {"FAST COLD", true}, {"SMALL COLD", true}};
    struct table *t;

    if (table_new(&t, columns, 5) != 0) {
        *ok = false;
        return;
    }
    for (unsigned i = 0; i < COMPARE_BLOCK_ROWS; i++) {
        table_cellf(t, "%" PRIu32, compare_block_rows[i]);
        for (unsigned cold = 0; cold < 2; cold++)
            for (unsigned e = 0; e < COMPARE_ENCODINGS; e++)
                table_cellf(t, "%.3f", c->of_rows[i][e][cold]);
    }
    fputs("\nExact, by rows of a block, with starts that were learned and cold, bytes a sample:\n", ctl->out);
    print(ctl, t, ok);
}

static void show_intervals(struct ctl *ctl, const struct comparison *c, bool *ok)
{
    static const struct table_column columns[] = {{"INTERVAL", true}, {"ROWS", true},
                                                  {"FAST B", true},   {"SMALL B", true},
                                                  {"FAST/DAY", true}, {"SMALL/DAY", true}};
    struct table *t;
    char size[16];

    if (table_new(&t, columns, 6) != 0) {
        *ok = false;
        return;
    }
    for (unsigned i = 0; i < c->intervals.n; i++) {
        table_cellf(t, "%g s", c->intervals.at[i]);
        table_cellf(t, "%" PRIu64, c->of_interval[i].n_rows);
        for (unsigned e = 0; e < COMPARE_ENCODINGS; e++)
            table_cellf(t, "%.3f", c->of_interval[i].per_sample[e]);
        for (unsigned e = 0; e < COMPARE_ENCODINGS; e++)
            table_cell(t, numfmt_bytes((uint64_t)c->of_interval[i].bytes_per_day[e], size));
    }
    fputs("\nExact, with the first row of each interval, bytes a sample and a day:\n", ctl->out);
    print(ctl, t, ok);
}

static int show_text(struct ctl *ctl, const struct comparison *c)
{
    bool ok = true;

    fprintf(ctl->out,
            "%u file%s, %zu channels, %" PRIu64 " rows, %" PRIu64 " samples; blocks of %" PRIu32
            " rows, times shared by their channels\n",
            ctl->n_args, ctl->n_args == 1 ? "" : "s", c->set.n_channels, c->set.n_rows, c->set.n_samples,
            c->rows);
    if (!c->cold)
        fprintf(ctl->out, "starts learned from each file's first rows, beside the blocks: %zu bytes\n",
                c->start_bytes);
    fputc('\n', ctl->out);
    show_exact(ctl, c, &ok);
    show_bounds(ctl, c, &ok);
    show_rows(ctl, c, &ok);
    if (c->intervals.n > 0)
        show_intervals(ctl, c, &ok);
    return ok ? CTL_OK : ctl_fail(ctl, CTL_FAILED, "cannot print");
}

int comparison_show(const struct comparison *c)
{
    return c->ctl->json ? show_json(c->ctl, c) : show_text(c->ctl, c);
}
