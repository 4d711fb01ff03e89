/* models.h - detectors and models on readings of devices that are too small for them: what they say becomes
 * rows of the fog.
 *
 * Each device that `select` names has a state of its own: what its detector has learnt, what the features of
 * its model look back on, and the latest reading of each input. The readings are taken as they come; a record
 * older than one looked at before (a backlog) is passed over, and so is what is flagged `again`. Scores and
 * states stand in the spool's open transaction: a batch that comes again after a crash says the same again.
 *
 * A model runs on the loop: one that takes more than MODELS_OPERATIONS_MAX operations is refused. One that
 * cannot be used is told by an event and says nothing; it is tried again when the file changes. Limits:
 * MODELS_MAX of them, MODELS_INSTANCES_MAX times devices. Threads: the spool's owner. */
#ifndef FOGLINE_FOG_MODELS_H
#define FOGLINE_FOG_MODELS_H

#include "base/clock.h"
#include "base/counter.h"
#include "fog/derived.h"
#include "fog/models_config.h"
#include "fog/stage_reader.h"

enum { MODELS_INSTANCES_MAX = 4096, MODELS_OPERATIONS_MAX = 20000000 };

struct models;

struct models_options {
    struct spool *spool; /* all borrowed */
    struct derived *derived;
    struct stage_reader *reader;
    unsigned user; /* place in the reader, joined with free() */
    const struct clock *clock;
    const struct config_list *models; /* the items for life, the list until models_new returns */
    const char *site;
    unsigned table; /* of the spool's environment, for models alone */
    /* Told what is wrong with a file, and when it is over. */
    void (*note)(void *ctx, unsigned severity, const char *text);
    void *ctx;
};
/* In the open transaction. 0 or negative errno with *err. */
must_check int models_new(struct models **ret_m, const struct models_options *options, struct errmsg *err);
struct models *models_free(struct models *m); /* accepts NULL */

/* A record in the open transaction, after the history. 0 or negative errno; of a full map the commit says
 * so. */
must_check int models_record(struct models *m, const struct spool_stream *stream, const struct record *r);
must_check int models_round(struct models *m);  /* once a second: files that could not be used */
must_check int models_flush(struct models *m);  /* before each commit: the states that changed */
must_check int models_reload(struct models *m); /* after a rollback */

enum models_counter {
    MODELS_INSTANCES,
    MODELS_INSTANCES_REFUSED,
    MODELS_RUNS,
    MODELS_FAILURES,
    MODELS_ROWS,
    MODELS_NO_ROOM,
    MODELS_BLOCKS_LATE,
    MODELS_BLOCKS_AGAIN,
    MODELS_BLOCKS_NO_SET,
    MODELS_BLOCKS_UNREADABLE,
    MODELS_BEGUN_ANEW,
    MODELS_COUNTERS
};
extern const struct counter_info models_counter_info[MODELS_COUNTERS];
const uint64_t *models_counters(const struct models *m);

#endif
