#include "codec/sequence.h"

#include "codec/cost.h"
#include "codec/kernels.h"

static inline uint64_t plus(int64_t a, int64_t b)
{
    return (uint64_t)a + (uint64_t)b;
}

static inline int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline uint64_t size_of(int64_t x)
{
    return x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
}

unsigned level_of_mean(uint64_t mean)
{
    unsigned level = LEVEL_MAX;

    while (level > 0 && level_mean(level) > mean)
        level--;
    return level;
}

void sequence_work_init(struct sequence_work *w)
{
    w->dictionary.at = w->entries[0];
    w->extra.at = w->entries[1];
    w->other.at = w->entries[2];
    rank_map_init(&w->map, w->slots[0], RANK_SLOTS);
    rank_map_init(&w->scratch, w->slots[1], RANK_SLOTS);
}

/* ---- predictors ---- */

struct predictor_state {
    int64_t x1, x2, mean256;
    uint64_t n; /* integers seen */
};

static inline struct predictor_state predictor_at(int64_t x, uint64_t n)
{
    return (struct predictor_state){x, x, (int64_t)((uint64_t)x << 8), n};
}

static inline __attribute__((always_inline)) int64_t predict(const struct predictor_state *s,
                                                             const unsigned predictor)
{
    switch (predictor) {
    case PREDICT_CONSTANT:
    case PREDICT_LAST:
        return s->x1;
    case PREDICT_LINE:
        return (int64_t)(2 * (uint64_t)s->x1 - (uint64_t)s->x2);
    case PREDICT_HALF_LINE:
        return (int64_t)plus(s->x1, minus(s->x1, s->x2) / 2);
    default:
        return (int64_t)plus(s->mean256, 128) >> 8;
    }
}

static inline __attribute__((always_inline)) void learn(struct predictor_state *s, const unsigned predictor,
                                                        int64_t x)
{
    if (predictor == PREDICT_CONSTANT)
        return;
    if (predictor >= PREDICT_MEAN) {
        unsigned shift = predictor - PREDICT_MEAN + 1, young = bit_length(s->n + 1) - 1;

        s->mean256 = (int64_t)plus(s->mean256, minus((int64_t)((uint64_t)x << 8), s->mean256) >>
                                                   (shift < young ? shift : young));
        s->n++;
        return;
    }
    s->x2 = s->x1;
    s->x1 = x;
}

/* Calls `what(p, ...)` with p known to the compiler. */
#define FOR_PREDICTOR(p, what, ...)                                                                          \
    switch (p) {                                                                                             \
    case 0:                                                                                                  \
        what(0, __VA_ARGS__);                                                                                \
        break;                                                                                               \
    case 1:                                                                                                  \
        what(1, __VA_ARGS__);                                                                                \
        break;                                                                                               \
    case 2:                                                                                                  \
        what(2, __VA_ARGS__);                                                                                \
        break;                                                                                               \
    case 3:                                                                                                  \
        what(3, __VA_ARGS__);                                                                                \
        break;                                                                                               \
    case 4:                                                                                                  \
        what(4, __VA_ARGS__);                                                                                \
        break;                                                                                               \
    case 5:                                                                                                  \
        what(5, __VA_ARGS__);                                                                                \
        break;                                                                                               \
    case 6:                                                                                                  \
        what(6, __VA_ARGS__);                                                                                \
        break;                                                                                               \
    case 7:                                                                                                  \
        what(7, __VA_ARGS__);                                                                                \
        break;                                                                                               \
    default:                                                                                                 \
        what(8, __VA_ARGS__);                                                                                \
        break;                                                                                               \
    }

static inline __attribute__((always_inline)) void residuals_of(const unsigned p, struct predictor_state s,
                                                               const int64_t *x, size_t n, int64_t *residuals)
{
    size_t i;

    for (i = 0; i < n; i++) {
        residuals[i] = minus(x[i], predict(&s, p));
        learn(&s, p, x[i]);
    }
}

static inline __attribute__((always_inline)) void integers_of(const unsigned p, struct predictor_state s,
                                                              const int64_t *residuals, size_t n, int64_t *x)
{
    size_t i;

    for (i = 0; i < n; i++) {
        x[i] = (int64_t)plus(predict(&s, p), residuals[i]);
        learn(&s, p, x[i]);
    }
}

