#include "codec/number.h"

#include "codec/cost.h"
#include "codec/kernels.h"

#include <float.h>
#include <math.h>

/* Excess precision would make integer / 10^exponent another double. */
_Static_assert(FLT_EVAL_METHOD == 0, "doubles must be computed as doubles");

/* Up to 10^22 powers of ten are exact doubles. */
static const double powers[NUMBER_DECIMAL_EXPONENT_MAX + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17};

static inline uint64_t bits_of(double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline double double_of(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Order of integers = order of numbers; both zeros are 0. Its own inverse, but for minus zero. */
static inline int64_t ordered(int64_t bits)
{
    return bits < 0 ? (int64_t)(UINT64_C(0x8000000000000000) - (uint64_t)bits) : bits;
}

static inline int64_t order_of(double v)
{
    return ordered((int64_t)bits_of(v));
}

static inline double value_of_order(int64_t order)
{
    return double_of((uint64_t)ordered(order));
}

static inline bool minus_zero(double v)
{
    return bits_of(v) == UINT64_C(0x8000000000000000);
}

static inline double decimal_value(unsigned kind, double power, int64_t integer)
{
    double v = (double)integer / power;

    return kind == NUMBER_FLOAT ? (double)(float)v : v;
}

bool number_format_ok(const struct number_format *f, double error_bound)
{
    switch (f->kind) {
    case NUMBER_DECIMAL:
    case NUMBER_FLOAT:
        return f->exponent <= NUMBER_DECIMAL_EXPONENT_MAX;
    case NUMBER_BITS:
        return f->exponent <= NUMBER_BITS_EXPONENT_MAX && !f->has_ulps;
    case NUMBER_BOUNDED:
        return error_bound > 0 && f->exponent < NUMBER_PLACES && !f->has_ulps;
    default:
        return false;
    }
}

/* Whether the format says this value; then its integer and what is to be added in ulps. */
static inline bool split_decimal(unsigned kind, bool has_ulps, double power, double v, int64_t *ret_integer,
                                 int *ret_ulps)
{
    double scaled = v * power, back;
    int64_t off;

    *ret_ulps = 0;
    if (!(fabs(scaled) < 9007199254740992.0) || minus_zero(v))
        return false;
    *ret_integer = llrint(scaled);
    back = decimal_value(kind, power, *ret_integer);
    if (!has_ulps)
        return back == v;
    off = (int64_t)((uint64_t)order_of(v) - (uint64_t)order_of(back));
    if (off < -NUMBER_ULPS_MAX || off > NUMBER_ULPS_MAX)
        return false;
    *ret_ulps = (int)off;
    return true;
}

static inline bool split_bits(unsigned exponent, double v, int64_t *ret_integer)
{
    int64_t order = order_of(v);

    *ret_integer = order >> exponent;
    return (order & ((INT64_C(1) << exponent) - 1)) == 0 && !minus_zero(v);
}

static inline double bounded_value(unsigned exponent, double step, int64_t integer)
{
    return ((double)integer + (double)exponent / NUMBER_PLACES) * step;
}

static inline bool split_bounded(unsigned exponent, double error_bound, double v, int64_t *ret_integer)
{
    double step = number_step(error_bound), scaled = v / step;

    if (!(fabs(scaled) < 9007199254740992.0))
        return false;
    *ret_integer = llrint(scaled - (double)exponent / NUMBER_PLACES);
    return fabs(bounded_value(exponent, step, *ret_integer) - v) <= error_bound;
}

static inline bool split_one(const struct number_format *f, double error_bound, double v,
                             int64_t *ret_integer, int *ret_ulps)
{
    *ret_ulps = 0;
    if (f->kind == NUMBER_BITS)
        return split_bits(f->exponent, v, ret_integer);
    if (f->kind == NUMBER_BOUNDED)
        return split_bounded(f->exponent, error_bound, v, ret_integer);
    return split_decimal(f->kind, f->has_ulps, powers[f->exponent], v, ret_integer, ret_ulps);
}

size_t number_split(const struct number_format *f, double error_bound, const double *values, size_t n,
                    int64_t *integers, int8_t *ulps, struct exception *exceptions)
{
    size_t n_exceptions = 0, i;
    int64_t last = 0;

    if (f->kind == NUMBER_DECIMAL && !f->has_ulps &&
        kernels()->decimal_split(values, n, powers[f->exponent], integers))
        return 0;
    for (i = 0; i < n; i++) {
        int off;

        if (split_one(f, error_bound, values[i], &integers[i], &off)) {
            last = integers[i];
        } else {
            exceptions[n_exceptions++] = (struct exception){(uint32_t)i, bits_of(values[i])};
            integers[i] = last;
        }
        if (f->has_ulps)
            ulps[i] = (int8_t)off;
    }
    return n_exceptions;
}

void number_join(const struct number_format *f, double error_bound, const int64_t *integers,
                 const int8_t *ulps, size_t n, double *values)
{
    double step = number_step(error_bound);
    size_t i;

    switch (f->kind) {
    case NUMBER_DECIMAL:
        kernels()->decimal_join(integers, n, powers[f->exponent], values);
        break;
    case NUMBER_FLOAT:
        for (i = 0; i < n; i++)
            values[i] = decimal_value(NUMBER_FLOAT, powers[f->exponent], integers[i]);
        break;
    case NUMBER_BITS:
        for (i = 0; i < n; i++)
            values[i] = value_of_order((int64_t)((uint64_t)integers[i] << f->exponent));
        break;
    default:
        for (i = 0; i < n; i++)
            values[i] = bounded_value(f->exponent, step, integers[i]);
    }
    if (f->has_ulps)
        for (i = 0; i < n; i++)
            values[i] = value_of_order((int64_t)((uint64_t)order_of(values[i]) + (uint64_t)(int64_t)ulps[i]));
}

/* ---- choice ---- */

/* Bits of n flags of which `set` are 1, by their entropy. */
static double flag_bits(size_t n, size_t set)
{
    double q = ((double)set + 0.5) / ((double)n + 1);

    return (double)n * -(q * log2(q) + (1 - q) * log2(1 - q));
}

static inline uint64_t distance(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

struct format_cost {
    double bits;
    size_t n_exceptions;
};

/* Of ulps and exceptions: by their entropy, or packed into frames and bytes. */
static double extra_bits(bool packed, bool has_ulps, size_t n, size_t corrected, size_t failed)
{
    double bits = 0;

    if (has_ulps && packed)
        bits += corrected > 0 ? 4.5 * (double)n : 8;
    else if (has_ulps)
        bits += flag_bits(n, corrected) + 2.5 * (double)corrected + 16;
    if (failed > 0)
        bits += packed ? 80.0 * (double)failed : flag_bits(n, failed) + 64.0 * (double)failed + 8;
    return bits;
}

/* False when so many values fail that the format is out of the question. */
static bool format_cost_of(const struct number_format *f, double error_bound, bool packed,
                           const double *values, size_t n, struct format_cost *ret_cost)
{
    size_t failed = 0, corrected = 0, limit = 8 + n / 4, i;
    int64_t integer = 0, before = 0;
    uint64_t bits = 0;
    bool first = true;

    for (i = 0; i < n; i++) {
        int off;

        if (!split_one(f, error_bound, values[i], &integer, &off)) {
            if (++failed > 8 + i / 3)
                return false;
            continue;
        }
        if (!first)
            bits += bit_length(distance(integer, before)) + 1;
        first = false;
        before = integer;
        corrected += off != 0;
    }
    if (failed > limit)
        return false;
    ret_cost->bits = (double)bits + extra_bits(packed, f->has_ulps, n, corrected, failed);
    ret_cost->n_exceptions = failed;
    return true;
}

struct choice {
    struct number_format format;
    struct format_cost cost;
};

/* More decimals cannot help a value that is exact with fewer, so the first exponent without exceptions ends
 * it. */
static void try_exponents(struct choice *best, unsigned kind, bool has_ulps, bool packed,
                          const double *values, size_t n)
{
    unsigned e;

    for (e = 0; e <= NUMBER_DECIMAL_EXPONENT_MAX; e++) {
        struct number_format f = {(uint8_t)kind, (uint8_t)e, has_ulps};
        struct format_cost cost;

        if (!format_cost_of(&f, 0, packed, values, n, &cost))
            continue;
        if (cost.bits < best->cost.bits)
            *best = (struct choice){f, cost};
        if (cost.n_exceptions == 0)
            return;
    }
}

static struct number_format bits_format(const double *values, size_t n)
{
    unsigned exponent = NUMBER_BITS_EXPONENT_MAX;
    uint64_t any = 0;
    size_t i;

    for (i = 0; i < n; i++)
        any |= (uint64_t)order_of(values[i]);
    if (any != 0 && (unsigned)__builtin_ctzll(any) < exponent)
        exponent = (unsigned)__builtin_ctzll(any);
    return (struct number_format){NUMBER_BITS, (uint8_t)exponent, false};
}

static struct number_format choose_thoroughly(const double *values, size_t n, double error_bound, bool packed)
{
    struct choice best = {.format = bits_format(values, n), .cost.bits = DBL_MAX};
    struct number_format bounded = {.kind = NUMBER_BOUNDED};
    struct format_cost cost;

    try_exponents(&best, NUMBER_DECIMAL, false, packed, values, n);
    if (best.cost.bits == DBL_MAX || best.cost.n_exceptions > 0) {
        struct number_format bits = bits_format(values, n);

        try_exponents(&best, NUMBER_FLOAT, false, packed, values, n);
        try_exponents(&best, NUMBER_DECIMAL, true, packed, values, n);
        try_exponents(&best, NUMBER_FLOAT, true, packed, values, n);
        if (format_cost_of(&bits, 0, packed, values, n, &cost) && cost.bits < best.cost.bits)
            best = (struct choice){bits, cost};
    }
    if (error_bound > 0 && format_cost_of(&bounded, error_bound, packed, values, n, &cost) &&
        cost.bits < best.cost.bits)
        best.format = bounded;
    return best.format;
}

enum { QUICK_LOOK = 8, QUICK_SAMPLE = 128 };

/* What is exact with e decimals is so with e + 1, so the exponent only grows from one piece to the next, each
 * twice as long as the one before. integers: n, for the kernel's use. */
static bool find_decimal(const double *values, size_t n, int64_t *integers, unsigned *ret_exponent)
{
    size_t done = 0, want = QUICK_LOOK, len;
    unsigned e = 0;

    for (; done < n; done += len, want *= 2) {
        len = n - done < want ? n - done : want;
        while (!kernels()->decimal_split(values + done, len, powers[e], integers))
            if (e++ == NUMBER_DECIMAL_EXPONENT_MAX)
                return false;
    }
    *ret_exponent = e;
    return true;
}

struct number_format number_choose(const double *values, size_t n, double error_bound, bool thorough,
                                   bool packed)
{
    int64_t integers[BLOCK_ROWS_MAX];
    unsigned e;

    if (thorough)
        return choose_thoroughly(values, n, error_bound, packed);
    if (error_bound > 0)
        return (struct number_format){.kind = NUMBER_BOUNDED};
    if (find_decimal(values, n, integers, &e))
        return (struct number_format){NUMBER_DECIMAL, (uint8_t)e, false};
    return choose_thoroughly(values, n < QUICK_SAMPLE ? n : QUICK_SAMPLE, 0, packed);
}
