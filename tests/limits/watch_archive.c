/* watch_archive.c - tells when records became durable in an archive: reads the set of archived numbers of the
 * ordinary lanes from outside, read-only, and prints `<wall ns> <count>` whenever it grew. A reader sees a
 * commit only after its fsync.
 *
 * Usage: watch_archive STORE_DIR PERIOD_US [UNTIL_COUNT [largest]]; ends at UNTIL_COUNT or SIGTERM.
 * `largest`: of the stream that has most. */
#include "base/clock.h"
#include "spool/db.h"
#include "spool/spool.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Of all streams together, or of the one with the most. */
static uint64_t archived(struct db_txn *txn, bool largest)
{
    struct db_cursor *c;
    struct span key, value;
    uint64_t n = 0, one = 0, most = 0;
    uint32_t stream = 0;

    if (db_cursor_new(txn, SPOOL_TABLE_SEEN, &c) != 0)
        return 0;
    for (int rc = db_cursor_seek(c, span_of("", 0), &key, &value); rc == 0;
         rc = db_cursor_next(c, &key, &value)) {
        uint64_t count;

        if (key.len != 13 || key.data[4] != 0)
            continue;
        count = load_le64(value.data) - load_be64(key.data + 5) + 1;
        if (load_be32(key.data) != stream)
            one = 0;
        stream = load_be32(key.data);
        one += count;
        most = one > most ? one : most;
        n += count;
    }
    db_cursor_free(c);
    return largest ? most : n;
}

int main(int argc, char **argv)
{
    static const char *const tables[] = {SPOOL_TABLE_NAMES};
    struct db_options options = {.path = argc > 1 ? argv[1] : "",
                                 .tables = tables,
                                 .n_tables = SPOOL_TABLES,
                                 .role = "cloud",
                                 .read_only = true};
    long period_us = argc > 2 ? atol(argv[2]) : 1000;
    uint64_t until = argc > 3 ? strtoull(argv[3], NULL, 10) : UINT64_MAX, last = 0;
    bool largest = argc > 4 && strcmp(argv[4], "largest") == 0;
    struct timespec pause = {period_us / 1000000, period_us % 1000000 * 1000};
    struct errmsg err = {""};
    struct db_txn *txn;
    struct db *db;

    if (argc < 3)
        return fprintf(stderr, "usage: watch_archive STORE_DIR PERIOD_US [UNTIL_COUNT [largest]]\n"), 2;
    if (db_open(&db, &options, &err) != 0)
        return fprintf(stderr, "%s\n", err.text), 1;
    if (db_begin(db, false, &txn) != 0)
        return 1;
    while (last < until) {
        uint64_t n = archived(txn, largest);

        db_read_pause(txn);
        if (n != last) {
            printf("%" PRId64 " %" PRIu64 "\n", clock_wall_unix_ns(&clock_real), n);
            fflush(stdout);
            last = n;
        }
        ppoll(NULL, 0, &pause, NULL);
        if (db_read_resume(txn) != 0)
            return 1;
    }
    db_abort(txn);
    db_close(db);
    return 0;
}
