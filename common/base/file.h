/* file.h - whole small files, safely. */
#ifndef FOGLINE_BASE_FILE_H
#define FOGLINE_BASE_FILE_H

#include "base/bytes.h"
#include "base/err.h"

#include <sys/types.h>

/* Reads at most max_bytes; -EFBIG when there is more. Appends to b. */
must_check int file_read(const char *path, size_t max_bytes, struct buf *b);
/* Writes `path.tmp-PID`, fsyncs, renames, fsyncs the folder: after a crash the old or the new content, never
 * a mix. */
must_check int file_write_atomic(const char *path, struct span content, mode_t mode);
/* Like mkdir -p; existing folders are fine. mode for new ones. */
must_check int file_mkdirs(const char *path, mode_t mode);
/* Opens and fsyncs a folder, so that names made in it survive a power cut. */
must_check int file_sync_dir(const char *path);

/* To be called before anything else is opened: a descriptor of 0 to 2 that is closed would go to the next
 * file, a store perhaps, and that file would get what is printed. What is closed now fails when it is used.
 */
must_check int file_guard_std(void);

#endif
