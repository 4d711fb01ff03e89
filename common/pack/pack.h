/* pack.h - rows of one group become the payloads of block records.
 *
 * A block is full when it has pack.rows rows or pack.bytes bytes (as raw columns); when else it is closed is
 * its owner's to say. A payload never passes WIRE_PAYLOAD_MAX_BYTES: a block whose
 * columns would be longer in its encoding than raw ones is written raw. Starts are learnt from the rows
 * (learn.h); better ones make a new descriptor set, which the blocks after it name. Pure: times are passed
 * in. Threads: one owner. */
#ifndef FOGLINE_PACK_PACK_H
#define FOGLINE_PACK_PACK_H

#include "base/name.h"
#include "keep/keep.h"
#include "pack/learn.h"
#include "wire/wire.h"

enum {
    PACK_NAME_BYTES = NAME_PART_CHARS + 1,
    PACK_ROWS_MAX = BLOCK_ROWS_MAX,
    PACK_BYTES_MAX = 56 * 1024, /* leaves room for the row that closes a block, and for the header */
    PACK_COVERS_MAX_BYTES = 6 * 1024,
    PACK_SET_MAX_BYTES = 48 * 1024, /* of a set with starts: without those that do not fit */
};

struct pack;

struct pack_channel {
    char name[PACK_NAME_BYTES], unit[PACK_NAME_BYTES];
    enum column_type type;
};

/* Borrowed until the call returns. */
struct pack_row {
    int64_t time_ns;          /* since 1970 UTC */
    uint64_t mono_ns;         /* when it was taken; 0: replayed or computed */
    const struct cell *cells; /* n_cells: one for each channel */
    uint32_t n_cells;
};

/* What the packs of a thread share; none of it lasts from one call to the next but the budget. Zero but for
 * pack_tools_init. */
struct pack_tools {
    struct block_coder *coder;
    struct learn_budget budget;
    struct buf body, raw;
};
must_check int pack_tools_init(struct pack_tools *t);
void pack_tools_deinit(struct pack_tools *t); /* accepts zero */

/* What of a channel is sent, as its descriptor says it. */
struct pack_keep {
    enum keep_policy policy;
    double deadband; /* 0: not said */
    uint32_t max_silence_ms;
};

struct pack_options {
    const char *group; /* name in the descriptor set: of the source */
    const struct pack_channel *channels;
    uint32_t n_channels, max_rows;
    size_t max_bytes;
    enum block_encoding encoding;
    const double
        *error_bounds; /* n_channels; NULL: all exact. Of channels that are not double: passed over */
    const struct pack_keep *keeps;  /* n_channels; NULL: all as by their bounds */
    const char *const *const *tags; /* n_channels lists of "key=value" that end in NULL, or NULL, borrowed for
                                       the life of the pack; NULL: none */
    struct pack_tools *tools;       /* borrowed */
};

must_check int pack_new(struct pack **ret_p, const struct pack_options *options);
struct pack *pack_free(struct pack *p); /* accepts NULL */

/* The packed DescriptorSet that blocks closed from now on name, and its id. Borrowed until pack_learn gives
 * PACK_NEW_SET. */
struct span pack_descriptor(const struct pack *p);
uint64_t pack_set_id(const struct pack *p);
/* As given to pack_new; borrowed. */
const struct pack_channel *pack_channels(const struct pack *p);
uint32_t pack_n_channels(const struct pack *p);
/* Id of the set without any starts: the same for the same channels, whatever was learnt. */
uint64_t pack_cold_id(const struct pack *p);
/* Before the first row: goes on with the set of an earlier life. 0; PACK_OTHER_SET: it is not one of these
 * channels, or not to be read, and nothing changed; -ENOMEM. */
enum { PACK_OTHER_SET = 1 };
must_check int pack_adopt(struct pack *p, struct span descriptor);

enum { PACK_CLOSE_FIRST = 1, PACK_TOO_BIG = 2 };
/* Adds a row. 0; PACK_CLOSE_FIRST: not added, the block is full, close it and add again; PACK_TOO_BIG: no
 * block can hold it. */
must_check int pack_add(struct pack *p, const struct pack_row *row, int64_t now_mono_ns);
bool pack_is_full(const struct pack *p);
uint32_t pack_rows(const struct pack *p);
size_t pack_bytes(const struct pack *p);          /* of these rows as raw columns; 0: empty */
int64_t pack_since_mono_ns(const struct pack *p); /* when the first row came; INT64_MAX: empty */

struct pack_clock {
    uint32_t state, error_us; /* enum clock_state */
};
struct pack_block {
    uint32_t rows, samples;
    int64_t time_first_ns, time_last_ns; /* lowest and highest */
    enum block_encoding encoding;        /* that it was written in */
    uint64_t plain_bytes, column_bytes;  /* times and numbers of 8 bytes and texts; what they became */
};
/* What records the block stands for; the header has PACK_COVERS_MAX_BYTES for it. */
struct pack_covers {
    Fogline__V1__Cover **at;
    size_t n;
};
/* Appends the payload to out and empties the pack. There must be a row. covers: NULL: none. 0 or negative
 * errno. */
must_check int pack_close(struct pack *p, const struct pack_clock *clock, const struct pack_covers *covers,
                          struct buf *out, struct pack_block *ret_b);

/* pack_learn has something to do. */
bool pack_learn_is_due(const struct pack *p);
/* After a block was closed: PACK_NEW_SET: better starts were learnt, and pack_descriptor is another one. 0:
 * no. *ret (may be NULL) says what was compared. Takes a few ms when a look is due, nothing else. */
enum { PACK_NEW_SET = 1 };
struct pack_learnt {
    double old_bytes, new_bytes; /* columns, a row */
};
must_check int pack_learn(struct pack *p, struct pack_learnt *ret);

#endif
