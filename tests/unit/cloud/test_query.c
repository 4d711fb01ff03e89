#include "fixture.h"

#include "archive/export.h"
#include "archive/query.h"
#include "base/numfmt.h"
#include "base/rng.h"

#include <float.h>
#include <math.h>

enum { BLOCKS = 60, ROWS = 50, ALL_ROWS = BLOCKS * ROWS };

/* What was put in, in the order of putting. */
struct truth {
    unsigned device;
    uint64_t seq;
    uint32_t row_no;
    struct fixture_row row;
    char text[16];
};

struct filled {
    struct fixture f;
    struct truth *all;
    size_t n;
};

static double random_double(struct rng *rng)
{
    uint64_t bits = rng_u64(rng);
    double v;

    switch (rng_below(rng, 6)) {
    case 0:
        memcpy(&v, &bits, sizeof v); /* any bits at all */
        return v;
    case 1:
        return (double)(int64_t)rng_below(rng, 2000) / 10 - 50;
    case 2:
        return rng_unit(rng) * 1e-7;
    case 3:
        return (double)rng_below(rng, 100000) / 1000;
    case 4:
        return -0.0;
    default:
        return rng_normal(rng) * 1e6;
    }
}

static void random_row(struct rng *rng, struct truth *t, int64_t base)
{
    static const char *const texts[] = {"ok", "a,b", "say \"x\"", "line\nbreak", "", "\xc3\xa4\xff"};

    t->row.time_ns = base + (int64_t)rng_below(rng, 90) * NS_PER_S + (int64_t)rng_below(rng, 3) * 1001;
    t->row.cells[0].f64 = random_double(rng);
    t->row.cells[1].i64 = rng_below(rng, 5) == 0 ? (int64_t)rng_u64(rng) : (int64_t)rng_below(rng, 100);
    t->row.cells[2].i64 = (int64_t)rng_below(rng, 2);
    snprintf(t->text, sizeof t->text, "%s", texts[rng_below(rng, 6)]);
    t->row.cells[3].text = span_str(t->text);
    for (unsigned c = 0; c < COLUMNS; c++) {
        t->row.cells[c].absent = rng_below(rng, 4) == 0;
        t->row.cells[c].quality = rng_below(rng, 8) == 0 ? (uint8_t)rng_below(rng, 4) : QUALITY_GOOD;
    }
}

static void fill_block(struct filled *w, struct rng *rng, unsigned device)
{
    struct fixture *f = &w->f;
    struct fixture_row rows[ROWS];
    struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK};
    int64_t base = f->fake.wall_unix_ns + ((int64_t)rng_below(rng, 4000) - 2000) * NS_PER_S;
    uint64_t seq;

    for (uint32_t i = 0; i < ROWS; i++) {
        struct truth *t = &w->all[w->n + i];

        random_row(rng, t, base);
        rows[i] = t->row;
        rows[i].cells[3].text = span_str(t->text);
    }
    buf_reset(&f->payload);
    fixture_block(&f->payload, fixture_set_id(rng_below(rng, 2) == 0 ? "Cel" : "K"), rows, ROWS, &r.samples);
    r.payload = span_of(f->payload.data, f->payload.len);
    assert_int_equal(fixture_put(f, device, &r, &seq), 0);
    for (uint32_t i = 0; i < ROWS; i++) {
        w->all[w->n + i].device = device;
        w->all[w->n + i].seq = seq;
        w->all[w->n + i].row_no = i;
    }
    w->n += ROWS;
}

