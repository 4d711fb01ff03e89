/* devicectl keep --what-if: policies tried on a recording before a device is set up with one. */
#include "device/ctl_device.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/table.h"
#include "device/device_config.h"
#include "device/keep/what_if.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_CHARS = 40, SILENCE_S_MAX = 30 * 86400, PACK_MS_MAX = 600000 };

struct ladder {
    struct what_if *w;
    const struct codec_table *table;
    unsigned n;
    struct what_if_policy policies[WHAT_IF_POLICIES_MAX];
    struct what_if_result results[WHAT_IF_POLICIES_MAX];
};

static const char *policy_word(enum keep_policy p)
{
    static const char *const words[] = {"raw", "change", "bound", "aggregate", "local"};

    return words[p];
}

static double bytes_a_day(const struct ladder *l, unsigned i)
{
    return (double)l->results[i].bytes / what_if_recording(l->w)->days;
}

static void put_error(struct json *j, const char *key, double parts)
{
    json_key(j, key);
    if (isfinite(parts))
        json_double(j, parts * 100);
    else
        json_null(j);
}

static int show_json(struct ctl *ctl, const struct ladder *l, const char *file,
                     const struct what_if_options *o)
{
    const struct what_if_recording *about = what_if_recording(l->w);
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", file);
    json_ku64(j, "rows", about->rows);
    json_ku64(j, "samples", about->samples);
    json_ku64(j, "channels", about->n_columns);
    json_ki64(j, "interval_ns", about->interval_ns);
    json_kdouble(j, "days", about->days);
    json_ku64(j, "block_rows", o->block_rows);
    json_ki64(j, "pack_ms", o->pack_ns / NS_PER_MS);
    json_ki64(j, "max_silence_ms", about->max_silence_ns / NS_PER_MS);
    json_key(j, "policies");
    json_array(j);
    for (unsigned i = 0; i < l->n; i++) {
        const struct what_if_policy *p = &l->policies[i];
        const struct what_if_result *r = &l->results[i];

        json_object(j);
        json_kstr(j, "policy", policy_word(p->policy));
        json_kstr(j, "name", p->name);
        json_kdouble(j, "percent_of_range", p->percent);
        json_ki64(j, "span_ms", p->span_ns / NS_PER_MS);
        json_ku64(j, "rows", r->rows);
        json_ku64(j, "samples", r->samples);
        json_ku64(j, "blocks", r->blocks);
        json_ku64(j, "bytes", r->bytes);
        json_kdouble(j, "bytes_per_day", bytes_a_day(l, i));
        json_kdouble(j, "bytes_per_sample_read", (double)r->bytes / (double)about->samples);
        put_error(j, "worst_percent_of_range", r->worst);
        put_error(j, "rms_percent_of_range", r->rms);
        json_kstr(j, "worst_channel", l->table->about[r->worst_column].name);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static void error_cell(struct table *t, double parts)
{
    if (parts == 0)
        table_cell(t, "0");
    else if (isfinite(parts))
        table_cellf(t, "%.3g %%", parts * 100);
    else
        table_cell(t, "not there");
}

static void bytes_cell(struct table *t, double bytes)
{
    if (bytes < 10e3)
        table_cellf(t, "%.0f B", bytes);
    else if (bytes < 10e6)
        table_cellf(t, "%.0f kB", bytes / 1e3);
    else
        table_cellf(t, "%.0f MB", bytes / 1e6);
}

/* What a step of the ladder is in the configuration. */
static void show_percent(struct ctl *ctl, const struct what_if_recording *about)
{
    if (about->range > 0)
        fprintf(ctl->out,
                "1 %% is %.4g in the unit of the channel, as the keys deadband and bound want it.\n",
                about->range / 100);
    else
        fprintf(
            ctl->out,
            "The keys deadband and bound want the unit of a channel: --column says what 1 %% of one is.\n");
}

/* How long blocks wait to be closed is most of what a slow channel costs. */
static void show_packing(struct ctl *ctl, const struct what_if_recording *about,
                         const struct what_if_options *o)
{
    double full_s = (double)o->block_rows * (double)about->interval_ns / (double)NS_PER_S;

    if (o->pack_ns > 0)
        fprintf(ctl->out,
                "Blocks are closed when their first row is %.4g s old, as with pack.ms: --pack-ms.\n\n",
                (double)o->pack_ns / (double)NS_PER_S);
    else if (full_s * 1000 <= PACK_MS_MAX)
        fprintf(ctl->out,
                "Blocks are closed by their rows alone: of raw readings for that pack.ms is to be %.4g s or "
                "more. "
                "Try yours with --pack-ms.\n\n",
                full_s);
    else
        fprintf(ctl->out,
                "Blocks are closed by their rows alone: of raw readings after %.4g s, when a device has "
                "closed them "
                "long since (pack.ms, %d s at most). Try yours with --pack-ms.\n\n",
                full_s, PACK_MS_MAX / 1000);
}

static int show_text(struct ctl *ctl, const struct ladder *l, const struct what_if_options *o)
{
    static const struct table_column columns[] = {{"POLICY", false}, {"A DAY", true}, {"SAMPLES", true},
                                                  {"WORST", true},   {"RMS", true},   {"BYTES", false}};
    const struct what_if_recording *about = what_if_recording(l->w);
    owned(table_freep) struct table *t = NULL;
    char bar[BAR_CHARS + 1];
    double most = 1;

    fprintf(ctl->out,
            "%" PRIu64 " rows, %" PRIu64
            " samples of %u channels, %.4g s apart; blocks of %u rows; change at "
            "least every %.4g s; errors in "
            "percent of a channel's range\n",
            about->rows, about->samples, about->n_columns, (double)about->interval_ns / (double)NS_PER_S,
            o->block_rows, (double)about->max_silence_ns / (double)NS_PER_S);
    show_percent(ctl, about);
    show_packing(ctl, about, o);
    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) != 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (unsigned i = 0; i < l->n; i++)
        most = fmax(most, (double)l->results[i].bytes);
    for (unsigned i = 0; i < l->n; i++) {
        const struct what_if_result *r = &l->results[i];
        size_t n = (size_t)ceil(BAR_CHARS * (double)r->bytes / most);

        memset(bar, '#', n);
        bar[n] = '\0';
        table_cell(t, l->policies[i].name);
        bytes_cell(t, bytes_a_day(l, i));
        table_cellf(t, "%.3g %%", 100 * (double)r->samples / (double)about->samples);
        error_cell(t, r->worst);
        error_cell(t, r->rms);
        table_cell(t, bar);
    }
    return table_print(t, ctl->out, ctl->color) == 0 ? CTL_OK : ctl_fail(ctl, CTL_FAILED, "cannot print");
}

/* A whole number of an option; absent: def. */
static int take_number(struct ctl *ctl, const char *option, long min, long max, long def, long *ret)
{
    const char *given = ctl_option(ctl, option);
    char *end;

    *ret = def;
    if (given == NULL)
        return CTL_OK;
    *ret = strtol(given, &end, 10);
    if (end == given || *end != '\0' || *ret < min || *ret > max)
        return ctl_fail(ctl, CTL_USAGE, "--%s: `%s` is not a whole number from %ld to %ld", option, given,
                        min, max);
    return CTL_OK;
}

/* How long blocks stay open on a device whose configuration does not say. */
static int default_pack_ms(struct ctl *ctl, long *ret_ms)
{
    struct device_config config;

    if (config_defaults(ctl->tier->schema, &config) != 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    *ret_ms = (long)(config.pack_ms > 0 ? config.pack_ms : config.commit_ms);
    config_free_values(ctl->tier->schema, &config);
    return CTL_OK;
}

static int try_all(struct ctl *ctl, struct ladder *l, const struct what_if_options *o, const char *file)
{
    int rc = what_if_new(&l->w, o);

    if (rc == -ENODATA)
        return ctl_fail(ctl, CTL_FAILED, "%s: no two rows with numbers, later and later", file);
    l->n = rc == 0 ? what_if_ladder(l->w, l->policies) : 0;
    for (unsigned i = 0; i < l->n && rc == 0; i++)
        rc = what_if_run(l->w, &l->policies[i], &l->results[i]);
    return rc == 0 ? CTL_OK : ctl_fail(ctl, CTL_FAILED, "%s: %s", file, strerror(-rc));
}

static int run_keep(struct ctl *ctl)
{
    owned(codec_table_freep) struct codec_table *table = NULL;
    owned(what_if_freep) struct what_if *w = NULL;
    const char *file = ctl_option(ctl, "what-if"), *column = ctl_option(ctl, "column"),
               *times[] = {ctl_option(ctl, "time")};
    struct csv_options csv = {.zone = ctl_option(ctl, "tz") != NULL ? ctl_option(ctl, "tz") : "UTC"};
    struct what_if_options o = {.only_column = -1};
    struct ladder l = {0};
    struct errmsg err = {""};
    long rows, silence_s, pack_ms, device_pack_ms = 0;
    int code;

    if (file == NULL)
        return ctl_fail(ctl, CTL_USAGE, "--what-if FILE is missing: a recording to try policies on");
    code = default_pack_ms(ctl, &device_pack_ms);
    if (code == CTL_OK)
        code = take_number(ctl, "rows", 1, BLOCK_ROWS_MAX, 100, &rows);
    if (code == CTL_OK)
        code = take_number(ctl, "max-silence", 1, SILENCE_S_MAX, 0, &silence_s);
    if (code == CTL_OK)
        code = take_number(ctl, "pack-ms", 0, PACK_MS_MAX, device_pack_ms, &pack_ms);
    if (code != CTL_OK)
        return code;
    csv.time_columns = times;
    csv.n_time_columns = times[0] != NULL;
    if (codec_table_new(&table, file, &csv, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s", err.text);
    if (table->n_bad_rows + table->n_bad_cells > 0)
        ctl_note(ctl,
                 "%s: left out: %" PRIu64 " rows, %" PRIu64
                 " cells; which ones shows: devicectl csv inspect %s",
                 file, table->n_bad_rows, table->n_bad_cells, file);
    if (column != NULL) {
        o.only_column = codec_table_find(table, column, strlen(column));
        if (o.only_column < 0)
            return ctl_fail(ctl, CTL_NOT_FOUND, "%s: no column `%s`; devicectl csv inspect lists them", file,
                            column);
    }
    o.table = l.table = table;
    o.block_rows = (uint32_t)rows;
    o.max_silence_ns = silence_s * NS_PER_S;
    o.pack_ns = pack_ms * NS_PER_MS;
    code = try_all(ctl, &l, &o, file);
    w = l.w;
    if (code != CTL_OK)
        return code;
    return ctl->json ? show_json(ctl, &l, file, &o) : show_text(ctl, &l, &o);
}

static const struct cmd_option options[] = {
    {"what-if", 0, "FILE", "the recording, a CSV file"},
    {"column", 0, "COL", "one channel only"},
    {"rows", 0, "N", "rows in a block, as pack.rows (100)"},
    {"pack-ms", 0, "MS",
     "a block is closed when its first row is so old, as pack.ms; 0: by its rows alone (90000)"},
    {"max-silence", 0, "SECONDS", "of the policies by change (a minute, or 60 readings)"},
    {"time", 0, "COL", "column that is the time"},
    {"tz", 0, "ZONE", "zone of times that do not say theirs (UTC)"},
    {0},
};

const struct cmd ctl_device_keep[] = {
    {"keep", "", 0, 0, "what policies of keeping would make of a recording: bytes a day, samples, errors",
     "Each policy of a ladder goes the whole way: what it sends through the codec in blocks and back, and "
     "each "
     "reading of the file against what stands for it. Numbers only; texts are left out.",
     options, run_keep},
    {0},
};
