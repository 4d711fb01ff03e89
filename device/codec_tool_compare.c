/* Measuring; codec_tool_compare_show.c tells. */
#include "device/codec_tool_compare.h"

#include "base/cleanup.h"
#include "base/numfmt.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { ROUNDS = 3 };

const uint32_t compare_block_rows[COMPARE_BLOCK_ROWS] = {1, 10, 100, 1000};
const enum block_encoding compare_encodings[COMPARE_ENCODINGS] = {BLOCK_ENCODING_FAST, BLOCK_ENCODING_SMALL};

struct tables {
    struct codec_table **at;
    size_t n;
};

static void tables_deinit(struct tables *t)
{
    for (size_t i = 0; i < t->n; i++)
        codec_table_free(t->at[i]);
    free(t->at);
}

static void comparison_freep(struct comparison **p)
{
    struct comparison *c = *p;

    if (c == NULL)
        return;
    codec_set_deinit(&c->set);
    for (unsigned e = 0; e < COMPARE_ENCODINGS; e++) {
        codec_measured_deinit(&c->exact[e]);
        for (unsigned i = 0; i < COMPARE_LIST_MAX; i++)
            codec_measured_deinit(&c->bounded[i][e]);
    }
    free(c);
}

/* ---- measuring ---- */

static int take_list(struct ctl *ctl, const char *option, const char *def, double max,
                     struct compare_list *ret)
{
    const char *given = def;
    char copy[256], *rest, *word;

    ret->n = 0;
    for (unsigned i = 0; ctl_option_n(ctl, option, i) != NULL || (i == 0 && given != NULL); i++) {
        given = ctl_option_n(ctl, option, i) != NULL ? ctl_option_n(ctl, option, i) : def;
        snprintf(copy, sizeof copy, "%s", given);
        for (rest = copy; (word = strsep(&rest, ",")) != NULL;) {
            double v;

            if (strlen(given) >= sizeof copy || !numfmt_parse_double(word, strlen(word), &v) ||
                !(v > 0 && v <= max))
                return ctl_fail(ctl, CTL_USAGE,
                                "--%s: `%s` is not a list of numbers above 0 and up to %g, such as 0.5,1",
                                option, given, max);
            if (ret->n == COMPARE_LIST_MAX)
                return ctl_fail(ctl, CTL_USAGE, "--%s: at most %d", option, COMPARE_LIST_MAX);
            ret->at[ret->n++] = v;
        }
    }
    return CTL_OK;
}

