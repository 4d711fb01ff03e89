/* stages.h - what a fog does with a record, as a list of stages in the order of the data's way.
 *
 * A stage is a table row of functions; the fog calls `record` of each for every record not seen before,
 * inside the transaction of the batch. A stage writes through the spool, so what it does is durable together
 * with the record, or not at all. New stages are new rows in stages.c. */
#ifndef FOGLINE_FOG_STAGES_H
#define FOGLINE_FOG_STAGES_H

#include "spool/spool.h"
#include "wire/wire.h"

struct fog;

enum { STAGE_REFUSED = 1 }; /* not taken: the device keeps it and gives it again */

struct stage {
    const char *name;
    /* 0: go on with the next stage; STAGE_REFUSED; negative errno: fatal. */
    int (*record)(struct fog *f, struct spool_stream *s, const struct record *r);
};

extern const struct stage stages[]; /* ends with name NULL */

/* Runs all of them. 0, STAGE_REFUSED, or negative errno. */
must_check int stages_record(struct fog *f, struct spool_stream *s, const struct record *r);

#endif