static int setup(void **state)
{
    struct filled *w = calloc(1, sizeof *w);
    struct rng rng = {99};

    fixture_init(&w->f);
    w->all = calloc(ALL_ROWS, sizeof *w->all);
    for (unsigned d = 0; d < FIXTURE_DEVICES; d++) {
        fixture_put_descriptor(&w->f, d, "Cel");
        fixture_put_descriptor(&w->f, d, "K");
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        fill_block(w, &rng, (unsigned)rng_below(&rng, FIXTURE_DEVICES));
    fixture_commit(&w->f);
    fixture_view(&w->f);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct filled *w = *state;

    fixture_deinit(&w->f);
    free(w->all);
    free(w);
    return 0;
}

/* ---- query ---- */

struct naive {
    uint64_t count, numbers;
    double min, max;
    long double sum, size;
};

static bool cell_counts(const struct truth *t, unsigned c, const struct query_options *o)
{
    return !t->row.cells[c].absent && (o->bad_too || t->row.cells[c].quality != QUALITY_BAD) &&
           t->row.time_ns >= o->range.from_ns && t->row.time_ns < o->range.to_ns;
}

static void naive_add(struct naive *n, double x)
{
    if (isnan(x))
        return;
    n->min = n->numbers == 0 || x < n->min ? x : n->min;
    n->max = n->numbers == 0 || x > n->max ? x : n->max;
    n->sum += (long double)x;
    n->size += fabsl((long double)x);
    n->numbers++;
    n->count++;
}

static struct naive naive_query(const struct filled *w, const struct query_options *o,
                                const struct query_row *row, const char *const *names)
{
    struct naive n = {0};

    for (size_t i = 0; i < w->n; i++) {
        const struct truth *t = &w->all[i];
        const struct fixture_device *d = &w->f.device[t->device];

        if ((row->site != NULL && strcmp(row->site, d->site) != 0) ||
            (row->device != NULL && strcmp(row->device, d->name) != 0) ||
            (o->bucket_ns > 0 &&
             (t->row.time_ns < row->bucket_ns || t->row.time_ns >= row->bucket_ns + o->bucket_ns)))
            continue;
        for (unsigned c = 0; c < COLUMNS; c++) {
            if ((row->channel != NULL && strcmp(row->channel, names[c]) != 0) || !cell_counts(t, c, o))
                continue;
            if (c == 3)
                n.count++;
            else
                naive_add(&n, c == 0 ? t->row.cells[0].f64 : (double)t->row.cells[c].i64);
        }
    }
    return n;
}

static void check_query(const struct filled *w, const struct query_options *o)
{
    static const char *const names[COLUMNS] = {"temperature", "count", "on", "note"};
    struct query_result q = {0};
    uint64_t total = 0, expected = 0;

    assert_int_equal(query_run(w->f.view, o, &q), 0);
    for (size_t i = 0; i < q.n; i++) {
        struct naive n = naive_query(w, o, &q.at[i], names);

        assert_int_equal(q.at[i].count, n.count);
        total += n.count;
        if (n.numbers == 0) {
            assert_true(isnan(q.at[i].stat[QUERY_MIN]) && isnan(q.at[i].stat[QUERY_SUM]));
            continue;
        }
        assert_true(q.at[i].stat[QUERY_MIN] == n.min && q.at[i].stat[QUERY_MAX] == n.max);
        if (isfinite(n.sum) && fabsl(n.sum) < (long double)DBL_MAX)
            assert_true(fabsl((long double)q.at[i].stat[QUERY_SUM] - n.sum) <= n.size * 1e-15L);
    }
    for (size_t i = 0; i < w->n; i++)
        for (unsigned c = 0; c < COLUMNS; c++)
            expected += cell_counts(&w->all[i], c, o) && !(c == 0 && isnan(w->all[i].row.cells[0].f64));
    assert_int_equal(total, expected);
    query_result_deinit(&q);
}

static void aggregates_agree_with_a_naive_count(void **state)
{
    const struct filled *w = *state;
    static const int64_t widths[] = {0, NS_PER_S, 60 * NS_PER_S, 3600 * NS_PER_S};

    for (unsigned i = 0; i < 32; i++) {
        struct query_options o = {.pattern = "**",
                                  .range = {INT64_MIN, INT64_MAX},
                                  .bucket_ns = widths[i % 4],
                                  .by_site = (i & 4) != 0,
                                  .by_device = (i & 8) != 0,
                                  .by_channel = (i & 16) != 0,
                                  .bad_too = i % 3 == 0};

        if (o.bucket_ns == NS_PER_S)
            o.range =
                (struct view_range){w->f.fake.wall_unix_ns, w->f.fake.wall_unix_ns + 100 * NS_PER_S + 7};
        check_query(w, &o);
    }
}

/* A sensor that fails for a while: NaN of quality bad between good values, and a whole bucket of it. */
static void what_a_failing_sensor_gives_is_in_no_aggregate(void **state)
{
    struct fixture f;
    struct fixture_row rows[12] = {0};
    struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK};
    struct query_options o = {.pattern = "*/*/{temperature,count}",
                              .range = {INT64_MIN, INT64_MAX},
                              .bucket_ns = 4 * NS_PER_S,
                              .by_channel = true};
    struct query_result q = {0};

    (void)state;
    fixture_init(&f);
    fixture_put_descriptor(&f, 0, "Cel");
    for (unsigned i = 0; i < 12; i++) {
        bool fails = i % 2 == 1 || i / 4 == 1; /* every other one; all of the second bucket */
        uint8_t quality = fails ? QUALITY_BAD : QUALITY_GOOD;

        rows[i].time_ns = (1600000000 + (int64_t)i) * NS_PER_S;
        rows[i].cells[0] = (struct cell){.f64 = fails ? (double)NAN : 20.0 + i, .quality = quality};
        rows[i].cells[1] = (struct cell){.i64 = fails ? 1000000 : i, .quality = quality};
        rows[i].cells[2].absent = rows[i].cells[3].absent = true;
    }
    buf_reset(&f.payload);
    fixture_block(&f.payload, fixture_set_id("Cel"), rows, 12, &r.samples);
    r.payload = span_of(f.payload.data, f.payload.len);
    assert_int_equal(fixture_put(&f, 0, &r, NULL), 0);
    fixture_commit(&f);
    fixture_view(&f);
    assert_int_equal(query_run(f.view, &o, &q), 0);
    assert_int_equal(q.n, 4); /* two channels; nothing of the second bucket */
    for (size_t i = 0; i < q.n; i++) {
        double base = strcmp(q.at[i].channel, "temperature") == 0 ? 20 : 0;
        double first = base + (q.at[i].bucket_ns == 1600000000 * NS_PER_S ? 0 : 8);

        assert_int_equal(q.at[i].count, 2);
        assert_true(q.at[i].stat[QUERY_MIN] == first && q.at[i].stat[QUERY_MAX] == first + 2 &&
                    q.at[i].stat[QUERY_SUM] == 2 * first + 2);
    }
    query_result_deinit(&q);
    o.bad_too = true; /* a NaN is no number either way; the last value of an integer is */
    assert_int_equal(query_run(f.view, &o, &q), 0);
    for (size_t i = 0; i < q.n; i++)
        assert_int_equal(q.at[i].count, strcmp(q.at[i].channel, "count") == 0 ? 4 : 2);
    query_result_deinit(&q);
    fixture_deinit(&f);
}

