#include "spool/db.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "spool/db_pages.h"
#include "spool/db_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child tells; shorter than PIPE_BUF, so it comes whole or not at all. */
struct report {
    int result;
    struct db_verify_result counts;
    char text[sizeof(((struct errmsg *)0)->text)];
};
_Static_assert(sizeof(struct report) <= PIPE_BUF, "one write");

static int broken(struct errmsg *err, const char *table, const char *what)
{
    return errmsg_set(err, DB_UNREADABLE, "table %s: %s", table, what);
}

static int key_order(const MDB_val *a, const MDB_val *b)
{
    size_t both = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    int order = memcmp(a->mv_data, b->mv_data, both);

    return order != 0 ? order : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

/* Keys must rise and be as many as the table says. Where the pages were not judged they must be found from
 * the root too: a scan alone would not see a damaged branch. */
static int walk(struct db *db, MDB_txn *txn, unsigned table, bool judged, struct db_verify_result *counts,
                struct errmsg *err)
{
    const char *name = db->names[table];
    MDB_cursor *c;
    MDB_val k, v, again, before = {0, NULL};
    MDB_stat s;
    struct span value;
    uint64_t n = 0, n_damaged = 0;
    int rc;

    if (mdb_stat(txn, db->tables[table], &s) != 0 || mdb_cursor_open(txn, db->tables[table], &c) != 0)
        return broken(err, name, "cannot be opened");
    while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
        if (k.mv_size == 0 || k.mv_size > DB_KEY_MAX_BYTES || (n > 0 && key_order(&before, &k) >= 0))
            return broken(err, name, "keys out of order");
        if (!judged && (mdb_get(txn, db->tables[table], &k, &again) != 0 || again.mv_data != v.mv_data))
            return broken(err, name, "a key is not found from the root");
        if (db_value_check(db, db_span_of(&k), &v, &value) != 0)
            n_damaged++;
        before = k;
        n++;
    }
    mdb_cursor_close(c);
    if (rc != MDB_NOTFOUND || n != s.ms_entries)
        return broken(err, name, "a page is broken");
    counts->n_values += n;
    counts->n_damaged += n_damaged;
    if (n_damaged > 0)
        errmsg_set(err, 0, "table %s: %llu of %llu values are damaged", name, (unsigned long long)n_damaged,
                   (unsigned long long)n);
    return 0;
}

/* LMDB's list of free pages: a wrong entry would hand out a page that is in use. */
static int walk_free_list(struct db *db, MDB_txn *txn, uint64_t last_page, struct errmsg *err)
{
    enum { FREE_TABLE = 0 };
    uint64_t n_free = 0;
    const uint8_t *list;
    MDB_cursor *c;
    MDB_val k, v;
    size_t n;
    int rc;

    if (mdb_cursor_open(txn, FREE_TABLE, &c) != 0)
        return broken(err, "of free pages", "cannot be opened");
    while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
        if (!db_pages_free_row(v.mv_data, v.mv_size, last_page, &list, &n))
            return broken(err, "of free pages", "a list names a wrong page");
        n_free += n;
    }
    mdb_cursor_close(c);
    if (rc != MDB_NOTFOUND || n_free + db_pages_used(db, txn) > last_page + 1)
        return broken(err, "of free pages", "pages are both free and in use");
    return 0;
}

static int walk_tables(struct db *db, const struct db_pages *judged, struct db_verify_result *counts,
                       struct errmsg *err)
{
    uint64_t n_here = 1; /* the format's */
    MDB_envinfo info;
    MDB_txn *txn;
    unsigned i;
    int r = 0;

