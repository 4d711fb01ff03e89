/* The operator's word on which archive counts. */
#include "helper.h"

#include "hop/archive_word.h"

enum { BIG = 1 << 20, NEW = 'n', NEWER = 'N' };

/* A word under construction; lives as long as what is made of it. */
struct word {
    struct buf packed;
    struct wire_arena *arena;
    Fogline__V1__Document *d;
};

static struct operator_keys operator;

static int setup(void **state)
{
    struct side *s = calloc(1, sizeof *s);

    side_init(s, "dev");
    operator_keys_generate(&operator);
    s->operator_public = operator.public_key;
    side_open_lower(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    side_deinit(*state);
    free(*state);
    return 0;
}

static void word_make(struct word *w, char archive, uint64_t version, const struct operator_keys *k)
{
    struct id128 id = id_of(archive);

    *w = (struct word){0};
    assert_int_equal(archive_word_make(&id, version, k, &w->packed), 0);
    assert_int_equal(wire_arena_new(&w->arena, 1 << 16), 0);
    assert_int_equal(wire_document_unpack(w->arena, span_of(w->packed.data, w->packed.len), &w->d), 0);
}

static void word_deinit(struct word *w)
{
    buf_deinit(&w->packed);
    wire_arena_free(w->arena);
}

/* Gives a State with the word and a mark of `archive` about record 1; 0: none. */
static void give(struct side *s, const struct word *w, char archive)
{
    struct state st;

    state_init(&st, 0, RUN, STORE);
    if (w != NULL)
        st.documents[st.s.n_documents++] = w->d;
    if (archive != 0)
        state_mark(&st, s, spool_own(s->sp), LANE_ORDINARY, true, 1, 1, archive);
    state_give(&st, s);
}

static void give_word(struct side *s, char archive, uint64_t version)
{
    struct word w;

    word_make(&w, archive, version, &operator);
    give(s, &w, 0);
    word_deinit(&w);
}

static uint64_t count(const struct side *s, enum outbox_counter c)
{
    return outbox_counters(s->ob)[c];
}

static char archive_of(const struct side *s)
{
    struct id128 id;

    return outbox_has_archive_id(s->ob, &id) ? (char)id.bytes[0] : 0;
}

/* One record that no archive has spoken of; ARCHIVE is known by a mark of record 2. */
static void know_first_archive(struct side *s)
{
    struct state st;

    make(s, LANE_ORDINARY, 10);
    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG);
    state_init(&st, 0, RUN, STORE);
    state_mark(&st, s, spool_own(s->sp), LANE_ORDINARY, true, 2, 2, ARCHIVE);
    state_give(&st, s);
    apply(s);
    assert_int_equal(archive_of(s), ARCHIVE);
    assert_int_equal(spool_held_records(s->sp), 1);
}

static void signed_word_names_another_archive_and_its_marks_count(void **state)
{
    struct side *s = *state;

    know_first_archive(s);
    give(s, NULL, NEW);
    assert_int_equal(count(s, OUTBOX_MARKS_REFUSED), 1);
    give_word(s, NEW, 5);
    assert_int_equal(archive_of(s), NEW);
    assert_int_equal(s->archive_changes, 1);
    assert_int_equal(count(s, OUTBOX_ARCHIVES_TAKEN), 1);
    give(s, NULL, ARCHIVE);
    apply(s);
    assert_int_equal(spool_held_records(s->sp), 1);
    give(s, NULL, NEW);
    apply(s);
    assert_int_equal(spool_held_records(s->sp), 0);
}

static void marks_beside_the_word_count_at_once(void **state)
{
    struct side *s = *state;
    struct word w;

    know_first_archive(s);
    word_make(&w, NEW, 5, &operator);
    give(s, &w, NEW);
    word_deinit(&w);
    apply(s);
    assert_int_equal(spool_held_records(s->sp), 0);
}

static void refused(struct side *s, struct word *w)
{
    uint64_t before = count(s, OUTBOX_ARCHIVES_REFUSED);

    give(s, w, 0);
    word_deinit(w);
    assert_int_equal(archive_of(s), ARCHIVE);
    assert_int_equal(count(s, OUTBOX_ARCHIVES_REFUSED), before + 1);
    assert_int_equal(s->archive_changes, 0);
}

static void forged_words_are_refused(void **state)
{
    struct side *s = *state;
    struct operator_keys other;
    struct word w;

    know_first_archive(s);
    operator_keys_generate(&other);
    word_make(&w, NEW, 5, &other);
    refused(s, &w);
    word_make(&w, NEW, 5, &operator);
    w.d->body.data[0] ^= 1;
    refused(s, &w);
    word_make(&w, NEW, 5, &operator);
    w.d->version++;
    refused(s, &w);
    word_make(&w, NEW, 5, &operator);
    w.d->signature.data[63] ^= 1;
    refused(s, &w);
    word_make(&w, NEW, 5, &operator);
    w.d->body.len = 15;
    refused(s, &w);
    word_make(&w, NEW, 5, &operator);
    w.d->target = (char *)"dev";
    refused(s, &w);
    assert_int_equal(count(s, OUTBOX_ARCHIVES_TAKEN), 0);
}

