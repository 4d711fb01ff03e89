/* The few parts of linear algebra that detectors need, for at most DETECTOR_CHANNELS_MAX dimensions. */
#include "infer/detector_private.h"

enum { SWEEPS_MAX = 60 };

void triangle_add(double *t, double *means, uint32_t n_rows, const double *v, size_t n)
{
    double d[DETECTOR_CHANNELS_MAX], kept = n_rows / (n_rows + 1.0);

    for (size_t i = 0; i < n; i++)
        d[i] = v[i] - means[i];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            t[triangle_at(i, j)] += kept * d[i] * d[j];
    for (size_t i = 0; i < n; i++)
        means[i] += d[i] / (n_rows + 1.0);
}

void triangle_correlate(double *t, uint32_t n_rows, size_t n, double ridge, double *ret_scales)
{
    for (size_t i = 0; i < n; i++)
        ret_scales[i] = n_rows > 0 && t[triangle_at(i, i)] > 0 ? sqrt(t[triangle_at(i, i)] / n_rows) : 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double *at = &t[triangle_at(i, j)];

            if (i == j)
                *at = 1 + ridge;
            else if (ret_scales[i] > 0 && ret_scales[j] > 0)
                *at = clamped(*at / n_rows / ret_scales[i] / ret_scales[j], -1, 1);
            else
                *at = 0;
        }
}

void triangle_cholesky(double *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = t[triangle_at(i, j)], pivot = t[triangle_at(j, j)];

            for (size_t k = 0; k < j; k++)
                sum -= t[triangle_at(i, k)] * t[triangle_at(j, k)];
            if (i == j)
                t[triangle_at(i, j)] = sum > 0 ? sqrt(sum) : 0;
            else
                t[triangle_at(i, j)] = pivot > 0 ? sum / pivot : 0;
        }
}

double triangle_norm2(const double *l, double *v, size_t n)
{
    double norm2 = 0;

    for (size_t i = 0; i < n; i++) {
        double pivot = l[triangle_at(i, i)];

        for (size_t k = 0; k < i; k++)
            v[i] -= l[triangle_at(i, k)] * v[k];
        v[i] = pivot > 0 ? v[i] / pivot : 0;
        norm2 += square(v[i]);
    }
    return norm2;
}

/* ---- Jacobi: turns the largest elements beside the diagonal away until none is left ---- */

static void rotate(double *x, double *y, double c, double s)
{
    double a = *x, b = *y;

    *x = c * a - s * b;
    *y = s * a + c * b;
}

static void turn_away(double *a, double *vectors, size_t n, size_t p, size_t q)
{
    double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(square(theta) + 1));
    double c = 1 / sqrt(square(t) + 1), s = t * c;

    for (size_t k = 0; k < n; k++)
        rotate(&a[k * n + p], &a[k * n + q], c, s);
    for (size_t k = 0; k < n; k++)
        rotate(&a[p * n + k], &a[q * n + k], c, s);
    for (size_t k = 0; k < n; k++)
        rotate(&vectors[p * n + k], &vectors[q * n + k], c, s);
}

static void swap(double *x, double *y)
{
    double a = *x;

    *x = *y;
    *y = a;
}

static void sort_descending(double *values, double *vectors, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            if (values[j] > values[i]) {
                swap(&values[i], &values[j]);
                for (size_t k = 0; k < n; k++)
                    swap(&vectors[i * n + k], &vectors[j * n + k]);
            }
}

void symmetric_eigen(double *a, size_t n, double *ret_values, double *ret_vectors)
{
    bool turned = true;

    for (size_t i = 0; i < n * n; i++)
        ret_vectors[i] = i / n == i % n ? 1 : 0;
    for (int sweep = 0; turned && sweep < SWEEPS_MAX; sweep++) {
        turned = false;
        for (size_t p = 0; p < n; p++)
            for (size_t q = p + 1; q < n; q++)
                if (fabs(a[p * n + q]) > 1e-15) {
                    turn_away(a, ret_vectors, n, p, q);
                    turned = true;
                }
    }
    for (size_t i = 0; i < n; i++)
        ret_values[i] = a[i * n + i];
    sort_descending(ret_values, ret_vectors, n);
}
