/* bench.h - a small tier with a configuration in a folder of its own, and a way to run its tool and see what
 * it said. */
#ifndef FOGLINE_TEST_CTL_BENCH_H
#define FOGLINE_TEST_CTL_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/verbs.h"

struct bench_config {
    struct ctl_settings common;
    int64_t depth;
    struct config_strings words;
};

extern const struct config_schema bench_schema;
extern struct ctl_tier bench_tier; /* a fog by the name "fog"; tests may set authority */

struct bench {
    char folder[256], config[300], state[300], run[300];
};

int bench_setup(void **state); /* cmocka: *state is a struct bench with a loaded-able bench.yaml */
int bench_teardown(void **state);

/* Runs "tool ARGS..." (NULL-terminated), adding -c of the bench. Output is kept until the next run. */
struct said {
    int code;
    char out[65536], err[8192];
};
const struct said *bench_run(struct bench *b, ...) __attribute__((sentinel));
/* Writes the bench's configuration with extra lines at the end. */
void bench_configure(struct bench *b, const char *more);

#endif