/* The same rows in blocks of `size` rows, the blocks in their order or from the last to the first. */
static struct query_row statistics_of(const double *values, unsigned n, unsigned size, bool backwards)
{
    struct fixture f;
    struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK};
    struct query_options o = {
        .pattern = "*/*/temperature", .range = {INT64_MIN, INT64_MAX}, .wanted = QUERY_BIT(QUERY_STATS) - 1};
    struct query_result q = {0};
    struct query_row row;

    fixture_init(&f);
    fixture_put_descriptor(&f, 0, "Cel");
    for (unsigned b = 0; b < n / size; b++) {
        unsigned from = (backwards ? n / size - 1 - b : b) * size;
        struct fixture_row rows[ROWS] = {0};

        for (unsigned i = 0; i < size; i++) {
            rows[i].time_ns = (1600000000 + (int64_t)(from + i)) * NS_PER_S;
            rows[i].cells[0].f64 = values[from + i];
            rows[i].cells[1].absent = rows[i].cells[2].absent = rows[i].cells[3].absent = true;
        }
        buf_reset(&f.payload);
        fixture_block(&f.payload, fixture_set_id("Cel"), rows, size, &r.samples);
        r.payload = span_of(f.payload.data, f.payload.len);
        assert_int_equal(fixture_put(&f, 0, &r, NULL), 0);
    }
    fixture_commit(&f);
    fixture_view(&f);
    assert_int_equal(query_run(f.view, &o, &q), 0);
    assert_int_equal(q.n, 1);
    row = q.at[0];
    row.site = row.device = row.channel = row.unit = NULL;
    query_result_deinit(&q);
    fixture_deinit(&f);
    return row;
}

