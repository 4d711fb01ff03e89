#include "base/rng.h"

#include <math.h>

double rng_normal(struct rng *r)
{
    double u = 1.0 - rng_unit(r); /* (0, 1]: its logarithm is finite */
    double v = rng_unit(r);

    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v);
}
