#include "made_block.h"

#include <math.h>
#include <stdlib.h>

enum { A_FEW = 40, TEXTS = 64 };

static double of_bits(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static double ten_to(uint64_t exponent)
{
    return pow(10, (double)exponent);
}

/* One call to rng after the other: what a compiler may reorder is not what a seed stands for. */
static double of_some_magnitude(double unit, struct rng *rng, uint64_t magnitudes)
{
    return unit * ten_to(rng_below(rng, magnitudes));
}

static uint64_t of_some_size(uint64_t bits, struct rng *rng)
{
    return bits >> rng_below(rng, 64);
}

static struct span part_of(const char *letters, struct rng *rng, size_t longest)
{
    const char *from = letters + rng_below(rng, 40);

    return span_of(from, rng_below(rng, longest + 1));
}

static double odd_double(struct rng *rng)
{
    static const double odd[] = {0.0,       -0.0,   INFINITY,   -INFINITY, 5e-324,  -5e-324,
                                 0x1p-1022, 0x1p51, 0x1p52 - 1, 0x1p53,    -0x1p53, 1.7976931348623157e308,
                                 0.1,       -1e-17, 1e22};

    if (rng_below(rng, 4) == 0)
        return of_bits(UINT64_C(0x7ff0000000000000) | rng_u64(rng)); /* NaNs of every sign and payload */
    return odd[rng_below(rng, sizeof odd / sizeof odd[0])];
}

/* A cell of those kinds that know neither the one before nor a set. */
static double loose_double(unsigned kind, double *walk, size_t i, double power, double scale, struct rng *rng)
{
    uint64_t bits = rng_u64(rng);

    *walk += (double)(int64_t)rng_below(rng, 21) - 10;
    switch (kind) {
    case 0:
        return of_bits(bits);
    case 1:
        return odd_double(rng);
    case 2:
        return *walk / power;
    case 3:
        return (double)(float)(*walk / power);
    case 4: /* a last bit beside the decimal, now and then */
        return *walk * (1 / power);
    case 5:
        return (rng_unit(rng) - 0.5) * scale;
    case 6:
        return scale;
    case 7:
        return ((double)i * 7 - 1000) / power;
    case 8: /* denormals */
        return of_bits((bits >> 12 >> rng_below(rng, 52)) | (bits & 1) << 63);
    case 9: /* decimals, and what no decimal says */
        return rng_below(rng, 20) == 0 ? odd_double(rng) : *walk / power;
    case 10:
        return round(1000 * sin((double)i / 30) + (double)rng_below(rng, 5)) / power;
    case 11:
        return *walk * 0x1p-20;
    default: /* magnitudes all over */
        return of_some_magnitude((double)(bits >> 11) * 0x1p-53 - 0.5, rng, 308);
    }
}

void made_doubles(double *v, size_t n, unsigned kind, struct rng *rng)
{
    double few[A_FEW], power = ten_to(rng_below(rng, kind == 4 ? 6 : 12)),
                       walk = (double)rng_below(rng, 5000), scale = rng_unit(rng) - 0.5;
    size_t n_few = 1 + rng_below(rng, A_FEW), i;

    scale = of_some_magnitude(scale, rng, 10);
    for (i = 0; i < n_few; i++)
        few[i] = rng_below(rng, 2) == 0 ? rng_unit(rng) : floor(rng_unit(rng) * 1e6) / 1000;
    for (i = 0; i < n; i++) {
        if (kind == 13)
            v[i] = few[rng_below(rng, n_few)];
        else if (kind == 14)
            v[i] = (walk += floor(few[rng_below(rng, n_few)] * 1000)) / power;
        else
            v[i] = loose_double(kind, &walk, i, power, scale, rng);
    }
}

void made_integers(int64_t *v, size_t n, unsigned kind, struct rng *rng)
{
    uint64_t few[A_FEW], walk = rng_u64(rng), unit = 1 + rng_below(rng, 100000), base = rng_u64(rng);
    size_t n_few = 1 + rng_below(rng, A_FEW), i;
    unsigned width = 1 + (unsigned)rng_below(rng, 64);

    for (i = 0; i < n_few; i++)
        few[i] = of_some_size(rng_u64(rng), rng);
    for (i = 0; i < n; i++) {
        uint64_t bits = rng_u64(rng);

        switch (kind) {
        case 0:
            v[i] = (int64_t)bits;
            break;
        case 1:
            v[i] = bits % 3 == 0 ? INT64_MIN : bits % 3 == 1 ? INT64_MAX : 0;
            break;
        case 2:
            v[i] = (int64_t)(walk += unit * rng_below(rng, 30));
            break;
        case 3:
            v[i] = (int64_t)(walk += rng_below(rng, 21) - 10);
            break;
        case 4:
            v[i] = (int64_t)base;
            break;
        case 5:
            v[i] = (int64_t)few[rng_below(rng, n_few)];
            break;
        case 6:
            v[i] = (int64_t)(walk += few[rng_below(rng, n_few)]);
            break;
        default:
            v[i] = (int64_t)(base + (bits >> (64 - width)));
        }
    }
}

void made_times(int64_t *t, size_t n, unsigned kind, struct rng *rng)
{
    static const uint64_t steps[] = {1, 1000, 100000000, 1000000000, UINT64_C(60000000000)};
    uint64_t now = UINT64_C(1750000000000000000) + rng_below(rng, UINT64_C(1) << 50),
             step = steps[rng_below(rng, sizeof steps / sizeof steps[0])];
    size_t i;

    for (i = 0; i < n; i++) {
        switch (kind) {
        case 0: /* one now and then lost or twice */
            now += step * (rng_below(rng, 50) == 0 ? rng_below(rng, 4) : 1);
            break;
        case 1:
            now += step + rng_below(rng, 1000);
            break;
        case 2:
            now += 1000000 * (90 + rng_below(rng, 20));
            break;
        case 3:
            now = rng_u64(rng);
            break;
        case 4:
            break;
        case 5:
            now -= step;
            break;
        case 6:
            now = (uint64_t)(rng_below(rng, 2) == 0 ? INT64_MIN : INT64_MAX);
            break;
        default:
            now += rng_below(rng, 3) - 1;
        }
        t[i] = (int64_t)now;
    }
}

/* ---- cells of the other types ---- */

static void made_bools(int64_t *v, size_t n, struct rng *rng)
{
    uint64_t rare = 1 + rng_below(rng, 60);
    int64_t now = (int64_t)rng_below(rng, 2);
    size_t i;

    for (i = 0; i < n; i++)
        v[i] = now ^= rng_below(rng, rare) == 0;
}

/* Slices of one string: some repeat, some begin alike. */
static void made_texts(struct span *v, size_t n, struct rng *rng)
{
    static const char letters[] =
        "idle run run fault idle 17 18 19 20 21 RUNNING STOPPED door open door shut alarm 7 alarm 8 tide "
        "rising tide falling 0123456789 0123456789 0123456789 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEF "
        "GHIJKLMNOPQRSTUVWXYZ the quick brown fox jumps over the lazy dog; pack my box with five dozen jugs "
        "of liquor. 3.141592653589793 2.718281828459045";
    struct span known[TEXTS];
    size_t n_known = 1 + rng_below(rng, TEXTS), longest = rng_below(rng, 2) == 0 ? 12 : BLOCK_TEXT_MAX_BYTES,
           i;
    bool any = rng_below(rng, 6) == 0;

    for (i = 0; i < n_known; i++)
        known[i] = part_of(letters, rng, longest);
    for (i = 0; i < n; i++)
        v[i] = any ? part_of(letters, rng, longest) : known[rng_below(rng, n_known)];
}

static void made_flags(struct column *c, size_t n, struct rng *rng)
{
    uint64_t rare = 1 + rng_below(rng, 30), everything = rng_below(rng, 12) == 0;
    size_t i;

    for (i = 0; c->absent != NULL && i < n; i++)
        c->absent[i] = everything || rng_below(rng, rare) == 0;
    for (i = 0; c->quality != NULL && i < n; i++)
        c->quality[i] = rng_below(rng, rare) == 0 || i == 0 ? (uint8_t)rng_below(rng, 4) : c->quality[i - 1];
    for (i = 0; c->absent != NULL && i < n; i++)
        if (c->absent[i] && c->type == COLUMN_TEXT)
            c->text[i] = (struct span){0};
        else if (c->absent[i])
            c->i64[i] = 0;
}

static double made_bound(struct rng *rng)
{
    static const double odd[] = {5e-324, 0x1p-1022, 1e300, 0.5, 1e-300};

    if (rng_below(rng, 8) == 0)
        return odd[rng_below(rng, sizeof odd / sizeof odd[0])];
    return of_some_magnitude(rng_unit(rng), rng, 8) / 1e5;
}

void made_block_init_as(struct made_block *mb, struct rng *rng, uint32_t n_rows, uint32_t n_columns,
                        const enum column_type *types)
{
    size_t n = n_rows, a_column = (n * (sizeof(struct span) + 2) + 15) & ~(size_t)7, i;
    uint8_t *at;

    mb->memory = malloc(n * sizeof(int64_t) + n_columns * (a_column + sizeof(struct column)));
    mb->types = malloc(n_columns * sizeof *mb->types);
    mb->bounds = calloc(n_columns, sizeof *mb->bounds);
    if (mb->memory == NULL || mb->types == NULL || mb->bounds == NULL)
        abort();
    at = mb->memory + n * sizeof(int64_t) + n_columns * sizeof(struct column);
    mb->block =
        (struct block){n_rows, n_columns, (int64_t *)(void *)(mb->memory + n_columns * sizeof(struct column)),
                       (struct column *)(void *)mb->memory};
    made_times(mb->block.time_ns, n, (unsigned)rng_below(rng, MADE_TIMES), rng);
    for (i = 0; i < n_columns; i++, at += a_column) {
        struct column *c = &mb->block.columns[i];

        *c = (struct column){.type = mb->types[i] = types[i]};
        c->text = (struct span *)(void *)at;
        c->absent = rng_below(rng, 4) == 0 ? at + n * sizeof(struct span) : NULL;
        c->quality = rng_below(rng, 4) == 0 ? at + n * sizeof(struct span) + n : NULL;
        if (c->type == COLUMN_DOUBLE)
            made_doubles(c->f64, n, (unsigned)rng_below(rng, MADE_DOUBLES), rng);
        else if (c->type == COLUMN_INT64)
            made_integers(c->i64, n, (unsigned)rng_below(rng, MADE_INTEGERS), rng);
        else if (c->type == COLUMN_BOOL)
            made_bools(c->i64, n, rng);
        else
            made_texts(c->text, n, rng);
        made_flags(c, n, rng);
        mb->bounds[i] = c->type == COLUMN_DOUBLE && rng_below(rng, 2) == 0 ? made_bound(rng) : 0;
    }
}

void made_block_init(struct made_block *mb, struct rng *rng)
{
    enum column_type types[BLOCK_COLUMNS_MAX];
    uint32_t n_rows, n_columns = 1 + (uint32_t)rng_below(rng, 6), i;

    switch (rng_below(rng, 20)) {
    case 0:
        n_columns = 1 + (uint32_t)rng_below(rng, BLOCK_COLUMNS_MAX);
        n_rows = 1 + (uint32_t)rng_below(rng, rng_below(rng, 25) == 0 ? 400 : 40);
        break;
    case 1:
        n_rows = BLOCK_ROWS_MAX - (uint32_t)rng_below(rng, 40);
        n_columns = 1 + (uint32_t)rng_below(rng, 3);
        break;
    case 2:
    case 3:
    case 4:
        n_rows = 1 + (uint32_t)rng_below(rng, 4);
        break;
    default:
        n_rows = 1 + (uint32_t)rng_below(rng, rng_below(rng, 3) == 0 ? 1000 : 200);
    }
    for (i = 0; i < n_columns; i++)
        types[i] = (enum column_type)(rng_below(rng, 2) == 0 ? 1 : 1 + rng_below(rng, 4));
    made_block_init_as(mb, rng, n_rows, n_columns, types);
}

void made_block_deinit(struct made_block *mb)
{
    free(mb->memory);
    free(mb->types);
    free(mb->bounds);
    *mb = (struct made_block){0};
}
