/* Pages of a data file, damaged one field at a time: the check at a start names the page, before LMDB writes
 * by it. And the other way round: what LMDB leaves behind after random work is never refused. */
#include "helper.h"

#include "base/rng.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, HEAD = 16, TABLE = SPOOL_TABLE_RECORDS };
/* Offsets in a page's head, in a tree's record, in a node. */
enum { AT_FLAGS = 10, AT_LOWER = 12, AT_UPPER = 14, AT_RUN = 12 };
enum { TREE_FLAGS = 4, TREE_DEPTH = 6, TREE_ENTRIES = 32, TREE_ROOT = 40 };
enum { NODE_FLAGS = 4, NODE_KEY_BYTES = 6, NODE_HEAD = 8 };
enum {
    META_FREE = HEAD + 24,
    META_TABLES = META_FREE + 48,
    META_LAST = META_TABLES + 48,
    META_COMMIT = META_LAST + 8
};

/* A store's data file, mapped for writing, between two opens. */
struct file {
    char dir[HELPER_PATH_BYTES];
    uint8_t *map;
    size_t n_bytes;
    uint8_t *meta, *tree; /* of the last commit; record of the table `records` in the tree of tables */
};

static uint16_t *u16_at(uint8_t *p)
{
    return (uint16_t *)(void *)p;
}

static uint8_t *page_at(const struct file *f, uint64_t number)
{
    assert_true((number + 1) * PAGE <= f->n_bytes);
    return f->map + number * PAGE;
}

static uint8_t *node_at(uint8_t *page, unsigned i)
{
    return page + *u16_at(page + HEAD + 2 * i);
}

static uint64_t child_at(uint8_t *page, unsigned i)
{
    return load_le64(node_at(page, i)) & UINT64_C(0xffffffffffff);
}

static void set_child(uint8_t *page, unsigned i, uint64_t number)
{
    memcpy(node_at(page, i), &number, 6);
}

static void put(struct db *db, uint32_t from, uint32_t to, size_t len)
{
    struct db_txn *t;
    uint8_t key[4];

    assert_int_equal(db_begin(db, true, &t), 0);
    for (; from <= to; from++) {
        store_be32(key, from);
        assert_int_equal(db_put(t, TABLE, span_of(key, sizeof key), helper_payload(from, len)), 0);
    }
    assert_int_equal(db_commit(t), 0);
}

static struct db *open_db(const char *dir)
{
    struct db_options o = helper_db(dir);
    struct errmsg err = {""};
    struct db *db;

    assert_int_equal(db_open(&db, &o, &err), 0);
    return db;
}

