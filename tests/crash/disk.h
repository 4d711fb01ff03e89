/* disk.h - what a disk may hold at any moment of a recorded run, if the power goes.
 *
 * Model: content written and not yet synced may be there or not, each 512-byte sector by itself, in any
 * order; a sector is whole or old. Sizes likewise. Names (made, moved, removed) come to the disk in their
 * order, as a journal keeps them; those up to a sync of their folder are there. A write through O_DSYNC is
 * there when the call returns. A sync of a file makes its content durable, not its name. Threads: values. */
#ifndef FOGLINE_TESTS_CRASH_DISK_H
#define FOGLINE_TESTS_CRASH_DISK_H

#include "base/bytes.h"
#include "base/rng.h"
#include "log.h"

struct disk_event {
    struct log_head head;
    char *path, *path2; /* NULL when there is none */
    uint8_t *data;
};

/* A recorded run, whole in memory. */
struct disk_run {
    struct disk_event *at;
    size_t n, alloc;
};
must_check int disk_run_read(struct disk_run *run,
                             const char *log_path); /* 0 or negative errno; -EUCLEAN: torn */
void disk_run_deinit(struct disk_run *run);

struct disk;
must_check int disk_new(struct disk **ret_d, const char *folder); /* the recorded one; copies */
struct disk *disk_free(struct disk *d);                           /* accepts NULL */

/* Each event happens in two halves: begun (its write may be there or not) and finished (what it made durable
 * is). Events are borrowed for the life of the disk. without_sync: syncs of files do nothing, as with a store
 * that forgets them; writes through O_DSYNC stay what they are. */
void disk_begin(struct disk *d, const struct disk_event *e);
void disk_finish(struct disk *d, const struct disk_event *e, bool without_sync);

enum disk_mode {
    DISK_NONE,    /* nothing that was not synced */
    DISK_ALL,     /* everything */
    DISK_SOME,    /* each write or not */
    DISK_SECTORS, /* each sector or not */
    DISK_BUT_ONE, /* all but one write */
    DISK_ONLY_ONE,
    DISK_ONE_TORN, /* all, one of them by sectors */
    DISK_MODES
};
/* Makes the folder `out` (which must not be there) as `part` of the recorded one. 0 or negative errno. */
must_check int disk_make(const struct disk *d, const char *part, const char *out, enum disk_mode mode,
                         struct rng *rng);
/* Writes below `part` that a power cut could take now. */
size_t disk_pending(const struct disk *d, const char *part);
/* Whether inode is a file called part/NAME (or part/FOLDER/NAME) now. */
bool disk_is(const struct disk *d, uint64_t inode, const char *part, const char *name);

#endif
