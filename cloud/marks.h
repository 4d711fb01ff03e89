/* marks.h - what the cloud vouches for: which records of a lane are archived or explained, authenticated for
 * their origin.
 *
 * A mark (proto Mark) holds a packed MarkBody and its MAC: BLAKE2b-128 with the origin's mark key over
 * wire_mark_head and the body. It needs no counter: within one archive id it is true for ever. None is kept;
 * they are computed when asked for. Pure but for the arena. Threads: values. */
#ifndef FOGLINE_CLOUD_MARKS_H
#define FOGLINE_CLOUD_MARKS_H

#include "link/keys.h"
#include "wire/wire.h"

enum {
    MARKS_KEY_ID = 1,
    MARKS_LIST_MAX = WIRE_INTERVALS_MAX / 2
}; /* intervals of one mark: half archived, half explained */

struct marks_subject {
    const struct id128 *archive_id, *epoch;
    const char *origin;
    unsigned lane;
    const struct interval_set *archived, *explained;
    const uint8_t *mark_key; /* KEY_BYTES, shared by cloud and origin */
};

/* Marks for [range]: appends at most max, made in the arena; returns how many. A part of the range with
 * nothing archived and nothing explained gets none. */
size_t marks_make(const struct marks_subject *m, struct interval range, struct wire_arena *a,
                  Fogline__V1__Mark **out, size_t max);

#endif
