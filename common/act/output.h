/* output.h - something that can be switched: a GPIO line or a file that takes 1 and 0.
 *
 * Opened on the main thread; set by the act thread, synchronously and without allocating; closed on the main
 * thread when that has ended. Crash: a line goes where its driver lets it, a file keeps what it says. */
#ifndef FOGLINE_ACT_OUTPUT_H
#define FOGLINE_ACT_OUTPUT_H

#include "act/act_config.h"
#include "base/err.h"

struct output;

/* Active from the moment it is opened, or inactive. c: borrowed until it returns. 0 or negative errno with
 * *err, which names output, cause and remedy. */
must_check int output_open(struct output **ret_o, enum output_kind kind, const struct output_config *c,
                           bool active, struct errmsg *err);
struct output *output_close(struct output *o); /* accepts NULL; leaves the level */
must_check int output_set(struct output *o, bool active);

#endif
