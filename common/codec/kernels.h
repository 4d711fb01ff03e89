/* kernels.h - the inner loops over whole columns, compiled for what the processor has. Private to
 * common/codec.
 *
 * One text (kernels_body.h), compiled once for every x86-64 or whatever the compiler is told, and once for
 * AVX2 with FMA; chosen at the first use. Integers wrap, doubles are added, multiplied, divided and rounded
 * as IEEE 754 says and never fused
 * (-ffp-contract=off), so both give the same bits. Threads: pure. */
#ifndef FOGLINE_CODEC_KERNELS_H
#define FOGLINE_CODEC_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME = 32 }; /* integers packed side by side with one width */

struct kernels {
    const char *name;
    /* True when every value comes back bit for bit from integer / power; the integers are below 2^51 in size.
     */
    bool (*decimal_split)(const double *values, size_t n, double power, int64_t *integers);
    void (*decimal_join)(const int64_t *integers, size_t n, double power, double *values);

    /* x[i] - x[i - 1], reading x[-1]; x[i] - base */
    void (*residuals_last)(const int64_t *x, size_t n, int64_t *residuals);
    void (*residuals_constant)(const int64_t *x, size_t n, int64_t base, int64_t *residuals);
    void (*restore_last)(const int64_t *residuals, size_t n, int64_t base, int64_t *x);
    /* restore_last of what unzigzag makes of these, in one pass. */
    void (*restore_last_zigzag)(const uint64_t *zigzags, size_t n, int64_t base, int64_t *x);
    void (*restore_constant)(const int64_t *residuals, size_t n, int64_t base, int64_t *x);
    /* 0, -1, 1, -2 ... as 0, 1, 2, 3 ...; in place is allowed. */
    void (*zigzag)(const int64_t *signed_ones, size_t n, uint64_t *unsigned_ones);
    void (*unzigzag)(const uint64_t *unsigned_ones, size_t n, int64_t *signed_ones);
    /* Sums of the sizes of: x[i] - x[i - 1]; x[i] - base; second differences. False when there are sizes so
     * large (2^48) that sums mean little. */
    bool (*spread)(const int64_t *x, size_t n, int64_t base, uint64_t *ret_last, uint64_t *ret_constant,
                   uint64_t *ret_line);

    /* The width that makes a frame of k integers (with zeros behind them) shortest, where what is wider is
     * patched: two bytes for all patches, and for each a byte and its upper bits. *ret_patched: bit i
     * where in[i] is; *ret_top: bits of the widest. */
    unsigned (*frame_width)(const uint64_t *in, unsigned k, uint32_t *ret_patched, unsigned *ret_top);
    /* Low `width` bits of FRAME integers, side by side, lowest first: 4 x width bytes. The buffers may be
     * read or written 8 bytes beyond that. */
    void (*pack)(const uint64_t *in, unsigned width, uint8_t *out);
    void (*unpack)(const uint8_t *in, unsigned width, uint64_t *out);
};

const struct kernels *kernels(void);
/* All that this machine can run, best last, for tests and measurements. */
size_t kernels_all(const struct kernels *ret_all[2]);

extern const struct kernels kernels_plain, kernels_avx2;

#endif
