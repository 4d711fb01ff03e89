/* clock.h - time is passed in; this is where it comes from.
 *
 * Real clocks for daemons, a hand-moved one for tests. No module of common/ but this one reads a clock. */
#ifndef FOGLINE_BASE_CLOCK_H
#define FOGLINE_BASE_CLOCK_H

#include "base/id.h"

#include <stdint.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

enum clock_state {
    CLOCK_STATE_UNKNOWN = 0,
    CLOCK_STATE_UNSYNCED = 1, /* the kernel says STA_UNSYNC */
    CLOCK_STATE_SYNCED = 2,
};

struct clock {
    int64_t (*wall_unix_ns)(void *ctx);
    int64_t (*mono_ns)(void *ctx);
    void *ctx;
};

extern const struct clock clock_real; /* CLOCK_REALTIME, CLOCK_MONOTONIC */

struct clock_fake {
    int64_t wall_unix_ns, mono_ns;
};
struct clock clock_fake_of(struct clock_fake *f); /* borrows f */

static inline int64_t clock_wall_unix_ns(const struct clock *c)
{
    return c->wall_unix_ns(c->ctx);
}

static inline int64_t clock_mono_ns(const struct clock *c)
{
    return c->mono_ns(c->ctx);
}

static inline int64_t clock_mono_ms(const struct clock *c)
{
    return c->mono_ns(c->ctx) / NS_PER_MS;
}

/* adjtimex(2): state and the kernel's own estimate of the error. ret_error_us 0 when unknown. */
enum clock_state clock_sync_state(int64_t *ret_error_us);
/* /proc/sys/kernel/random/boot_id as 16 bytes; zero when unreadable. */
struct id128 clock_boot_id(void);

/* "2026-11-20T22:30:26.123456789Z", trailing zeros of the fraction cut. out >= 40 bytes. Returns out. */
char *clock_format_utc(int64_t unix_ns, char *out);

#endif
