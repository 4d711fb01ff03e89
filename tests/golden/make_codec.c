/* make_codec FOLDER: writes golden blocks of the codec (v1/codec/README.md). Run once for each version of the
 * format. */
#include "base/rng.h"
#include "codec/block.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX = 640, COLUMNS_MAX = 8 };

struct made {
    int64_t time_ns[ROWS_MAX];
    double f64[COLUMNS_MAX][ROWS_MAX];
    int64_t i64[COLUMNS_MAX][ROWS_MAX];
    struct span text[COLUMNS_MAX][ROWS_MAX];
    uint8_t absent[COLUMNS_MAX][ROWS_MAX], quality[COLUMNS_MAX][ROWS_MAX];
    struct column columns[COLUMNS_MAX];
    enum column_type types[COLUMNS_MAX];
    double bounds[COLUMNS_MAX];
    uint32_t n_columns;
};

static double decimal(double v, double power)
{
    return rint(v * power) / power;
}

static void column(struct made *m, enum column_type type)
{
    struct column *c = &m->columns[m->n_columns];

    c->type = m->types[m->n_columns] = type;
    if (type == COLUMN_DOUBLE)
        c->f64 = m->f64[m->n_columns];
    else if (type == COLUMN_TEXT)
        c->text = m->text[m->n_columns];
    else
        c->i64 = m->i64[m->n_columns];
    m->n_columns++;
}

static void make_times(struct made *m, struct rng *rng, int kind)
{
    int64_t t = INT64_C(1750000000000000000);
    uint32_t i;

    for (i = 0; i < ROWS_MAX; i++) {
        switch (kind) {
        case 0: /* regular */
            t += 100000000;
            break;
        case 1: /* to the second, with gaps */
            t += INT64_C(1000000000) * (1 + (rng_below(rng, 20) == 0 ? (int64_t)rng_below(rng, 9) : 0));
            break;
        case 2: /* jitter, in microseconds */
            t += 1000000 + 1000 * (int64_t)rint(rng_normal(rng) * 5);
            break;
        default: /* any order, anywhere */
            t = (int64_t)rng_u64(rng);
        }
        m->time_ns[i] = t;
    }
}

static const char *const states[] = {"up", "down", "",
                                     "heating to 21.5 \xc2\xb0"
                                     "C",
                                     "!"};

/* Kinds of doubles. */
static void make_doubles(double *v, struct rng *rng, int kind)
{
    static const double odd[] = {0.0, -0.0, 1e300, -1e-300, 0.1, 5e-324, 1.7976931348623157e308, 3.0};
    double x = 20;
    uint32_t i;

    for (i = 0; i < ROWS_MAX; i++) {
        x += rng_normal(rng);
        switch (kind) {
        case 0: /* a noisy decimal */
            v[i] = decimal(x, 100);
            break;
        case 1: /* a float of a decimal */
            v[i] = (double)(float)decimal(x / 7, 1e4);
            break;
        case 2: /* decimals with residues of a conversion */
            v[i] = decimal(x, 10) * 1.8 / 1.8 + 32 - 32;
            break;
        case 3: /* all bits */
            v[i] = x / 3;
            break;
        case 4: /* few values, far apart */
            v[i] = 0.125 * (double)(rng_below(rng, 6) * rng_below(rng, 7) * 9973);
            break;
        case 5: /* few differences, of a coarse converter */
            v[i] = (i == 0 ? 1000 : v[i - 1]) + 4093 * ((double)rng_below(rng, 5) - 2);
            break;
        case 6: /* a decimal with strangers in between */
            v[i] = rng_below(rng, 25) == 0 ? odd[rng_below(rng, 8)] : decimal(x, 10);
            if (rng_below(rng, 40) == 0)
                v[i] = rng_below(rng, 2) == 0 ? NAN : -INFINITY;
            break;
        case 7: /* a ramp */
            v[i] = decimal(3 + i * 0.25, 100);
            break;
        default:
            v[i] = 42;
        }
    }
}

