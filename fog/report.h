/* report.h - rows of a report, as a table for people or as JSON.
 *
 * JSON: {"report":NAME,"rows":[{KEY:VALUE,...},...]}; numbers as they are, what is not known null. Tables:
 * sizes, durations and times as people read them, "-" for what is not known. Errors stick and show in
 * report_end. Threads: one. */
#ifndef FOGLINE_FOG_REPORT_H
#define FOGLINE_FOG_REPORT_H

#include "ctl/cmd.h"

enum report_kind { REPORT_TEXT, REPORT_COUNT, REPORT_BYTES, REPORT_MS, REPORT_UNIX_NS };

struct report_column {
    const char *key, *title; /* of JSON; of the table */
    enum report_kind kind;
};

struct report;
/* columns: borrowed until report_free. An exit code, said on ctl->err. */
must_check int report_new(struct report **ret_r, struct ctl *ctl, const char *name,
                          const struct report_column *columns, unsigned n_columns);
struct report *report_free(struct report *r); /* accepts NULL */
void report_freep(struct report **r);

/* Cells of a row from left to right, of the kind of their column. */
void report_text(struct report *r, const char *text); /* NULL or "": not known */
void report_number(struct report *r, int64_t v);
void report_unknown(struct report *r);

/* Prints it. An exit code, said on ctl->err. none: said instead of a table without rows. */
must_check int report_end(struct report *r, const char *none);

/* "9.5 s", "12 min 3 s", "5 d 2 h". */
void report_duration(int64_t ms, char out[32]);

#endif
