/* archive_private.h - the archive's mirrors. Inside archive*.c only. */
#ifndef FOGLINE_ARCHIVE_ARCHIVE_PRIVATE_H
#define FOGLINE_ARCHIVE_ARCHIVE_PRIVATE_H

#include "archive/archive.h"

struct arch_set {
    uint64_t id, span_max_ns;
    uint32_t no;
    bool known; /* its DescriptorSet is here */
};

struct arch_device {
    char name[SPOOL_NAME_BYTES], site[SPOOL_NAME_BYTES];
    uint32_t no;           /* index + 1 */
    struct arch_set *sets; /* index = number - 1 */
    size_t n_sets, alloc_sets, last_set;
};

struct arch_stream {
    struct spool_stream *stream; /* NULL: the spool does not know it (any more) */
    struct arch_device *device;  /* NULL: not known here */
    struct id128 epoch;          /* where device is known */
    uint32_t former;             /* the number that its rows have; 0: its own */
    struct totals_lane lane[SPOOL_LANES];
    bool dirty, dirty_lane[SPOOL_LANES];
};

struct archive {
    struct spool *spool;
    struct id128 id;
    uint64_t life;
    bool keeps_all;
    struct arch_device **devices; /* index = number - 1 */
    size_t n_devices, alloc_devices;
    uint32_t *names;             /* open addressing over devices: number, 0 free */
    size_t n_names;              /* power of two */
    struct arch_stream *streams; /* index = stream number */
    size_t n_streams;
    uint32_t *dirty;
    size_t n_dirty, alloc_dirty;
    struct buf scratch;
    struct wire_arena *arena; /* of a descriptor that is looked at */
    uint64_t counters[ARCHIVE_COUNTERS];
};

/* Rows whose values were damaged, found while the tables were read. Keys are readable. */
struct archive_damage {
    char device[SPOOL_NAME_BYTES]; /* one of them */
    size_t n_devices, n_sets, n_totals;
    struct row_key set; /* one of them */
};

must_check int archive_names_grow(struct archive *a); /* rebuilds the index of names */
must_check int archive_sets_reach(struct arch_device *d, size_t n);
must_check int archive_streams_reach(struct archive *a, uint32_t no);
must_check int archive_stream_mark(struct archive *a, struct arch_stream *as, uint32_t no);
must_check int archive_device_write(struct archive *a, const struct arch_device *d);
must_check int archive_set_write(struct archive *a, const struct arch_device *d, const struct arch_set *s,
                                 struct span descriptor);
must_check int archive_device_place(struct archive *a, uint32_t no, const char *name, const char *site);

/* Each writes into the open transaction. -EIO: what was lost cannot be told from the rest. */
must_check int archive_repair_device(struct archive *a, const struct archive_damage *d);
must_check int archive_repair_set(struct archive *a, const struct archive_damage *d);
/* Totals and seen rows that do not agree are made anew from the records. Reads all of them when there are
 * any. */
must_check int archive_repair_totals(struct archive *a);

#endif
