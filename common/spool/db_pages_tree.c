#include "spool/db_layout.h"

#include <ctype.h>

static const size_t NO_PAGE = SIZE_MAX;

/* One tree under way: what was counted so far, to be compared with its record. */
struct walk {
    struct pages_check *check;
    enum tree_kind kind;
    struct span name;
    struct tree found;
    uint16_t depth;
};

/* Keys of a subtree are at least `from` and less than `to`; without data: no bound. */
struct bounds {
    struct span from, to;
};

static int broken(const struct walk *w, size_t page, const char *what)
{
    char name[32] = "of free pages";
    size_t i;

    if (w->kind == TABLES)
        memcpy(name, "of tables", sizeof "of tables");
    if (w->kind == TABLE) {
        for (i = 0; i < w->name.len && i + 1 < sizeof name; i++)
            name[i] = isgraph(w->name.data[i]) ? (char)w->name.data[i] : '?';
        name[i] = '\0';
    }
    return errmsg_set(w->check->err, DB_PAGES_BROKEN, "table %s: page %zu: %s", name, page, what);
}

static size_t load_size(const uint8_t *p)
{
    size_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* false: it was seen before. */
static bool see(struct pages_check *c, size_t page)
{
    uint64_t bit = 1ULL << (page % 64);

    if (c->seen[page / 64] & bit)
        return false;
    c->seen[page / 64] |= bit;
    return true;
}

/* Takes `n` pages for the tree. */
static int take_pages(struct walk *w, size_t first, size_t n)
{
    struct pages_check *c = w->check;
    size_t i, end = c->n_file_pages < c->last_page + 1 ? c->n_file_pages : c->last_page + 1;

    if (first < FIRST_DATA_PAGE || first >= end || n > end - first)
        return broken(w, first, "not in the file");
    for (i = 0; i < n; i++)
        if (!see(c, first + i))
            return broken(w, first + i, "reached twice, or free and in use");
    c->counts.n_pages += n;
    return 0;
}

static int key_order(const struct walk *w, struct span a, struct span b)
{
    size_t both = a.len < b.len ? a.len : b.len, x, y;
    int order;

    if (w->kind == FREE_PAGES) {
        x = load_size(a.data);
        y = load_size(b.data);
        return (x > y) - (x < y);
    }
    order = memcmp(a.data, b.data, both);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool key_is_long_as(const struct walk *w, size_t len)
{
    return w->kind == FREE_PAGES ? len == sizeof(size_t) : len > 0 && len <= KEY_MAX_BYTES;
}

static struct node_head node_at(const uint8_t *page, unsigned i, const uint8_t **ret_key)
{
    struct node_head node;
    uint16_t at;

    memcpy(&at, page + HEAD_BYTES + 2 * i, sizeof at);
    memcpy(&node, page + at, sizeof node);
    *ret_key = page + at + NODE_BYTES;
    return node;
}

static size_t value_bytes(const struct node_head *node)
{
    return (size_t)node->high << 16 | node->low;
}

/* Marks [from, to), in steps of two bytes; false where a part is marked already. */
static bool cover(uint64_t *covered, size_t from, size_t to)
{
    size_t word, first, last;
    uint64_t bits;

    for (word = from / 64; word * 64 < to; word++) {
        first = from > word * 64 ? from - word * 64 : 0;
        last = to < word * 64 + 64 ? to - word * 64 : 64;
        bits = (~0ULL >> (64 - (last - first))) << first;
        if (covered[word] & bits)
            return false;
        covered[word] |= bits;
    }
    return true;
}

/* The offsets, and that the nodes fill the room from `upper` to the end without touching each other. */
static const char *nodes_fault(const struct pages_check *c, const uint8_t *page, const struct page_head *head,
                               unsigned n)
{
    uint64_t covered[PAGE_MAX_BYTES / 2 / 64];
    size_t bytes, sum = 0;
    struct node_head node;
    const uint8_t *key;
    unsigned i;
    uint16_t at;

    memset(covered, 0, (c->page_bytes / 2 + 63) / 64 * sizeof covered[0]);
    for (i = 0; i < n; i++) {
        memcpy(&at, page + HEAD_BYTES + 2 * i, sizeof at);
        if (at < head->upper || at % 2 != 0 || at + (size_t)NODE_BYTES > c->page_bytes)
            return "a node lies outside";
        node = node_at(page, i, &key);
        bytes = (size_t)NODE_BYTES + node.key_bytes;
        if (head->flags == PAGE_LEAF)
            bytes += node.flags == NODE_RUN ? sizeof(size_t) : value_bytes(&node);
        bytes += bytes % 2;
        if (bytes > c->page_bytes - at)
            return "a node passes the end";
        if (!cover(covered, at / 2u, (at + bytes) / 2))
            return "two nodes overlap";
        sum += bytes;
    }
    return sum == c->page_bytes - head->upper ? NULL : "its nodes do not fill their room";
}

static int check_run(struct walk *w, size_t first, size_t len)
{
    const struct pages_check *c = w->check;
    size_t need = (HEAD_BYTES - 1 + len) / c->page_bytes + 1;
    struct page_head head;
    uint32_t n;
    int r;

    if (first >= c->n_file_pages)
        return broken(w, first, "not in the file");
    memcpy(&head, page_at(c, first), sizeof head);
    n = (uint32_t)head.upper << 16 | head.lower; /* little-endian, as bytes.h asserts */
    if (head.number != first || head.flags != PAGE_RUN)
        return broken(w, first, "not the head of a run");
    if (n < need) /* a shorter value may have taken the place of a longer one */
        return broken(w, first, "too short a run");
    r = take_pages(w, first, n);
    w->found.run_pages += n;
    return r;
}

bool db_pages_free_row(const void *value, size_t len, uint64_t last_page, const uint8_t **ret_list,
                       size_t *ret_n)
{
    const uint8_t *list = (const uint8_t *)value + sizeof(size_t);
    size_t i, n, page, before = NO_PAGE;

    if (len < sizeof(size_t) || len % sizeof(size_t) != 0)
        return false;
    n = load_size(value);
    if (n > len / sizeof(size_t) - 1)
        return false;
    for (i = 0; i < n; i++) {
        page = load_size(list + i * sizeof(size_t));
        if (page < FIRST_DATA_PAGE || page > last_page || page >= before)
            return false;
        before = page;
    }
    *ret_list = list;
    *ret_n = n;
    return true;
}

static int check_free_row(struct walk *w, size_t at_page, struct span key, struct span value)
{
    struct pages_check *c = w->check;
    const uint8_t *list;
    size_t i, n;

    if (load_size(key.data) > c->commit)
        return broken(w, at_page, "a commit that was not yet");
    if (!db_pages_free_row(value.data, value.len, c->last_page, &list, &n))
        return broken(w, at_page, "a list names a wrong page");
    for (i = 0; i < n; i++)
        if (!see(c, load_size(list + i * sizeof(size_t))))
            return broken(w, load_size(list + i * sizeof(size_t)), "reached twice, or free and in use");
    c->counts.n_free += n;
    return 0;
}

/* A row whose node lies within its page. */
static int check_row(struct walk *w, size_t at_page, const struct node_head *node, struct span key)
{
    struct span value = span_of(key.data + key.len, value_bytes(node));
    struct tree record;
    size_t run;
    int r;

    if (w->kind == TABLES) {
        if (node->flags != NODE_TREE || value.len != sizeof record)
            return broken(w, at_page, "a row is no table");
        memcpy(&record, value.data, sizeof record);
        w->check->counts.n_tables++;
        return db_pages_check_tree(w->check, TABLE, key, &record);
    }
    if (node->flags != 0 && node->flags != NODE_RUN)
        return broken(w, at_page, "a row of another kind");
    if (node->flags == NODE_RUN) {
        run = load_size(value.data);
        r = check_run(w, run, value.len);
        if (r != 0)
            return r;
        value.data = page_at(w->check, run) + HEAD_BYTES;
    }
    return w->kind == FREE_PAGES ? check_free_row(w, at_page, key, value) : 0;
}

static int check_leaf(struct walk *w, size_t number, unsigned n, struct bounds b)
{
    const uint8_t *page = page_at(w->check, number);
    struct node_head node;
    struct span key, before = b.from;
    unsigned i;
    int order, r = 0;

    for (i = 0; i < n && r == 0; i++) {
        node = node_at(page, i, &key.data);
        key.len = node.key_bytes;
        if (!key_is_long_as(w, key.len))
            return broken(w, number, "a key of a wrong length");
        order = before.data == NULL ? -1 : key_order(w, before, key);
        if (order > 0 || (order == 0 && i > 0))
            return broken(w, number, "keys out of order");
        if (b.to.data != NULL && key_order(w, key, b.to) >= 0)
            return broken(w, number, "a key that no branch leads to");
        r = check_row(w, number, &node, key);
        before = key;
    }
    w->found.leaves++;
    w->found.entries += n;
    return r;
}

static int check_page(struct walk *w, size_t number, unsigned level, struct bounds b);

static size_t child_of(const struct node_head *node)
{
    uint64_t number = (uint64_t)node->high << 16 | node->low;

    if (sizeof(size_t) > 4)
        number |= (uint64_t)node->flags << 32;
    return (size_t)number;
}

static int check_branch(struct walk *w, size_t number, unsigned n, unsigned level, struct bounds b)
{
    const uint8_t *page = page_at(w->check, number);
    struct bounds within = {b.from, b.to};
    struct node_head node, next = {0};
    const uint8_t *key;
    unsigned i;
    int r = 0;

    node = node_at(page, 0, &key);
    for (i = 0; i < n && r == 0; i++) {
        within.to = b.to;
        if (i + 1 < n) {
            next = node_at(page, i + 1, &key);
            within.to = span_of(key, next.key_bytes);
            if (!key_is_long_as(w, within.to.len))
                return broken(w, number, "a key of a wrong length");
            if ((within.from.data != NULL && key_order(w, within.from, within.to) >= 0) ||
                (b.to.data != NULL && key_order(w, within.to, b.to) >= 0))
                return broken(w, number, "keys out of order");
        }
        r = check_page(w, child_of(&node), level + 1, within);
        within.from = within.to;
        node = next;
    }
    w->found.branches++;
    return r;
}

/* The level says what a page must be: all leaves lie at the depth of the tree. */
static int check_page(struct walk *w, size_t number, unsigned level, struct bounds b)
{
    const struct pages_check *c = w->check;
    bool leaf = level == w->depth;
    struct page_head head;
    const char *fault;
    unsigned n;
    int r = take_pages(w, number, 1);

    if (r != 0)
        return r;
    memcpy(&head, page_at(c, number), sizeof head);
    if (head.number != number)
        return broken(w, number, "has the number of another page");
    if (head.flags != (leaf ? PAGE_LEAF : PAGE_BRANCH))
        return broken(w, number, "of another kind than its place");
    if (head.lower < HEAD_BYTES || head.lower % 2 != 0 || head.upper % 2 != 0 || head.lower > head.upper ||
        head.upper > c->page_bytes)
        return broken(w, number, "wrong bounds of its free room");
    n = (head.lower - (unsigned)HEAD_BYTES) / 2;
    /* LMDB leaves a branch with one child in the tree of free pages, and nowhere else. */
    if (n == 0 || (!leaf && n == 1 && w->kind != FREE_PAGES))
        return broken(w, number, "too few rows");
    fault = nodes_fault(c, page_at(c, number), &head, n);
    if (fault != NULL)
        return broken(w, number, fault);
    return leaf ? check_leaf(w, number, n, b) : check_branch(w, number, n, level, b);
}

int db_pages_check_tree(struct pages_check *c, enum tree_kind kind, struct span name,
                        const struct tree *record)
{
    struct walk w = {.check = c, .kind = kind, .name = name, .depth = record->depth};
    unsigned flags = kind == FREE_PAGES ? record->flags & ~(unsigned)TREE_ONE_FILE : record->flags;
    struct bounds all = {{NULL, 0}, {NULL, 0}};
    bool empty = record->root == NO_PAGE;
    int r = 0;

    if (flags != (kind == FREE_PAGES ? TREE_INTEGER_KEYS : 0))
        return broken(&w, record->root, "a tree of another kind");
    if (empty != (record->depth == 0) || record->depth > DEPTH_MAX)
        return broken(&w, record->root, "too deep or too flat a tree");
    if (!empty)
        r = check_page(&w, record->root, 1, all);
    if (r != 0)
        return r;
    if (w.found.branches != record->branches || w.found.leaves != record->leaves ||
        w.found.run_pages != record->run_pages || w.found.entries != record->entries)
        return broken(&w, record->root, "a tree of another size than its record says");
    return 0;
}