static void print_hex(FILE *f, struct span s)
{
    size_t i;

    for (i = 0; i < s.len; i++)
        fprintf(f, "%02x", s.data[i]);
}

static void print_cells(FILE *f, const struct block *b, uint32_t k)
{
    const struct column *c = &b->columns[k];
    uint32_t i;

    fprintf(f, "cells %u", k);
    for (i = 0; i < b->n_rows; i++) {
        fputc(' ', f);
        if (c->absent != NULL && c->absent[i]) {
            fputc('-', f);
        } else if (c->type == COLUMN_TEXT) {
            fputc('t', f);
            print_hex(f, c->text[i]);
        } else if (c->type == COLUMN_BOOL) {
            fprintf(f, "%d", (int)c->i64[i]);
        } else {
            fprintf(f, "%016llx", (unsigned long long)c->i64[i]);
        }
    }
    fputc('\n', f);
}

static void must(int r, const char *what)
{
    if (r != 0) {
        fprintf(stderr, "%s: %d\n", what, r);
        exit(1);
    }
}

/* Rows from..from + n of what was made; warm: learnt from the rows before them. */
static void write_vector(const char *folder, const char *name, struct made *m, enum block_encoding encoding,
                         bool warm, uint32_t from, uint32_t n)
{
    static const char *const types[] = {"", "double", "int64", "bool", "text"};
    struct column columns[COLUMNS_MAX], learnt_columns[COLUMNS_MAX];
    struct span starts[COLUMNS_MAX] = {0}, time_start = {0};
    struct block all = {ROWS_MAX, m->n_columns, m->time_ns, m->columns}, b, before;
    struct buf learnt = {0}, body = {0};
    struct block_starts *prepared;
    struct block_coder *coder;
    struct block_store *store;
    const struct block *decoded;
    int64_t lowest;
    char path[512];
    uint32_t i, k;
    FILE *f;

    must(block_coder_new(&coder), "coder");
    must(block_store_new(&store), "store");
    block_slice(&all, from, n, columns, &b);
    if (warm) {
        block_slice(&all, 0, from, learnt_columns, &before);
        must(block_learn(coder, &before, m->bounds, &learnt, starts, &time_start), "learn");
    }
    must(block_starts_new(&prepared, m->types, m->n_columns,
                          &(struct block_start_bytes){m->bounds, starts, time_start}),
         "starts");
    must(block_encode(coder, encoding, prepared, &b, &body), "encode");
    for (lowest = b.time_ns[0], i = 1; i < n; i++)
        lowest = b.time_ns[i] < lowest ? b.time_ns[i] : lowest;
    struct block_shape shape = {encoding, m->types, m->n_columns, n, -1, lowest, prepared};
    must(block_decode(&shape, span_of(body.data, body.len), store, &decoded), "decode");

    snprintf(path, sizeof path, "%s/%s-%s-%s.txt", folder, name, block_encoding_name(encoding),
             warm ? "warm" : "cold");
    f = fopen(path, "w");
    must(f == NULL, path);
    fprintf(f, "encoding %s\nrows %u\ntime_first %lld\ntypes", block_encoding_name(encoding), n,
            (long long)lowest);
    for (k = 0; k < m->n_columns; k++)
        fprintf(f, " %s", types[m->types[k]]);
    fprintf(f, "\nbounds");
    for (k = 0; k < m->n_columns; k++) {
        uint64_t bits;

        memcpy(&bits, &m->bounds[k], sizeof bits);
        fprintf(f, " %016llx", (unsigned long long)bits);
    }
    fprintf(f, "\ntime_start ");
    if (time_start.len == 0)
        fputc('-', f);
    print_hex(f, time_start);
    for (k = 0; k < m->n_columns; k++)
        if (starts[k].len > 0) {
            fprintf(f, "\nstart %u ", k);
            print_hex(f, starts[k]);
        }
    fprintf(f, "\nbody ");
    print_hex(f, span_of(body.data, body.len));
    fprintf(f, "\ntimes");
    for (i = 0; i < n; i++)
        fprintf(f, " %lld", (long long)decoded->time_ns[i]);
    fputc('\n', f);
    for (k = 0; k < m->n_columns; k++) {
        print_cells(f, decoded, k);
        if (decoded->columns[k].quality != NULL) {
            fprintf(f, "quality %u ", k);
            for (i = 0; i < n; i++)
                fputc('0' + decoded->columns[k].quality[i], f);
            fputc('\n', f);
        }
    }
    must(fclose(f), path);
    block_starts_free(prepared);
    block_store_free(store);
    block_coder_free(coder);
    buf_deinit(&learnt);
    buf_deinit(&body);
}

