/* numfmt.h - numbers as text and back, without the locale. */
#ifndef FOGLINE_BASE_NUMFMT_H
#define FOGLINE_BASE_NUMFMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMFMT_DOUBLE_CHARS = 32 };

/* The shortest decimal that strtod() reads back to the same bits; "NaN", "Infinity", "-Infinity", "-0". Returns its length. */
size_t numfmt_double(double v, char out[NUMFMT_DOUBLE_CHARS]);

/* The nearest double of a decimal text ([+-]digits[.digits][e[+-]digits], blanks around it allowed, or nan/inf in any
 * case). Correctly rounded: the fast path (<= 15 digits, |exponent| <= 22) is exact by one IEEE operation (Clinger 1990),
 * the rest goes through strtod in the C locale. false when anything else stands there. */
bool numfmt_parse_double(const char *s, size_t len, double *ret_v);
bool numfmt_parse_i64(const char *s, size_t len, int64_t *ret_v);
/* "64 KiB", "1.5 GiB" with binary prefixes; out >= 16 bytes. Returns out. */
char *numfmt_bytes(uint64_t bytes, char *out);

#endif
