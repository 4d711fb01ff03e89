/* view.h - reading the archive: names, ranges of blocks, other records. For tools, on a live or a stopped
 * collector.
 *
 * Works on an environment opened read-only (db.h). Every transaction copies at most VIEW_BATCH_BYTES and is
 * let go before a callback runs, so a reader that waits for its terminal never holds the collector's pages. A
 * damaged value is skipped and counted. Names come from descriptor sets at read time: blocks that came before
 * theirs get their names when it is there. Threads: one owner. */
#ifndef FOGLINE_ARCHIVE_VIEW_H
#define FOGLINE_ARCHIVE_VIEW_H

#include "archive/block_head.h"
#include "archive/rows.h"
#include "codec/block.h"

enum { VIEW_BATCH_BYTES = 512 * 1024 };

struct view_channel {
    const char *name, *unit;
    enum column_type type;
    double scale;            /* 0: none. Else value = stored * scale */
    const char *const *tags; /* NULL-terminated */
};

struct view_device;

struct view_set {
    const struct view_device *device;
    uint32_t no;
    uint64_t id, span_max_ns;
    const char *group; /* NULL: its descriptor has not come: no channels are known */
    struct view_channel *channels;
    enum column_type *types;
    uint32_t n_channels;
    Fogline__V1__DescriptorSet *descriptor; /* what the above borrow */
    struct view_starts *starts;             /* the view's own: made when the first block is decoded */
};

struct view_device {
    char name[SPOOL_NAME_BYTES], site[SPOOL_NAME_BYTES];
    uint32_t no;
    struct view_set *sets; /* ascending number */
    size_t n_sets;
};

struct view_stream {
    uint32_t no;
    const struct view_device *device;
    struct id128 epoch;
    struct totals_lane lane[SPOOL_LANES];
};

struct view;

must_check int view_new(struct view **ret_v, struct db *db); /* borrows db */
struct view *view_free(struct view *v);                      /* accepts NULL */
void view_freep(struct view **v);
/* Reads names and totals anew. Pointers into the view from before are void. */
must_check int view_reload(struct view *v);

/* Devices in order of site, then name. Streams in order of number. */
size_t view_n_devices(const struct view *v);
const struct view_device *view_device_at(const struct view *v, size_t i);
const struct view_device *view_find_device(const struct view *v, const char *name); /* NULL: unknown */
size_t view_n_streams(const struct view *v);
const struct view_stream *view_stream_at(const struct view *v, size_t i);
const struct view_stream *view_find_stream(const struct view *v, uint32_t no); /* NULL: unknown */

/* Which columns of the set a pattern selects: fills chosen[n_channels] (may be NULL), returns how many. */
uint32_t view_select(const struct view_set *set, const char *pattern, bool *chosen);

/* One block, not decoded. Borrowed until the callback returns. */
struct view_block {
    const struct view_set *set;
    struct sample_key key;
    struct id128 epoch;
    struct block_head head;
    size_t payload_bytes;
    uint32_t flags; /* of its record: RECORD_FLAG_AGAIN */
};
/* Blocks of a set that may hold rows in [from_ns, to_ns), by ascending first time; fn returns non-zero to
 * stop, which view_scan returns. 0 or negative errno else. */
struct view_range {
    int64_t from_ns, to_ns; /* INT64_MIN, INT64_MAX: no bound */
};
typedef int (*view_block_fn)(void *ctx, const struct view_block *b);
must_check int view_scan(struct view *v, const struct view_set *set, const struct view_range *range,
                         view_block_fn fn, void *ctx);
/* The same backwards, from the last first time on, unless fn stops it. */
must_check int view_scan_back(struct view *v, const struct view_set *set, view_block_fn fn, void *ctx);
/* Decodes it; only_column >= 0: that one and the times. 0; BLOCK_DAMAGED, BLOCK_ENCODING_UNKNOWN: counted and
 * told, the reader goes on with the next block; -ENOMEM. Borrowed until the next decode. */
must_check int view_decode(struct view *v, const struct view_block *b, int only_column,
                           const struct block **ret_b);
/* Is told of each block that does not decode. why borrows for ever. fn NULL: nobody. */
typedef void (*view_undecoded_fn)(void *ctx, const struct view_block *b, const char *why);
void view_on_undecoded(struct view *v, view_undecoded_fn fn, void *ctx);

/* A number as the channel means it: stored * scale, bool and int64 as they are. Not for text. */
double view_number(const struct view_channel *c, const struct column *col, uint32_t row);

/* Other records of a device and kind (0: every kind), by kind, stream, seq. Borrowed until the callback
 * returns. */
struct view_other {
    const struct view_device *device;
    struct other_key key;
    struct id128 epoch;
    struct spool_record record;
};
typedef int (*view_other_fn)(void *ctx, const struct view_other *o);
must_check int view_others(struct view *v, const struct view_device *d, uint32_t kind, view_other_fn fn,
                           void *ctx);

/* For readers of other tables: the view's read transaction, to be let go within 100 ms. */
must_check int view_txn(struct view *v, struct db_txn **ret_txn);
void view_txn_done(struct view *v);

struct view_faults {
    uint64_t values_damaged, rows_malformed;    /* the store's */
    uint64_t blocks_damaged, encodings_unknown; /* the sender's: stored as they came */
    uint64_t starts_malformed; /* sets whose start bytes no encoder makes: their coded blocks are damaged */
    uint64_t sets_undescribed; /* no fault of the store: the descriptor has not come, or cannot be read */
};
const struct view_faults *view_faults(const struct view *v);

#endif
