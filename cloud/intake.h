/* intake.h - what the cloud does with a record, a report, a question: the inbox's ops without sockets.
 *
 * Joins archive, account, marks and the list of nodes with their keys. Names of its functions are those of
 * struct inbox_ops; ctx is the intake. A record is taken when its origin is on the list, confirmed and not
 * revoked, and its tag is right. Threads: the spool's owner. */
#ifndef FOGLINE_CLOUD_INTAKE_H
#define FOGLINE_CLOUD_INTAKE_H

#include "archive/archive.h"
#include "base/clock.h"
#include "cloud/account.h"
#include "hop/upper_port.h"

struct intake;

struct intake_options {
    struct archive *archive;      /* borrowed for the life of the intake */
    const struct node_keys *keys; /* of the cloud; borrowed for the life of the intake */
    const struct clock *clock;    /* borrowed; wall time of reports */
    const char *const *reduce;    /* patterns site/device of origins that others may reduce; copied */
    size_t n_reduce;
    /* A reply to a command was archived (in the open transaction). May be NULL. */
    void (*reply)(void *ctx, const char *origin, uint64_t counter);
    void *ctx;
};

must_check int intake_new(struct intake **ret_in, const struct intake_options *options);
struct intake *intake_free(struct intake *in); /* accepts NULL */
struct account *intake_account(struct intake *in);

/* Replaces the list; copies. Sites of known origins follow in the open transaction. */
must_check int intake_set_nodes(struct intake *in, const struct upper_port_node *nodes, size_t n);
const struct upper_port_node *intake_node(const struct intake *in,
                                          const char *id); /* NULL: unknown; borrowed until the next set */
/* Patterns of a reload; copies. -ENOMEM. */
must_check int intake_set_reduce(struct intake *in, const char *const *patterns, size_t n);

bool intake_may_carry(void *ctx, const char *peer, const char *origin);
int intake_record(void *ctx, struct spool_stream *s, const struct record *r);
int intake_reported(void *ctx, const char *peer, struct spool_stream *s, const Fogline__V1__LaneReport *r);
void intake_hello(void *ctx, const char *peer, const Fogline__V1__Hello *hello);
size_t intake_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                    struct interval range, Fogline__V1__Mark **out, size_t max);

/* Before each commit. 0; ARCHIVE_FULL: roll back; negative errno. */
must_check int intake_flush(struct intake *in);
/* After each commit: fn for each stream and lane with new marks. */
void intake_committed(struct intake *in, void (*fn)(void *ctx, struct spool_stream *s, unsigned lane),
                      void *ctx);
/* After a rollback. */
must_check int intake_reload(struct intake *in);

/* Why a record was refused that its carrier will hold for ever, and whose it was: the last since the last
 * call. NULL: none. */
const char *intake_refused(struct intake *in, char ret_origin[SPOOL_NAME_BYTES]);

enum intake_counter {
    INTAKE_ORIGIN_UNKNOWN,
    INTAKE_ORIGIN_PROVISIONAL,
    INTAKE_ORIGIN_REVOKED,
    INTAKE_COUNTERS
};
extern const struct counter_info intake_counter_info[INTAKE_COUNTERS];
const uint64_t *intake_counters(const struct intake *in);

#endif
