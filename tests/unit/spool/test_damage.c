/* Random damage to a store on disk, each case judged in a child: whatever is read afterwards is right or is
 * refused, and what was found good goes on working. `test_spool_damage TRIALS SEED` makes a longer campaign.
 */
#include "helper.h"

#include "base/rng.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_RECORDS = 200, N_DEEP_RECORDS = 8000, PAGE = 4096, HEAD = 96 };
/* Exit codes; far from those of a sanitizer. */
enum { UNTOUCHED = 40, REFUSED, DAMAGED, WRONG, FAILED, CODES = FAILED - UNTOUCHED + 1 };

struct campaign {
    void (*damage)(int fd, uint64_t n_bytes, struct rng *rng);
    unsigned n_trials, n_killed, n[CODES];
    uint64_t seed;
};

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

/* Three levels of pages; the other store has two, and long values. */
static void make_deep_store(const char *store)
{
    struct spool_options o = helper_spool(store);
    struct spool *sp;

    o.db.map_bytes = 4 << 20;
    sp = helper_open(&o);
    helper_append(sp, 0, N_DEEP_RECORDS, 40);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){1000, 1700}, NULL), 0);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
}

static void damage_anywhere(int fd, uint64_t n_bytes, struct rng *rng)
{
    uint64_t kind = rng_below(rng, 4), at = rng_below(rng, n_bytes);
    uint8_t page[PAGE] = {0};

    if (kind < 2) {
        assert_int_equal(pread(fd, page, 1, (off_t)at), 1);
        page[0] ^= (uint8_t)(1 << rng_below(rng, 8));
        assert_int_equal(pwrite(fd, page, 1, (off_t)at), 1);
    } else if (kind == 2) {
        assert_int_equal(pwrite(fd, page, PAGE, (off_t)(at / PAGE * PAGE)), PAGE);
    } else {
        assert_int_equal(ftruncate(fd, (off_t)at), 0);
    }
}

static bool is_blank(const uint8_t *page)
{
    unsigned i;

    for (i = 0; i < PAGE; i++)
        if (page[i] != 0)
            return false;
    return true;
}

/* One to three bytes, half of them among the bounds and the offsets of a page, mostly where a byte says
 * something. */
static void damage_heads(int fd, uint64_t n_bytes, struct rng *rng)
{
    unsigned left = 1 + (unsigned)rng_below(rng, 3);
    uint8_t page[PAGE];
    uint64_t first, at;

    while (left > 0) {
        first = rng_below(rng, n_bytes / PAGE) * PAGE;
        assert_int_equal(pread(fd, page, PAGE, (off_t)first), PAGE);
        if (is_blank(page))
            continue;
        do {
            at = rng_below(rng, rng_below(rng, 2) > 0 ? HEAD : PAGE);
        } while (page[at] == 0 && rng_below(rng, 8) != 0);
        switch (rng_below(rng, 3)) {
        case 0:
            page[at] ^= (uint8_t)(1 << rng_below(rng, 8));
            break;
        case 1:
            page[at] = (uint8_t)rng_below(rng, 256);
            break;
        default:
            page[at] = (uint8_t)(page[at] + (rng_below(rng, 2) > 0 ? 1 : 255));
            break;
        }
        assert_int_equal(pwrite(fd, page + at, 1, (off_t)(first + at)), 1);
        left--;
    }
}

static void damage(const struct campaign *c, const char *store, struct rng *rng)
{
    char file[HELPER_PATH_BYTES];
    struct stat st;
    int fd;

    helper_join(file, store, "data.mdb");
    fd = open(file, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    c->damage(fd, (uint64_t)st.st_size, rng);
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
        return end == DAMAGED ? DAMAGED : FAILED;
    spool_close(sp);
    return end;
}

static void run_trial(struct campaign *c, const char *store, const char *trial, struct rng *rng)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    const struct rlimit no_core = {0, 0};
    int status, code;
    pid_t child;
    size_t i;

    helper_copy_store(store, trial);
    damage(c, trial, rng);
    child = fork();
    if (child == 0) {
        for (i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
            signal(deadly[i], SIG_DFL); /* the test frame's would go on with the other tests */
        setrlimit(RLIMIT_CORE, &no_core);
        _exit(judge(trial));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (code >= UNTOUCHED && code <= FAILED) /* a sanitizer ends with a code of its own */
        c->n[code - UNTOUCHED]++;
    else
        c->n_killed++;
}

static void run(struct campaign *c)
{
    char dir[HELPER_PATH_BYTES], store[HELPER_PATH_BYTES], deep[HELPER_PATH_BYTES], trial[HELPER_PATH_BYTES];
    struct rng rng = {c->seed};
    unsigned i;

    helper_dir_make(dir);
    helper_join(store, dir, "store");
    helper_join(deep, dir, "deep");
    helper_join(trial, dir, "trial");
    make_store(store);
    make_deep_store(deep);
    for (i = 0; i < c->n_trials; i++)
        run_trial(c, i % 4 == 3 ? deep : store, trial, &rng);
    print_message("untouched %u, refused %u, damaged values %u, wrong %u, failed %u, killed %u\n", c->n[0],
                  c->n[1], c->n[2], c->n[3], c->n[4], c->n_killed);
    assert_int_equal(c->n[WRONG - UNTOUCHED], 0);
    assert_int_equal(c->n[FAILED - UNTOUCHED], 0);
    assert_int_equal(c->n_killed, 0);
    helper_dir_remove(dir);
}

static void damaged_store_never_gives_wrong_data(void **state)
{
    struct campaign c = {.damage = damage_anywhere, .n_trials = 300, .seed = 4711};

    (void)state;
    run(&c);
    assert_true(c.n[REFUSED - UNTOUCHED] > c.n_trials / 4);
    assert_true(c.n[DAMAGED - UNTOUCHED] > 0);
}

static void damaged_heads_are_refused_or_do_no_harm(void **state)
{
    struct campaign c = {.damage = damage_heads, .n_trials = 400, .seed = 4711};
    const char *const *longer = *state;

    if (longer != NULL) {
        c.n_trials = (unsigned)strtoul(longer[0], NULL, 10);
        c.seed = strtoull(longer[1], NULL, 10);
    }
    run(&c);
    assert_true(c.n[REFUSED - UNTOUCHED] > c.n_trials / 5);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest longer[] = {
        cmocka_unit_test_prestate(damaged_heads_are_refused_or_do_no_harm, argv + 1)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_store_never_gives_wrong_data),
        cmocka_unit_test(damaged_heads_are_refused_or_do_no_harm),
    };

    if (argc == 3)
        return cmocka_run_group_tests_name("spool-damage-longer", longer, NULL, NULL);
    return cmocka_run_group_tests_name("spool-damage", tests, NULL, NULL);
}
