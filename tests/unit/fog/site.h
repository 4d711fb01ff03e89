/* site.h - what the stages of a fog stand on, without the fog: a store with history, records of devices out
 * of rows, a clock moved by hand, the events that the fog made.
 *
 * A crash is site_crash: what was not committed is gone, and all of it is opened anew. */
#ifndef FOGLINE_TEST_FOG_SITE_H
#define FOGLINE_TEST_FOG_SITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fog/derived.h"
#include "fog/history.h"
#include "fog/stage_reader.h"
#include "tests/lib/tmpdir.h"

#define S INT64_C(1000000000)
#define T0 (INT64_C(1700000000) * S)

enum { SITE_DEVICES = 8 };

struct site {
    struct tmpdir dir;
    char path[300], proof[300];
    struct clock_fake time;
    struct clock clock;
    struct archive *archive;
    struct spool *spool;
    struct history *history;
    struct derived *derived;
    struct stage_reader *reader;
    uint64_t seq[SITE_DEVICES]; /* of the device's last record */
    uint8_t epoch[SITE_DEVICES];
};

void site_open(struct site *k);
void site_close(struct site *k);
int site_setup(struct site *k);
void site_teardown(struct site *k);
void site_commit(struct site *k);

/* Rows of one channel of device "pump-N", one a second from time_ns on; a NaN is an absent cell. */
struct site_rows {
    unsigned device;
    const char *channel;
    int64_t time_ns;
    const double *value;
    unsigned n;
    uint32_t flags;
    uint64_t seq;     /* 0: the next one */
    bool without_set; /* its descriptor set is not among the records */
};
/* Makes the records (a set when it is new to the store, a block) and gives each to the history and then to
 * `stage`. */
typedef int (*site_stage)(void *ctx, const struct spool_stream *s, const struct record *r);
void site_give(struct site *k, const struct site_rows *rows, site_stage stage, void *ctx);
/* The descriptor set alone. */
void site_give_set(struct site *k, unsigned device, const char *channel, site_stage stage, void *ctx);

/* "raised pump-1/t 12.5 s rule hot: ..." of each event that the fog made, in their order, a line each. Of the
 * committed state or the open transaction. Times are since T0. */
void site_events(struct site *k, char *out, size_t bytes);

#endif
