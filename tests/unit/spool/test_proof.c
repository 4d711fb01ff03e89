#include "helper.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char dir[HELPER_PATH_BYTES], store[HELPER_PATH_BYTES], copy[HELPER_PATH_BYTES], proof[HELPER_PATH_BYTES];
    struct spool_options o;
    struct id128 epoch, store_id;
};

static struct spool *begin(struct fixture *f)
{
    struct spool *sp;

    helper_dir_make(f->dir);
    helper_join(f->store, f->dir, "store");
    helper_join(f->copy, f->dir, "copy");
    helper_join(f->proof, f->dir, "proof");
    f->o = helper_spool(f->store);
    f->o.continue_unproven = false;
    f->o.proof_path = f->proof;
    f->o.boot_id = (struct id128){{1, 2, 3}};
    sp = helper_open(&f->o);
    assert_true(spool_began_epoch(sp));
    helper_append(sp, 0, 5, 50);
    assert_int_equal(spool_commit(sp), 0);
    f->epoch = spool_own(sp)->epoch;
    f->store_id = *spool_store_id(sp);
    return sp;
}

static void reopen_and_end(struct fixture *f, bool goes_on)
{
    struct spool *sp = helper_open(&f->o);

    assert_int_equal(spool_began_epoch(sp), !goes_on);
    assert_int_equal(id128_equal(&f->epoch, &spool_own(sp)->epoch), goes_on);
    assert_int_equal(id128_equal(&f->store_id, spool_store_id(sp)), goes_on);
    if (!goes_on) {
        /* What the old epoch holds stays. */
        assert_int_equal(spool_n_streams(sp), 2);
        assert_int_equal(spool_own(sp)->lane[0].next, 1);
        assert_int_equal(spool_own(sp)->lane[1].next, 1);
        assert_true(spool_held_records(sp) >= 5);
        assert_non_null(spool_find(sp, "dev-1", &f->epoch));
    }
    spool_close(sp);
    helper_dir_remove(f->dir);
}

static void restart_in_the_same_boot_goes_on(void **state)
{
    struct fixture f;

    (void)state;
    spool_close(begin(&f));
    reopen_and_end(&f, true);
}

static void commit_that_did_not_reach_the_proof_goes_on(void **state)
{
    struct fixture f;
    struct spool *sp = begin(&f);
    char old[HELPER_PATH_BYTES];

    (void)state;
    helper_join(old, f.dir, "old");
    helper_copy_file(f.proof, old);
    helper_append(sp, 0, 3, 50);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    helper_copy_file(old, f.proof);
    reopen_and_end(&f, true);
}

static void other_boot_begins_an_epoch(void **state)
{
    struct fixture f;

    (void)state;
    spool_close(begin(&f));
    f.o.boot_id.bytes[0] ^= 1;
    reopen_and_end(&f, false);
}

static void unknown_boot_begins_an_epoch(void **state)
{
    struct fixture f;

    (void)state;
    spool_close(begin(&f));
    memset(&f.o.boot_id, 0, sizeof f.o.boot_id);
    reopen_and_end(&f, false);
}

static void missing_or_torn_proof_begins_an_epoch(void **state)
{
    struct fixture f;

    (void)state;
    spool_close(begin(&f));
    assert_int_equal(unlink(f.proof), 0);
    reopen_and_end(&f, false);
    spool_close(begin(&f));
    assert_int_equal(truncate(f.proof, 100), 0);
    reopen_and_end(&f, false);
}

/* The copy is written back into the same file, so that the inode cannot tell. */
static void older_copy_in_the_same_file_begins_an_epoch(void **state)
{
    struct fixture f;
    struct spool *sp = begin(&f);

    (void)state;
    helper_copy_store(f.store, f.copy);
    helper_append(sp, 0, 3, 50);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    helper_copy_store(f.copy, f.store);
    reopen_and_end(&f, false);
}

/* Nothing of its own was made since the copy: the commits of others' records betray it. */
static void older_copy_of_a_relay_begins_an_epoch(void **state)
{
    struct id128 epoch = id128_random();
    struct spool_stream *s;
    struct fixture f;
    struct spool *sp = begin(&f);

    (void)state;
    helper_copy_store(f.store, f.copy);
    assert_int_equal(spool_stream_make(sp, "dev-2", &epoch, &s), 0);
    assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){1, 9}), 0);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    helper_copy_store(f.copy, f.store);
    reopen_and_end(&f, false);
}

static void equal_copy_in_another_file_begins_an_epoch(void **state)
{
    char data[HELPER_PATH_BYTES], held[HELPER_PATH_BYTES];
    struct fixture f;

    (void)state;
    spool_close(begin(&f));
    helper_copy_store(f.store, f.copy);
    helper_join(data, f.store, "data.mdb");
    helper_join(held, f.dir, "held");
    assert_int_equal(rename(data, held), 0); /* keeps the old inode in use */
    helper_copy_store(f.copy, f.store);
    reopen_and_end(&f, false);
}