static void map_file(struct file *f)
{
    char name[HELPER_PATH_BYTES];
    uint8_t *tables;
    struct stat st;
    int fd;

    helper_join(name, f->dir, "data.mdb");
    fd = open(name, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    f->n_bytes = (size_t)st.st_size;
    f->map = mmap(NULL, f->n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(f->map != MAP_FAILED);
    close(fd);
    f->meta = f->map + (load_le64(f->map + PAGE + META_COMMIT) > load_le64(f->map + META_COMMIT) ? PAGE : 0);
    tables = page_at(f, load_le64(f->meta + META_TABLES + TREE_ROOT));
    f->tree = memmem(tables, PAGE, "records", 7);
    assert_non_null(f->tree);
    f->tree += 7;
}

/* Short values in a tree of two levels, two long ones, and free pages. */
static void setup(struct file *f)
{
    struct db *db;

    helper_dir_make(f->dir);
    db = open_db(f->dir);
    put(db, 1, 60, 600);
    put(db, 61, 62, 9000);
    put(db, 20, 21, 500);
    db_close(db);
    map_file(f);
}

static void teardown(struct file *f)
{
    munmap(f->map, f->n_bytes);
    helper_dir_remove(f->dir);
}

static uint8_t *root_of(const struct file *f)
{
    return page_at(f, load_le64(f->tree + TREE_ROOT));
}

static uint8_t *leaf_of(const struct file *f, unsigned i)
{
    return page_at(f, child_at(root_of(f), i));
}

/* The node of a long value: its page's last one. */
static uint8_t *long_node(const struct file *f)
{
    unsigned n = (*u16_at(root_of(f) + AT_LOWER) - HEAD) / 2;
    uint8_t *leaf = leaf_of(f, n - 1), *node;

    node = node_at(leaf, (*u16_at(leaf + AT_LOWER) - HEAD) / 2 - 1u);
    assert_int_equal(*u16_at(node + NODE_FLAGS), 1);
    return node;
}

static uint8_t *run_of(const struct file *f)
{
    uint8_t *node = long_node(f);

    return page_at(f, load_le64(node + NODE_HEAD + *u16_at(node + NODE_KEY_BYTES)));
}

static uint8_t *free_root_of(const struct file *f)
{
    return page_at(f, load_le64(f->meta + META_FREE + TREE_ROOT));
}

static int verify(const struct file *f, struct errmsg *err)
{
    struct db_options o = helper_db(f->dir);
    struct db_verify_result result;

    return db_verify(&o, 20, &result, err);
}

/* Refused by a judgement that says `what`, not because the check died of it; and ends the case. */
static void refused(struct file *f, const char *what)
{
    struct errmsg err = {""};
    int r = verify(f, &err);

    if (r != DB_UNREADABLE || strstr(err.text, what) == NULL)
        print_error("%d %s\n", r, err.text);
    assert_int_equal(r, DB_UNREADABLE);
    assert_non_null(strstr(err.text, what));
    teardown(f);
}

static void undamaged_store_is_good(void **state)
{
    struct errmsg err = {""};
    struct file f;

    (void)state;
    setup(&f);
    assert_int_equal(verify(&f, &err), 0);
    teardown(&f);
}

static void raised_upper_bound_of_a_leaf_is_refused(void **state)
{
    struct file f;
    uint8_t *leaf;

    (void)state;
    setup(&f);
    leaf = leaf_of(&f, 1);
    assert_int_equal(*u16_at(leaf + AT_FLAGS), 2);
    assert_true(*u16_at(leaf + AT_UPPER) < 0x800);
    *u16_at(leaf + AT_UPPER) += 0x800;
    refused(&f, "a node lies outside");
}

static void lowered_upper_bound_of_a_leaf_is_refused(void **state)
{
    struct file f;

    (void)state;
    setup(&f);
    *u16_at(leaf_of(&f, 1) + AT_UPPER) -= 2;
    refused(&f, "do not fill their room");
}

static void crossed_or_odd_bounds_are_refused(void **state)
{
    struct file f;

    (void)state;
    setup(&f);
    *u16_at(leaf_of(&f, 1) + AT_LOWER) = 0xfff0;
    refused(&f, "wrong bounds");
    setup(&f);
    *u16_at(leaf_of(&f, 1) + AT_LOWER) += 1;
    refused(&f, "wrong bounds");
    setup(&f);
    *u16_at(leaf_of(&f, 1) + AT_LOWER) = HEAD;
    refused(&f, "too few rows");
}

static void node_past_the_end_or_over_another_is_refused(void **state)
{
    struct file f;
    uint8_t *leaf;

    (void)state;
    setup(&f);
    *u16_at(leaf_of(&f, 1) + HEAD) = PAGE - NODE_HEAD;
    refused(&f, "a node passes the end");
    setup(&f);
    leaf = leaf_of(&f, 1);
    *u16_at(leaf + HEAD) = *u16_at(leaf + HEAD + 2);
    refused(&f, "two nodes overlap");
}

static void exchanged_keys_are_refused(void **state)
{
    struct file f;
    uint16_t first;
    uint8_t *leaf;

    (void)state;
    setup(&f);
    leaf = leaf_of(&f, 1);
    first = *u16_at(leaf + HEAD);
    *u16_at(leaf + HEAD) = *u16_at(leaf + HEAD + 2);
    *u16_at(leaf + HEAD + 2) = first;
    refused(&f, "keys out of order");
}

static void key_of_another_branch_is_refused(void **state)
{
    struct file f;
    uint8_t *leaf;

    (void)state;
    setup(&f);
    leaf = leaf_of(&f, 1);
    node_at(leaf, (*u16_at(leaf + AT_LOWER) - HEAD) / 2 - 1u)[NODE_HEAD] = 0x7f;
    refused(&f, "a key that no branch leads to");
}

static void child_out_of_range_is_refused(void **state)
{
    struct file f;

    (void)state;
    setup(&f);
    set_child(root_of(&f), 1, load_le64(f.meta + META_LAST) + 1);
    refused(&f, "not in the file");
    setup(&f);
    set_child(root_of(&f), 1, 1);
    refused(&f, "not in the file");
}

static void page_linked_twice_is_refused(void **state)
{
    struct file f;

    (void)state;
    setup(&f);
    set_child(root_of(&f), 2, child_at(root_of(&f), 1));
    refused(&f, "reached twice");
    setup(&f);
    set_child(root_of(&f), 1, load_le64(f.tree + TREE_ROOT)); /* in a circle */
    refused(&f, "reached twice");
}

static void page_of_another_kind_is_refused(void **state)
{
    struct file f;

    (void)state;
    setup(&f);
    *u16_at(leaf_of(&f, 1) + AT_FLAGS) = 0x22;
    refused(&f, "of another kind");
    setup(&f);
    *u16_at(root_of(&f) + AT_FLAGS) = 2;
    refused(&f, "of another kind");
    setup(&f);
    leaf_of(&f, 1)[0] ^= 1;
    refused(&f, "the number of another page");
}

static void run_of_a_wrong_length_is_refused(void **state)
{
    struct file f;

    (void)state;
    setup(&f);
    memset(run_of(&f) + AT_RUN, 0xff, 4);
    refused(&f, "not in the file");
    setup(&f);
    *u16_at(run_of(&f) + AT_RUN) += 1;
    refused(&f, "table records");
    setup(&f);
    *u16_at(run_of(&f) + AT_RUN) -= 1;
    refused(&f, "too short a run");
    setup(&f);
    *u16_at(run_of(&f) + AT_FLAGS) = 2;
    refused(&f, "not the head of a run");
    setup(&f);
    long_node(&f)[2] = 0x40; /* a value of 4 MiB */
    refused(&f, "too short a run");
}

static void damaged_head_in_the_list_of_free_pages_is_refused(void **state)
{
    struct file f;

    (void)state;
    setup(&f);
    *u16_at(free_root_of(&f) + AT_UPPER) += 0x40;
    refused(&f, "table of free pages");
    setup(&f);
    *u16_at(free_root_of(&f) + AT_FLAGS) = 1;
    refused(&f, "table of free pages");
    setup(&f);
    free_root_of(&f)[1] ^= 1;
    refused(&f, "table of free pages");
}

static void free_page_that_is_in_use_is_refused(void **state)
{
    uint64_t row[2] = {1};
    uint8_t *node;
    struct file f;

    (void)state;
    setup(&f);
    node = node_at(free_root_of(&f), 0);
    row[1] = child_at(root_of(&f), 1);
    memcpy(node + NODE_HEAD + 8, row, sizeof row); /* fewer pages than before: their sum tells nothing */
    refused(&f, "free and in use");
}

static void record_of_a_tree_must_agree_with_the_tree(void **state)
{
    static const unsigned fields[] = {TREE_FLAGS, TREE_DEPTH, 8, 16, 24, TREE_ENTRIES};
    struct file f;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        setup(&f);
        f.tree[fields[i]] += 4;
        refused(&f, "table records");
    }
}

static void commit_that_does_not_follow_the_one_before_is_refused(void **state)
{
    struct file f;

    (void)state;
    setup(&f);
    f.meta[META_COMMIT + 3] = 1;
    refused(&f, "do not fit each other");
    setup(&f);
    f.meta[META_LAST + 5] = 1;
    refused(&f, "a wrong last page");
}

static void table_with_a_damaged_name_is_not_lost(void **state)
{
    struct file f;

    (void)state;
    setup(&f);
    f.tree[-1] = 'z'; /* recordz: still in order */
    refused(&f, "a name that nobody knows");
}

static void format_with_a_damaged_name_is_damage_and_no_other_program_s(void **state)
{
    struct file f;
    uint8_t *at;

    (void)state;
    setup(&f);
    while ((at = memmem(f.map, f.n_bytes, "format", 6)) != NULL)
        at[5] = 'z'; /* formaz: still in order */
    refused(&f, "format row");
}

/* Puts, overwrites by longer and shorter values, deletes, at random. */
static void work(struct db *db, struct rng *rng)
{
    static const size_t lens[] = {0, 30, 300, 1900, 5000, 12000};
    struct db_txn *t;
    uint8_t key[4];
    unsigned n = 1 + (unsigned)rng_below(rng, 60);
    uint32_t at = (uint32_t)rng_below(rng, 900), table = (uint32_t)rng_below(rng, SPOOL_TABLES);
    int r = 0;

    assert_int_equal(db_begin(db, true, &t), 0);
    while (n-- > 0 && r != DB_FULL) {
        at = rng_below(rng, 3) > 0 ? at + 1 : (uint32_t)rng_below(rng, 900);
        store_be32(key, at);
        if (rng_below(rng, 5) < 2)
            r = db_del(t, table, span_of(key, 1 + at % 4));
        else
            r = db_put(t, table, span_of(key, 1 + at % 4),
                       helper_payload(at, lens[rng_below(rng, sizeof lens / sizeof lens[0])]));
        assert_true(r == 0 || r == DB_NOT_FOUND || r == DB_FULL);
    }
    if (r == DB_FULL || rng_below(rng, 8) == 0)
        db_abort(t);
    else
        assert_in_range(db_commit(t), 0, DB_FULL);
}

static void whatever_lmdb_leaves_behind_is_good(void **state)
{
    enum { COMMITS = 600, CHECK_EVERY = 4 };
    struct rng rng = {2026};
    struct errmsg err = {""};
    struct file f;
    struct db *db;
    unsigned i, j;
    int r;

    (void)state;
    helper_dir_make(f.dir);
    for (i = 0; i < COMMITS / CHECK_EVERY; i++) {
        db = open_db(f.dir);
        for (j = 0; j < CHECK_EVERY; j++)
            work(db, &rng);
        db_close(db);
        r = verify(&f, &err);
        if (r != 0)
            print_error("%u: %d %s\n", i, r, err.text);
        assert_int_equal(r, 0);
    }
    helper_dir_remove(f.dir);
}

/* Never returns. A full map is no failure: the readers hold pages. */
static void write_for_ever(const char *dir)
{
    struct db *db = open_db(dir);
    struct db_txn *t;
    uint8_t key[4];
    uint32_t i = 0;
    int r;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        store_be32(key, i++ % 60);
        if (db_begin(db, true, &t) != 0)
            _exit(1);
        r = db_put(t, TABLE, span_of(key, sizeof key), helper_payload(i, i % 3 > 0 ? 200 : 6000));
        if (r < 0 || db_commit(t) < 0)
            _exit(1);
    }
}

