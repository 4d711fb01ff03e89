#include "random_block.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS_MAX = 300, COLUMNS_MAX = 12 };

static double odd_double(struct rng *rng)
{
    static const double odd[] = {0.0,
                                 -0.0,
                                 INFINITY,
                                 -INFINITY,
                                 5e-324,
                                 -2.2250738585072009e-308,
                                 1.7976931348623157e308,
                                 0x1p51,
                                 -0x1p51,
                                 0x1p51 - 1,
                                 0x1p52,
                                 0x1p53,
                                 0.1,
                                 0.3,
                                 1e-9,
                                 1e15,
                                 123456789.987654321};
    uint64_t bits = UINT64_C(0x7ff0000000000000) | rng_u64(rng); /* NaNs of every sign and payload */
    double v;

    if (rng_below(rng, 3) > 0)
        return odd[rng_below(rng, sizeof odd / sizeof odd[0])];
    memcpy(&v, &bits, sizeof v);
    return v;
}

static double random_double(struct rng *rng, unsigned kind, double *walk)
{
    uint64_t bits = rng_u64(rng);
    double v;

    *walk += (double)(int64_t)rng_below(rng, 21) - 10;
    switch (kind) {
    case 0: /* any bits at all */
        memcpy(&v, &bits, sizeof v);
        return v;
    case 1:
        return odd_double(rng);
    case 2:
        return *walk;
    case 3:
        return *walk / 100;
    case 4: /* mostly decimals: the last digit of one cell spoils them all */
        return rng_below(rng, 50) == 0 ? rng_unit(rng) : *walk / 1000;
    case 5:
        return (double)(int64_t)rng_below(rng, UINT64_C(1) << 33) / 1e9;
    case 6:
        return (double)((int64_t)(rng_u64(rng) >> 11) - (INT64_C(1) << 52));
    default: /* digits that grow on the way */
        return *walk / pow(10, (double)rng_below(rng, 11));
    }
}

static void random_cells(struct column *c, size_t n, struct rng *rng)
{
    static const char letters[] =
        "fogline carries readings from devices through fogs to a cloud; every sample is "
        "accounted for, at any stop point, with reason and count. 0123456789 0123456789 "
        "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123";
    unsigned kind = (unsigned)rng_below(rng, 8), width = (unsigned)rng_below(rng, 65);
    double walk = (double)(int64_t)rng_below(rng, 2000) - 1000;
    uint64_t same = rng_u64(rng), base = rng_u64(rng);
    bool constant = rng_below(rng, 8) == 0;
    size_t i;

    for (i = 0; i < n; i++) {
        uint64_t bits = rng_u64(rng);

        switch (c->type) {
        case COLUMN_DOUBLE:
            c->f64[i] = random_double(rng, kind, &walk);
            if (constant && i > 0)
                c->i64[i] = c->i64[0];
            break;
        case COLUMN_INT64:
            c->i64[i] = (int64_t)(constant ? same : base + (width == 0 ? 0 : bits >> (64 - width)));
            break;
        case COLUMN_BOOL:
            c->i64[i] = (int64_t)(bits & 1);
            break;
        case COLUMN_TEXT:
            c->text[i] = span_of(letters, rng_below(rng, 2) == 0
                                              ? 0
                                              : rng_below(rng, BLOCK_TEXT_MAX_BYTES + 1) % sizeof letters);
            break;
        }
        if (c->absent != NULL && c->absent[i]) {
            if (c->type == COLUMN_TEXT)
                c->text[i] = (struct span){0};
            else
                c->i64[i] = 0;
        }
    }
}

static void random_flags(struct column *c, size_t n, struct rng *rng)
{
    uint64_t rare = 1 + rng_below(rng, 20), everything = rng_below(rng, 10) == 0;
    size_t i;

    for (i = 0; c->absent != NULL && i < n; i++)
        c->absent[i] = everything || rng_below(rng, rare) == 0;
    for (i = 0; c->quality != NULL && i < n; i++)
        c->quality[i] = rng_below(rng, rare) == 0 || i == 0 ? (uint8_t)rng_below(rng, 4) : c->quality[i - 1];
}

static void random_times(int64_t *t, size_t n, struct rng *rng)
{
    unsigned kind = (unsigned)rng_below(rng, 5);
    uint64_t now = rng_u64(rng), step = rng_below(rng, 2000000000) - 1000000000;
    size_t i;

    for (i = 0; i < n; i++) {
        switch (kind) {
        case 0:
            now = rng_u64(rng);
            break;
        case 1:
            now += step;
            break;
        case 2:
            now += rng_below(rng, 3);
            break;
        case 3:
            now += UINT64_C(100000000) + rng_below(rng, 1000);
            break;
        default:
            break;
        }
        t[i] = (int64_t)now;
    }
}

void random_block_init(struct random_block *rb, struct rng *rng)
{
    size_t n = rng_below(rng, 4) == 0 ? 1 + rng_below(rng, 4) : 1 + rng_below(rng, ROWS_MAX), i;
    size_t n_columns = 1 + rng_below(rng, COLUMNS_MAX), a_column = n * (sizeof(struct span) + 2);
    uint8_t *at;

    rb->memory = calloc(1, n * sizeof(int64_t) + n_columns * (a_column + 16));
    rb->columns = calloc(n_columns, sizeof *rb->columns);
    rb->types = calloc(n_columns, sizeof *rb->types);
    if (rb->memory == NULL || rb->columns == NULL || rb->types == NULL)
        abort();
    rb->block = (struct block){(uint32_t)n, (uint32_t)n_columns, (int64_t *)(void *)rb->memory, rb->columns};
    random_times(rb->block.time_ns, n, rng);
    at = rb->memory + n * sizeof(int64_t);
    for (i = 0; i < n_columns; i++) {
        struct column *c = &rb->columns[i];

        c->type = rb->types[i] = (enum column_type)(1 + rng_below(rng, 4));
        c->text = (struct span *)(void *)at;
        c->absent = rng_below(rng, 3) == 0 ? at + n * sizeof(struct span) : NULL;
        c->quality = rng_below(rng, 3) == 0 ? at + n * sizeof(struct span) + n : NULL;
        at += (a_column + 15) & ~(size_t)7;
        random_flags(c, n, rng);
        random_cells(c, n, rng);
    }
}

void random_block_deinit(struct random_block *rb)
{
    free(rb->memory);
    free(rb->columns);
    free(rb->types);
}

bool columns_same(const struct column *a, const struct column *b, size_t n_rows)
{
    size_t i;

    if (a->type != b->type)
        return false;
    for (i = 0; i < n_rows; i++) {
        if ((a->absent != NULL && a->absent[i]) != (b->absent != NULL && b->absent[i]))
            return false;
        if ((a->quality != NULL ? a->quality[i] : 0) != (b->quality != NULL ? b->quality[i] : 0))
            return false;
        if (a->type == COLUMN_TEXT ? !span_equal(a->text[i], b->text[i]) : a->i64[i] != b->i64[i])
            return false;
    }
    return true;
}

bool blocks_same(const struct block *a, const struct block *b)
{
    uint32_t i;

    if (a->n_rows != b->n_rows || a->n_columns != b->n_columns ||
        memcmp(a->time_ns, b->time_ns, a->n_rows * sizeof *a->time_ns) != 0)
        return false;
    for (i = 0; i < a->n_columns; i++)
        if (!columns_same(&a->columns[i], &b->columns[i], a->n_rows))
            return false;
    return true;
}
