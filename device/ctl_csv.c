#include "device/ctl_device.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/table.h"
#include "device/sources/csv_reader.h"

#include <inttypes.h>
#include <string.h>

enum { NAMES_MAX = 64 };

/* Column names of an option: given more than once, or joined by commas. */
struct names {
    char memory[4096];
    const char *at[NAMES_MAX];
    size_t n;
};

static int take_names(struct ctl *ctl, const char *option, struct names *ret)
{
    const char *given;
    size_t used = 0;

    ret->n = 0;
    for (unsigned i = 0; (given = ctl_option_n(ctl, option, i)) != NULL; i++) {
        size_t len = strlen(given);
        char *copy = ret->memory + used, *word;

        if (used + len + 1 > sizeof ret->memory)
            return ctl_fail(ctl, CTL_USAGE, "--%s: too long", option);
        memcpy(copy, given, len + 1);
        used += len + 1;
        while ((word = strsep(&copy, ",")) != NULL) {
            if (ret->n == NAMES_MAX)
                return ctl_fail(ctl, CTL_USAGE, "--%s: too many columns", option);
            ret->at[ret->n++] = word;
        }
    }
    return CTL_OK;
}

static const char *separator_name(char c)
{
    return c == ',' ? "comma" : c == ';' ? "semicolon" : c == '\t' ? "tab" : "bar";
}

static const char *type_name(enum column_type t)
{
    return t == COLUMN_TEXT ? "text" : t == COLUMN_INT64 ? "int64" : "double";
}

static const char *unit_name(int64_t unit_ns)
{
    return unit_ns == NS_PER_S ? "s" : unit_ns == NS_PER_MS ? "ms" : unit_ns == 1000 ? "us" : "ns";
}

/* Of a file without a header what it is called here. */
static const char *title_of(const struct csv_column *c)
{
    return c->header[0] != '\0' ? c->header : c->name;
}

static void json_times(struct json *j, const struct csv_shape *s, const char *zone)
{
    json_key(j, "time");
    json_object(j);
    json_kstr(j, "form", csv_time_form_name(s->form));
    json_key(j, "columns");
    json_array(j);
    for (unsigned i = 0; i < s->n_time_columns; i++)
        json_str(j, title_of(&s->columns[s->time_column[i]]));
    json_array_end(j);
    if (s->form == CSV_TIME_NUMBER)
        json_kstr(j, "unit", unit_name(s->unit_ns));
    json_kstr(j, "zone", zone);
    json_ki64(j, "first_unix_ns", s->first_time_ns);
    json_ki64(j, "min_unix_ns", s->min_time_ns);
    json_ki64(j, "max_unix_ns", s->max_time_ns);
    json_object_end(j);
}

static void json_channels(struct json *j, const struct csv_shape *s)
{
    json_key(j, "channels");
    json_array(j);
    for (uint32_t i = 0; i < s->n_channels; i++) {
        const struct csv_column *c = &s->columns[s->channel[i]];

        json_object(j);
        json_kstr(j, "name", c->name);
        json_kstr(j, "header", c->header);
        json_kbool(j, "renamed", c->is_mended);
        json_kstr(j, "type", type_name(c->type));
        json_ku64(j, "samples", c->type == COLUMN_TEXT ? c->n_present : c->n_numbers);
        json_ku64(j, "unreadable", c->type == COLUMN_TEXT ? 0 : c->n_present - c->n_numbers);
        json_object_end(j);
    }
    json_array_end(j);
}

