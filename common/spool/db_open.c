#include "spool/db.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "spool/db_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* The format row: magic, major, minor, environment id, role; sealed with the sum whose keys come from that
 * id. */
enum {
    MAGIC_BYTES = 8,
    ROLE_BYTES = 16,
    FORMAT_BYTES = MAGIC_BYTES + 2 + 2 + ID128_BYTES + ROLE_BYTES,
    FORMAT_ROW_BYTES = FORMAT_BYTES + CHECKSUM_BYTES,
};
static const char format_magic[MAGIC_BYTES + 1] = "FOGSTORE";
static const char format_table[] = "format";
static const char format_key[] = "format";

/* linux/magic.h of older systems lacks some of these. */
static const struct {
    unsigned long type;
    const char *name;
} refused_file_systems[] = {
    {0x6969, "NFS"},         {0xff534d42, "CIFS"}, {0xfe534d42, "SMB2"}, {0x517b, "SMB"},
    {0x794c7630, "overlay"}, {0x01021997, "9p"},   {0x00c36400, "Ceph"},
};

static int check_file_system(const char *path, struct errmsg *err)
{
    struct statfs fs;
    size_t i;

    if (statfs(path, &fs) < 0)
        return errmsg_set(err, -errno, "%s: cannot ask for its file system: %s", path, strerror(errno));
    for (i = 0; i < sizeof refused_file_systems / sizeof refused_file_systems[0]; i++)
        if (((unsigned long)fs.f_type & 0xffffffff) == refused_file_systems[i].type)
            return errmsg_set(err, -EINVAL,
                              "%s lies on %s, where a commit may not be durable; use a local file system",
                              path, refused_file_systems[i].name);
    return 0;
}

static int fail(struct errmsg *err, int r, const char *path, const char *what)
{
    if (r == -EACCES || r == -EPERM || r == -EROFS)
        return errmsg_set(
            err, r,
            "%s: %s: %s; readers too must be able to write lock.mdb there: run as the user of the daemon",
            path, what, strerror(-r));
    if (r == -ENOSPC)
        return errmsg_set(err, r,
                          "%s: %s: no room for the whole store; free the disk or make the store smaller",
                          path, what);
    if (r == -EUCLEAN)
        return errmsg_set(err, r, "%s: %s: the store is damaged; move the folder away", path, what);
    return errmsg_set(err, r < 0 ? r : -EIO, "%s: %s: %s", path, what,
                      r < 0 ? strerror(-r) : "the store is too small");
}

static int path_join(char *out, size_t out_bytes, const char *folder, const char *name)
{
    int n = snprintf(out, out_bytes, "%s/%s", folder, name);

    return n < 0 || (size_t)n >= out_bytes ? -ENAMETOOLONG : 0;
}

static int preallocate(struct db *db, uint64_t map_bytes)
{
    int fd, error;

    if (mdb_env_get_fd(db->env, &fd) != 0)
        return -EIO;
    error = posix_fallocate(fd, 0, (off_t)map_bytes);
    if (error != 0)
        return -error;
    /* The commits to come sync data only; where the blocks lie has to be on disk before. */
    return fsync(fd) < 0 ? -errno : 0;
}

static void format_fill(uint8_t row[FORMAT_ROW_BYTES], struct db *db, const char *role)
{
    memset(row, 0, FORMAT_ROW_BYTES);
    memcpy(row, format_magic, MAGIC_BYTES);
    row[MAGIC_BYTES] = DB_FORMAT_MAJOR;
    row[MAGIC_BYTES + 2] = DB_FORMAT_MINOR;
    memcpy(row + MAGIC_BYTES + 4, db->id.bytes, ID128_BYTES);
    memcpy(row + MAGIC_BYTES + 4 + ID128_BYTES, role, strlen(role));
    checksum_make(&db->sum, span_str(format_key), span_of(row, FORMAT_BYTES), row + FORMAT_BYTES);
}

