/* Bodies and starts that no encoder wrote, with a right check over them. */
#include "round_trip.h"

#include "body_check.h"

#include <errno.h>
#include <stdlib.h>

enum { BODY_MAX_BYTES = 1 << 16, MUTANTS = 12 };

/* Some bytes anywhere, more often in front, where heads stand; now and then a cut or a copy of a piece. */
static size_t mutate(struct rng *rng, uint8_t *bytes, size_t len, size_t room)
{
    int n = (int)rng_below(rng, 6), i;

    if (len == 0)
        return 0;
    for (i = 0; i <= n; i++) {
        size_t at = rng_below(rng, rng_below(rng, 2) == 0 && len > 48 ? 48 : len);
        uint64_t bits = rng_u64(rng);

        if (rng_below(rng, 2) == 0)
            bytes[at] = (uint8_t)bits;
        else
            bytes[at] = (uint8_t)(bytes[at] ^ (1u << (bits & 7)));
    }
    switch (rng_below(rng, 8)) {
    case 0:
        return rng_below(rng, len + 1);
    case 1: {
        size_t from = rng_below(rng, len), to = rng_below(rng, len), most = len - (from > to ? from : to);

        memmove(bytes + to, bytes + from, rng_below(rng, most + 1));
        return len;
    }
    case 2:
        for (i = 0; i < 40 && len < room; i++)
            bytes[len++] = (uint8_t)rng_u64(rng);
        return len;
    default:
        return len;
    }
}

/* Reads a copy of exact size, so that a read past its end is seen; what can be read can be written. */
static const char *read_hostile(struct round_trip *rt, const struct block_shape *shape, const uint8_t *body,
                                size_t len)
{
    uint8_t *copy = malloc(len + BODY_CHECK_MAX_BYTES);
    const struct block *back, *again;
    struct column_facts facts;
    const char *what = NULL;
    struct span all;
    int r, i;

    if (copy == NULL)
        abort();
    memcpy(copy, body, len);
    all = span_of(copy, body_check_put(shape, copy, len));
    copy = realloc(copy, all.len);
    all.data = copy;
    r = block_decode(shape, all, rt->stores[0], &back);
    rt->n_hostile++;
    for (i = -1; i < (int)shape->n_columns; i++)
        block_store_facts(rt->stores[0], i, &facts);
    if (r != 0 && r != BLOCK_DAMAGED)
        what = "a hostile body has another end than it may";
    if (r == 0) {
        enum block_encoding as = rt->n_hostile % 2 == 0 ? BLOCK_ENCODING_FAST : BLOCK_ENCODING_SMALL;
        struct block_shape second = {as,  shape->types, shape->n_columns, shape->n_rows, -1, back->time_ns[0],
                                     NULL};
        uint32_t k;

        rt->n_hostile_rows += shape->n_rows;
        for (k = 1; k < back->n_rows; k++)
            if (back->time_ns[k] < second.time_first_ns)
                second.time_first_ns = back->time_ns[k];
        buf_reset(&rt->bodies[1]);
        if (block_encode(rt->coders[1], as, NULL, back, &rt->bodies[1]) != 0)
            what = "what was read of a hostile body cannot be written";
        else if (block_decode(&second, span_of(rt->bodies[1].data, rt->bodies[1].len), rt->stores[1],
                              &again) != 0 ||
                 !round_trip_same(back, again, NULL))
            what = "what was read of a hostile body differs when read again";
    }
    free(copy);
    return what;
}

static const char *hostile_bodies(struct round_trip *rt, struct rng *rng, const struct made_block *mb,
                                  const struct block_starts *starts)
{
    static uint8_t work[BODY_MAX_BYTES];
    const char *what = NULL;
    int i;

    for (i = 0; what == NULL && i < MUTANTS; i++) {
        struct block_shape shape = {i % 2 == 0 ? BLOCK_ENCODING_FAST : BLOCK_ENCODING_SMALL,
                                    mb->types,
                                    mb->block.n_columns,
                                    mb->block.n_rows,
                                    -1,
                                    mb->block.time_ns[0],
                                    starts};
        size_t len, k;

        if (rng_below(rng, 6) == 0) {
            len = rng_below(rng, 600);
            for (k = 0; k < len; k++)
                work[k] = (uint8_t)rng_u64(rng);
        } else {
            buf_reset(&rt->bodies[0]);
            if (block_encode(rt->coders[0], (enum block_encoding)shape.encoding, starts, &mb->block,
                             &rt->bodies[0]) != 0)
                return "cannot be encoded";
            len = rt->bodies[0].len - body_check_bytes(rt->bodies[0].len);
            len = len < sizeof work ? len : sizeof work;
            memcpy(work, rt->bodies[0].data, len);
            len = mutate(rng, work, len, sizeof work);
        }
        if (rng_below(rng, 8) == 0)
            shape.n_rows = 1 + (uint32_t)rng_below(rng, BLOCK_ROWS_MAX);
        what = read_hostile(rt, &shape, work, len);
    }
    return what;
}

const char *round_trip_hostile(struct round_trip *rt, uint64_t seed)
{
    static uint8_t work[BODY_MAX_BYTES];
    struct span columns[BLOCK_COLUMNS_MAX];
    struct block_start_bytes bytes = {.columns = columns};
    struct block_starts *starts = NULL;
    struct rng rng = {seed ^ UINT64_C(0x5bd1e995)};
    struct made_block mb;
    const char *what;
    uint32_t i, column;

    made_block_init(&mb, &rng);
    what = hostile_bodies(rt, &rng, &mb, NULL);
    bytes.error_bounds = rng_below(&rng, 2) == 0 ? mb.bounds : NULL;
    buf_reset(&rt->learnt);
    if (block_learn(rt->coders[0], &mb.block, bytes.error_bounds, &rt->learnt, columns, &bytes.time) != 0)
        what = "cannot be learnt from";
    for (i = 0; what == NULL && i < MUTANTS; i++) {
        struct span *one;
        struct span before;
        int r;

        column = (uint32_t)rng_below(&rng, mb.block.n_columns + 1);
        one = column == mb.block.n_columns ? &bytes.time : &columns[column];
        before = *one;
        if (before.len > 0)
            memcpy(work, before.data, before.len);
        *one = span_of(work, i == 0 ? before.len : mutate(&rng, work, before.len, sizeof work));
        r = block_starts_new(&starts, mb.types, mb.block.n_columns, &bytes);
        if (r == 0)
            what = hostile_bodies(rt, &rng, &mb, starts);
        else if (r != -EINVAL)
            what = "hostile starts have another end than they may";
        starts = r == 0 ? block_starts_free(starts) : NULL;
        *one = before;
    }
    made_block_deinit(&mb);
    return what;
}
