/* meter_rows.h - what is written down of the bytes that went over a link, for the meter and for tools that
 * read it.
 *
 * Facts of the store (spool.h), one for each link and day, and for each link and month:
 *   name   bytes/d/INDEX/HASH, bytes/m/INDEX/HASH; INDEX: 8 digits; HASH: 16, of the link
 *   value  u8 1, le64 leased, le64 doubtful, le64 ran_s, le64 of each class..., HOST:PORT of the link
 * Pure. */
#ifndef FOGLINE_FOG_METER_ROWS_H
#define FOGLINE_FOG_METER_ROWS_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum meter_class {
    METER_ALARMS, /* the urgent lane */
    METER_LIVE,
    METER_BACKLOG,
    METER_DRILL,   /* what the cloud asked for */
    METER_CONTROL, /* polls; those of Data beside the records */
    METER_DOWN,    /* all that came down */
    METER_CLASSES
};
extern const char *const meter_class_names[METER_CLASSES];

enum meter_span { METER_DAY, METER_MONTH, METER_SPANS };
enum { METER_LINK_CHARS = 300, METER_NAME_CHARS = 40 };
#define METER_PREFIX "bytes/"

struct meter_row {
    enum meter_span span;
    uint32_t index; /* days since 1970; months since year 0 */
    char link[METER_LINK_CHARS];
    uint64_t bytes[METER_CLASSES];
    uint64_t leased;   /* a kill may have left as much unwritten */
    uint64_t doubtful; /* ... and did: may have gone, and counts */
    uint64_t ran_s;    /* how long this fog ran in it */
};

void meter_row_name(const struct meter_row *r, char out[METER_NAME_CHARS]);
void meter_row_put(struct buf *b, const struct meter_row *r);
bool meter_row_get(const char *name, struct span value, struct meter_row *ret_r);
uint64_t meter_row_sum(const struct meter_row *r); /* all of it, with what is doubtful */

/* Of days of UTC; of months that begin on this day of the month (1..28). */
uint32_t meter_index(enum meter_span span, int64_t unix_s, unsigned month_begins);
int64_t meter_begin_s(enum meter_span span, uint32_t index, unsigned month_begins);

#endif