static void write_all(const char *folder, const char *name, struct made *m, uint32_t from, uint32_t n)
{
    int encoding, warm;

    for (encoding = BLOCK_ENCODING_FAST; encoding <= BLOCK_ENCODING_SMALL; encoding++)
        for (warm = 0; warm <= 1; warm++)
            write_vector(folder, name, m, (enum block_encoding)encoding, warm, from, n);
}

static void make_mixed(struct made *m, struct rng *rng)
{
    uint32_t i;

    for (i = 0; i < ROWS_MAX; i++) {
        m->i64[1][i] = 1000 + 512 * (int64_t)rng_below(rng, 50);
        m->i64[2][i] = i % 37 < 9;
        m->text[3][i] = span_str(states[i == 600 ? 4 : i / 50 % 4]);
        m->absent[0][i] = rng_below(rng, 6) == 0;
        m->absent[3][i] = i % 100 < 5;
        m->absent[4][i] = 1;
        m->quality[1][i] = i > 500 ? QUALITY_STALE : i % 90 > 80 ? QUALITY_UNCERTAIN : QUALITY_GOOD;
        m->i64[5][i] = (int64_t)rng_u64(rng);
    }
    m->columns[0].absent = m->absent[0];
    m->columns[3].absent = m->absent[3];
    m->columns[4].absent = m->absent[4];
    m->columns[1].quality = m->quality[1];
    /* Absent cells hold nothing. */
    for (i = 0; i < ROWS_MAX; i++) {
        if (m->absent[0][i])
            m->f64[0][i] = 0;
        if (m->absent[3][i])
            m->text[3][i] = (struct span){0};
        m->f64[4][i] = 0;
    }
}

int main(int argc, char **argv)
{
    static const char *const times[] = {"regular", "gaps", "jitter", "anywhere"};
    static struct made m;
    struct rng rng = {20261121};
    int kind;

    if (argc != 2)
        return 2;
    for (kind = 0; kind < 4; kind++) {
        char name[64];

        memset(&m, 0, sizeof m);
        make_times(&m, &rng, kind);
        column(&m, COLUMN_DOUBLE);
        make_doubles(m.f64[0], &rng, kind);
        column(&m, COLUMN_DOUBLE);
        make_doubles(m.f64[1], &rng, kind + 4);
        snprintf(name, sizeof name, "doubles-%s", times[kind]);
        write_all(argv[1], name, &m, 512, 128);
    }
    memset(&m, 0, sizeof m);
    make_times(&m, &rng, 0);
    column(&m, COLUMN_DOUBLE);
    column(&m, COLUMN_INT64);
    column(&m, COLUMN_BOOL);
    column(&m, COLUMN_TEXT);
    column(&m, COLUMN_DOUBLE);
    column(&m, COLUMN_INT64);
    make_doubles(m.f64[0], &rng, 0);
    make_mixed(&m, &rng);
    write_all(argv[1], "mixed", &m, 500, 140);
    write_all(argv[1], "one-row", &m, 601, 1);
    memset(&m, 0, sizeof m);
    make_times(&m, &rng, 1);
    column(&m, COLUMN_DOUBLE);
    column(&m, COLUMN_DOUBLE);
    make_doubles(m.f64[0], &rng, 3);
    make_doubles(m.f64[1], &rng, 6);
    m.bounds[0] = 0.05;
    m.bounds[1] = 0.5;
    write_all(argv[1], "bounds", &m, 512, 128);
    return 0;
}
