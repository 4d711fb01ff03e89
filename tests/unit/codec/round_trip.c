#include "round_trip.h"

#include "body_check.h"
#include "random_block.h"

#include <math.h>
#include <stdlib.h>

/* At most so many ways to start: cold, cold with bounds, learnt here, learnt with bounds, learnt elsewhere.
 */
enum { WAYS_MAX = 5, LEARNT_MAX_BYTES = 1024 };

struct way {
    struct block_starts *starts;
    const double *bounds;
    bool says_something;
};

void round_trip_init(struct round_trip *rt)
{
    int i;

    *rt = (struct round_trip){0};
    for (i = 0; i < 2; i++)
        if (block_coder_new(&rt->coders[i]) != 0 || block_store_new(&rt->stores[i]) != 0)
            abort();
}

void round_trip_deinit(struct round_trip *rt)
{
    int i;

    for (i = 0; i < 2; i++) {
        block_coder_free(rt->coders[i]);
        block_store_free(rt->stores[i]);
        buf_deinit(&rt->bodies[i]);
    }
    buf_deinit(&rt->learnt);
}

/* ---- comparing ---- */

static bool flag(const uint8_t *flags, size_t i)
{
    return flags != NULL && flags[i] != 0;
}

static bool double_within(double a, double b, double bound)
{
    if (memcmp(&a, &b, sizeof a) == 0)
        return true;
    return isfinite(a) && isfinite(b) && fabsl((long double)a - (long double)b) <= (long double)bound;
}

static bool column_same(const struct column *a, const struct column *b, size_t n_rows, double bound)
{
    size_t i;

    if (!(bound > 0))
        return columns_same(a, b, n_rows);
    for (i = 0; i < n_rows; i++) {
        if (flag(a->absent, i) != flag(b->absent, i) ||
            (a->quality == NULL ? 0 : a->quality[i]) != (b->quality == NULL ? 0 : b->quality[i]))
            return false;
        if (flag(a->absent, i) ? b->i64[i] != 0 : !double_within(a->f64[i], b->f64[i], bound))
            return false;
    }
    return a->type == b->type;
}

bool round_trip_same(const struct block *a, const struct block *b, const double *bounds)
{
    uint32_t i;

    if (a->n_rows != b->n_rows || a->n_columns != b->n_columns ||
        memcmp(a->time_ns, b->time_ns, a->n_rows * sizeof *a->time_ns) != 0)
        return false;
    for (i = 0; i < a->n_columns; i++)
        if (!column_same(&a->columns[i], &b->columns[i], a->n_rows, bounds == NULL ? 0 : bounds[i]))
            return false;
    return true;
}

static int64_t lowest_time(const struct block *b)
{
    int64_t lowest = b->time_ns[0];
    uint32_t i;

    for (i = 1; i < b->n_rows; i++)
        lowest = b->time_ns[i] < lowest ? b->time_ns[i] : lowest;
    return lowest;
}

static size_t samples_of(const struct block *b)
{
    size_t n = 0;
    uint32_t i, k;

    for (i = 0; i < b->n_columns; i++)
        for (k = 0; k < b->n_rows; k++)
            n += !flag(b->columns[i].absent, k);
    return n;
}

/* ---- one block, one encoding, one start ---- */

struct task {
    struct round_trip *rt;
    struct rng *rng;
    const struct block *block;
    const struct way *way;
    struct block_shape shape;
};

static const char *check_one_column(const struct task *t, struct span body, uint32_t only)
{
    struct block_shape shape = t->shape;
    const struct block *back;
    uint32_t i;

    shape.only_column = (int)only;
    if (block_decode(&shape, body, t->rt->stores[1], &back) != 0)
        return "one column cannot be read alone";
    if (memcmp(back->time_ns, t->block->time_ns, back->n_rows * sizeof *back->time_ns) != 0)
        return "times read with one column differ";
    for (i = 0; i < back->n_columns; i++)
        if (i != only && (back->columns[i].i64 != NULL || back->columns[i].absent != NULL ||
                          back->columns[i].quality != NULL))
            return "a column that nobody wants has an array";
    return column_same(&t->block->columns[only], &back->columns[only], back->n_rows,
                       t->way->bounds == NULL ? 0 : t->way->bounds[only])
               ? NULL
               : "a column read alone differs";
}