static int format_check(struct db *db, const MDB_val *v, const struct db_options *o, struct errmsg *err)
{
    const uint8_t *row = v->mv_data;
    uint8_t sum[CHECKSUM_BYTES];
    char role[ROLE_BYTES + 1] = "";
    unsigned major, minor;

    if (v->mv_size != FORMAT_ROW_BYTES || memcmp(row, format_magic, MAGIC_BYTES) != 0)
        return fail(err, -EUCLEAN, o->path, "format row");
    memcpy(db->id.bytes, row + MAGIC_BYTES + 4, ID128_BYTES);
    checksum_init(&db->sum, &db->id);
    checksum_make(&db->sum, span_str(format_key), span_of(row, FORMAT_BYTES), sum);
    if (memcmp(sum, row + FORMAT_BYTES, CHECKSUM_BYTES) != 0)
        return fail(err, -EUCLEAN, o->path, "format row");
    major = row[MAGIC_BYTES] | (unsigned)row[MAGIC_BYTES + 1] << 8;
    minor = row[MAGIC_BYTES + 2] | (unsigned)row[MAGIC_BYTES + 3] << 8;
    memcpy(role, row + MAGIC_BYTES + 4 + ID128_BYTES, ROLE_BYTES);
    if (major != DB_FORMAT_MAJOR)
        return errmsg_set(err, -EINVAL,
                          "%s has format %u.%u, this program knows %d.x; use the matching version", o->path,
                          major, minor, DB_FORMAT_MAJOR);
    if (strcmp(role, o->role) != 0)
        return errmsg_set(err, -EINVAL, "%s is the store of a %s, not of a %s; give another folder", o->path,
                          role, o->role);
    return 0;
}

/* Opens what is there; ret_missing tells whether a table (or all of them) has to be made. */
static int open_tables(struct db *db, MDB_txn *txn, const struct db_options *o, bool make, bool *ret_missing)
{
    unsigned i, flags = make ? MDB_CREATE : 0;
    bool missing = false;
    int rc;

    rc = mdb_dbi_open(txn, format_table, flags, &db->format);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return db_map_code(rc);
    missing = rc == MDB_NOTFOUND;
    for (i = 0; i < o->n_tables; i++) {
        db->tables[i] = DB_NO_TABLE;
        rc = mdb_dbi_open(txn, o->tables[i], flags, &db->tables[i]);
        if (rc != 0 && rc != MDB_NOTFOUND)
            return db_map_code(rc);
        if (rc == MDB_NOTFOUND) {
            db->tables[i] = DB_NO_TABLE;
            missing = true;
        }
    }
    *ret_missing = missing;
    return 0;
}

static int make_tables(struct db *db, const struct db_options *o, bool fresh)
{
    uint8_t row[FORMAT_ROW_BYTES];
    MDB_val k = db_val_of(span_str(format_key)), v = {sizeof row, row};
    MDB_txn *txn;
    bool missing;
    int r = db_map_code(mdb_txn_begin(db->env, NULL, 0, &txn));

    if (r != 0)
        return r;
    r = open_tables(db, txn, o, true, &missing);
    if (r == 0 && fresh) {
        db->id = id128_random();
        checksum_init(&db->sum, &db->id);
        format_fill(row, db, o->role);
        r = db_map_code(mdb_put(txn, db->format, &k, &v, 0));
    }
    if (r != 0) {
        mdb_txn_abort(txn);
        return r;
    }
    return db_map_code(mdb_txn_commit(txn));
}

static int open_env(struct db *db, const char *folder, const struct db_options *o, struct errmsg *err)
{
    unsigned flags = MDB_NOTLS | (o->read_only ? MDB_RDONLY : 0);
    int r = db_map_code(mdb_env_create(&db->env));

    if (r == 0)
        r = db_map_code(mdb_env_set_maxreaders(db->env, DB_READERS_MAX));
    if (r == 0)
        r = db_map_code(mdb_env_set_maxdbs(db->env, DB_TABLES_MAX + 1));
    if (r == 0 && db->created)
        r = db_map_code(mdb_env_set_mapsize(db->env, o->map_bytes));
    if (r == 0)
        r = db_map_code(mdb_env_open(db->env, folder, flags, 0600));
    return r == 0 ? 0 : fail(err, r, o->path, "open");
}

static void remove_making(const char *making)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    char file[PATH_MAX];
    size_t i;

    for (i = 0; i < sizeof files / sizeof files[0]; i++)
        if (path_join(file, sizeof file, making, files[i]) == 0)
            unlink(file);
    rmdir(making);
}

