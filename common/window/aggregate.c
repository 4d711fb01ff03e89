#include "window/aggregate.h"

#include "window/double_bytes.h"

#include <errno.h>
#include <math.h>

enum { IS_DISORDERED = 1, HAS_SKETCH = 2, IS_BRIEF = 4, TIME_BITS = 62 };

void aggregate_add(struct aggregate *a, int64_t time_ns, double value)
{
    struct aggregate_point p = {time_ns, value};

    if (isnan(value))
        return;
    exact_sum_add(&a->sum, value);
    if (!a->is_brief)
        exact_sum_add_square(&a->squares, value);
    if (a->sketch != NULL)
        sketch_add(a->sketch, value);
    if (a->count++ == 0) {
        a->min = a->max = value;
        a->first = a->last = p;
        return;
    }
    a->min = double_below(value, a->min) ? value : a->min;
    a->max = double_below(a->max, value) ? value : a->max;
    if (time_ns >= a->last.time_ns) {
        if (!a->is_brief)
            exact_sum_add_product(&a->integral, a->last.value, time_ns - a->last.time_ns);
        a->last = p;
        return;
    }
    a->is_disordered = true;
    if (time_ns < a->first.time_ns)
        a->first = p;
}

void aggregate_join(struct aggregate *a, const struct aggregate *later)
{
    if (later->count == 0)
        return;
    exact_sum_merge(&a->sum, &later->sum);
    a->is_brief |= later->is_brief;
    if (!a->is_brief) {
        exact_sum_merge(&a->squares, &later->squares);
        exact_sum_merge(&a->integral, &later->integral);
    }
    if (a->sketch != NULL && later->sketch != NULL)
        sketch_merge(a->sketch, later->sketch);
    if (a->count == 0) {
        a->min = later->min;
        a->max = later->max;
        a->first = later->first;
        a->last = later->last;
        a->is_disordered = later->is_disordered;
    } else {
        bool follows = later->first.time_ns >= a->last.time_ns;

        a->min = double_below(later->min, a->min) ? later->min : a->min;
        a->max = double_below(a->max, later->max) ? later->max : a->max;
        if (follows && !a->is_brief)
            exact_sum_add_product(&a->integral, a->last.value, later->first.time_ns - a->last.time_ns);
        a->is_disordered |= later->is_disordered || !follows;
        if (later->first.time_ns < a->first.time_ns)
            a->first = later->first;
        if (later->last.time_ns >= a->last.time_ns)
            a->last = later->last;
    }
    a->count += later->count;
}

double aggregate_sum(const struct aggregate *a)
{
    return exact_sum_value(&a->sum);
}

double aggregate_mean(const struct aggregate *a)
{
    double high, low;

    if (a->count == 0)
        return NAN;
    exact_sum_pair(&a->sum, &high, &low);
    return high / (double)a->count + low / (double)a->count;
}

/* The squares of the distances from any c near the mean m are squares - 2 c sum + n c^2; from m itself n (m -
 * c)^2 less. All of it without rounding, but for the last term, which is small. */
static double spread_of(const struct aggregate *a)
{
    struct exact_sum from_c = a->squares, off = a->sum, square = {.chunk = {0}}, one = {.chunk = {0}};
    double n = (double)a->count, c = aggregate_mean(a), d;

    exact_sum_add_square(&square, c);
    exact_sum_add(&one, c);
    exact_sum_add_multiple(&from_c, &a->sum, -2 * c);
    exact_sum_add_multiple(&from_c, &square, n);
    exact_sum_add_multiple(&off, &one, -n);
    d = exact_sum_value(&off);
    return exact_sum_value(&from_c) - d * d / n;
}

double aggregate_stddev(const struct aggregate *a)
{
    double spread;

    if (a->is_brief)
        return NAN;
    if (a->count < 2)
        return a->count == 0 ? NAN : 0;
    if (!isfinite(a->min) || !isfinite(a->max))
        return NAN;
    if (a->min == a->max)
        return 0;
    spread = spread_of(a);
    return spread > 0 ? sqrt(spread / (double)(a->count - 1)) : 0;
}

double aggregate_rate_per_s(const struct aggregate *a)
{
    if (a->count == 0 || a->last.time_ns <= a->first.time_ns)
        return NAN;
    return (a->last.value - a->first.value) / ((double)(a->last.time_ns - a->first.time_ns) / 1e9);
}