static int load(struct ctl *ctl, struct tables *t)
{
    int code = CTL_OK;

    t->at = calloc(ctl->n_args, sizeof *t->at);
    if (t->at == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (unsigned i = 0; i < ctl->n_args && code == CTL_OK; i++) {
        code = codec_tool_load(ctl, ctl->args[i], &t->at[t->n]);
        t->n += code == CTL_OK;
    }
    return code;
}

static must_check int add_tables(struct codec_set *s, const struct tables *t)
{
    int r = 0;

    for (size_t i = 0; i < t->n && r == 0; i++)
        r = codec_set_add(s, t->at[i]);
    return r;
}

static must_check int measure_exact(struct comparison *c)
{
    int r = codec_measure_plain(&c->set, c->rows, true, ROUNDS, &c->plain);

    if (r < 0)
        return r;
    c->has_zstd = r == 0;
    r = codec_set_prepare(&c->set, 0, c->cold);
    c->start_bytes = codec_set_start_bytes(&c->set);
    for (unsigned e = 0; e < COMPARE_ENCODINGS && r == 0; e++)
        r = codec_measure(&c->set, compare_encodings[e], c->rows, ROUNDS, &c->exact[e]);
    return r;
}

static must_check int measure_rows(struct comparison *c)
{
    struct codec_measured m;
    int r = 0;

    for (unsigned cold = 0; cold < 2 && r == 0; cold++) {
        r = codec_set_prepare(&c->set, 0, cold != 0);
        for (unsigned i = 0; i < COMPARE_BLOCK_ROWS; i++) {
            for (unsigned e = 0; e < COMPARE_ENCODINGS && r == 0; e++) {
                r = codec_measure(&c->set, compare_encodings[e], compare_block_rows[i], 0, &m);
                if (r != 0)
                    break;
                c->of_rows[i][e][cold] = per_sample((double)m.bytes, c->set.n_samples);
                codec_measured_deinit(&m);
            }
        }
    }
    return r;
}

static must_check int measure_bounds(struct comparison *c)
{
    int r = 0;

    for (unsigned i = 0; i < c->percents.n && r == 0; i++) {
        r = codec_set_prepare(&c->set, c->percents.at[i] / 100, c->cold);
        for (unsigned e = 0; e < COMPARE_ENCODINGS && r == 0; e++)
            r = codec_measure(&c->set, compare_encodings[e], c->rows, 0, &c->bounded[i][e]);
    }
    return r;
}

/* Thinning is for good, so each interval reads the files again. */
static int measure_interval(struct comparison *c, unsigned i)
{
    owned(tables_deinit) struct tables t = {0};
    owned(codec_set_deinit) struct codec_set s = {0};
    double days = 0;
    int code = load(c->ctl, &t), r = 0;

    if (code != CTL_OK)
        return code;
    for (size_t k = 0; k < t.n; k++) {
        codec_table_thin(t.at[k], (int64_t)llround(c->intervals.at[i] * 1e9));
        days += (double)t.at[k]->n_rows * c->intervals.at[i] / 86400;
    }
    r = add_tables(&s, &t);
    if (r == 0)
        r = codec_set_prepare(&s, 0, c->cold);
    c->of_interval[i].n_rows = s.n_rows;
    c->of_interval[i].n_samples = s.n_samples;
    for (unsigned e = 0; e < COMPARE_ENCODINGS && r == 0; e++) {
        struct codec_measured m;

        r = codec_measure(&s, compare_encodings[e], c->rows, 0, &m);
        if (r != 0)
            break;
        c->of_interval[i].per_sample[e] = per_sample((double)m.bytes, s.n_samples);
        c->of_interval[i].bytes_per_day[e] = (double)m.bytes / days;
        codec_measured_deinit(&m);
    }
    return r != 0 ? ctl_fail(c->ctl, CTL_FAILED, "cannot be measured: %s", strerror(-r)) : CTL_OK;
}

static int run_compare(struct ctl *ctl)
{
    owned(tables_deinit) struct tables t = {0};
    owned(comparison_freep) struct comparison *c = calloc(1, sizeof *c);
    int code, r;

    if (c == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    c->ctl = ctl;
    c->cold = ctl_option(ctl, "cold") != NULL;
    code = codec_tool_rows(ctl, &c->rows);
    if (code == CTL_OK)
        code = take_list(ctl, "bound-percent", "0.1,0.5,1", 100, &c->percents);
    if (code == CTL_OK)
        code = take_list(ctl, "interval", NULL, 86400 * 366, &c->intervals);
    if (code == CTL_OK)
        code = load(ctl, &t);
    if (code != CTL_OK)
        return code;
    r = add_tables(&c->set, &t);
    if (r == 0)
        r = measure_exact(c);
    if (r == 0)
        r = measure_bounds(c);
    if (r == 0)
        r = measure_rows(c);
    if (r != 0)
        return ctl_fail(ctl, CTL_FAILED, "cannot be measured: %s", strerror(-r));
    for (unsigned i = 0; i < c->intervals.n && code == CTL_OK; i++)
        code = measure_interval(c, i);
    if (code == CTL_OK)
        code = comparison_show(c);
    if (code == CTL_OK && !comparison_is_exact(c))
        return ctl_fail(ctl, CTL_FAILED,
                        "what was decoded is not what went in: please report this with the file");
    return code;
}

static const struct cmd_option options[] = {
    {"rows", 0, "N", "rows of a block (1000)"},
    {"bound-percent", 0, "P[,P]", "bounds to try, in percent of each channel's range (0.1,0.5,1)"},
    {"interval", 0, "S[,S]", "also with one row every S seconds"},
    {"cold", 0, NULL, "learn nothing: each block begins knowing nothing of the channels"},
    CODEC_TOOL_CSV_OPTIONS,
    {0},
};

const struct cmd codec_tool_compare[] = {
    {"compare", "FILE.csv [...]", 1, CMD_ARGS_ANY,
     "what each encoding makes of CSV files: bytes, speed, bounds, batches",
     "For deciding on intervals, on rows in a block and on error bounds. Everything is decoded and compared "
     "with what\n"
     "went in. Speeds are medians of three, of one core. Columns of one name in several files are one "
     "channel.\n"
     "\n"
     "  fogline-codec compare pump.csv\n"
     "  fogline-codec compare logs/*.csv --bound-percent 0.05,0.2 --interval 1,10,60\n"
     "  fogline-codec compare pump.csv --rows 100 --json | jq .encodings",
     options, run_compare},
    {0},
};
