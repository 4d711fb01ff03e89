/* bench_codec.c - what the encodings make of a set of CSV files, one series at a time.
 *
 *   bench_codec [--skip NAME[,NAME]] [--bounds P[,P]] [--rounds N] FILE...     one JSON object
 *
 * Values only: each column of doubles is a series of its own, its absent cells left out, in blocks of 1000 of
 * which each can be decoded alone, with nothing learned before; everything a block holds is counted, but for
 * its times, which are counted by themselves, for all columns of a file together. Beside them: the 8 bytes of
 * a double, those through zstd at level 3, and the decimal integers as differences in zigzag LEB128 through
 * zstd at level 3. */
#include "device/codec_measure.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/numfmt.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 1000, NAMES_MAX = 32, BOUNDS_MAX = 8, EXPONENT_MAX = 15 };

struct setup {
    const char *skip[NAMES_MAX];
    unsigned n_skip;
    double bounds[BOUNDS_MAX];
    unsigned n_bounds, rounds;
};

struct tables {
    struct codec_table **at;
    size_t n, alloc;
};

static void tables_deinit(struct tables *t)
{
    for (size_t i = 0; i < t->n; i++)
        codec_table_free(t->at[i]);
    free(t->at);
}

/* Takes the table. */
static must_check int tables_add(struct tables *t, struct codec_table *table)
{
    if (t->n == t->alloc) {
        size_t alloc = t->alloc == 0 ? 64 : t->alloc * 2;
        struct codec_table **at = realloc(t->at, alloc * sizeof(*at));

        if (at == NULL) {
            codec_table_free(table);
            return -ENOMEM;
        }
        t->at = at;
        t->alloc = alloc;
    }
    t->at[t->n++] = table;
    return 0;
}

static bool is_skipped(const struct setup *s, const struct codec_column *c)
{
    for (unsigned i = 0; i < s->n_skip; i++)
        if (strcmp(c->header, s->skip[i]) == 0)
            return true;
    return false;
}

static must_check int load(const struct setup *s, const char *path, struct tables *files,
                           struct tables *series)
{
    struct csv_options none = {0};
    struct codec_table *t, *one;
    struct errmsg err = {""};
    int r = codec_table_new(&t, path, &none, &err);

    if (r != 0) {
        fprintf(stderr, "bench_codec: %s\n", err.text);
        return r;
    }
    r = tables_add(files, t);
    for (uint32_t i = 0; r == 0 && i < t->n_columns; i++) {
        if (t->types[i] != COLUMN_DOUBLE || t->about[i].n_present == 0 || is_skipped(s, &t->about[i]))
            continue;
        r = codec_table_series(&one, t, i);
        if (r == 0)
            r = tables_add(series, one);
    }
    return r;
}

/* ---- differences of decimal integers as LEB128 through zstd ---- */

static bool as_integer(double v, double power, int64_t *ret_m)
{
    double m = rint(v * power), back;

    if (!(fabs(m) < 0x1p53))
        return false;
    back = m / power;
    *ret_m = (int64_t)m;
    return memcmp(&back, &v, sizeof back) == 0;
}

/* A double's bits as an integer of the same order. */
static int64_t ordered(double v)
{
    int64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits < 0 ? (int64_t)(UINT64_C(1) << 63) - bits : bits;
}

/* With e decimal places; e > EXPONENT_MAX: the bits. Cells that are no such decimal repeat the one before and
 * follow behind, with their places. Returns how many those are. */
static uint32_t put_differences(struct buf *out, struct buf *odd, const double *v, uint32_t n, int e)
{
    uint32_t n_odd = 0, last_odd = 0;
    double power = pow(10, e);
    uint64_t last = 0;

    buf_reset(out);
    buf_reset(odd);
    buf_u8(out, (uint8_t)e);
    for (uint32_t i = 0; i < n; i++) {
        int64_t m, d;

        if (e > EXPONENT_MAX) {
            m = ordered(v[i]);
        } else if (!as_integer(v[i], power, &m)) {
            m = (int64_t)last;
            buf_varint(odd, i - last_odd);
            buf_append(odd, &v[i], sizeof v[i]);
            last_odd = i;
            n_odd++;
        }
        d = (int64_t)((uint64_t)m - last);
        buf_varint(out, (uint64_t)d << 1 ^ (uint64_t)(d >> 63));
        last = (uint64_t)m;
    }
    buf_append(out, odd->data, odd->len);
    return n_odd;
}

struct attempt {
    struct codec_zstd *z;
    struct buf plain, odd, packed;
};

static void attempt_deinit(struct attempt *a)
{
    codec_zstd_free(a->z);
    buf_deinit(&a->plain);
    buf_deinit(&a->odd);
    buf_deinit(&a->packed);
}

