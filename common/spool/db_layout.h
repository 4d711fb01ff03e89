/* db_layout.h - what lies in an LMDB data file, for the check of its pages; private to db_pages*.c.
 *
 * LMDB 0.9 (MDB_DATA_VERSION 1; libraries/liblmdb/mdb.c: MDB_page, MDB_node, MDB_db,
 * MDB_meta). Page numbers and counts are as wide as size_t, all in host byte order.
 *
 *   page     number, pad u16, flags u16, then lower u16, upper u16, or for a run: its number of pages u32
 *            behind the head: u16 offsets of the nodes, (lower - head) / 2 of them, in the order of the keys;
 *            free room from lower to upper; the nodes from upper to the end, each of even size, without gaps
 *   node     low u16, high u16, flags u16, bytes of the key u16, key
 *            in a branch low, high and flags are the child's page number; the first node's key is not used
 *            in a leaf low and high are the length of the value, which follows; with NODE_RUN the number of
 *            the first page of a run follows instead
 *   run      head, then the value; the pages after the first have no head
 *   tree     pad u32, flags u16, depth u16, branches, leaves, pages in runs, entries, root (all ones: empty)
 *   meta     pages 0 and 1: behind the head magic u32, version u32, address, map size, tree of free pages
 *            (its pad is the page size), tree of tables, last page, commit. Commit n is in page n % 2.
 *
 * The tree of tables maps a name to a tree record (NODE_TREE); the tree of free pages maps a commit to the
 * pages that it gave back. LMDB can do more (duplicate keys, pages of keys only); a store uses none of it, so
 * a flag of it is damage. */
#ifndef FOGLINE_SPOOL_DB_LAYOUT_H
#define FOGLINE_SPOOL_DB_LAYOUT_H

#include "base/bytes.h"
#include "spool/db_pages.h"

enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_RUN = 4, PAGE_META = 8 };
enum { NODE_RUN = 1, NODE_TREE = 2 };
enum {
    TREE_INTEGER_KEYS = 8,
    TREE_ONE_FILE = 0x4000, /* the environment was opened as a file, not a folder, when this copy was made */
    DEPTH_MAX = 32,         /* of LMDB's cursors */
    KEY_MAX_BYTES = 511,
    FIRST_DATA_PAGE = 2,
    PAGE_MIN_BYTES = 512,
    PAGE_MAX_BYTES = 0x8000,
};

struct page_head {
    size_t number;
    uint16_t pad, flags, lower, upper;
};
struct node_head {
    uint16_t low, high, flags, key_bytes;
};
struct tree {
    uint32_t pad;
    uint16_t flags, depth;
    size_t branches, leaves, run_pages, entries, root;
};
struct meta {
    uint32_t magic, version;
    size_t address, map_bytes;
    struct tree free_pages, tables;
    size_t last_page, commit;
};
enum { HEAD_BYTES = sizeof(struct page_head), NODE_BYTES = sizeof(struct node_head) };
_Static_assert(HEAD_BYTES == sizeof(size_t) + 8 && NODE_BYTES == 8, "no padding");
_Static_assert(sizeof(struct tree) == 8 + 5 * sizeof(size_t), "no padding");
_Static_assert(sizeof(struct meta) == 8 + 4 * sizeof(size_t) + 2 * sizeof(struct tree), "no padding");

enum tree_kind { FREE_PAGES, TABLES, TABLE };

/* A check under way. */
struct pages_check {
    const uint8_t *map;
    size_t n_file_pages, page_bytes, last_page, commit;
    uint64_t *seen; /* a bit per page up to last_page */
    struct db_pages counts;
    struct errmsg *err;
};

static inline const uint8_t *page_at(const struct pages_check *c, size_t number)
{
    return c->map + number * c->page_bytes;
}

/* One tree from its record on; adds to c->counts. The name, of a table only, is for the error. 0 or
 * DB_PAGES_BROKEN. */
must_check int db_pages_check_tree(struct pages_check *c, enum tree_kind kind, struct span name,
                                   const struct tree *record);

#endif
