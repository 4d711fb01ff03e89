/* Random damage to a store on disk, each case judged in a child: whatever is read afterwards is right or is
 * refused. */
#include "helper.h"

#include "base/rng.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_RECORDS = 200, TRIALS = 300, PAGE = 4096 };
/* Exit codes; far from those of a sanitizer. */
enum { UNTOUCHED = 40, REFUSED, DAMAGED, WRONG };

static void make_store(const char *store)
{
    struct spool_options o = helper_spool(store);
    struct spool *sp = helper_open(&o);
    unsigned i;

    for (i = 0; i < N_RECORDS / 10; i++) {
        helper_append(sp, 0, 8, 200 + 90 * i);
        helper_append(sp, 1, 2, 3000);
        assert_int_equal(spool_commit(sp), 0);
    }
    assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){20, 40}, NULL), 0);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
}

static void damage(const char *store, struct rng *rng)
{
    char file[HELPER_PATH_BYTES];
    uint8_t page[PAGE] = {0};
    struct stat st;
    uint64_t kind = rng_below(rng, 4), at;
    int fd;

    helper_join(file, store, "data.mdb");
    fd = open(file, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    at = rng_below(rng, (uint64_t)st.st_size);
    if (kind < 2) {
        assert_int_equal(pread(fd, page, 1, (off_t)at), 1);
        page[0] ^= (uint8_t)(1 << rng_below(rng, 8));
        assert_int_equal(pwrite(fd, page, 1, (off_t)at), 1);
    } else if (kind == 2) {
        assert_int_equal(pwrite(fd, page, PAGE, (off_t)(at / PAGE * PAGE)), PAGE);
    } else {
        assert_int_equal(ftruncate(fd, (off_t)at), 0);
    }
    close(fd);
}

/* As a daemon starts: check, open, read, and go on writing. */
static int judge(const char *store)
{
    struct spool_options o = helper_spool(store);
    struct db_verify_result result;
    struct errmsg err;
    struct db_txn *t;
    struct spool *sp;
    size_t i, j;
    unsigned lane;
    uint64_t x;
    int code, r = db_verify(&o.db, 20, &result, &err), end = r == DB_DAMAGED ? DAMAGED : UNTOUCHED;

    if (r != 0 && r != DB_DAMAGED)
        return REFUSED;
    if (spool_open(&sp, &o, &err) != 0)
        return REFUSED;
    if (spool_read(sp, &t) != 0)
        return REFUSED;
    for (i = 0; i < spool_n_streams(sp); i++)
        for (lane = 0; lane < SPOOL_LANES; lane++) {
            struct spool_stream *s = spool_stream_at(sp, i);

            for (j = 0; j < s->lane[lane].held.n; j++)
                for (x = s->lane[lane].held.at[j].from; x <= s->lane[lane].held.at[j].to; x++) {
                    if (!helper_intact(sp, s, (uint64_t)lane << 56 | x, &code))
                        return WRONG;
                    if (code != 0)
                        end = DAMAGED;
                }
        }
    spool_read_done(sp);
    helper_append(sp, 0, 30, 700);
    if (spool_commit(sp) != 0 || spool_remove(sp, spool_own(sp), 0, (struct interval){1, 1000}, NULL) != 0 ||
        spool_commit(sp) != 0)
        return DAMAGED;
    spool_close(sp);
    return end;
}

static void damaged_store_never_gives_wrong_data(void **state)
{
    char dir[HELPER_PATH_BYTES], store[HELPER_PATH_BYTES], trial[HELPER_PATH_BYTES];
    struct rng rng = {4711};
    unsigned i, n[3] = {0}, n_killed = 0;

    (void)state;
    helper_dir_make(dir);
    helper_join(store, dir, "store");
    helper_join(trial, dir, "trial");
    make_store(store);
    for (i = 0; i < TRIALS; i++) {
        int status;
        pid_t child;

        helper_copy_store(store, trial);
        damage(trial, &rng);
        child = fork();
        if (child == 0) {
            const struct rlimit no_core = {0, 0};

            setrlimit(RLIMIT_CORE, &no_core);
            _exit(judge(trial));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status)) {
            n_killed++;
            continue;
        }
        assert_in_range(WEXITSTATUS(status), UNTOUCHED, DAMAGED);
        n[WEXITSTATUS(status) - UNTOUCHED]++;
    }
    print_message("untouched %u, refused %u, damaged values %u, killed after a clean check %u\n", n[0], n[1],
                  n[2], n_killed);
    assert_true(n[1] > TRIALS / 4);
    assert_true(n[2] > 0);
    assert_int_equal(n_killed, 0);
    helper_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_store_never_gives_wrong_data)};

    return cmocka_run_group_tests_name("spool-damage", tests, NULL, NULL);
}