/* data.mdb goes last: it is what says that the store exists. */
static int move_into_place(const char *making, const char *path)
{
    static const char *const files[] = {"lock.mdb", "data.mdb"};
    char from[PATH_MAX], to[PATH_MAX];
    size_t i;
    int r;

    for (i = 0; i < sizeof files / sizeof files[0]; i++) {
        r = path_join(from, sizeof from, making, files[i]);
        if (r == 0)
            r = path_join(to, sizeof to, path, files[i]);
        if (r == 0 && rename(from, to) < 0)
            r = -errno;
        if (r < 0)
            return r;
    }
    rmdir(making);
    return file_sync_dir(path);
}

static int sync_parent_of(const char *path)
{
    char parent[PATH_MAX];
    int r = path_join(parent, sizeof parent, path, "..");

    return r < 0 ? r : file_sync_dir(parent);
}

static int make_env(struct db *db, const struct db_options *o, struct errmsg *err)
{
    char making[PATH_MAX];
    int r = path_join(making, sizeof making, o->path, "making");

    if (r < 0)
        return fail(err, r, o->path, "make");
    remove_making(making); /* of a start that did not come to its end */
    if (mkdir(making, 0700) < 0)
        return fail(err, -errno, o->path, "make");
    r = open_env(db, making, o, err);
    if (r == 0 && !o->no_preallocate) {
        r = preallocate(db, o->map_bytes);
        if (r != 0)
            fail(err, r, o->path, "reserve the disk");
    }
    if (r == 0) {
        r = make_tables(db, o, true);
        if (r != 0)
            r = fail(err, r, o->path, "make tables");
    }
    if (r == 0) {
        r = move_into_place(making, o->path);
        if (r == 0)
            r = sync_parent_of(o->path);
        if (r != 0)
            fail(err, r, o->path, "rename into place");
    }
    if (r != 0)
        remove_making(making);
    return r;
}

/* Without the format's own: then its name is damaged, or its row. */
static bool has_any_table(const struct db *db, const struct db_options *o)
{
    unsigned i;

    for (i = 0; i < o->n_tables; i++)
        if (db->tables[i] != DB_NO_TABLE)
            return true;
    return false;
}

static int read_format(struct db *db, const struct db_options *o, bool *ret_missing, struct errmsg *err)
{
    MDB_val k = db_val_of(span_str(format_key)), v;
    MDB_txn *txn;
    int r = db_begin_read(db, &txn);

    if (r == 0) {
        r = open_tables(db, txn, o, false, ret_missing);
        if (r == 0 && db->format != DB_NO_TABLE)
            r = db_map_code(mdb_get(txn, db->format, &k, &v));
        else if (r == 0)
            r = DB_NOT_FOUND;
        if (r == 0) {
            r = format_check(db, &v, o, err);
            if (r != 0) {
                mdb_txn_abort(txn);
                return r;
            }
        }
        if (r != 0)
            mdb_txn_abort(txn);
        else
            r = db_map_code(mdb_txn_commit(txn)); /* a commit keeps the table handles */
    }
    if (r == DB_NOT_FOUND && !has_any_table(db, o))
        return errmsg_set(err, -EINVAL,
                          "%s is an LMDB folder but no store of this program; give another folder", o->path);
    if (r == DB_NOT_FOUND)
        return fail(err, -EUCLEAN, o->path, "format row");
    return r == 0 ? 0 : fail(err, r, o->path, "read the format");
}

static int open_existing(struct db *db, const struct db_options *o, struct errmsg *err)
{
    bool missing = false;
    int r = open_env(db, o->path, o, err);

    if (r != 0)
        return r;
    r = read_format(db, o, &missing, err);
    if (r != 0 || o->read_only)
        return r;
    if (missing) {
        r = make_tables(db, o, false);
        if (r != 0)
            return fail(err, r, o->path, "make tables");
    }
    if (o->map_bytes > db_map_bytes(db)) {
        r = db_map_code(mdb_env_set_mapsize(db->env, o->map_bytes));
        if (r != 0)
            return fail(err, r, o->path, "grow");
    }
    if (!o->no_preallocate) {
        r = preallocate(db, db_map_bytes(db));
        if (r != 0)
            return fail(err, r, o->path, "reserve the disk");
    }
    return 0;
}

