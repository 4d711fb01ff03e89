/* feature_fft.h - power in bins of a Fourier transform, with the same bits on every machine.
 *
 * Sines and cosines come from half-angle formulas: square roots, sums and products only. */
#ifndef FOGLINE_INFER_FEATURE_FFT_H
#define FOGLINE_INFER_FEATURE_FFT_H

#include <stddef.h>
#include <stdint.h>

/* Doubles of scratch for windows of up to n (a power of 2 from 4). */
size_t fft_scratch_doubles(size_t n);
/* Fills what depends on n alone; once for the largest n. */
void fft_prepare(size_t n_max, double *scratch);
/* x[0..n-1] in time order, n a power of 2 from 4, up to n_max. Power of bins low..high: of x less its mean,
 * through Hann's window, one-sided, so that all bins together give the mean square. */
double fft_band(const double *x, size_t n, size_t low, size_t high, size_t n_max, double *scratch);

#endif