/* Sums that cancel: rounded on the way they depend on the blocks. */
static void statistics_have_the_same_bits_in_any_blocks(void **state)
{
    enum { N = 200 };
    struct query_row whole, parts;
    double values[N];
    struct rng rng = {5};

    (void)state;
    for (unsigned i = 0; i < N; i++)
        values[i] = rng_normal(&rng) * (i % 3 == 0 ? 1e16 : i % 3 == 1 ? 1 : 1e-9);
    whole = statistics_of(values, N, 50, false);
    for (unsigned i = 0; i < 4; i++) {
        parts = statistics_of(values, N, i % 2 == 0 ? 5 : 40, i >= 2);
        assert_int_equal(parts.count, N);
        assert_memory_equal(parts.stat, whole.stat, sizeof whole.stat);
    }
}

static void statistics_are_what_one_would_compute(void **state)
{
    const double values[] = {1, 2, 3, 4, 10};
    struct query_row r = statistics_of(values, 5, 5, false);

    (void)state;
    assert_int_equal(r.count, 5);
    assert_true(r.stat[QUERY_AVG] == 4 && r.stat[QUERY_SUM] == 20);
    assert_true(fabs(r.stat[QUERY_STDDEV] - sqrt(12.5)) < 1e-12);
    assert_true(r.stat[QUERY_FIRST] == 1 && r.stat[QUERY_LAST] == 10 && r.stat[QUERY_RATE] == 9.0 / 4);
    assert_true(r.stat[QUERY_TIME_AVG] == 2.5);
    assert_true(fabs(r.stat[QUERY_P50] - 3) <= 3 * r.stat[QUERY_P_ERROR]);
    assert_true(fabs(r.stat[QUERY_P99] - 4) <= 4 * r.stat[QUERY_P_ERROR]);
    assert_true(r.stat[QUERY_P_ERROR] == 1.0 / 1024);
}

static void pattern_takes_one_column_of_one_device(void **state)
{
    const struct filled *w = *state;
    struct query_options o = {.pattern = "north/pump-0/temperature",
                              .range = {INT64_MIN, INT64_MAX},
                              .by_site = true,
                              .by_device = true,
                              .by_channel = true};
    struct query_result q = {0};

    assert_int_equal(query_run(w->f.view, &o, &q), 0);
    assert_int_equal(q.n, 1);
    assert_string_equal(q.at[0].device, "pump-0");
    assert_string_equal(q.at[0].channel, "temperature");
    assert_null(q.at[0].unit); /* Cel and K */
    query_result_deinit(&q);
}

static int check_last(void *ctx, const struct query_last *l)
{
    struct filled *w = ctx;
    int64_t newest = INT64_MIN;
    bool matches = false;

    for (size_t i = 0; i < w->n; i++) {
        const struct truth *t = &w->all[i];

        if (strcmp(w->f.device[t->device].name, l->device->name) == 0 && !t->row.cells[0].absent &&
            t->row.time_ns > newest)
            newest = t->row.time_ns;
    }
    for (size_t i = 0; i < w->n; i++)
        matches |= w->all[i].row.time_ns == newest &&
                   memcmp(&w->all[i].row.cells[0].f64, &l->f64, sizeof l->f64) == 0;
    assert_int_equal(l->time_ns, newest);
    assert_true(matches);
    w->f.last_reply++;
    return 0;
}

static void last_value_is_the_newest_by_time(void **state)
{
    struct filled *w = *state;

    w->f.last_reply = 0;
    assert_int_equal(query_last(w->f.view, "*/*/temperature", check_last, w), 0);
    assert_int_equal(w->f.last_reply, FIXTURE_DEVICES);
}

