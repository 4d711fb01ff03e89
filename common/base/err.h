/* err.h - the error rule of the whole project.
 *
 * Every function that can fail returns int and is marked must_check:
 *   0         success
 *   negative  -errno: fatal for this call. Callers never match on it; they clean up and forward it.
 *   positive  a condition documented at that one function (SPOOL_FULL, ...). The caller handles it
 *             and never forwards it.
 * Codes of foreign libraries are mapped in the one file that wraps the library. Programmer errors are
 * asserted, in release builds too; input, disk, memory and peers never are. */
#ifndef FOGLINE_BASE_ERR_H
#define FOGLINE_BASE_ERR_H

#include <errno.h>

#define must_check __attribute__((warn_unused_result))

/* A sentence for an operator, filled by functions that take `struct errmsg *`: what is wrong, where (file,
 * line, field) and the next step. Always NUL terminated; cut when too long. */
struct errmsg {
    char text[512];
};

/* Fills *err (NULL is allowed) and returns `code`, so that `return errmsg_set(err, -EINVAL, "...")` reads
 * well. */
int errmsg_set(struct errmsg *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