static int show_json(struct ctl *ctl, const struct csv_shape *s, const char *file, const char *zone)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", file);
    json_kstr(j, "separator", separator_name(s->separator));
    json_kbool(j, "header", s->has_header);
    json_times(j, s, zone);
    json_channels(j, s);
    json_ku64(j, "rows", s->n_rows);
    json_ku64(j, "samples", s->n_samples);
    json_ku64(j, "unreadable_rows", s->n_bad_rows);
    json_ku64(j, "unreadable_cells", s->n_bad_cells);
    json_ku64(j, "cut_texts", s->n_cut_texts);
    json_key(j, "unreadable");
    json_array(j);
    for (unsigned i = 0; i < s->n_bad_listed; i++) {
        json_object(j);
        json_ku64(j, "line", s->bad[i].line);
        json_kstr(j, "channel", s->bad[i].column != NULL ? s->bad[i].column : "");
        json_kstr(j, "why", s->bad[i].why);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static void show_times(FILE *out, const struct csv_shape *s, const char *zone)
{
    char first[40], last[40];

    fprintf(out, "time      %s:", csv_time_form_name(s->form));
    for (unsigned i = 0; i < s->n_time_columns; i++)
        fprintf(out, " %s", title_of(&s->columns[s->time_column[i]]));
    if (s->form == CSV_TIME_NUMBER)
        fprintf(out, ", taken for %s since 1970 by its size", unit_name(s->unit_ns));
    else
        fprintf(out, ", zone %s", zone);
    fprintf(out, "\n");
    if (s->n_rows > 0)
        fprintf(out, "from      %s\nto        %s\n", clock_format_utc(s->min_time_ns, first),
                clock_format_utc(s->max_time_ns, last));
}

static int show_text(struct ctl *ctl, const struct csv_shape *s, const char *file, const char *zone)
{
    static const struct table_column columns[] = {
        {"CHANNEL", false}, {"TYPE", false}, {"SAMPLES", true}, {"UNREADABLE", true}, {"HEADER", false}};
    owned(table_freep) struct table *t = NULL;

    fprintf(ctl->out, "file      %s\nseparator %s\nheader    %s\n", file, separator_name(s->separator),
            s->has_header ? "yes" : "no");
    show_times(ctl->out, s, zone);
    fprintf(ctl->out,
            "rows      %" PRIu64 ", unreadable %" PRIu64 "\nsamples   %" PRIu64 ", unreadable %" PRIu64
            ", texts cut %" PRIu64 "\n\n",
            s->n_rows, s->n_bad_rows, s->n_samples, s->n_bad_cells, s->n_cut_texts);
    if (table_new(&t, columns, 5) != 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (uint32_t i = 0; i < s->n_channels; i++) {
        const struct csv_column *c = &s->columns[s->channel[i]];
        bool is_text = c->type == COLUMN_TEXT;

        table_cell(t, c->name);
        table_cell(t, type_name(c->type));
        table_cellf(t, "%" PRIu64, is_text ? c->n_present : c->n_numbers);
        table_cellf(t, "%" PRIu64, is_text ? 0 : c->n_present - c->n_numbers);
        table_cell(t, c->is_mended ? c->header : "");
    }
    if (table_print(t, ctl->out, ctl->color) != 0)
        return ctl_fail(ctl, CTL_FAILED, "cannot print");
    for (unsigned i = 0; i < s->n_bad_listed; i++)
        fprintf(ctl->out, "%s:%" PRIu64 ": %s%s%s\n", file, s->bad[i].line,
                s->bad[i].column != NULL ? s->bad[i].column : "", s->bad[i].column != NULL ? ": " : "",
                s->bad[i].why);
    return CTL_OK;
}

static int run_inspect(struct ctl *ctl)
{
    owned(csv_input_freep) struct csv_input *in = NULL;
    owned(csv_shape_freep) struct csv_shape *s = NULL;
    struct names times, ints;
    const char *zone = ctl_option(ctl, "tz") != NULL ? ctl_option(ctl, "tz") : "UTC";
    struct csv_options o = {.zone = zone};
    struct errmsg err = {""};
    int code = take_names(ctl, "time", &times);

    if (code == CTL_OK)
        code = take_names(ctl, "int", &ints);
    if (code != CTL_OK)
        return code;
    o.time_columns = times.at;
    o.n_time_columns = times.n;
    o.int_columns = ints.at;
    o.n_int_columns = ints.n;
    if (csv_input_open(&in, ctl->args[0], &err) != 0)
        return ctl_fail(ctl, CTL_NOT_FOUND, "%s", err.text);
    if (csv_shape_new(&s, in, &o, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->args[0],
                        err.text[0] != '\0' ? err.text : "cannot be read");
    return ctl->json ? show_json(ctl, s, ctl->args[0], zone) : show_text(ctl, s, ctl->args[0], zone);
}

static const struct cmd_option options[] = {
    {"time", 0, "COL[,COL]", "columns that make the time"},
    {"int", 0, "COL[,COL]", "columns to keep as int64"},
    {"tz", 0, "ZONE", "zone of times that do not say theirs (UTC)"},
    {0},
};

const struct cmd ctl_device_csv[] = {
    {"csv inspect", "FILE", 1, 1, "what a source of type csv would make of a file",
     "Separator, header, time, channels with their types, rows, and the lines that cannot be read.", options,
     run_inspect},
    {0},
};