/* About 16 log2(1 + |residual|), summed. */
static inline __attribute__((always_inline)) void
predictor_cost(const unsigned p, struct predictor_state s, const int64_t *x, size_t n, uint64_t *ret_cost)
{
    uint64_t cost = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        uint64_t a = size_of(minus(x[i], predict(&s, p))) | 0;
        unsigned top;

        a += a != UINT64_MAX;
        top = 63 - (unsigned)__builtin_clzll(a);
        cost += 16 * top + (a << 4 >> top & 15);
        learn(&s, p, x[i]);
    }
    *ret_cost = cost;
}

/* ---- which predictor ---- */

/* What the residuals are of: y, from an index, with a state in force there. */
struct run {
    const int64_t *y;
    size_t n;
    int64_t constant; /* PREDICT_CONSTANT starts there, with y[0]; the others, unless begins, behind y[0] */
    bool begins;      /* all start with y[0], from `constant` */
};

static struct predictor_state state_of(const struct run *r, unsigned predictor, size_t *ret_from)
{
    bool constant = predictor == PREDICT_CONSTANT || r->begins;

    *ret_from = constant ? 0 : 1;
    return predictor_at(constant ? r->constant : r->y[0], constant ? 0 : 1);
}

enum { ONE_BIT = 16, KEEP_PREDICTOR_BITS = 6, TRY_ALL_ROWS = 256 };

/* A short block says little against the predictor that was learnt from more, so only those are tried that are
 * far from each other: a level, steps, a ramp, and the slowest mean. */
static bool worth_a_look(const struct sequence_start *start, size_t n, unsigned predictor)
{
    return !start->warm || n >= TRY_ALL_ROWS || predictor == start->predictor || predictor <= PREDICT_LINE ||
           predictor == PREDICTORS - 1;
}

static unsigned choose_thoroughly(const struct run *r, const struct sequence_start *start,
                                  unsigned *ret_level)
{
    uint64_t costs[PREDICTORS];
    unsigned p, best = PREDICT_LAST;
    size_t from;

    for (p = 0; p < PREDICTORS; p++) {
        struct predictor_state s = state_of(r, p, &from);

        costs[p] = UINT64_MAX;
        if (!worth_a_look(start, r->n, p))
            continue;
        FOR_PREDICTOR(p, predictor_cost, s, r->y + from, r->n - from, &costs[p]);
    }
    for (p = 0; p < PREDICTORS; p++)
        if (costs[p] < costs[best])
            best = p;
    if (start->warm && costs[best] + KEEP_PREDICTOR_BITS * ONE_BIT > costs[start->predictor])
        best = start->predictor;
    (void)state_of(r, best, &from);
    *ret_level = r->n > from ? (unsigned)((costs[best] + 8 * (r->n - from)) / (16 * (r->n - from))) : 0;
    return best;
}

/* By the sums of sizes, which are two passes of vectors: near enough, and twenty times as fast. */
static unsigned choose_quickly(const struct run *r, const struct sequence_start *start)
{
    uint64_t last, constant, line;

    if (start->warm && r->n < FRAME)
        return start->predictor;
    if (!kernels()->spread(r->y, r->n, r->constant, &last, &constant, &line))
        return start->warm ? start->predictor : PREDICT_LAST;
    if (line < last && line < constant && r->n > 2)
        return PREDICT_LINE;
    return constant < last ? PREDICT_CONSTANT : PREDICT_LAST;
}

static int64_t mean_of(const int64_t *x, size_t n)
{
    int64_t sum = 0;
    size_t i;

    for (i = 1; i < n; i++)
        sum = (int64_t)plus(sum, minus(x[i], x[0]));
    return (int64_t)plus(x[0], sum / (int64_t)n);
}

/* ---- whether ranks ---- */

/* Ranks of its own pay for their dictionary in a block of some length, and a start that was learnt without
 * any was so for a reason. */
enum { RANK_TRY_ROWS = 48, RANK_TRY_ROWS_WARM = 256 };

static bool worth_trying(const struct sequence_start *start, bool thorough, size_t n)
{
    return thorough && n >= (start->warm ? RANK_TRY_ROWS_WARM : RANK_TRY_ROWS);
}

