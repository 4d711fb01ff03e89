/* Puts per second and bytes per second of the store: bench_spool FOLDER (a new one, on the file system in
 * question). */
#include "helper.h"

#include "base/clock.h"

#include <stdio.h>

static int run(struct db *db, size_t value_bytes, uint64_t first, uint64_t n)
{
    struct span head = {helper_payload(1, 29).data, 29}, tail = {head.data, value_bytes - head.len};
    int64_t start_ns = clock_mono_ns(&clock_real);
    struct db_txn *t;
    uint8_t key[12] = {0};
    double seconds;
    uint64_t i;
    int r = db_begin(db, true, &t);

    for (i = 0; i < n && r == 0; i++) {
        store_be64(key + 4, first + i);
        r = db_put2(t, SPOOL_TABLE_RECORDS, span_of(key, sizeof key), head, tail);
        if (r == 0 && i % 1000 == 999) {
            r = db_commit(t);
            if (r == 0)
                r = db_begin(db, true, &t);
        }
    }
    if (r == 0)
        r = db_commit(t);
    seconds = (double)(clock_mono_ns(&clock_real) - start_ns) / (double)NS_PER_S;
    printf("%zu bytes: %.2f million puts/s, %.2f GB/s, %d\n", value_bytes, (double)n / seconds / 1e6,
           (double)n * (double)value_bytes / seconds / 1e9, r);
    return r;
}

int main(int argc, char **argv)
{
    struct errmsg err = {""};
    struct db_options o;
    struct db *db;
    int r;

    if (argc != 2)
        return 2;
    o = helper_db(argv[1]);
    o.map_bytes = UINT64_C(2) << 30;
    o.no_preallocate = false;
    r = db_open(&db, &o, &err);
    if (r != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    r = run(db, 120, 1, 1000000);
    if (r == 0)
        r = run(db, 7168, 10000000, 100000);
    db_close(db);
    return r != 0;
}
