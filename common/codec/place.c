#include "codec/place.h"

#include "codec/cost.h"

#include <math.h>
#include <stdlib.h>

/* Beyond so many steps parts of one come near to the last bits of a double: what was rounded to one might
 * look like another. */
static const double steps_max = 4294967296.0;

enum {
    TELL_BITS =
        24, /* what another place than the usual one must save: it is told, and the start fits it less */
    FAR_STEPS = 6, /* from one cell to the next, in the mean: then no place is better than another */
};

struct look {
    size_t n; /* parts */
    bool is_too_large, is_near_zero, is_placed, is_mixed;
    uint8_t place; /* when placed and not mixed: of all cells */
};

/* Cells in parts of a step, without those that are no numbers. */
static struct look look_at(const double *values, size_t n, double step, int64_t *parts)
{
    struct look l = {.is_placed = true};
    size_t i;

    for (i = 0; i < n; i++) {
        double steps = values[i] / step;
        uint8_t place;
        int64_t x;

        if (!isfinite(values[i]))
            continue;
        if (!(fabs(steps) < steps_max)) {
            l.is_too_large = true;
            continue;
        }
        x = parts[l.n] = llrint(steps * NUMBER_PLACES);
        place = (uint8_t)(x & (NUMBER_PLACES - 1));
        l.is_mixed |= l.n++ > 0 && place != l.place;
        l.place = place;
        l.is_placed &= (double)x / NUMBER_PLACES * step == values[i];
        l.is_near_zero |= fabs(steps) < 1;
    }
    return l;
}

static uint64_t cost_at(const int64_t *parts, size_t n, unsigned place)
{
    int64_t before = 0, x;
    struct cost sizes = {0};
    size_t i;

    for (i = 0; i < n; i++, before = x) {
        x = (parts[i] + NUMBER_PLACES / 2 - (int64_t)place) >> NUMBER_PLACE_BITS;
        if (i > 0)
            cost_add(&sizes, (uint64_t)llabs(x - before));
    }
    return cost_of(&sizes);
}

static bool is_far(const int64_t *parts, size_t n)
{
    uint64_t sum = 0;
    size_t i;

    for (i = 1; i < n; i++)
        sum += (uint64_t)llabs(parts[i] - parts[i - 1]);
    return sum > (uint64_t)FAR_STEPS * NUMBER_PLACES * n;
}

static uint8_t cheapest(const int64_t *parts, size_t n, uint8_t usual)
{
    uint64_t least = cost_at(parts, n, usual), tell = TELL_BITS * COST_ONE_BIT, bits;
    uint8_t best = usual, place;

    least -= least < tell ? least : tell;
    for (place = 0; place < NUMBER_PLACES && least > 0; place++) {
        bits = cost_at(parts, n, place);
        if (bits < least) {
            least = bits;
            best = place;
        }
    }
    return best;
}

uint8_t place_of(const double *values, size_t n, double error_bound, uint8_t usual, bool thorough,
                 int64_t *scratch)
{
    struct look l;

    if (error_bound < PLACE_BOUND_MIN)
        return 0;
    l = look_at(values, n, number_step(error_bound), scratch);
    if (l.is_too_large)
        return 0;
    if (l.n > 0 && l.is_placed && !l.is_mixed)
        return l.place;
    if (l.is_near_zero)
        return 0;
    return !thorough || is_far(scratch, l.n) ? usual : cheapest(scratch, l.n, usual);
}
