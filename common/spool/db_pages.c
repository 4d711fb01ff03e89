#include "spool/db_pages.h"

#include "base/cleanup.h"
#include "spool/db_layout.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const uint32_t META_MAGIC = 0xBEEFC0DE, META_VERSION = 1;
/* No store is as large; they bound what a damaged head asks for, of memory here and of addresses in LMDB. */
static const uint64_t LAST_PAGE_MAX = UINT32_MAX, MAP_BYTES_MAX = UINT64_C(1) << 46;

/* Both heads of the file, copied: another process may write a commit meanwhile. */
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
        memcpy(&head, page_at(c, i), sizeof head);
        memcpy(&meta[i], page_at(c, i) + HEAD_BYTES, sizeof meta[i]);
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

static int check_trees(struct pages_check *c, const struct meta meta[2], struct db_pages *ret_pages)
{
    owned(free_ptr) uint64_t *seen = NULL;
    const struct span no_name = {NULL, 0};
    unsigned i = c->commit % 2;
    int r;

    if (meta[i].commit != c->commit || meta[1 - i].commit != c->commit - (c->commit > 0))
        return DB_PAGES_MOVED_ON;
    c->last_page = meta[i].last_page;
    seen = calloc(c->last_page / 64 + 1, sizeof *seen);
    if (seen == NULL)
        return errmsg_set(c->err, -ENOMEM, "no memory for checking %zu pages", c->last_page);
    c->seen = seen;
    c->counts.n_pages = FIRST_DATA_PAGE;
    r = db_pages_check_tree(c, FREE_PAGES, no_name, &meta[i].free_pages);
    if (r == 0)
        r = db_pages_check_tree(c, TABLES, no_name, &meta[i].tables);
    if (r == 0)
        *ret_pages = c->counts;
    return r;
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

int db_pages_check_heads(int fd, struct errmsg *err)
{
    struct pages_check c = {.err = err};
    struct meta meta[2];
    size_t n_bytes;
    int r = map_file(&c, fd, &n_bytes);

    if (r != 0)
        return r;
    r = read_heads(&c, n_bytes, meta);
    munmap((void *)(uintptr_t)c.map, n_bytes);
    return r;
}

int db_pages_check(int fd, uint64_t commit, struct db_pages *ret_pages, struct errmsg *err)
{
    struct pages_check c = {.commit = (size_t)commit, .err = err};
    struct meta meta[2];
    size_t n_bytes;
    int r = map_file(&c, fd, &n_bytes);

    if (r != 0)
        return r;
    r = read_heads(&c, n_bytes, meta);
    if (r == 0)
        r = check_trees(&c, meta, ret_pages);
    munmap((void *)(uintptr_t)c.map, n_bytes);
    return r;
}
