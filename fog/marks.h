/* marks.h - the cloud's latest marks about the devices here, kept so that a device that asks gets them at
 * once.
 *
 * A mark is opaque and authenticated for its origin; the fog only reads whom and what range it is about. Per
 * stream and lane the newest few are kept; one that a newer one covers is dropped. Memory only: after a
 * restart the devices ask, the fog asks above, and the marks come again. Limits: MARKS_STREAMS_MAX lanes, the
 * least recently changed makes room. Threads: one owner. */
#ifndef FOGLINE_FOG_MARKS_H
#define FOGLINE_FOG_MARKS_H

#include "base/interval.h"
#include "spool/spool.h"
#include "wire/wire.h"

/* The most torn lane (257 intervals) takes the cloud some ten marks to speak of. */
enum { MARKS_STREAMS_MAX = 16384, MARKS_PER_LANE = 16 };

struct marks;

must_check int marks_new(struct marks **ret_m);
struct marks *marks_free(struct marks *m); /* accepts NULL */
/* Copies. 0 or -ENOMEM. */
must_check int marks_put(struct marks *m, const Fogline__V1__MarkBody *body, const Fogline__V1__Mark *mark);
/* Those that overlap `range`, newest first, as copies in the arena. Returns how many. */
size_t marks_get(const struct marks *m, const struct spool_stream *s, unsigned lane, struct interval range,
                 struct wire_arena *a, Fogline__V1__Mark **out, size_t max);
void marks_drop(struct marks *m, const struct spool_stream *s); /* the stream is forgotten */
void marks_clear(struct marks *m); /* another archive: none of them is believed any more */
size_t marks_count(const struct marks *m);

#endif
