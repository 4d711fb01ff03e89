/* db_pages.h - whether the pages of an LMDB data file hang together; private to the db_*.c files.
 *
 * LMDB takes what a page's head says as true: a wrong end of the free room makes a later delete move memory
 * beyond the page, a wrong page number hands out a page that is in use. So before LMDB writes, every page
 * that the last commit reaches is judged here, without LMDB: the trees of free pages, of tables and of each
 * table, and the runs of pages that hold long values.
 *
 * Judged: a page's own number, kind and bounds; that its nodes fill exactly the room behind the bounds; order
 * of keys, and that they lie between the keys that lead to them; that a page number is within the file and no
 * page is reached twice or is free as well; depth, pages and entries of each tree against its record; that
 * the other head holds the commit next to it. Not judged: values (they carry sums), pages that nothing
 * reaches, the trees of the commit before: LMDB never goes back to them by itself.
 *
 * Reads the file once through a map: a file cut meanwhile raises SIGBUS, so call it in a child process. Takes
 * one bit of memory per page. A hostile file costs no more time than a good one of its size. */
#ifndef FOGLINE_SPOOL_DB_PAGES_H
#define FOGLINE_SPOOL_DB_PAGES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DB_PAGES_BROKEN = 1, /* *err says which page, and how */
    DB_PAGES_UNKNOWN = 2 /* another version of the layout: nothing was judged */
};

struct db_pages {
    uint64_t n_pages, n_free, n_tables; /* reached, the two heads included; listed as free; named tables */
};

/* The two heads by themselves, before LMDB opens the file: it would map whatever size they ask for. 0,
 * DB_PAGES_BROKEN, DB_PAGES_UNKNOWN, negative errno. fd: data.mdb, open for reading; borrowed. */
must_check int db_pages_check_heads(int fd, struct errmsg *err);

/* Lets go of the commit that is held, holds the last one by a read transaction, and tells its number: called
 * until its head is found, since another process may write. 0 or negative errno. */
typedef int db_pages_hold(void *ctx, uint64_t *ret_commit);

/* The pages of the commit that is held. fd as above; hold and ctx: borrowed. 0, DB_PAGES_*, negative errno
 * (no memory, not to be mapped). *ret_pages and *err as the code says. */
must_check int db_pages_check(int fd, db_pages_hold *hold, void *ctx, struct db_pages *ret_pages,
                              struct errmsg *err);

/* One row of the list of free pages: a count, then as many page numbers, falling, of pages that can be free
 * (LMDB's midl.h). The numbers are at ret_list, which need not be aligned. */
bool db_pages_free_row(const void *value, size_t len, uint64_t last_page, const uint8_t **ret_list,
                       size_t *ret_n);

#endif