static void restored_relay_vouches_for_what_it_holds(void **state)
{
    char text[64];
    struct id128 epoch = id128_random();
    struct spool_stream *s;
    struct fixture f;
    struct spool *sp = begin(&f);
    struct spool_record r;
    uint64_t seq;
    bool keep;

    (void)state;
    assert_int_equal(spool_stream_make(sp, "dev-2", &epoch, &s), 0);
    assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){1, 20}), 0);
    for (seq = 8; seq <= 12; seq++) {
        r = helper_record(seq, 30);
        assert_int_equal(spool_put(sp, s, seq, &r), 0);
    }
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    for (keep = true;; keep = false) {
        f.o.keep_seen = keep;
        assert_int_equal(unlink(f.proof), 0);
        sp = helper_open(&f.o);
        s = spool_find(sp, "dev-2", &epoch);
        assert_string_equal(interval_set_format(&s->lane[0].seen, text, sizeof text), keep ? "1-20" : "8-12");
        spool_close(sp);
        sp = helper_open(&f.o); /* and so it stands on disk */
        assert_false(spool_began_epoch(sp));
        s = spool_find(sp, "dev-2", &epoch);
        assert_string_equal(interval_set_format(&s->lane[0].seen, text, sizeof text), keep ? "1-20" : "8-12");
        spool_close(sp);
        if (!keep)
            break;
    }
    helper_dir_remove(f.dir);
}

static void new_store_vouches_for_what_it_holds_and_goes_on(void **state)
{
    char text[64];
    struct id128 epoch = id128_random(), id;
    struct spool_stream *s;
    struct fixture f;
    struct spool *sp = begin(&f);
    struct spool_record r = helper_record(8, 30);

    (void)state;
    assert_int_equal(spool_stream_make(sp, "dev-2", &epoch, &s), 0);
    assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){1, 20}), 0);
    assert_int_equal(spool_put(sp, s, 8, &r), 0);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_new_store(sp), 0);
    assert_int_equal(spool_commit(sp), 0);
    assert_string_equal(interval_set_format(&s->lane[0].seen, text, sizeof text), "8");
    assert_false(id128_equal(spool_store_id(sp), &f.store_id));
    id = *spool_store_id(sp);
    assert_true(id128_equal(&spool_own(sp)->epoch, &f.epoch));
    assert_int_equal(spool_own(sp)->lane[0].next, 6);
    spool_close(sp);
    sp = helper_open(&f.o);
    assert_false(spool_began_epoch(sp));
    assert_true(id128_equal(spool_store_id(sp), &id));
    s = spool_find(sp, "dev-2", &epoch);
    assert_string_equal(interval_set_format(&s->lane[0].seen, text, sizeof text), "8");
    assert_int_equal(spool_held_records(sp), 6);
    spool_close(sp);
    helper_dir_remove(f.dir);
}

/* A store that says it has begun anew and still has the former life's seen set would answer "stored" for what
 * it no longer has. */
static void a_new_store_goes_back_with_its_transaction(void **state)
{
    char text[64];
    struct id128 epoch = id128_random();
    struct spool_stream *s;
    struct fixture f;
    struct spool *sp = begin(&f);

    (void)state;
    assert_int_equal(spool_stream_make(sp, "dev-2", &epoch, &s), 0);
    assert_int_equal(spool_seen_add(sp, s, 0, (struct interval){1, 20}), 0);
    assert_int_equal(spool_commit(sp), 0);
    assert_int_equal(spool_new_store(sp), 0);
    assert_false(id128_equal(spool_store_id(sp), &f.store_id));
    assert_int_equal(spool_rollback(sp), 0);
    assert_true(id128_equal(spool_store_id(sp), &f.store_id));
    s = spool_find(sp, "dev-2", &epoch);
    assert_string_equal(interval_set_format(&s->lane[0].seen, text, sizeof text), "1-20");
    spool_close(sp);
    helper_dir_remove(f.dir);
}

static void finished_epochs_are_forgotten_at_the_next(void **state)
{
    struct fixture f;
    struct spool *sp = begin(&f);
    unsigned i;

    (void)state;
    assert_int_equal(spool_remove(sp, spool_own(sp), 0, (struct interval){1, 5}, NULL), 0);
    assert_int_equal(spool_commit(sp), 0);
    spool_close(sp);
    for (i = 0; i < 5; i++) {
        f.o.boot_id.bytes[1]++;
        sp = helper_open(&f.o);
        assert_true(spool_began_epoch(sp));
        assert_int_equal(spool_n_streams(sp), 1);
        spool_close(sp);
    }
    helper_dir_remove(f.dir);
}

static void proof_that_cannot_be_made_is_an_error(void **state)
{
    struct errmsg err = {""};
    struct spool *sp = NULL;
    struct fixture f;

    (void)state;
    spool_close(begin(&f));
    f.o.proof_path = "/proc/no-such-folder/proof";
    assert_true(spool_open(&sp, &f.o, &err) < 0);
    assert_non_null(strstr(err.text, "proof of continuity"));
    f.o.proof_path = f.proof;
    reopen_and_end(&f, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restart_in_the_same_boot_goes_on),
        cmocka_unit_test(commit_that_did_not_reach_the_proof_goes_on),
        cmocka_unit_test(other_boot_begins_an_epoch),
        cmocka_unit_test(unknown_boot_begins_an_epoch),
        cmocka_unit_test(missing_or_torn_proof_begins_an_epoch),
        cmocka_unit_test(older_copy_in_the_same_file_begins_an_epoch),
        cmocka_unit_test(older_copy_of_a_relay_begins_an_epoch),
        cmocka_unit_test(equal_copy_in_another_file_begins_an_epoch),
        cmocka_unit_test(new_store_vouches_for_what_it_holds_and_goes_on),
        cmocka_unit_test(a_new_store_goes_back_with_its_transaction),
        cmocka_unit_test(restored_relay_vouches_for_what_it_holds),
        cmocka_unit_test(finished_epochs_are_forgotten_at_the_next),
        cmocka_unit_test(proof_that_cannot_be_made_is_an_error),
    };

    return cmocka_run_group_tests_name("spool-proof", tests, NULL, NULL);
}