double aggregate_time_weighted_mean(const struct aggregate *a, int64_t from_ns, int64_t to_ns,
                                    const struct aggregate_point *before)
{
    struct exact_sum integral = a->integral;
    const struct aggregate_point *last = a->count > 0 ? &a->last : before;
    int64_t known_from_ns = before != NULL ? from_ns : a->first.time_ns;

    if (last == NULL || a->is_disordered || a->is_brief)
        return NAN;
    if (a->count == 0)
        return before->value;
    if (before != NULL)
        exact_sum_add_product(&integral, before->value, a->first.time_ns - from_ns);
    exact_sum_add_product(&integral, last->value, to_ns - last->time_ns);
    return to_ns > known_from_ns ? exact_sum_value(&integral) / (double)(to_ns - known_from_ns) : last->value;
}

/* The integral of samples in disorder is no statement, and depends on their order: it is not among the bytes.
 */
void aggregate_put(const struct aggregate *a, struct buf *out)
{
    bool has_sketch = a->sketch != NULL && a->sketch->count == a->count;

    buf_varint(out, a->count);
    if (a->count == 0)
        return;
    buf_u8(out, (uint8_t)((a->is_disordered ? IS_DISORDERED : 0) | (has_sketch ? HAS_SKETCH : 0) |
                          (a->is_brief ? IS_BRIEF : 0)));
    put_double(out, a->min);
    put_double(out, a->max);
    buf_varint(out, zigzag64(a->first.time_ns));
    put_double(out, a->first.value);
    buf_varint(out, (uint64_t)a->last.time_ns - (uint64_t)a->first.time_ns);
    put_double(out, a->last.value);
    exact_sum_put(&a->sum, out);
    if (!a->is_brief)
        exact_sum_put(&a->squares, out);
    if (!a->is_brief && !a->is_disordered)
        exact_sum_put(&a->integral, out);
    if (has_sketch)
        sketch_put(a->sketch, out);
}

static bool time_ok(int64_t time_ns)
{
    return time_ns >= -(INT64_C(1) << TIME_BITS) && time_ns <= INT64_C(1) << TIME_BITS;
}

/* min and max bound what the ends say; NaN compares with nothing. */
static bool value_ok(const struct aggregate *a, double x)
{
    return x >= a->min && x <= a->max && !double_below(x, a->min) && !double_below(a->max, x);
}

static int get_ends(struct reader *r, struct aggregate *a)
{
    uint64_t later;

    a->min = reader_double(r);
    a->max = reader_double(r);
    a->first.time_ns = unzigzag64(reader_varint(r));
    a->first.value = reader_double(r);
    later = reader_varint(r);
    a->last.value = reader_double(r);
    a->last.time_ns = (int64_t)((uint64_t)a->first.time_ns + later);
    if (r->bad || !time_ok(a->first.time_ns) || !time_ok(a->last.time_ns) ||
        later > UINT64_C(1) << (TIME_BITS + 1) || a->last.time_ns < a->first.time_ns ||
        !value_ok(a, a->first.value) || !value_ok(a, a->last.value))
        return -EINVAL;
    return 0;
}

int aggregate_get(struct reader *r, struct sketch *sketch, struct aggregate *ret_a)
{
    struct aggregate a = {.count = reader_varint(r)};
    struct sketch s = {.count = 0};
    unsigned flags;
    int e;

    if (r->bad)
        return -EINVAL;
    if (a.count == 0) {
        if (sketch != NULL)
            *sketch = s;
        a.sketch = sketch;
        *ret_a = a;
        return 0;
    }
    flags = reader_u8(r);
    a.is_disordered = (flags & IS_DISORDERED) != 0;
    a.is_brief = (flags & IS_BRIEF) != 0;
    e = flags > (IS_DISORDERED | HAS_SKETCH | IS_BRIEF) ? -EINVAL : get_ends(r, &a);
    if (e == 0)
        e = exact_sum_get(r, &a.sum);
    if (e == 0 && !a.is_brief)
        e = exact_sum_get(r, &a.squares);
    if (e == 0 && !a.is_brief && !a.is_disordered)
        e = exact_sum_get(r, &a.integral);
    if (e == 0 && (flags & HAS_SKETCH) != 0)
        e = sketch_get(r, &s);
    if (e == 0 && (flags & HAS_SKETCH) != 0 && s.count != a.count)
        e = -EINVAL;
    if (e != 0)
        return e;
    if (sketch != NULL && (flags & HAS_SKETCH) != 0) {
        *sketch = s;
        a.sketch = sketch;
    }
    *ret_a = a;
    return 0;
}