/* The decimal places, or the bits, that make the block the shortest: as good as this way of writing gets. */
static must_check int shortest(struct attempt *a, const double *v, uint32_t n, size_t *ret_bytes)
{
    size_t best = SIZE_MAX;

    for (int e = 0; e <= EXPONENT_MAX + 1; e++) {
        uint32_t n_odd = put_differences(&a->plain, &a->odd, v, n, e);
        int r = a->plain.error;

        buf_reset(&a->packed);
        if (r == 0)
            r = codec_zstd_pack(a->z, span_of(a->plain.data, a->plain.len), &a->packed);
        if (r != 0)
            return r;
        if (a->packed.len < best)
            best = a->packed.len;
        if (n_odd == 0)
            e = e < EXPONENT_MAX ? EXPONENT_MAX : e; /* more places say nothing more */
    }
    *ret_bytes = best;
    return 0;
}

/* 0 with the bytes of the whole set, CODEC_NO_ZSTD, -ENOMEM. */
static must_check int measure_differences(const struct codec_set *s, uint64_t *ret_bytes)
{
    owned(attempt_deinit) struct attempt a = {0};
    uint64_t bytes = 0;
    size_t n_bytes;
    int r = codec_zstd_new(&a.z);

    for (size_t i = 0; r == 0 && i < s->n_members; i++) {
        const struct codec_table *t = s->members[i].table;

        for (uint64_t row = 0; r == 0 && row < t->n_rows; row += ROWS) {
            uint32_t n = t->n_rows - row < ROWS ? (uint32_t)(t->n_rows - row) : ROWS;

            r = shortest(&a, t->columns[0].f64 + row, n, &n_bytes);
            bytes += r == 0 ? n_bytes : 0;
        }
    }
    *ret_bytes = bytes;
    return r;
}

/* ---- the set ---- */

static const enum block_encoding encodings[] = {BLOCK_ENCODING_FAST, BLOCK_ENCODING_SMALL};
static const char *const names[] = {"pfor", "range"};

struct result {
    struct codec_measured values[2], times[2], learned[2], bounded[BOUNDS_MAX][2];
    struct codec_measured grouped[BOUNDS_MAX][2]; /* the columns of a file together, as a device sends them */
    struct codec_measured_plain plain;
    bool has_zstd;
    uint64_t difference_bytes;
};

static double value_bytes(const struct codec_measured *m, uint64_t n_samples)
{
    return ((double)m->bytes - m->time_bytes) / (double)n_samples;
}

static must_check int measure_both(struct codec_set *s, double fraction, bool cold, unsigned rounds,
                                   struct codec_measured m[2])
{
    int r = codec_set_prepare(s, fraction, cold);

    for (unsigned e = 0; e < 2 && r == 0; e++)
        r = codec_measure(s, encodings[e], ROWS, rounds, &m[e]);
    return r;
}

static must_check int measure(const struct setup *setup, struct codec_set *files, struct codec_set *series,
                              struct result *res)
{
    int r = codec_measure_plain(series, ROWS, false, setup->rounds, &res->plain);

    if (r < 0)
        return r;
    res->has_zstd = r == 0;
    r = res->has_zstd ? measure_differences(series, &res->difference_bytes) : 0;
    if (r == 0)
        r = measure_both(series, 0, true, setup->rounds, res->values);
    if (r == 0)
        r = measure_both(series, 0, false, 0, res->learned);
    if (r == 0)
        r = measure_both(files, 0, true, 0, res->times);
    for (unsigned i = 0; i < setup->n_bounds && r == 0; i++)
        r = measure_both(series, setup->bounds[i] / 100, true, 0, res->bounded[i]);
    for (unsigned i = 0; i < setup->n_bounds && r == 0; i++)
        r = measure_both(files, setup->bounds[i] / 100, false, 0, res->grouped[i]);
    return r;
}

static void put_speed(struct json *j, const char *key, uint64_t n, const struct result *res, bool encode)
{
    double zstd_s = encode ? res->plain.encode_s : res->plain.decode_s;

    json_key(j, key);
    json_object(j);
    if (res->has_zstd)
        json_kdouble(j, "zstd3", (double)n / zstd_s / 1e6);
    for (unsigned e = 0; e < 2; e++)
        json_kdouble(j, names[e],
                     (double)n / (encode ? res->values[e].encode_s : res->values[e].decode_s) / 1e6);
    json_object_end(j);
}

static void put_bounds(struct json *j, const struct setup *setup, uint64_t n, const struct result *res)
{
    json_key(j, "bounds");
    json_array(j);
    for (unsigned i = 0; i < setup->n_bounds; i++) {
        json_object(j);
        json_kdouble(j, "percent", setup->bounds[i]);
        for (unsigned e = 0; e < 2; e++)
            json_kdouble(j, names[e], value_bytes(&res->bounded[i][e], n));
        json_kdouble(j, "largest_error_of_bound",
                     fmax(res->bounded[i][0].largest_of_bound, res->bounded[i][1].largest_of_bound));
        json_kbool(j, "kept", res->bounded[i][0].exact && res->bounded[i][1].exact);
        json_key(j, "learned");
        json_object(j);
        for (unsigned e = 0; e < 2; e++)
            json_kdouble(j, names[e], value_bytes(&res->grouped[i][e], n));
        json_kdouble(j, "largest_error_of_bound",
                     fmax(res->grouped[i][0].largest_of_bound, res->grouped[i][1].largest_of_bound));
        json_kbool(j, "kept", res->grouped[i][0].exact && res->grouped[i][1].exact);
        json_object_end(j);
        json_object_end(j);
    }
    json_array_end(j);
}

