/* maker.h - makes records of this node: numbers, authenticates and appends them to the spool.
 *
 * Threads: the spool's owner. */
#ifndef FOGLINE_HOP_MAKER_H
#define FOGLINE_HOP_MAKER_H

#include "link/keys.h"
#include "spool/spool.h"
#include "wire/wire.h"

struct outbox;

/* In the spool only, of own records; never sent. */
enum { MAKER_FLAG_COVERS = 1 << 8 };

/* payload is packed bytes of the kind, at most 64 KiB; samples: what `produced` counts. Appends in the
 * spool's open transaction (begun when needed) and tells the outbox (may be NULL). tag_key: the node's end
 * key for tags; all zero: no cloud is known yet, and the outbox makes the tag once one is. 0; SPOOL_FULL
 * (nothing written); negative errno. */
struct maker_record {
    unsigned lane;
    uint32_t kind, samples;
    struct span payload;
    bool carries_covers; /* others rest on it: never evicted */
};
must_check int maker_append(struct spool *sp, struct outbox *ob, const uint8_t tag_key[KEY_BYTES],
                            const struct maker_record *r, uint64_t *ret_seq);

/* The tag of a record of this stream; zero without a key. */
must_check int maker_tag(const struct spool_stream *s, uint64_t seq, const struct spool_record *r,
                         const uint8_t tag_key[KEY_BYTES], uint8_t ret_tag[WIRE_TAG_BYTES]);
bool maker_lacks_tag(const uint8_t tag[WIRE_TAG_BYTES]);

#endif
