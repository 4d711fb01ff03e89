#include "spool/db_pages.h"

#include "base/cleanup.h"
#include "spool/db_layout.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const uint32_t META_MAGIC = 0xBEEFC0DE, META_VERSION = 1;
/* No store is as large; they bound what a damaged head asks for, of memory here and of addresses in LMDB. */
static const uint64_t LAST_PAGE_MAX = UINT32_MAX, MAP_BYTES_MAX = UINT64_C(1) << 46;

/* Copies a head that another process may be writing: two equal copies are whole. */
static void copy_head(const struct pages_check *c, unsigned i, struct page_head *ret_head,
                      struct meta *ret_meta)
{
    enum { TRIES = 100 };
    struct meta again;
    unsigned n;

    for (n = 0; n < TRIES; n++) {
        memcpy(ret_head, page_at(c, i), sizeof *ret_head);
        memcpy(ret_meta, page_at(c, i) + HEAD_BYTES, sizeof *ret_meta);
        atomic_thread_fence(memory_order_seq_cst);
        memcpy(&again, page_at(c, i) + HEAD_BYTES, sizeof again);
        if (memcmp(&again, ret_meta, sizeof again) == 0)
            return;
    }
}

static int read_heads(struct pages_check *c, size_t file_bytes, struct meta meta[2])
{
    struct page_head head;
    uint32_t page_bytes;
    unsigned i;

    memcpy(&page_bytes, c->map + HEAD_BYTES + offsetof(struct meta, free_pages), sizeof page_bytes);
    if (page_bytes < PAGE_MIN_BYTES || page_bytes > PAGE_MAX_BYTES || (page_bytes & (page_bytes - 1)) != 0 ||
        file_bytes < (size_t)FIRST_DATA_PAGE * page_bytes)
        return errmsg_set(c->err, DB_PAGES_BROKEN, "page 0: a wrong size of pages");
    c->page_bytes = page_bytes;
    c->n_file_pages = file_bytes / page_bytes;
    for (i = 0; i < FIRST_DATA_PAGE; i++) {
        copy_head(c, i, &head, &meta[i]);
        if (meta[i].magic == META_MAGIC && meta[i].version != META_VERSION)
            return DB_PAGES_UNKNOWN;
        if (meta[i].magic != META_MAGIC || head.flags != PAGE_META || meta[i].free_pages.pad != page_bytes)
            return errmsg_set(c->err, DB_PAGES_BROKEN, "page %u: no head of the file", i);
        if (meta[i].last_page < FIRST_DATA_PAGE - 1 || meta[i].last_page >= LAST_PAGE_MAX ||
            meta[i].last_page >= meta[i].map_bytes / page_bytes || meta[i].map_bytes > MAP_BYTES_MAX)
            return errmsg_set(c->err, DB_PAGES_BROKEN, "page %u: a wrong last page or size of the map", i);
    }
    return 0;
}

/* Commits alternate between the heads, so the other one holds the commit before, or by now the one after. */
static bool heads_fit(const struct meta *held, const struct meta *other, size_t commit)
{
    return held->commit == commit && (other->commit == commit + 1 || other->commit + 1 == commit ||
                                      (commit == 0 && other->commit == 0));
}

static int map_file(struct pages_check *c, int fd, size_t *ret_bytes)
{
    struct stat st;
    void *map;

    if (fstat(fd, &st) < 0)
        return errmsg_set(c->err, -errno, "the file cannot be looked at: %s", strerror(errno));
    if ((size_t)st.st_size < HEAD_BYTES + sizeof(struct meta))
        return errmsg_set(c->err, DB_PAGES_BROKEN, "the file is cut short");
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return errmsg_set(c->err, -errno, "the file cannot be mapped: %s", strerror(errno));
    c->map = map;
    *ret_bytes = (size_t)st.st_size;
    return 0;
}

static int check_trees(struct pages_check *c, const struct meta *meta, struct db_pages *ret_pages)
{
    owned(free_ptr) uint64_t *seen = calloc(meta->last_page / 64 + 1, sizeof *seen);
    const struct span no_name = {NULL, 0};
    int r;

    if (seen == NULL)
        return errmsg_set(c->err, -ENOMEM, "no memory for checking %zu pages", meta->last_page);
    c->seen = seen;
    c->last_page = meta->last_page;
    c->commit = meta->commit;
    c->counts.n_pages = FIRST_DATA_PAGE;
    r = db_pages_check_tree(c, FREE_PAGES, no_name, &meta->free_pages);
    if (r == 0)
        r = db_pages_check_tree(c, TABLES, no_name, &meta->tables);
    if (r == 0)
        *ret_pages = c->counts;
    return r;
}

int db_pages_check_heads(int fd, struct errmsg *err)
{
    struct pages_check c = {.err = err};
    struct meta meta[2];
    size_t n_bytes = 0;
    int r = map_file(&c, fd, &n_bytes);

    if (r != 0)
        return r;
    r = read_heads(&c, n_bytes, meta);
    munmap((void *)(uintptr_t)c.map, n_bytes);
    return r;
}

/* Holds the last commit and finds its head before the next but one is written over it: hence mapped before.
 */
static int hold_head(struct pages_check *c, int fd, db_pages_hold *hold, void *ctx, struct meta *ret_meta)
{
    enum { TRIES = 1000 };
    struct meta meta[2];
    uint64_t commit;
    size_t n_bytes = 0;
    unsigned n;
    int r = map_file(c, fd, &n_bytes);

    if (r != 0)
        return r;
    r = read_heads(c, n_bytes, meta);
    for (n = 0; n < TRIES && r == 0; n++) {
        r = hold(ctx, &commit);
        if (r == 0)
            r = read_heads(c, n_bytes, meta);
        if (r == 0 && heads_fit(&meta[commit % 2], &meta[1 - commit % 2], (size_t)commit)) {
            *ret_meta = meta[commit % 2];
            break;
        }
    }
    if (n == TRIES)
        r = errmsg_set(c->err, DB_PAGES_BROKEN, "the heads of the last two commits do not fit each other");
    munmap((void *)(uintptr_t)c->map, n_bytes);
    return r;
}

int db_pages_check(int fd, db_pages_hold *hold, void *ctx, struct db_pages *ret_pages, struct errmsg *err)
{
    struct pages_check c = {.err = err};
    struct meta meta;
    size_t n_bytes = 0;
    int r = hold_head(&c, fd, hold, ctx, &meta);

    if (r == 0)
        r = map_file(&c, fd, &n_bytes); /* again: the file may have grown before the commit was held */
    if (r != 0)
        return r;
    c.n_file_pages = n_bytes / c.page_bytes;
    r = check_trees(&c, &meta, ret_pages);
    munmap((void *)(uintptr_t)c.map, n_bytes);
    return r;
}