static void put_bytes(struct json *j, const struct codec_set *files, uint64_t n, const struct result *res)
{
    json_key(j, "bytes_per_sample");
    json_object(j);
    json_kdouble(j, "raw", (double)res->plain.plain_bytes / (double)n);
    if (res->has_zstd) {
        json_kdouble(j, "zstd3", (double)res->plain.bytes / (double)n);
        json_kdouble(j, "varint_zstd3", (double)res->difference_bytes / (double)n);
    }
    for (unsigned e = 0; e < 2; e++)
        json_kdouble(j, names[e], value_bytes(&res->values[e], n));
    json_object_end(j);
    json_key(j, "bytes_per_sample_learned");
    json_object(j);
    for (unsigned e = 0; e < 2; e++)
        json_kdouble(j, names[e], value_bytes(&res->learned[e], n));
    json_object_end(j);
    json_key(j, "time_bytes_per_row");
    json_object(j);
    for (unsigned e = 0; e < 2; e++)
        json_kdouble(j, names[e], res->times[e].time_bytes / (double)files->n_rows);
    json_object_end(j);
}

static must_check int print(const struct setup *setup, const struct codec_set *files,
                            const struct codec_set *series, const struct result *res)
{
    owned(json_freep) struct json *j = NULL;
    int r = json_new(&j, stdout, false);

    if (r != 0)
        return r;
    json_object(j);
    json_ku64(j, "files", files->n_members);
    json_ku64(j, "series", series->n_members);
    json_ku64(j, "samples", series->n_samples);
    put_bytes(j, files, series->n_samples, res);
    put_speed(j, "encode_m_s", series->n_samples, res, true);
    put_speed(j, "decode_m_s", series->n_samples, res, false);
    json_kbool(j, "exact",
               res->values[0].exact && res->values[1].exact && res->times[0].exact && res->times[1].exact);
    if (setup->n_bounds > 0)
        put_bounds(j, setup, series->n_samples, res);
    json_object_end(j);
    return json_end(j);
}

static must_check int run(const struct setup *setup, char **paths)
{
    owned(tables_deinit) struct tables files = {0}, series = {0};
    owned(codec_set_deinit) struct codec_set of_files = {0}, of_series = {0};
    struct result res = {0};
    int r = 0;

    for (; *paths != NULL && r == 0; paths++)
        r = load(setup, *paths, &files, &series);
    for (size_t i = 0; i < files.n && r == 0; i++)
        r = codec_set_add(&of_files, files.at[i]);
    for (size_t i = 0; i < series.n && r == 0; i++)
        r = codec_set_add(&of_series, series.at[i]);
    if (r == 0 && of_series.n_samples == 0) {
        fprintf(stderr, "bench_codec: no column of numbers in these files\n");
        return -ENODATA;
    }
    if (r == 0)
        r = measure(setup, &of_files, &of_series, &res);
    if (r == 0)
        r = print(setup, &of_files, &of_series, &res);
    for (unsigned e = 0; e < 2; e++) {
        codec_measured_deinit(&res.values[e]);
        codec_measured_deinit(&res.times[e]);
        codec_measured_deinit(&res.learned[e]);
        for (unsigned i = 0; i < BOUNDS_MAX; i++) {
            codec_measured_deinit(&res.bounded[i][e]);
            codec_measured_deinit(&res.grouped[i][e]);
        }
    }
    return r;
}

/* One option with its value. */
static bool take(struct setup *s, const char *option, char *value)
{
    char *word;
    int64_t rounds;

    if (strcmp(option, "--rounds") == 0) {
        if (!numfmt_parse_i64(value, strlen(value), &rounds) || rounds < 1 || rounds > CODEC_ROUNDS_MAX)
            return false;
        s->rounds = (unsigned)rounds;
        return true;
    }
    while ((word = strsep(&value, ",")) != NULL) {
        if (strcmp(option, "--skip") == 0 && s->n_skip < NAMES_MAX)
            s->skip[s->n_skip++] = word;
        else if (strcmp(option, "--bounds") != 0 || s->n_bounds == BOUNDS_MAX ||
                 !numfmt_parse_double(word, strlen(word), &s->bounds[s->n_bounds++]))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct setup s = {.rounds = 3};
    int i = 1, r;

    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2)
        if (!take(&s, argv[i], argv[i + 1]))
            break;
    if (i >= argc || strncmp(argv[i], "--", 2) == 0) {
        fprintf(stderr, "usage: bench_codec [--skip NAME,...] [--bounds P,...] [--rounds N] FILE...\n");
        return 2;
    }
    r = run(&s, argv + i);
    if (r != 0)
        fprintf(stderr, "bench_codec: %s\n", strerror(-r));
    return r != 0;
}