static void without_an_operators_key_no_word_counts(void **state)
{
    struct side *s = *state;
    struct word w;

    side_close(s);
    s->operator_public = NULL;
    side_open_lower(s);
    know_first_archive(s);
    word_make(&w, NEW, 5, &operator);
    refused(s, &w);
}

static void old_words_and_replays_are_refused(void **state)
{
    struct side *s = *state;

    know_first_archive(s);
    give_word(s, NEW, 5);
    give_word(s, NEW, 5);
    give_word(s, NEWER, 5);
    give_word(s, ARCHIVE, 4);
    assert_int_equal(archive_of(s), NEW);
    assert_int_equal(count(s, OUTBOX_ARCHIVES_TAKEN), 1);
    assert_int_equal(count(s, OUTBOX_ARCHIVES_REFUSED), 3);
    assert_int_equal(s->archive_changes, 1);
    give_word(s, NEWER, 6);
    assert_int_equal(archive_of(s), NEWER);
}

static void word_is_kept_over_a_death_and_can_be_handed_on(void **state)
{
    struct side *s = *state;
    struct word w, again = {0};
    uint64_t version;
    struct span packed;

    know_first_archive(s);
    word_make(&w, NEW, 5, &operator);
    give(s, &w, 0);
    side_close(s);
    side_open_lower(s);
    assert_int_equal(archive_of(s), NEW);
    packed = outbox_archive_document(s->ob, &version);
    assert_int_equal(version, 5);
    assert_int_equal(packed.len, w.packed.len);
    assert_memory_equal(packed.data, w.packed.data, packed.len);
    word_deinit(&w);
    word_make(&again, ARCHIVE, 5, &operator);
    open_link(s, BIG, BIG);
    give(s, &again, 0);
    word_deinit(&again);
    assert_int_equal(archive_of(s), NEW);
}

/* What the last Hello sent says. */
static uint64_t said_held(struct side *s)
{
    for (size_t i = s->n_caught; i-- > 0;) {
        const Fogline__V1__Up *up = up_at(s, i);

        if (up->body_case == FOGLINE__V1__UP__BODY_HELLO)
            return archive_word_held(up->hello);
    }
    return UINT64_MAX;
}

static void hello_says_which_word_is_held(void **state)
{
    struct side *s = *state;

    know_first_archive(s);
    tick_until(s, 7000, false);
    assert_int_equal(said_held(s), 0);
    give_word(s, NEW, 77);
    tick_until(s, 14000, false);
    assert_int_equal(said_held(s), 77);
}

static void first_contact_by_the_word_changes_nothing(void **state)
{
    struct side *s = *state;

    make(s, LANE_ORDINARY, 10);
    open_link(s, BIG, BIG);
    give_word(s, NEW, 1);
    assert_int_equal(archive_of(s), NEW);
    assert_int_equal(s->archive_changes, 0);
    give(s, NULL, ARCHIVE);
    assert_int_equal(count(s, OUTBOX_MARKS_REFUSED), 1);
}

static void what_the_former_archive_settled_and_was_not_applied_stays(void **state)
{
    struct side *s = *state;

    know_first_archive(s);
    give(s, NULL, ARCHIVE);
    give_word(s, NEW, 5);
    apply(s);
    assert_int_equal(spool_held_records(s->sp), 1);
}

static void word_that_finds_no_room_is_not_taken_and_comes_again(void **state)
{
    struct side *s = *state;

    know_first_archive(s);
    s->archive_changes_result = DB_FULL;
    give_word(s, NEW, 5);
    assert_int_equal(archive_of(s), ARCHIVE);
    assert_int_equal(count(s, OUTBOX_ARCHIVES_TAKEN), 0);
    s->archive_changes_result = 0;
    give_word(s, NEW, 5);
    assert_int_equal(archive_of(s), NEW);
}

/* Two runs of one inbox: data for the first is not taken in the second. */
static void new_run_takes_nothing_meant_for_the_former(void **state)
{
    static const struct report r = {'e', 5, 1};
    struct side up;
    uint64_t run;

    (void)state;
    side_init(&up, "fog");
    side_open_upper(&up);
    give_hello(&up, "dev", 1, &r, 1);
    commit(&up);
    run = inbox_run(up.ib);
    give_data(&up, "dev", 1, run, 'e', 1, 1);
    commit(&up);
    inbox_new_run(up.ib);
    assert_true(inbox_run(up.ib) != run && inbox_run(up.ib) != 0);
    give_data(&up, "dev", 1, run, 'e', 2, 2);
    commit(&up);
    assert_int_equal(inbox_counters(up.ib)[INBOX_RECORDS], 1);
    assert_int_equal(inbox_counters(up.ib)[INBOX_DROPPED_RUN], 1);
    side_deinit(&up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signed_word_names_another_archive_and_its_marks_count, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(marks_beside_the_word_count_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(forged_words_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(without_an_operators_key_no_word_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(old_words_and_replays_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(word_is_kept_over_a_death_and_can_be_handed_on, setup, teardown),
        cmocka_unit_test_setup_teardown(hello_says_which_word_is_held, setup, teardown),
        cmocka_unit_test_setup_teardown(first_contact_by_the_word_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_former_archive_settled_and_was_not_applied_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(word_that_finds_no_room_is_not_taken_and_comes_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(new_run_takes_nothing_meant_for_the_former, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