struct collected {
    unsigned n;
    int64_t time_ns;
    double value;
};

static int collect_last(void *ctx, const struct query_last *l)
{
    struct collected *c = ctx;

    c->n++;
    c->time_ns = l->time_ns;
    c->value = l->f64;
    return 0;
}

/* A block that reaches centuries ahead of its begin holds the newest row, and others begin after it. */
static void last_value_may_stand_in_a_block_that_reaches_far(void **state)
{
    const int64_t far = (INT64_C(1) << 62) + 5;
    struct fixture_row rows[2] = {{.time_ns = 10}, {.time_ns = 10 + far}};
    struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK};
    struct collected got = {0};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    fixture_put_descriptor(&f, 0, "Cel");
    for (unsigned i = 0; i < 2; i++) {
        rows[i].cells[0].f64 = i;
        for (unsigned c = 1; c < COLUMNS; c++)
            rows[i].cells[c].absent = true;
    }
    buf_reset(&f.payload);
    fixture_block(&f.payload, fixture_set_id("Cel"), rows, 2, &r.samples);
    r.payload = span_of(f.payload.data, f.payload.len);
    assert_int_equal(fixture_put(&f, 0, &r, NULL), 0);
    assert_int_equal(fixture_put_value(&f, 0, 100, 7), 0);
    fixture_commit(&f);
    assert_int_equal(query_last(fixture_view(&f), "*/*/temperature", collect_last, &got), 0);
    assert_int_equal(got.n, 1);
    assert_true(got.time_ns == 10 + far && got.value == 1);
    fixture_deinit(&f);
}

/* ---- export ---- */

/* The caller frees *ret_text. */
static void export_text(struct filled *w, enum export_format format, char **ret_text, size_t *ret_len,
                        struct export_counts *counts)
{
    struct export_options o = {
        .format = format, .pattern = "**", .range = {INT64_MIN, INT64_MAX}, .unix_ns = true};

    o.out = open_memstream(ret_text, ret_len);
    assert_non_null(o.out);
    assert_int_equal(export_run(w->f.view, &o, counts), 0);
    fclose(o.out);
}

/* Takes the next CSV field off *at into out (unquoted). */
static void csv_field(const char **at, char *out)
{
    if (**at == '"') {
        for ((*at)++; **at != '"' || (*at)[1] == '"'; (*at)++) {
            if (**at == '"')
                (*at)++;
            *out++ = **at;
        }
        (*at)++;
    } else {
        while (**at != ',' && **at != '\n')
            *out++ = *(*at)++;
    }
    *out = 0;
    (*at)++;
}

static struct truth *truth_find(struct filled *w, const char *device, uint64_t seq, uint64_t row)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->all[i].seq == seq && w->all[i].row_no == row &&
            strcmp(w->f.device[w->all[i].device].name, device) == 0)
            return &w->all[i];
    return NULL;
}

static void check_cell(const struct cell *c, const char *channel, const char *value, const char *quality)
{
    static const char *const names[] = {"good", "uncertain", "bad", "stale"};
    double v;

    assert_false(c->absent);
    assert_string_equal(quality, names[c->quality]);
    if (strcmp(channel, "temperature") == 0) {
        assert_true(numfmt_parse_double(value, strlen(value), &v));
        if (isnan(c->f64))
            assert_true(isnan(v));
        else
            assert_memory_equal(&v, &c->f64, sizeof v);
    } else if (strcmp(channel, "count") == 0) {
        assert_int_equal(strtoll(value, NULL, 10), c->i64);
    } else if (strcmp(channel, "on") == 0) {
        assert_string_equal(value, c->i64 ? "true" : "false");
    }
}

