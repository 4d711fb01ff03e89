/* set_find.h - a descriptor set of an archive by device and id: for tools that show single records. */
#ifndef FOGLINE_ARCHIVE_SET_FIND_H
#define FOGLINE_ARCHIVE_SET_FIND_H

#include "base/bytes.h"
#include "spool/db.h"

/* Appends the packed set. A read transaction of its own. 0; DB_NOT_FOUND; DB_DAMAGED; negative errno. */
must_check int archive_find_set(struct db *db, const char *origin, uint64_t set_id, struct buf *ret_packed);

#endif
