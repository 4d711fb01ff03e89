/* live.h - drives one opened source as the act thread does, on the real clock, until something has happened.
 */
#ifndef FOGLINE_TESTS_DEVICE_LIVE_H
#define FOGLINE_TESTS_DEVICE_LIVE_H

#include "recorder.h"

struct live {
    const struct source_kind *kind;
    void *self;
    struct recorder recorder;
    int64_t next_ns; /* when its step is due */
    int64_t slowest_step_ns;
    unsigned steps;
};

enum { LIVE_DEADLINE_S = 20 };

/* Opens it with the configuration in the text; a failure fails the test. */
void live_open(struct live *l, const struct source_kind *kind, const char *yaml);
void live_close(struct live *l);
/* One wait and one step. */
void live_once(struct live *l);
/* Steps until `is_so`; fails the test after LIVE_DEADLINE_S. */
void live_until(struct live *l, bool (*is_so)(const struct live *l, const void *ctx), const void *ctx);
/* Ready-made conditions. */
bool live_has_events(const struct live *l, const void *of_type); /* uint32_t[2]: type, how many */
void live_until_event(struct live *l, uint32_t type, uint32_t n);
/* Steps until there is a row of this channel from row number `from` on, with this quality; gives its number.
 */
uint32_t live_until_row(struct live *l, const char *channel, enum quality quality, uint32_t from);

#endif