/* A short body's check has 16 bits, which are right by chance now and then. */
static const char *check_other_shapes(const struct task *t, struct span body)
{
    struct block_shape shape = t->shape;
    const struct block *back;

    if (body.len <= 66)
        return NULL;
    shape.time_first_ns = (int64_t)((uint64_t)shape.time_first_ns + 1);
    if (block_decode(&shape, body, t->rt->stores[1], &back) != BLOCK_DAMAGED)
        return "read with another first time";
    shape = t->shape;
    shape.n_rows += shape.n_rows == 1 ? 1 : -1;
    if (block_decode(&shape, body, t->rt->stores[1], &back) != BLOCK_DAMAGED)
        return "read with another number of rows";
    shape = t->shape;
    shape.encoding ^= BLOCK_ENCODING_FAST ^ BLOCK_ENCODING_SMALL;
    if (block_decode(&shape, body, t->rt->stores[1], &back) != BLOCK_DAMAGED)
        return "read as the other encoding";
    shape = t->shape;
    shape.starts = NULL;
    if (block_decode(&shape, body, t->rt->stores[1], &back) != (t->way->says_something ? BLOCK_DAMAGED : 0))
        return t->way->says_something ? "read without its starts"
                                      : "not read without starts that say nothing";
    return NULL;
}

static const char *check_facts(const struct block_store *s, const struct block *b, size_t body_bytes)
{
    struct column_facts facts;
    double sum = 0;
    int i;

    for (i = -1; i < (int)b->n_columns; i++) {
        block_store_facts(s, i, &facts);
        if (facts.numbers == NULL || facts.predictor == NULL || facts.ranks == NULL ||
            facts.n_cells > b->n_rows || facts.n_exceptions > facts.n_cells)
            return "facts of a column cannot be";
        sum += facts.body_bytes;
    }
    return sum >= -9 && sum <= (double)body_bytes + 9 ? NULL : "facts do not add up to the body";
}

static const char *check_encoding(struct task *t, enum block_encoding encoding, uint64_t *total_bytes)
{
    struct round_trip *rt = t->rt;
    const struct block *b = t->block, *back, *again;
    const char *what;
    struct span body;
    uint32_t i;

    t->shape.encoding = encoding;
    for (i = 0; i < 2; i++) {
        buf_reset(&rt->bodies[i]);
        buf_append(&rt->bodies[i], "before", i * 6);
        if (block_encode(rt->coders[i], encoding, t->way->starts, b, &rt->bodies[i]) != 0)
            return "cannot be encoded";
    }
    body = span_of(rt->bodies[0].data, rt->bodies[0].len);
    if (!span_equal(body, span_of(rt->bodies[1].data + 6, rt->bodies[1].len - 6)))
        return "bytes depend on what a coder did before";
    *total_bytes += body.len;
    if (block_decode(&t->shape, body, rt->stores[0], &back) != 0)
        return "cannot be read again";
    if (!round_trip_same(b, back, t->way->bounds))
        return "differs when read again";
    what = check_facts(rt->stores[0], b, body.len);
    for (i = 0; what == NULL && i < (b->n_columns < 5 ? b->n_columns : 2); i++)
        what = check_one_column(t, body, b->n_columns < 5 ? i : (uint32_t)rng_below(t->rng, b->n_columns));
    if (what == NULL)
        what = check_other_shapes(t, body);
    if (what != NULL)
        return what;
    buf_reset(&rt->bodies[1]);
    if (block_encode(rt->coders[1], encoding, t->way->starts, back, &rt->bodies[1]) != 0)
        return "what was read cannot be encoded";
    body = span_of(rt->bodies[1].data, rt->bodies[1].len);
    if (block_decode(&t->shape, body, rt->stores[1], &again) != 0 ||
        !round_trip_same(back, again, t->way->bounds))
        return "differs when written and read twice";
    return NULL;
}

/* ---- ways to start ---- */

static const char *add_way(struct way *ways, size_t *n_ways, const enum column_type *types,
                           uint32_t n_columns, const struct block_start_bytes *bytes)
{
    uint32_t i;

    if (block_starts_new(&ways[*n_ways].starts, types, n_columns, bytes) != 0)
        return "starts that were learnt are refused";
    ways[*n_ways].says_something = bytes->time.len > 0;
    for (i = 0; i < n_columns; i++)
        if ((bytes->columns != NULL && bytes->columns[i].len > 0) ||
            (bytes->error_bounds != NULL && bytes->error_bounds[i] > 0))
            ways[*n_ways].says_something = true;
    ways[(*n_ways)++].bounds = bytes->error_bounds;
    return NULL;
}

