/* covers_walk.h - the open cover account as tools see it: read-only, of a live or a dead fog. */
#ifndef FOGLINE_FOG_COVERS_WALK_H
#define FOGLINE_FOG_COVERS_WALK_H

#include "fog/covers_rows.h"

/* Numbers of a stream that are withheld. */
struct covers_tally {
    uint32_t stream;
    uint64_t waiting, covered, said, refused;
};
void covers_tally_add(struct covers_tally *to, const struct covers_tally *t); /* accepts NULL */

/* Zero-initialised is empty; by stream. */
struct covers_tallies {
    struct covers_tally *at;
    size_t n;
};
void covers_tallies_deinit(struct covers_tallies *t);
must_check int covers_tallies_read(struct db *db, struct covers_tallies *t); /* 0 or negative errno */
const struct covers_tally *covers_tally_of(const struct covers_tallies *t, uint32_t stream); /* NULL: none */

/* Each row of a stream that holds the number. 0 or negative errno; or what fn returned, if not 0. */
must_check int covers_find(struct db *db, uint32_t stream, unsigned lane, uint64_t count,
                           int (*fn)(void *ctx, const struct covers_row *row), void *ctx);

#endif
