/* numfmt.h - numbers as text and back, without the locale. */
#ifndef FOGLINE_BASE_NUMFMT_H
#define FOGLINE_BASE_NUMFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMFMT_DOUBLE_CHARS = 32 };

/* The shortest decimal (fewest significant digits, nearest to v among those) that strtod() reads back to the
 * same bits; "NaN", "Infinity", "-Infinity", "-0.0" (many a JSON parser takes "-0" for the integer). Plain
 * for 1e-4 <= |v| < 1e16, else with an exponent: "1e23", "5e-324". Returns its length. */
size_t numfmt_double(double v, char out[NUMFMT_DOUBLE_CHARS]);

/* The nearest double of a decimal text: [+-]digits[.digits][e[+-]digits], where one side of the point may be
 * empty, or nan/inf/infinity in any case; spaces and tabs around it are allowed. Correctly rounded: the fast
 * path (the digits an integer <= 2^53, |exponent| <= 22) is exact by one IEEE operation (Clinger 1990), the
 * rest goes through strtod in a form that no locale touches. Beyond the range: an infinity, as strtod. false
 * when anything else stands there. */
bool numfmt_parse_double(const char *s, size_t len, double *ret_v);
bool numfmt_parse_i64(const char *s, size_t len, int64_t *ret_v);
/* "64 KiB", "1.5 GiB" with binary prefixes; out >= 16 bytes. Returns out. */
char *numfmt_bytes(uint64_t bytes, char *out);

#endif
