/* batch.h - payloads that wait for the next commit, in the order in which they were made.
 *
 * The store's transaction is open only while a batch is written, so that the link may use the store in
 * between; until then payloads stand here. Bounded by its owner, who commits when batch_bytes passes what it
 * allows. Threads: one owner. */
#ifndef FOGLINE_DEVICE_BATCH_H
#define FOGLINE_DEVICE_BATCH_H

#include "device/source.h"

#include <stddef.h>

enum { BATCH_NO_SOURCE = 0xffff };

struct batch_entry {
    uint64_t no; /* 1, 2, 3 ...: in the order of batch_end */
    size_t offset, len;
    uint32_t kind, samples;
    uint16_t source; /* BATCH_NO_SOURCE: of the device itself */
    uint8_t lane;
    bool has_position, is_done;
    struct source_position position;
    int64_t time_first_ns, time_last_ns;
    /* The event of a rule: what becomes the rule's state in the transaction of the event. */
    bool is_decision, is_raised;
    uint32_t instance;
    int64_t since_ns;
    struct keep_counts reduced; /* left out of these rows and of rows before them */
    bool is_account;            /* no record: reduced and position alone */
};

struct batch; /* zero is not empty: make it with batch_new */

must_check int batch_new(struct batch **ret_b);
struct batch *batch_free(struct batch *b); /* accepts NULL */

/* Room for a payload at the end: append to the buffer, then batch_end with what it is. Not ended, it is as if
 * it never was begun. */
struct buf *batch_begin(struct batch *b);
/* Gives the entry's number. 0 or negative errno (the payload is gone). */
must_check int batch_end(struct batch *b, const struct batch_entry *like, uint64_t *ret_no);

size_t batch_n(const struct batch *b);
size_t batch_bytes(const struct batch *b);
uint64_t batch_last_no(const struct batch *b); /* of the entry made last, even if it is gone */
struct batch_entry *batch_at(struct batch *b, size_t i);
struct span batch_payload(const struct batch *b,
                          const struct batch_entry *e); /* borrowed until the batch changes */
/* Forgets the entries that are done and keeps the others in order. */
void batch_sweep(struct batch *b);

#endif