static void csv_brings_every_sample_back_to_its_bits(void **state)
{
    static const char *const names[COLUMNS] = {"temperature", "count", "on", "note"};
    struct filled *w = *state;
    struct export_counts counts;
    uint64_t n = 0, present = 0;
    size_t len;
    char *text, f[9][300];
    const char *at;

    export_text(w, EXPORT_CSV, &text, &len, &counts);
    at = strchr(text, '\n') + 1;
    while (*at != 0) {
        struct truth *t;
        unsigned c = 0;

        for (int i = 0; i < 9; i++)
            csv_field(&at, f[i]);
        t = truth_find(w, f[1], strtoull(f[7], NULL, 10), strtoull(f[8], NULL, 10));
        assert_non_null(t);
        assert_string_equal(f[0], w->f.device[t->device].site);
        assert_int_equal(strtoll(f[3], NULL, 10), t->row.time_ns);
        while (strcmp(names[c], f[2]) != 0)
            c++;
        check_cell(&t->row.cells[c], f[2], f[4], f[5]);
        if (c == 3)
            assert_string_equal(f[4], t->text);
        t->row.cells[c].absent = true; /* so that it cannot come twice */
        n++;
    }
    for (size_t i = 0; i < w->n; i++)
        for (unsigned c = 0; c < COLUMNS; c++)
            present += !w->all[i].row.cells[c].absent;
    assert_int_equal(present, 0);
    assert_int_equal(n, counts.samples);
    free(text);
}

static const char json_start[] = "{\"site\":\"north\",\"device\":\"pump-0\",\"group\":\"plant\",\"time\":1";

static void jsonl_has_an_object_for_each_row_with_a_value(void **state)
{
    struct filled *w = *state;
    struct export_counts counts;
    size_t len, lines = 0, rows = 0;
    char *text;

    export_text(w, EXPORT_JSONL, &text, &len, &counts);
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    for (size_t i = 0; i < w->n; i++) {
        const struct cell *c = w->all[i].row.cells;

        rows += !(c[0].absent && c[1].absent && c[2].absent && c[3].absent);
    }
    assert_int_equal(lines, rows);
    assert_memory_equal(text, json_start, sizeof json_start - 1);
    assert_null(strstr(text, ":NaN"));
    assert_non_null(strstr(text, "\\\"x\\\""));
    assert_null(strchr(text, '\xff'));
    free(text);
}

static void range_cuts_rows_not_blocks(void **state)
{
    struct filled *w = *state;
    struct export_options o = {.format = EXPORT_CSV, .pattern = "*/*/count", .no_header = true};
    struct export_counts counts;
    uint64_t n = 0;
    char *text = NULL;
    size_t len;

    o.range =
        (struct view_range){w->f.fake.wall_unix_ns - 300 * NS_PER_S, w->f.fake.wall_unix_ns + 300 * NS_PER_S};
    o.out = open_memstream(&text, &len);
    assert_int_equal(export_run(w->f.view, &o, &counts), 0);
    fclose(o.out);
    for (size_t i = 0; i < w->n; i++)
        n += !w->all[i].row.cells[1].absent && w->all[i].row.time_ns >= o.range.from_ns &&
             w->all[i].row.time_ns < o.range.to_ns;
    assert_int_equal(counts.samples, n);
    assert_in_range(n, 1, w->n / 2);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(aggregates_agree_with_a_naive_count, setup, teardown),
        cmocka_unit_test(what_a_failing_sensor_gives_is_in_no_aggregate),
        cmocka_unit_test(statistics_have_the_same_bits_in_any_blocks),
        cmocka_unit_test(statistics_are_what_one_would_compute),
        cmocka_unit_test_setup_teardown(pattern_takes_one_column_of_one_device, setup, teardown),
        cmocka_unit_test_setup_teardown(last_value_is_the_newest_by_time, setup, teardown),
        cmocka_unit_test(last_value_may_stand_in_a_block_that_reaches_far),
        cmocka_unit_test_setup_teardown(csv_brings_every_sample_back_to_its_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(jsonl_has_an_object_for_each_row_with_a_value, setup, teardown),
        cmocka_unit_test_setup_teardown(range_cuts_rows_not_blocks, setup, teardown),
    };

    return cmocka_run_group_tests_name("cloud_query", tests, NULL, NULL);
}
