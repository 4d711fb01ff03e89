/* pack.h - rows of one group become the payloads of block records.
 *
 * A block is closed when it has pack.rows rows, pack.bytes bytes, or when its first row is pack.ms old; the
 * last is asked by the owner. A payload never passes WIRE_PAYLOAD_MAX_BYTES. Pure: times are passed in.
 * Threads: one owner. */
#ifndef FOGLINE_DEVICE_PACK_H
#define FOGLINE_DEVICE_PACK_H

#include "device/feed.h"
#include "wire/wire.h"

enum {
    PACK_ROWS_MAX = BLOCK_ROWS_MAX,
    PACK_BYTES_MAX = 56 * 1024, /* leaves room for the row that closes a block, and for the header */
};

struct pack;

struct pack_options {
    const char *group; /* name in the descriptor set: of the source */
    const struct feed_channel *channels;
    uint32_t n_channels, max_rows;
    size_t max_bytes;
};

must_check int pack_new(struct pack **ret_p, const struct pack_options *options);
struct pack *pack_free(struct pack *p); /* accepts NULL */

/* The packed DescriptorSet, and its id. Borrowed for the life of the pack. */
struct span pack_descriptor(const struct pack *p);
uint64_t pack_set_id(const struct pack *p);

enum { PACK_CLOSE_FIRST = 1, PACK_TOO_BIG = 2 };
/* Adds a row. 0; PACK_CLOSE_FIRST: not added, the block is full, close it and add again; PACK_TOO_BIG: no
 * block can hold it. */
must_check int pack_add(struct pack *p, const struct feed_message *row, int64_t now_mono_ns);
bool pack_is_full(const struct pack *p);
uint32_t pack_rows(const struct pack *p);
int64_t pack_since_mono_ns(const struct pack *p); /* when the first row came; INT64_MAX: empty */

struct pack_clock {
    uint32_t state, error_us; /* enum clock_state */
};
struct pack_block {
    uint32_t rows, samples;
    int64_t time_first_ns, time_last_ns; /* lowest and highest */
    bool has_position;
    struct source_position position; /* behind the last row */
};
/* Appends the payload to out and empties the pack. There must be a row. 0 or negative errno. */
must_check int pack_close(struct pack *p, const struct pack_clock *clock, struct buf *out,
                          struct pack_block *ret_b);

#endif
