/* What devices kept from becoming records: the last Health of each epoch counts, and nothing twice. */
#include "cloud/view_reduced.h"
#include "fixture.h"

enum { FILTERED = FOGLINE__V1__REASON__REASON_FILTERED, MERGED = FOGLINE__V1__REASON__REASON_MERGED };

struct said {
    unsigned reason;
    uint64_t samples, sent_later;
};

/* A Health of the device. epoch NULL: it says nothing of reductions. */
static void put_health(struct fixture *f, unsigned device, const struct id128 *epoch, const struct said *said,
                       size_t n)
{
    Fogline__V1__Health health = FOGLINE__V1__HEALTH__INIT;
    Fogline__V1__Reductions reductions = FOGLINE__V1__REDUCTIONS__INIT;
    Fogline__V1__Reduced reduced[4], *at[4];
    struct fixture_record r = {.lane = 1, .kind = FOGLINE__V1__KIND__KIND_HEALTH};

    for (size_t i = 0; i < n; i++) {
        fogline__v1__reduced__init(&reduced[i]);
        reduced[i].group = (char *)"tank";
        reduced[i].reason = (Fogline__V1__Reason)said[i].reason;
        reduced[i].samples = said[i].samples;
        reduced[i].sent_later = said[i].sent_later;
        at[i] = &reduced[i];
    }
    if (epoch != NULL) {
        reductions.epoch = wire_bytes(span_of(epoch->bytes, ID128_BYTES));
        reductions.reduced = at;
        reductions.n_reduced = n;
        health.reductions = &reductions;
    }
    health.format = WIRE_FORMAT;
    health.time_ns = f->fake.wall_unix_ns;
    buf_reset(&f->payload);
    wire_pack(&f->payload, &health.base);
    r.payload = span_of(f->payload.data, f->payload.len);
    assert_int_equal(fixture_put(f, device, &r, NULL), 0);
}

static void put_one(struct fixture *f, unsigned device, uint64_t samples, uint64_t sent_later)
{
    put_health(f, device, &f->device[device].epoch, &(struct said){FILTERED, samples, sent_later}, 1);
}

static void begin_epoch(struct fixture *f, unsigned device, uint8_t byte)
{
    memset(f->device[device].epoch.bytes, byte, ID128_BYTES);
    f->device[device].next[0] = f->device[device].next[1] = 1;
}

static struct view_reduced sum_of(struct fixture *f, unsigned device)
{
    struct view_reduced sum = {{0}, {0}};

    for (size_t i = 0; i < view_n_devices(f->view); i++)
        if (strcmp(view_device_at(f->view, i)->name, f->device[device].name) == 0)
            assert_int_equal(view_reduced(f->view, view_device_at(f->view, i), &sum), 0);
    return sum;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    fixture_init(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

static void look(struct fixture *f)
{
    fixture_commit(f);
    fixture_view(f);
}

static void the_last_health_says_all(void **state)
{
    struct fixture *f = *state;
    struct view_reduced sum;

    put_one(f, 0, 10, 1);
    put_one(f, 0, 25, 4);
    put_health(f, 0, &f->device[0].epoch, (struct said[]){{FILTERED, 30, 5}, {MERGED, 7, 0}}, 2);
    put_one(f, 1, 1000, 0); /* of another device */
    look(f);
    sum = sum_of(f, 0);
    assert_int_equal(sum.samples[FILTERED], 30);
    assert_int_equal(sum.sent_later[FILTERED], 5);
    assert_int_equal(sum.samples[MERGED], 7);
    assert_int_equal(sum_of(f, 1).samples[FILTERED], 1000);
    assert_int_equal(sum_of(f, 2).samples[FILTERED], 0);
}

static void sources_of_one_reason_are_added_up(void **state)
{
    struct fixture *f = *state;

    put_health(f, 0, &f->device[0].epoch, (struct said[]){{FILTERED, 30, 5}, {FILTERED, 12, 2}}, 2);
    look(f);
    assert_int_equal(sum_of(f, 0).samples[FILTERED], 42);
    assert_int_equal(sum_of(f, 0).sent_later[FILTERED], 7);
}

static void epochs_are_added_up(void **state)
{
    struct fixture *f = *state;

    put_one(f, 0, 10, 0);
    put_one(f, 0, 20, 0);
    begin_epoch(f, 0, 0x51);
    put_one(f, 0, 3, 0);
    begin_epoch(f, 0, 0x52);
    put_one(f, 0, 4, 1);
    look(f);
    assert_int_equal(sum_of(f, 0).samples[FILTERED], 27);
    assert_int_equal(sum_of(f, 0).sent_later[FILTERED], 1);
}

/* Made before the epoch began, and stored in it. */
static void a_health_that_speaks_of_another_epoch_counts_nothing(void **state)
{
    struct fixture *f = *state;
    struct id128 before = f->device[0].epoch;

    put_one(f, 0, 10, 0);
    begin_epoch(f, 0, 0x51);
    put_one(f, 0, 3, 0);
    put_health(f, 0, &before, &(struct said){FILTERED, 10, 0}, 1);
    look(f);
    assert_int_equal(sum_of(f, 0).samples[FILTERED], 13);
}

static void a_health_without_reductions_says_that_there_were_none(void **state)
{
    struct fixture *f = *state;

    put_health(f, 0, NULL, NULL, 0);
    put_one(f, 1, 8, 0);
    begin_epoch(f, 1, 0x51);
    put_health(f, 1, NULL, NULL, 0);
    look(f);
    assert_int_equal(sum_of(f, 0).samples[FILTERED], 0);
    assert_int_equal(sum_of(f, 1).samples[FILTERED], 8);
}

static void a_health_that_comes_late_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct fixture_device *d = &f->device[0];

    d->next[1] = 5;
    put_one(f, 0, 50, 0);
    d->next[1] = 2;
    put_one(f, 0, 20, 0);
    look(f);
    assert_int_equal(sum_of(f, 0).samples[FILTERED], 50);
}

static void a_health_that_is_not_understood_leaves_it_to_the_one_before(void **state)
{
    struct fixture *f = *state;

    put_one(f, 0, 2, 0);
    put_health(f, 0, &f->device[0].epoch, (struct said[]){{200, 9, 9}, {FILTERED, 3, 0}}, 2);
    look(f);
    assert_int_equal(sum_of(f, 0).samples[FILTERED], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_last_health_says_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sources_of_one_reason_are_added_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(epochs_are_added_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_health_that_speaks_of_another_epoch_counts_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_health_without_reductions_says_that_there_were_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_health_that_comes_late_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_health_that_is_not_understood_leaves_it_to_the_one_before, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
