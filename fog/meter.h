/* meter.h - bytes over each link upwards, by day and month, and what a budget still allows.
 *
 * Order when a budget runs short: alarms always go, and polls. Live readings go until it is used up. Backlog,
 * and what the cloud asked for, get what the elapsed part of the day and month has left, so that they never
 * take the evening's live readings their bytes.
 *
 * Counted are messages as they are handed to the socket, with the 42 bytes that encryption and framing add to
 * each; not TCP, IP and heartbeats. What is counted is written with each commit. Of a link with a budget no
 * more is sent than was written down before (a lease): after a kill the rest of the lease counts as sent
 * (`doubtful`), so a budget is never passed by crashes. Alarms alone may pass the lease.
 *
 * A day ends when the clock says so. A clock set back begins no day twice: the day goes on until the clock
 * has caught up, or this fog has run for as long as a day is. Pure: times come in. Threads: the spool's
 * owner. */
#ifndef FOGLINE_FOG_METER_H
#define FOGLINE_FOG_METER_H

#include "fog/meter_config.h"
#include "fog/meter_rows.h"
#include "spool/spool.h"

enum {
    METER_LINKS_MAX = 8,
    METER_MESSAGE_BYTES = 42,
    METER_LEASE_BYTES = 96 * 1024, /* at least a record of maximum size fits */
    METER_LEASE_MOST_BYTES = 4 << 20,
    METER_WRITE_MS = 10000, /* at the latest so long after it moved, it is written down */
    METER_DAYS = 40,        /* are remembered */
    METER_MONTHS = 26,
};

struct meter;

struct meter_now {
    int64_t unix_s, mono_ms;
};

/* budgets: borrowed, may hold other items after a reload of the configuration. Reads what is written. */
must_check int meter_new(struct meter **ret_m, struct spool *spool, const struct config_list *budgets,
                         struct meter_now now);
struct meter *meter_free(struct meter *m); /* accepts NULL */

/* Which link is in use: HOST:PORT. 0; -ENOSPC: too many links. */
must_check int meter_select(struct meter *m, const char *link, struct meter_now now);
/* A message went up, with so much of each class, or came down. */
void meter_sent(struct meter *m, uint64_t message_bytes, const uint64_t class_bytes[METER_CLASSES],
                struct meter_now now);
void meter_came(struct meter *m, uint64_t message_bytes, struct meter_now now);
/* So many bytes of the class may go now; UINT64_MAX: as many as there are. */
uint64_t meter_allowed(const struct meter *m, enum meter_class class, struct meter_now now);

/* A commit now would write down what moved, or lease more. */
bool meter_wants_flush(const struct meter *m, struct meter_now now);
/* In the open transaction, which it begins when needed. 0; DB_FULL; negative errno. */
must_check int meter_flush(struct meter *m, struct meter_now now);
void meter_committed(struct meter *m); /* what was leased may go */
/* The fog ends: nothing more is sent, and nothing is doubtful. Then meter_flush and a commit. */
void meter_close(struct meter *m);

/* Of the link in use, by its budget; NULL: there is none. */
const struct meter_row *meter_row_now(const struct meter *m, enum meter_span span);
uint64_t meter_limit(const struct meter *m, enum meter_span span); /* UINT64_MAX: none */
int64_t meter_ends_s(const struct meter *m, enum meter_span span);

#endif
