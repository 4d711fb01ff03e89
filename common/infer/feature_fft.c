#include "infer/feature_fft.h"

#include <math.h>

/* scratch: n_max / 2 cosines, n_max / 2 sines (of 2 pi i / n_max), n_max real parts, n_max imaginary parts.
 */
size_t fft_scratch_doubles(size_t n)
{
    return 3 * n;
}

/* Entry 2^b + i is the product of entries 2^b and i: log2(n) roundings at most. The entries 2^b are angles
 * that halve: cos(a/2) = sqrt((1 + cos a) / 2), sin(a/2) = sin a / (2 cos(a/2)). */
void fft_prepare(size_t n_max, double *scratch)
{
    size_t half = n_max / 2;
    double *cosine = scratch, *sine = scratch + half;
    cosine[0] = 1;
    sine[0] = 0;
    double c = 0, s = 1; /* of pi / 2: entry n_max / 4 */
    for (size_t at = n_max / 4; at >= 1; at /= 2) {
        cosine[at] = c;
        sine[at] = s;
        c = sqrt((1 + c) / 2);
        s = s / (2 * c);
    }
    for (size_t at = 1; at < half; at *= 2)
        for (size_t i = 1; i < at && at + i < half; i++) {
            cosine[at + i] = cosine[at] * cosine[i] - sine[at] * sine[i];
            sine[at + i] = sine[at] * cosine[i] + cosine[at] * sine[i];
        }
}

static size_t reversed(size_t i, size_t n)
{
    size_t r = 0;
    for (size_t bit = 1; bit < n; bit *= 2) {
        r = 2 * r + (i & 1);
        i /= 2;
    }
    return r;
}

/* Decimation in time, in place: Cooley and Tukey 1965. */
static void transform(double *re, double *im, size_t n, size_t n_max, const double *cosine,
                      const double *sine)
{
    for (size_t len = 2; len <= n; len *= 2) {
        size_t step = n_max / len;
        for (size_t block = 0; block < n; block += len)
            for (size_t k = 0; k < len / 2; k++) {
                size_t a = block + k, b = a + len / 2;
                double c = cosine[k * step], s = sine[k * step];
                double r = re[b] * c + im[b] * s, i = im[b] * c - re[b] * s;
                re[b] = re[a] - r;
                im[b] = im[a] - i;
                re[a] += r;
                im[a] += i;
            }
    }
}

double fft_band(const double *x, size_t n, size_t low, size_t high, size_t n_max, double *scratch)
{
    const double *cosine = scratch, *sine = scratch + n_max / 2;
    double *re = scratch + n_max, *im = scratch + 2 * n_max;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    double mean = sum / (double)n;
    size_t step = n_max / n;
    for (size_t i = 0; i < n; i++) {
        double turn = i < n / 2 ? cosine[i * step] : -cosine[(i - n / 2) * step];
        size_t to = reversed(i, n);
        re[to] = (x[i] - mean) * (0.5 - 0.5 * turn);
        im[to] = 0;
    }
    transform(re, im, n, n_max, cosine, sine);
    double power = 0;
    for (size_t k = low; k <= high; k++)
        power += (k == n / 2 ? 1 : 2) * (re[k] * re[k] + im[k] * im[k]);
    return power / (0.375 * (double)n * (double)n); /* 3/8: the mean square of Hann's window */
}
