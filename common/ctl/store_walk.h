/* store_walk.h - reads a spool's tables for the tools, in read transactions short enough for a live daemon.
 *
 * Records are copied out in slices, so that a slow pipe never holds a read transaction open. Threads: values.
 */
#ifndef FOGLINE_CTL_STORE_WALK_H
#define FOGLINE_CTL_STORE_WALK_H

#include "spool/spool.h"
#include "wire/wire.h"

struct walk_stream {
    uint32_t no;
    bool own;
    char origin[SPOOL_NAME_BYTES];
    struct id128 epoch;
    struct {
        uint64_t next, held_records, held_bytes, held_samples, produced_samples;
    } lane[SPOOL_LANES];
};

struct walk_streams {
    struct walk_stream *at;
    size_t n, n_damaged;
};

void walk_streams_deinit(struct walk_streams *s);
/* All streams, by number. 0 or negative errno; rows that do not decode are counted. Replaces *s. */
must_check int walk_streams_read(struct db *db, struct walk_streams *s);

struct walk_record {
    struct record record; /* origin borrowed from the stream, payload until the callback returns */
    bool damaged;         /* its value is damaged: only origin, epoch and seq are set */
};

struct walk_filter {
    const char *origin; /* pattern of one name part, or NULL */
    const char *epoch;  /* begin of its hex text, or NULL */
    uint32_t kind;      /* 0: any */
    int lane;           /* -1: any */
};

bool walk_filter_stream(const struct walk_filter *f, const struct walk_stream *s);

/* Every record of stream `s` with seq >= from of one lane, in order. fn returns 0 to go on, else its value
 * ends the walk and is returned. */
typedef int (*walk_fn)(void *ctx, const struct walk_stream *s, const struct walk_record *r);
must_check int walk_records(struct db *db, const struct walk_stream *s, unsigned lane, uint64_t from_count,
                            uint32_t kind, walk_fn fn, void *ctx);

/* Highest count of the lane that is held; 0: none. */
must_check int walk_last(struct db *db, const struct walk_stream *s, unsigned lane, uint64_t *ret_count);

/* Descriptor sets seen so far, by origin and id. Zero-initialised is empty. */
struct walk_descriptors {
    struct db *db;
    const struct walk_streams *streams;
    int (*find_set)(struct db *db, const char *origin, uint64_t set_id,
                    struct buf *ret_packed); /* ctl_tier.find_set */
    struct walk_descriptor *at;
    size_t n;
    bool read_all;
};
void walk_descriptors_deinit(struct walk_descriptors *d);
must_check int walk_descriptors_add(struct walk_descriptors *d, const struct record *r);
/* For struct record_view: looks in what was seen, then once through the store, then where find_set does. ctx:
 * struct walk_descriptors. */
bool walk_descriptors_find(void *ctx, const struct record *r, uint64_t set_id, struct span *ret_packed);

/* Checks every value of every table in slices. 0, DB_DAMAGED, or negative errno. */
must_check int walk_verify(struct db *db, unsigned n_tables, struct db_verify_result *ret_result);

#endif