/* One process writes. The lock goes with the process, however it ends. */
static int own_folder(struct db *db, const char *path, struct errmsg *err)
{
    db->owner_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (db->owner_fd < 0)
        return fail(err, -errno, path, "open the folder");
    if (flock(db->owner_fd, LOCK_EX | LOCK_NB) < 0)
        return errmsg_set(err, errno == EWOULDBLOCK ? -EBUSY : -errno,
                          "%s is in use by another process; only one may write to it", path);
    return 0;
}

static int open_folder(struct db *db, const struct db_options *o, struct errmsg *err)
{
    char data[PATH_MAX];
    struct stat st;
    int r = path_join(data, sizeof data, o->path, "data.mdb");

    if (r < 0)
        return fail(err, r, o->path, "open");
    if (!o->read_only) {
        r = file_mkdirs(o->path, 0700);
        if (r < 0)
            return fail(err, r, o->path, "make the folder");
    }
    r = check_file_system(o->path, err);
    if (r == 0 && !o->read_only)
        r = own_folder(db, o->path, err);
    if (r < 0)
        return r;
    if (stat(data, &st) == 0)
        return open_existing(db, o, err);
    if (errno != ENOENT)
        return fail(err, -errno, o->path, "open data.mdb");
    if (o->read_only)
        return errmsg_set(err, -ENOENT, "%s holds no store", o->path);
    db->created = true;
    return make_env(db, o, err);
}

static int copy_names(struct db *db, const struct db_options *o)
{
    unsigned i;

    for (i = 0; i < o->n_tables; i++) {
        db->names[i] = strdup(o->tables[i]);
        if (db->names[i] == NULL)
            return -ENOMEM;
        db->n_tables++;
    }
    return 0;
}

int db_open(struct db **ret_db, const struct db_options *o, struct errmsg *err)
{
    owned(db_closep) struct db *db = calloc(1, sizeof *db);
    MDB_stat s;
    int r;

    assert(o->n_tables <= DB_TABLES_MAX && strlen(o->role) <= ROLE_BYTES);
    if (db == NULL)
        return -ENOMEM;
    db->owner_fd = -1;
    db->read_only = o->read_only;
    r = copy_names(db, o);
    if (r == 0)
        r = open_folder(db, o, err);
    if (r != 0)
        return r;
    if (mdb_env_stat(db->env, &s) != 0)
        return fail(err, -EIO, o->path, "open");
    db->page_bytes = s.ms_psize;
    db_check_readers(db);
    *ret_db = TAKE(db);
    return 0;
}

struct db *db_close(struct db *db)
{
    unsigned i;

    if (db == NULL)
        return NULL;
    if (db->writing)
        db_abort(&db->write_txn);
    if (db->stat_txn != NULL)
        mdb_txn_abort(db->stat_txn);
    if (db->env != NULL)
        mdb_env_close(db->env);
    if (db->owner_fd >= 0)
        close(db->owner_fd);
    for (i = 0; i < DB_TABLES_MAX; i++)
        free(db->names[i]);
    free(db);
    return NULL;
}

void db_closep(struct db **db)
{
    *db = db_close(*db);
}

const struct id128 *db_store_id(const struct db *db)
{
    return &db->id;
}

bool db_created(const struct db *db)
{
    return db->created;
}

uint64_t db_map_bytes(const struct db *db)
{
    MDB_envinfo info;

    return mdb_env_info(db->env, &info) == 0 ? info.me_mapsize : 0;
}

uint64_t db_commits(const struct db *db)
{
    return db->commits;
}

uint64_t db_last_commit(const struct db *db)
{
    MDB_envinfo info;

    return mdb_env_info(db->env, &info) == 0 ? info.me_last_txnid : 0;
}

uint64_t db_damaged(const struct db *db)
{
    return db->damaged;
}

int db_grow(struct db *db, uint64_t map_bytes)
{
    int r;

    if (db->read_only || db->n_txns > 0)
        return -EBUSY;
    if (map_bytes <= db_map_bytes(db))
        return 0;
    r = preallocate(db, map_bytes);
    if (r != 0)
        return r;
    if (db->stat_txn != NULL) {
        mdb_txn_abort(db->stat_txn);
        db->stat_txn = NULL;
    }
    r = db_map_code(mdb_env_set_mapsize(db->env, map_bytes));
    return r > 0 ? -EIO : r;
}

void db_check_readers(struct db *db)
{
    int n_dead;

    /* A table of readers that cannot be cleaned costs space, not data. */
    (void)mdb_reader_check(db->env, &n_dead);
}