/* Bits that ranks would save: values against their neighbours, or differences against zero. */
static double gain_of(const int64_t *x, size_t n, bool differences, struct dictionary *d, struct rank_map *m)
{
    size_t max = n / 2 < RANKS_MAX ? n / 2 : RANKS_MAX, i;
    uint64_t plain = 0, ranked = 0;
    int before;

    if (!rank_collect(x, n, (uint32_t)max, d, m) || d->n < 2)
        return 0;
    for (i = 1; i < d->n; i++)
        ranked += bit_length(size_of(minus(d->at[i], d->at[i - 1]))) + 1;
    before = differences ? (int)rank_from(d, 0) : rank_find(m, x[0]);
    for (i = 0; i < n; i++) {
        int rank = rank_find(m, x[i]);

        plain += bit_length(size_of(differences ? x[i] : i > 0 ? minus(x[i], x[i - 1]) : 0));
        ranked += bit_length(size_of((int64_t)rank - before));
        if (!differences)
            before = rank;
    }
    return (double)plain - (double)ranked - 0.02 * (double)n - 16;
}

/* Leaves the better of both in w->dictionary and w->map. */
static unsigned rank_anew(struct sequence_work *w, const int64_t *x, size_t n)
{
    double values, differences;

    values = gain_of(x, n, false, &w->other, &w->scratch);
    differences = gain_of(w->differences, n - 1, true, &w->dictionary, &w->map);
    if (values <= 0 && differences <= 0)
        return RANK_NONE;
    if (differences > values)
        return RANK_DIFFERENCES;
    w->dictionary.n = w->other.n;
    memcpy(w->dictionary.at, w->other.at, w->other.n * sizeof w->other.at[0]);
    rank_map_build(&w->map, &w->dictionary);
    return RANK_VALUES;
}

/* The start's dictionary, with what it lacks; false when it lacks too much. */
static bool rank_as_started(struct sequence_work *w, const struct sequence_start *start,
                            const int64_t *values, size_t n, struct sequence *s,
                            const struct rank_map **ret_map)
{
    if (!rank_missing(start->map, values, n, w->ranks, &w->extra, &w->scratch) || 2 * w->extra.n > n + 2)
        return false;
    s->rank_mode = start->rank_mode;
    s->dictionary = start->dictionary;
    *ret_map = start->map;
    if (w->extra.n == 0) {
        s->rank_change = RANK_AS_STARTED;
        return true;
    }
    s->rank_change = RANK_ADDED;
    s->extra = &w->extra;
    w->dictionary.n = start->dictionary->n;
    memcpy(w->dictionary.at, start->dictionary->at, start->dictionary->n * sizeof w->dictionary.at[0]);
    if (!rank_merge(&w->dictionary, &w->extra))
        return false;
    rank_map_build(&w->map, &w->dictionary);
    s->dictionary = &w->dictionary;
    *ret_map = &w->map;
    return true;
}

static void choose_ranks(struct sequence_work *w, const struct sequence_start *start, bool thorough,
                         const int64_t *x, size_t n, struct sequence *s, const struct rank_map **ret_map)
{
    size_t i;

    s->rank_mode = RANK_NONE;
    s->rank_change = RANK_AS_STARTED;
    s->dictionary = NULL;
    if (start->rank_mode == RANK_DIFFERENCES || worth_trying(start, thorough, n))
        for (i = 0; i + 1 < n; i++)
            w->differences[i] = minus(x[i + 1], x[i]);
    if (start->rank_mode != RANK_NONE) {
        bool differences = start->rank_mode == RANK_DIFFERENCES;

        if (rank_as_started(w, start, differences ? w->differences : x, differences ? n - 1 : n, s, ret_map))
            return;
        *s = (struct sequence){.n = s->n, .residuals = s->residuals, .rank_change = RANK_LEFT};
    }
    if (worth_trying(start, thorough, n)) {
        unsigned mode = rank_anew(w, x, n);

        if (mode != RANK_NONE) {
            s->rank_mode = (uint8_t)mode;
            s->rank_change = RANK_ANEW;
            s->dictionary = &w->dictionary;
            *ret_map = &w->map;
        }
    }
}