static const char *learn_way(struct round_trip *rt, struct way *ways, size_t *n_ways, const struct block *b,
                             const enum column_type *types, const double *bounds)
{
    struct span columns[BLOCK_COLUMNS_MAX];
    struct block_start_bytes bytes = {.error_bounds = bounds, .columns = columns};
    uint32_t i;

    buf_reset(&rt->learnt);
    if (block_learn(rt->coders[0], b, bounds, &rt->learnt, columns, &bytes.time) != 0)
        return "cannot be learnt from";
    for (i = 0; i < b->n_columns; i++)
        if (columns[i].len >= LEARNT_MAX_BYTES)
            return "a start is longer than it may be";
    if (bytes.time.len >= LEARNT_MAX_BYTES)
        return "the start of the times is longer than it may be";
    return add_way(ways, n_ways, types, b->n_columns, &bytes);
}

static const char *make_ways(struct round_trip *rt, struct rng *rng, const struct made_block *mb,
                             const struct block *part, struct way *ways, size_t *n_ways)
{
    const double *bounds = rng_below(rng, 2) == 0 ? mb->bounds : NULL;
    struct block_start_bytes cold = {.error_bounds = mb->bounds};
    struct made_block other;
    const char *what;

    ways[(*n_ways)++] = (struct way){0};
    what = add_way(ways, n_ways, mb->types, mb->block.n_columns, &cold);
    if (what == NULL)
        what = learn_way(rt, ways, n_ways, part, mb->types, NULL);
    if (what == NULL && bounds != NULL)
        what = learn_way(rt, ways, n_ways, part, mb->types, bounds);
    if (what != NULL)
        return what;
    made_block_init_as(&other, rng, 1 + (uint32_t)rng_below(rng, 300), mb->block.n_columns, mb->types);
    what = learn_way(rt, ways, n_ways, &other.block, mb->types, bounds);
    made_block_deinit(&other);
    return what;
}

static void forget_ways(struct way *ways, size_t n_ways)
{
    size_t i;

    for (i = 0; i < n_ways; i++)
        block_starts_free(ways[i].starts);
}

/* ---- a seed ---- */

static const char *check_raw(struct round_trip *rt, const struct made_block *mb, const struct block *b)
{
    struct block_shape shape = {BLOCK_ENCODING_RAW, mb->types, b->n_columns, b->n_rows, -1, 0, NULL};
    const struct block *back;

    buf_reset(&rt->bodies[0]);
    if (block_encode(NULL, BLOCK_ENCODING_RAW, NULL, b, &rt->bodies[0]) != 0 ||
        block_decode(&shape, span_of(rt->bodies[0].data, rt->bodies[0].len), rt->stores[0], &back) != 0 ||
        !round_trip_same(b, back, NULL))
        return "raw: differs when read again";
    rt->raw_bytes += rt->bodies[0].len;
    return NULL;
}

static const char *check_part(struct round_trip *rt, struct rng *rng, const struct made_block *mb,
                              const struct block *b, const struct way *ways, size_t n_ways)
{
    struct task t = {.rt = rt, .rng = rng, .block = b};
    const char *what = NULL;
    size_t i;

    for (i = 0; what == NULL && i < n_ways; i++) {
        what = check_raw(rt, mb, b);
        t.way = &ways[i];
        t.shape =
            (struct block_shape){0, mb->types, b->n_columns, b->n_rows, -1, lowest_time(b), ways[i].starts};
        if (what == NULL)
            what = check_encoding(&t, BLOCK_ENCODING_FAST, &rt->fast_bytes);
        if (what == NULL)
            what = check_encoding(&t, BLOCK_ENCODING_SMALL, &rt->small_bytes);
        rt->n_blocks += 2;
        rt->n_rows += 2 * (uint64_t)b->n_rows;
        rt->n_samples += 2 * samples_of(b);
    }
    return what;
}

const char *round_trip_seed(struct round_trip *rt, uint64_t seed)
{
    struct column columns[2][BLOCK_COLUMNS_MAX];
    struct way ways[WAYS_MAX] = {{0}};
    struct rng rng = {seed};
    struct made_block mb;
    struct block learnt_from, rest;
    uint32_t cut, n;
    size_t n_ways = 0;
    const char *what;

    made_block_init(&mb, &rng);
    n = mb.block.n_rows;
    cut = n == 1 ? 0 : 1 + (uint32_t)rng_below(&rng, n - 1);
    block_slice(&mb.block, 0, cut == 0 ? 1 : cut, columns[0], &learnt_from);
    block_slice(&mb.block, cut, n - cut, columns[1], &rest);
    what = make_ways(rt, &rng, &mb, &learnt_from, ways, &n_ways);
    if (what == NULL)
        what = check_part(rt, &rng, &mb, &rest, ways, n_ways);
    if (what == NULL && rng_below(&rng, 4) == 0)
        what = check_part(rt, &rng, &mb, &mb.block, ways, 1);
    forget_ways(ways, n_ways);
    made_block_deinit(&mb);
    return what;
}
