/* log.h - what the recorder writes and the enumerator reads: one head per event, then path, second path,
 * data.
 *
 * Events stand in the order in which the calls returned. Files are named by inode, names of files by path. */
#ifndef FOGLINE_TESTS_CRASH_LOG_H
#define FOGLINE_TESTS_CRASH_LOG_H

#include <stdint.h>

enum log_op {
    LOG_CREATE = 1, /* path: a new empty file */
    LOG_MKDIR,      /* path */
    LOG_RENAME,     /* path to path2 */
    LOG_UNLINK,     /* path: a file or an empty folder */
    LOG_WRITE,      /* data at offset */
    LOG_SIZE,       /* offset: the new size */
    LOG_RESERVE,    /* offset: the size is this at least */
    LOG_SYNC,       /* of a file or a folder: what was done to it so far is on the disk */
    LOG_ACK,        /* data: what the program told the world, at this moment */
};

#define LOG_MAGIC UINT32_C(0x43524c47)

struct log_head {
    uint32_t magic;
    uint8_t op, durable; /* durable: written through O_DSYNC or O_SYNC */
    uint16_t zero;
    uint32_t path_bytes, path2_bytes;
    uint64_t inode, offset, data_bytes;
};

/* Environment of a recorded program. */
#define LOG_ENV_FOLDER "CRASH_FOLDER" /* only what happens below it is recorded */
#define LOG_ENV_FILE "CRASH_LOG"
/* Found by dlsym in a recorded program: void recorder_ack(const void *data, size_t n_bytes) */
#define LOG_ACK_SYMBOL "recorder_ack"

#endif