void sequence_split(struct sequence_work *w, const struct sequence_start *start, bool thorough,
                    const int64_t *x, size_t n, struct sequence *ret_s)
{
    struct sequence s = {.n = (uint32_t)n, .residuals = w->residuals};
    const struct rank_map *map = NULL;
    struct run run = {.y = x, .n = n};
    struct predictor_state state;
    size_t from, i;

    choose_ranks(w, start, thorough, x, n, &s, &map);
    if (s.rank_mode != RANK_NONE) {
        const int64_t *of = s.rank_mode == RANK_DIFFERENCES ? w->differences : x;

        run.n = s.rank_mode == RANK_DIFFERENCES ? n - 1 : n;
        /* Those of the start were found while looking whether it lacks one. */
        for (i = 0; s.rank_change != RANK_AS_STARTED && i < run.n; i++)
            w->ranks[i] = rank_find(map, of[i]);
        run.y = w->ranks;
    }
    if (s.rank_mode == RANK_DIFFERENCES) {
        run.begins = true;
        run.constant = rank_near(s.dictionary, 0);
    } else if (start->warm && start->rank_mode == s.rank_mode && s.rank_mode == RANK_NONE) {
        run.constant = start->center;
    } else {
        run.constant = mean_of(run.y, run.n);
    }
    s.predictor =
        (uint8_t)(thorough ? choose_thoroughly(&run, start, &s.level) : choose_quickly(&run, start));
    if (s.level > 47)
        s.level = 47;
    state = state_of(&run, s.predictor, &from);
    s.n_residuals = (uint32_t)(run.n - from);
    s.base = s.rank_mode == RANK_DIFFERENCES ? x[0] : state.x1;
    if (s.predictor == PREDICT_CONSTANT)
        kernels()->residuals_constant(run.y, run.n, run.constant, s.residuals);
    else if (s.predictor == PREDICT_LAST && from == 1)
        kernels()->residuals_last(run.y + 1, run.n - 1, s.residuals);
    else
        FOR_PREDICTOR(s.predictor, residuals_of, state, run.y + from, run.n - from, s.residuals);
    *ret_s = s;
}

/* Ranks in x become what they stand for. */
static bool from_ranks(const struct dictionary *d, int64_t *x, size_t n)
{
    uint64_t highest = 0;
    size_t i;

    for (i = 0; i < n; i++)
        highest = (uint64_t)x[i] > highest ? (uint64_t)x[i] : highest;
    if (highest >= d->n)
        return false;
    for (i = 0; i < n; i++)
        x[i] = d->at[x[i]];
    return true;
}

bool sequence_join(const struct sequence *s, int64_t *x)
{
    bool differences = s->rank_mode == RANK_DIFFERENCES, constant = s->predictor == PREDICT_CONSTANT;
    struct predictor_state state;
    size_t i;

    if (s->is_zigzag && !differences && s->predictor == PREDICT_LAST) {
        x[0] = s->base;
        kernels()->restore_last_zigzag((uint64_t *)s->residuals, s->n_residuals, s->base, x + 1);
        return s->rank_mode != RANK_VALUES || from_ranks(s->dictionary, x, s->n);
    }
    if (s->is_zigzag)
        kernels()->unzigzag((uint64_t *)s->residuals, s->n_residuals, s->residuals);
    if (differences) {
        state = predictor_at(s->dictionary->n > 0 ? rank_near(s->dictionary, 0) : 0, 0);
        x[0] = s->base;
        FOR_PREDICTOR(s->predictor, integers_of, state, s->residuals, s->n_residuals, x + 1);
        if (!from_ranks(s->dictionary, x + 1, s->n_residuals))
            return s->n_residuals == 0;
        for (i = 1; i < s->n; i++)
            x[i] = (int64_t)plus(x[i], x[i - 1]);
        return true;
    }
    state = predictor_at(s->base, constant ? 0 : 1);
    if (!constant)
        x[0] = s->base;
    if (constant)
        kernels()->restore_constant(s->residuals, s->n_residuals, s->base, x);
    else if (s->predictor == PREDICT_LAST)
        kernels()->restore_last(s->residuals, s->n_residuals, s->base, x + 1);
    else
        FOR_PREDICTOR(s->predictor, integers_of, state, s->residuals, s->n_residuals, x + 1);
    return s->rank_mode != RANK_VALUES || from_ranks(s->dictionary, x, s->n);
}
