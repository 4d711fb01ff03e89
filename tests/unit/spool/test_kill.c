/* A writer is killed at random moments: what spool_commit had returned for is there, whole; the epoch goes
 * on. */
#include "helper.h"

#include "base/rng.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void be_writer(const struct spool_options *o, int out, uint64_t seed)
{
    struct rng rng = {seed};
    struct errmsg err;
    struct spool *sp;

    if (spool_open(&sp, o, &err) != 0)
        _exit(1);
    for (;;) {
        uint64_t last = 0, first = 0, n = 1 + rng_below(&rng, 8);
        struct interval_set *held = &spool_own(sp)->lane[0].held;

        while (n-- > 0) {
            struct spool_record r = helper_record(spool_next_seq(sp, 0), rng_below(&rng, 3000));

            if (spool_append(sp, 0, &r, &last) != 0)
                break;
        }
        if (held->n > 0 && interval_set_count(held) > 60) {
            first = held->at[0].from + 30;
            if (spool_remove(sp, spool_own(sp), 0, (struct interval){1, first - 1}, NULL) != 0)
                _exit(2);
        }
        if (spool_commit(sp) != 0)
            _exit(3);
        if (write(out, &last, sizeof last) != (ssize_t)sizeof last)
            _exit(4);
    }
}

static void killed_writer_loses_no_commit(void **state)
{
    enum { ROUNDS = 60 };
    char dir[HELPER_PATH_BYTES], store[HELPER_PATH_BYTES], proof[HELPER_PATH_BYTES];
    struct rng rng = {20261120};
    struct spool_options o;
    struct id128 epoch = {{0}};
    unsigned round;

    (void)state;
    helper_dir_make(dir);
    helper_join(store, dir, "store");
    helper_join(proof, dir, "proof");
    o = helper_spool(store);
    o.db.map_bytes = 4 << 20;
    o.continue_unproven = false;
    o.proof_path = proof;
    o.boot_id.bytes[0] = 1;
    for (round = 0; round < ROUNDS; round++) {
        uint64_t told = 0, n, said, seq;
        struct interval_set *held;
        struct db_txn *t;
        struct spool *sp;
        int fds[2], status, code;
        pid_t child;

        assert_int_equal(pipe(fds), 0);
        child = fork();
        if (child == 0)
            be_writer(&o, fds[1], rng.state);
        close(fds[1]);
        for (n = 1 + rng_below(&rng, 60); n > 0; n--) {
            assert_int_equal(read(fds[0], &said, sizeof said), sizeof said);
            told = said;
        }
        kill(child, SIGKILL);
        while (read(fds[0], &said, sizeof said) == (ssize_t)sizeof said)
            told = said;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        close(fds[0]);
        sp = helper_open(&o);
        if (round > 0)
            assert_true(id128_equal(&epoch, &spool_own(sp)->epoch));
        epoch = spool_own(sp)->epoch;
        held = &spool_own(sp)->lane[0].held;
        assert_int_equal(held->n, 1);
        assert_true(held->at[0].to >= told);
        assert_true(held->at[0].to + 1 == spool_own(sp)->lane[0].next);
        assert_int_equal(spool_read(sp, &t), 0);
        for (seq = held->at[0].from; seq <= held->at[0].to; seq++) {
            assert_true(helper_intact(sp, spool_own(sp), seq, &code));
            assert_int_equal(code, 0);
        }
        spool_read_done(sp);
        spool_close(sp);
    }
    helper_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_writer_loses_no_commit)};

    return cmocka_run_group_tests_name("spool-kill", tests, NULL, NULL);
}