    if (mdb_env_info(db->env, &info) != 0 || db_begin_read(db, &txn) != 0)
        return errmsg_set(err, DB_UNREADABLE, "the store cannot be read");
    for (i = 0; i < db->n_tables && r == 0; i++)
        if (db->tables[i] != DB_NO_TABLE) {
            r = walk(db, txn, i, judged != NULL, counts, err);
            n_here++;
        }
    /* An older store lacks tables, a newer one has more. One that lacks some and has others instead has a
     * damaged name, and what is under it would be lost without a word. */
    if (r == 0 && judged != NULL && n_here < db->n_tables + 1 && judged->n_tables > n_here)
        r = broken(err, "of tables", "a table has a name that nobody knows, and one is missing");
    if (r == 0 && judged == NULL)
        r = walk_free_list(db, txn, info.me_last_pgno, err);
    mdb_txn_abort(txn);
    return r;
}

static int check_heads(const char *data, struct errmsg *err)
{
    owned(close_fd) int fd = open(data, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : db_pages_check_heads(fd, err);
}

static int hold_last(void *ctx, uint64_t *ret_commit)
{
    MDB_txn *txn = ctx;
    int r;

    mdb_txn_reset(txn);
    r = db_map_code(mdb_txn_renew(txn));
    if (r == 0)
        *ret_commit = mdb_txn_id(txn);
    return r;
}

/* LMDB reads no page of a tree here: it only holds the commit against a process that writes. */
static int check_pages(MDB_env *env, struct db_pages *ret_pages, struct errmsg *err)
{
    MDB_txn *txn;
    int fd, r = db_map_code(mdb_env_get_fd(env, &fd));

    if (r == 0)
        r = db_map_code(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
    if (r != 0)
        return r;
    r = db_pages_check(fd, hold_last, txn, ret_pages, err);
    mdb_txn_abort(txn);
    return r;
}

/* Opened and closed by itself: to open a store's tables is to read pages. 0, DB_PAGES_UNKNOWN, DB_UNREADABLE,
 * negative errno. */
static int judge_pages(const char *path, const char *data, struct db_pages *ret_pages, struct errmsg *err)
{
    struct errmsg why = {"not a data file of LMDB"};
    MDB_env *env;
    int r = check_heads(data, &why);

    if (r == 0) {
        r = db_map_code(mdb_env_create(&env));
        if (r != 0)
            return errmsg_set(err, r, "%s: cannot be checked: %s", path, strerror(-r));
        r = db_map_code(mdb_env_set_maxreaders(env, DB_READERS_MAX));
        if (r == 0)
            r = db_map_code(mdb_env_open(env, path, MDB_NOTLS | MDB_RDONLY, 0600));
        if (r == 0)
            r = check_pages(env, ret_pages, &why);
        mdb_env_close(env);
    }
    if (r == DB_PAGES_BROKEN || r == -EUCLEAN)
        return errmsg_set(err, DB_UNREADABLE, "%s: the store is damaged; move the folder away: %s", path,
                          why.text);
    return r < 0 ? errmsg_set(err, r, "%s: cannot be checked: %s", path, strerror(-r)) : r;
}

static int walk_all(const struct db_options *o, const char *data, struct db_verify_result *counts,
                    struct errmsg *err)
{
    struct db_options ro = *o;
    struct db_pages pages;
    struct db *db;
    int judged, r;

    judged = judge_pages(o->path, data, &pages, err);
    if (judged < 0 || judged == DB_UNREADABLE)
        return judged;
    ro.read_only = true;
    r = db_open(&db, &ro, err);
    if (r == -EUCLEAN)
        return DB_UNREADABLE;
    if (r != 0)
        return r;
    r = walk_tables(db, judged == 0 ? &pages : NULL, counts, err);
    db_close(db);
    return r == 0 && counts->n_damaged > 0 ? DB_DAMAGED : r;
}

/* The child must not outlive the daemon that waits for it, nor keep the daemon's locks with the descriptors
 * that a fork hands on: else a daemon killed during the check could not be started again until the check
 * ends. */
static void stay_no_longer_than(pid_t parent, int fd)
{
    close_range(STDERR_FILENO + 1, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0U, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

/* Never returns. LMDB may abort, or run into a page that is not there: no core, no words, an end in time. */
static void be_child(pid_t parent, int fd, const struct db_options *o, const char *data, unsigned timeout_s)
{
    struct report report = {0};
    struct errmsg err = {""};
    const struct rlimit no_core = {0, 0};
    static const int deadly[] = {SIGALRM, SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    sigset_t none;
    size_t i;
    int null;

    stay_no_longer_than(parent, fd);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDERR_FILENO);
    for (i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
        signal(deadly[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(timeout_s);
    report.result = walk_all(o, data, &report.counts, &err);
    memcpy(report.text, err.text, sizeof report.text);
    _exit(write(fd, &report, sizeof report) == (ssize_t)sizeof report ? 0 : 1);
}

static int collect(int fd, pid_t child, const char *path, struct report *ret_report, struct errmsg *err)
{
    size_t n = 0;
    ssize_t got;
    int status;

    while (n < sizeof *ret_report) {
        got = read(fd, (uint8_t *)ret_report + n, sizeof *ret_report - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errmsg_set(err, -errno, "%s: lost the child that checks it", path);
    if (n == sizeof *ret_report)
        return 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return errmsg_set(err, -ETIMEDOUT, "%s: checking it took too long", path);
    return errmsg_set(err, DB_UNREADABLE, "%s: a page is broken (the check ended by signal %d)", path,
                      WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int db_verify(const struct db_options *o, unsigned timeout_s, struct db_verify_result *ret_result,
              struct errmsg *err)
{
    struct report report;
    char data[PATH_MAX];
    struct stat st;
    int fds[2], n, r;
    pid_t parent = getpid(), child;

    n = snprintf(data, sizeof data, "%s/data.mdb", o->path);
    if (n < 0 || (size_t)n >= sizeof data)
        return errmsg_set(err, -ENAMETOOLONG, "%s: too long a path", o->path);
    if (stat(data, &st) < 0 && errno == ENOENT) {
        *ret_result = (struct db_verify_result){0};
        return 0;
    }
    /* What some file systems leave of a file after a power cut; LMDB would take it for one to be made. */
    if (stat(data, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
        return errmsg_set(err, DB_UNREADABLE, "%s: empty", data);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return errmsg_set(err, -errno, "%s: no pipe for checking it: %s", o->path, strerror(errno));
    child = fork();
    if (child == 0)
        be_child(parent, fds[1], o, data, timeout_s);
    r = child < 0 ? -errno : 0;
    close(fds[1]);
    if (child > 0)
        r = collect(fds[0], child, o->path, &report, err);
    else
        errmsg_set(err, r, "%s: no child for checking it: %s", o->path, strerror(-r));
    close(fds[0]);
    if (r != 0)
        return r;
    *ret_result = report.counts;
    if (report.result != 0)
        errmsg_set(err, report.result, "%s", report.text);
    return report.result;
}

int db_quarantine(const char *path, char *ret_new_path, size_t ret_bytes)
{
    enum { TRIES = 10000 };
    size_t len = strlen(path);
    char parent[PATH_MAX], name[PATH_MAX];
    unsigned i;
    int n;

    while (len > 1 && path[len - 1] == '/')
        len--;
    for (i = 1; i < TRIES; i++) {
        n = snprintf(name, sizeof name, "%.*s.quarantine-%u", (int)len, path, i);
        if (n < 0 || (size_t)n >= sizeof name || (size_t)n >= ret_bytes)
            return -ENAMETOOLONG;
        if (renameat2(AT_FDCWD, path, AT_FDCWD, name, RENAME_NOREPLACE) == 0) {
            memcpy(ret_new_path, name, (size_t)n + 1);
            n = snprintf(parent, sizeof parent, "%s/..", name);
            return n < 0 || (size_t)n >= sizeof parent ? -ENAMETOOLONG : file_sync_dir(parent);
        }
        if (errno != EEXIST && errno != ENOTEMPTY)
            return -errno;
    }
    return -EEXIST;
}