static uint64_t last_commit(const struct file *f)
{
    uint64_t even = load_le64(f->map + META_COMMIT), odd = load_le64(f->map + PAGE + META_COMMIT);

    return even > odd ? even : odd;
}

static void store_that_is_written_meanwhile_is_good(void **state)
{
    enum { CHECKS = 40 };
    struct errmsg err = {""};
    uint64_t before;
    struct file f;
    pid_t writer;
    unsigned i;
    int status, r;

    (void)state;
    setup(&f);
    writer = fork();
    if (writer == 0)
        write_for_ever(f.dir);
    assert_true(writer > 0);
    for (i = 0; i < CHECKS; i++) {
        before = last_commit(&f);
        r = verify(&f, &err);
        if (r != 0)
            print_error("%d %s\n", r, err.text);
        assert_int_equal(r, 0);
        while (last_commit(&f) == before) /* until it has written once more */
            assert_int_equal(waitpid(writer, &status, WNOHANG), 0);
    }
    kill(writer, SIGKILL);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_true(WIFSIGNALED(status));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undamaged_store_is_good),
        cmocka_unit_test(raised_upper_bound_of_a_leaf_is_refused),
        cmocka_unit_test(lowered_upper_bound_of_a_leaf_is_refused),
        cmocka_unit_test(crossed_or_odd_bounds_are_refused),
        cmocka_unit_test(node_past_the_end_or_over_another_is_refused),
        cmocka_unit_test(exchanged_keys_are_refused),
        cmocka_unit_test(key_of_another_branch_is_refused),
        cmocka_unit_test(child_out_of_range_is_refused),
        cmocka_unit_test(page_linked_twice_is_refused),
        cmocka_unit_test(page_of_another_kind_is_refused),
        cmocka_unit_test(run_of_a_wrong_length_is_refused),
        cmocka_unit_test(damaged_head_in_the_list_of_free_pages_is_refused),
        cmocka_unit_test(free_page_that_is_in_use_is_refused),
        cmocka_unit_test(record_of_a_tree_must_agree_with_the_tree),
        cmocka_unit_test(commit_that_does_not_follow_the_one_before_is_refused),
        cmocka_unit_test(table_with_a_damaged_name_is_not_lost),
        cmocka_unit_test(format_with_a_damaged_name_is_damage_and_no_other_program_s),
        cmocka_unit_test(whatever_lmdb_leaves_behind_is_good),
        cmocka_unit_test(store_that_is_written_meanwhile_is_good),
    };

    return cmocka_run_group_tests_name("spool-pages", tests, NULL, NULL);
}
