/* stage_reader.h - blocks decoded, and what is known of their descriptor sets, for all stages of a fog.
 *
 * A set never changes, so a copy here is good for ever; one makes room for another that falls on its place.
 * Each stage may hang something of its own on a set: it makes it when it first sees the set, and the reader
 * lets go of it with the set. The block decoded last stays, so that the stages of a record decode it once.
 * Threads: one owner. */
#ifndef FOGLINE_FOG_STAGE_READER_H
#define FOGLINE_FOG_STAGE_READER_H

#include "archive/block_head.h"
#include "base/name.h"
#include "codec/block.h"
#include "spool/spool.h"
#include "wire/wire.h"

enum { STAGE_READER_USERS = 8 };

struct stage_channel {
    char name[NAME_PART_CHARS + 1], unit[NAME_PART_CHARS + 1];
    double scale;            /* 0: none */
    const char *const *tags; /* NULL-terminated */
};

struct stage_set {
    char origin[SPOOL_NAME_BYTES];
    uint64_t id;
    uint32_t n_channels; /* 0: it cannot be read by anybody */
    struct stage_channel *channels;
    enum column_type *types;
    struct block_starts *starts;
    void *user[STAGE_READER_USERS]; /* NULL: nothing yet */
    struct buf texts;               /* of the tags */
    const char **tags;
};

struct stage_reader;
must_check int stage_reader_new(struct stage_reader **ret_r);
struct stage_reader *stage_reader_free(struct stage_reader *r); /* accepts NULL; after its users are gone */

/* Gives a place in stage_set.user; let_go is called for what hangs there. */
unsigned stage_reader_join(struct stage_reader *r, void (*let_go)(void *user));
void stage_reader_let_go(struct stage_reader *r, unsigned user); /* of all that hangs on this place */

enum { STAGE_READER_UNKNOWN = 1 };
/* Of the open transaction. 0; STAGE_READER_UNKNOWN: its record has not come; negative errno. Borrowed until
 * the next call. */
must_check int stage_reader_set(struct stage_reader *r, struct db_txn *txn, const char *origin, uint64_t id,
                                struct stage_set **ret_set);
/* The block of a record, of this set. 0; BLOCK_DAMAGED or BLOCK_ENCODING_UNKNOWN; -ENOMEM. Borrowed, with
 * its texts, as long as the record, the set and no other block is read. */
must_check int stage_reader_block(struct stage_reader *r, const struct stage_set *set,
                                  const struct record *record, const struct block_head *head,
                                  const struct block **ret_b);

#endif
