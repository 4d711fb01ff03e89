/* problem.h - adding to a list of problems, and guessing what was meant. Inside common/config only, but
 * for the guessing. */
#ifndef FOGLINE_CONFIG_PROBLEM_H
#define FOGLINE_CONFIG_PROBLEM_H

#include "config/config.h"

#include <stdarg.h>

struct problem_at {
    unsigned line, column;
    const char *field; /* may be "" */
};

/* Adds one; beyond CONFIG_PROBLEMS, or without memory, it is only counted. remedy may be NULL. */
void problem_add(struct config_problems *p, struct problem_at at, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void problem_vadd(struct config_problems *p, struct problem_at at, const char *remedy, const char *fmt,
                  va_list ap) __attribute__((format(printf, 4, 0)));
bool problem_any(const struct config_problems *p);
bool problem_full(const struct config_problems *p); /* some are left out: time to stop looking */
bool problem_at_field(const struct config_problems *p, const char *field);
/* Stable, by line and column. */
void problem_sort(struct config_problems *p);

/* Letters to change, insert, remove or swap (optimal string alignment distance; Damerau 1964) to make b of a;
 * texts of more than 64 characters are infinitely far. */
unsigned text_distance(const char *a, const char *b);

/* Keeps the nearest of the candidates shown to it. */
struct nearest {
    const char *wanted;
    const char *best; /* NULL: none is near enough */
    unsigned distance;
};
void nearest_offer(struct nearest *n, const char *candidate);

#endif
