/* counter.h - counters declared in data: every drop, retry, refusal and byte has a row with its unit and
 * help.
 *
 * A module declares an enum and a table of the same length; values live in a plain array in the module's
 * object. Names are lower snake case with the unit last (frames_dropped_total has none, spool_bytes has
 * bytes). One writer thread. */
#ifndef FOGLINE_BASE_COUNTER_H
#define FOGLINE_BASE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

enum counter_kind { COUNTER_TOTAL, COUNTER_GAUGE };

struct counter_info {
    const char *name;
    enum counter_kind kind;
    const char *unit; /* "1", "bytes", "ms", "samples", "records", "frames" */
    const char *help; /* one line */
};

/* A module's table with its values, for status and metrics. */
struct counter_set {
    const char *prefix; /* "outbox" */
    const struct counter_info *info;
    const uint64_t *value;
    size_t n;
};

#endif
