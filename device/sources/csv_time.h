/* csv_time.h - times as they stand in CSV files, to nanoseconds since 1970 UTC.
 *
 * Shapes read: dates YYYY-MM-DD and YYYY/MM/DD; times of day HH:MM[:SS[.fraction]]; both joined by a blank or
 * 'T', with Z or +HH[:MM] behind; plain numbers of s, ms, us or ns. Nothing else is guessed at. A zone is a
 * fixed offset or a file of the system's zone database (TZif, RFC 8536), read by this module because the C
 * library's zone is one for the whole process. Pure but for csv_zone_new. Threads: a zone belongs to one
 * thread. */
#ifndef FOGLINE_DEVICE_CSV_TIME_H
#define FOGLINE_DEVICE_CSV_TIME_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct csv_zone;

/* "UTC", "Z", "+08:00", "-0330", "+1", or a name such as "Europe/Berlin". 0, or -EINVAL with *err filled. */
must_check int csv_zone_new(struct csv_zone **ret_z, const char *name, struct errmsg *err);
struct csv_zone *csv_zone_free(struct csv_zone *z); /* accepts NULL */
/* Seconds to take away from a local time to get UTC. A time that the zone has twice is the earlier
 * one; a time that it leaves out has the offset from before. */
int64_t csv_zone_offset(struct csv_zone *z, int64_t local_s);

struct csv_stamp {
    bool has_date, has_time, has_offset;
    int64_t local_s; /* since 1970 in its own zone; without a date: seconds of the day */
    int32_t ns, offset_s;
};
/* All of [s, s + len) must be one of the shapes; blanks around it are fine. */
bool csv_stamp_parse(const char *s, size_t len, struct csv_stamp *ret_t);

/* Seconds since 1970 of midnight; false when there is no such day. */
bool csv_day(int64_t year, int64_t month, int64_t day, int64_t *ret_s);
/* false when it does not fit (years 1678 to 2261). */
bool csv_unix_ns(int64_t utc_s, int32_t ns, int64_t *ret_unix_ns);

/* A decimal number of units of unit_ns (1, 1000, 10^6 or 10^9), exact to the nanosecond. */
bool csv_number_ns(const char *s, size_t len, int64_t unit_ns, int64_t *ret_unix_ns);
/* The unit a number of this size must have, so that it is a time between 1973 and 5138: 10^9, 10^6, 1000
 * or 1. */
int64_t csv_guess_unit_ns(double v);

#endif
