#include "plant.h"

#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORDS = 100 };

/* The signed list, as the cloud hands it down. */
static void enrol_by_cloud(struct plant *p)
{
    struct nodes l = {0};
    struct upper_port_node device = plant_node(p, false), fog = plant_node(p, true);
    char path[CTL_FILE_CHARS];
    uint64_t version;
    struct errmsg err;

    plant_path(p, path, "list.doc");
    assert_int_equal(nodes_set(&l, &device), 0);
    assert_int_equal(nodes_set(&l, &fog), 0);
    assert_int_equal(nodes_save(path, &l, &p->cloud.operator, & err), 0);
    assert_int_equal(nodes_read_document(path, &p->cloud.nodes_doc, &version), 0);
    nodes_deinit(&l);
}

static void enrol_by_fog(struct plant *p)
{
    struct nodes l = {0};
    struct upper_port_node device = plant_node(p, false);
    char path[CTL_FILE_CHARS];
    struct errmsg err;

    plant_path(p, path, "state");
    mkdir(path, 0700);
    plant_path(p, path, "state/nodes.local");
    assert_int_equal(nodes_set(&l, &device), 0);
    assert_int_equal(nodes_save_local(path, &l, &err), 0);
    nodes_deinit(&l);
}

static uint64_t held_by_device(struct plant *p)
{
    return spool_held_records(p->device.spool);
}

static bool all_is_settled(struct plant *p)
{
    return p->cloud.n_records >= RECORDS + 1 && held_by_device(p) == 0 &&
           spool_held_records(p->fog->spool) == 0 && p->device.n_commands > 0;
}

static void records_and_a_command_pass_and_everything_is_settled(void **state)
{
    struct plant *p = *state;
    struct command c = {
        .target = "pump-1", .counter = 1, .type = FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_IDENTIFY};

    plant_start_cloud(p);
    enrol_by_cloud(p);
    assert_int_equal(command_make(&c, p->device.end_keys.seal, &p->cloud.operator, & p->cloud.command_doc),
                     0);
    plant_start_fog(p, true);
    plant_start_device(p);
    plant_make_records(p, RECORDS, 18);
    plant_run(p, all_is_settled);
    assert_int_equal(p->cloud.n_records, RECORDS + 1); /* and the fog's own start event */
    assert_int_equal(p->cloud.n_bad_tags, 0);
    assert_int_equal(p->device.n_commands, 1);
    assert_int_equal(p->fog->nodes.version, 1);
    assert_int_equal(access(p->d.paths.nodes_doc, F_OK), 0);
    assert_int_equal(
        spool_find(p->cloud.spool, "pump-1", &spool_own(p->device.spool)->epoch)->lane[0].seen.at[0].to,
        RECORDS);
}

static bool all_is_stored(struct plant *p)
{
    struct outbox_waiting w;

    outbox_waiting(lower_port_outbox(p->device.port), &w);
    return outbox_phase(lower_port_outbox(p->device.port)) == OUTBOX_OPEN && w.ordinary_records == 0;
}

static uint64_t relayed(struct plant *p)
{
    const struct spool_stream *s = spool_find(p->fog->spool, "pump-1", &spool_own(p->device.spool)->epoch);

    return s == NULL ? 0 : interval_set_count(&s->lane[0].held);
}

static bool always(struct plant *p)
{
    (void)p;
    return true;
}

static void without_a_cloud_both_hold_and_a_restart_goes_on(void **state)
{
    struct plant *p = *state;
    struct id128 epoch;

    enrol_by_fog(p);
    plant_start_fog(p, false);
    plant_start_device(p);
    plant_make_records(p, RECORDS, 18);
    plant_run(p, all_is_stored);
    assert_int_equal(relayed(p), RECORDS);
    assert_int_equal(held_by_device(p), RECORDS); /* nobody lets go on `stored` */
    assert_true(p->fog->nodes.at[0].provisional);
    epoch = spool_own(p->fog->spool)->epoch;
    plant_stop_fog(p);

    plant_start_fog(p, false);
    plant_start_device(p);
    plant_run(p, always);
    assert_int_equal(relayed(p), RECORDS);
    assert_memory_equal(&epoch, &spool_own(p->fog->spool)->epoch, sizeof(epoch));
}

/* Filled as far as it goes, and then some polls of the device later. */
static bool full_for_a_while(struct plant *p)
{
    static int64_t full_since_ms;
    int64_t now_ms = loop_now_ms(p->d.loop);

    if (spool_held_bytes(p->fog->spool) * 1000 / spool_quota_bytes(p->fog->spool) < 900)
        full_since_ms = now_ms;
    return now_ms - full_since_ms > 1500;
}

static void a_full_fog_takes_no_more_and_the_device_keeps_its_records(void **state)
{
    struct plant *p = *state;

    p->quota_bytes = 512 * 1024;
    enrol_by_fog(p);
    plant_start_fog(p, false);
    plant_start_device(p);
    plant_make_records(p, 1000, 2000);
    plant_run(p, full_for_a_while);
    assert_true(spool_held_bytes(p->fog->spool) <= p->quota_bytes);
    assert_true(relayed(p) < 1000);
    assert_int_equal(held_by_device(p), 1000);
    assert_int_equal(outbox_counters(lower_port_outbox(p->fog->lower))[OUTBOX_RECORDS_EVICTED], 0);
}

static bool refusal_is_written(struct plant *p)
{
    struct buf text = {0};
    char fingerprint[KEY_FINGERPRINT_CHARS + 1];
    bool found;

    key_fingerprint(p->device.keys.transport_public, fingerprint);
    found = file_read(p->d.paths.refused, 65536, &text) == 0 &&
            memmem(text.data, text.len, fingerprint, strlen(fingerprint)) != NULL;
    buf_deinit(&text);
    return found;
}

static void an_unknown_key_is_turned_away_and_listed(void **state)
{
    struct plant *p = *state;

    plant_start_fog(p, false);
    plant_start_device(p);
    plant_make_records(p, RECORDS, 18);
    plant_run(p, refusal_is_written);
    assert_int_equal(relayed(p), 0);
    assert_int_equal(inbox_n_peers(upper_port_inbox(p->fog->upper)), 0);
}

static bool status_is_written(struct plant *p)
{
    return access(p->d.paths.status, F_OK) == 0;
}

static void a_broken_store_is_moved_away_and_the_fog_starts(void **state)
{
    struct plant *p = *state;
    char path[CTL_FILE_CHARS], garbage[8192];
    int fd;

    plant_start_fog(p, false);
    plant_stop_fog(p);
    plant_path(p, path, "state/spool/data.mdb");
    memset(garbage, 0x5a, sizeof(garbage));
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, garbage, sizeof(garbage), 0), sizeof(garbage));
    close(fd);
    log_set_level(LOG_LEVEL_ERROR);
    plant_start_fog(p, false);
    plant_run(p, status_is_written);
    assert_int_equal(p->fog->counter[FOG_STORES_QUARANTINED], 1);
    plant_path(p, path, "state/spool.quarantine-1");
    assert_int_equal(access(path, F_OK), 0);
    assert_true(spool_held_records(p->fog->spool) >= 2); /* it says so itself: start, and what happened */
}

static void change_list(struct plant *p, bool revoked, const char *site)
{
    struct upper_port_node gone = plant_node(p, false);
    struct nodes l = {0};
    struct errmsg err;

    gone.revoked = revoked;
    if (site != NULL)
        snprintf(gone.site, sizeof(gone.site), "%s", site);
    assert_int_equal(nodes_set(&l, &gone), 0);
    assert_int_equal(nodes_save_local(p->d.paths.nodes_local, &l, &err), 0);
    nodes_deinit(&l);
}

static bool device_was_revoked(struct plant *p)
{
    const struct upper_port_node *n = upper_port_find(p->fog->upper, "pump-1");

    if (relayed(p) == RECORDS && n != NULL && !n->revoked)
        change_list(p, true, NULL);
    return n != NULL && n->revoked;
}

static bool revoked_records_made_room(struct plant *p)
{
    const struct upper_port_node *n = upper_port_find(p->fog->upper, "pump-1");

    if (p->fog->counter[FOG_RECORDS_NO_ROOM] > 0 && n != NULL && !n->revoked)
        change_list(p, true, NULL);
    return p->fog->counter[FOG_RECORDS_REVOKED] > 0 && !spool_txn_open(p->fog->spool);
}

static bool records_of_another_site_made_room(struct plant *p)
{
    if (p->fog->counter[FOG_RECORDS_NO_ROOM] > 0 && upper_port_find(p->fog->upper, "pump-1") != NULL)
        change_list(p, false, "elsewhere");
    return p->fog->counter[FOG_RECORDS_REVOKED] > 0 && !spool_txn_open(p->fog->spool);
}

static void a_full_fog_lets_go_of_what_a_device_of_another_site_made(void **state)
{
    struct plant *p = *state;

    log_set_level(LOG_LEVEL_ERROR);
    p->quota_bytes = 512 * 1024;
    enrol_by_fog(p);
    plant_start_fog(p, false);
    plant_start_device(p);
    plant_make_records(p, 1000, 2000);
    plant_run(p, records_of_another_site_made_room);
    assert_int_equal(relayed(p), 0);
    assert_int_equal(held_by_device(p), 1000);
}

static void a_full_fog_lets_go_of_what_a_revoked_device_made(void **state)
{
    struct plant *p = *state;

    log_set_level(LOG_LEVEL_ERROR);
    p->quota_bytes = 512 * 1024;
    enrol_by_fog(p);
    plant_start_fog(p, false);
    plant_start_device(p);
    plant_make_records(p, 1000, 2000);
    plant_run(p, revoked_records_made_room);
    assert_int_equal(relayed(p), 0);
    assert_null(spool_find(p->fog->spool, "pump-1", &spool_own(p->device.spool)->epoch));
    assert_int_equal(held_by_device(p), 1000);
}

static void a_changed_list_is_in_force_within_a_second(void **state)
{
    struct plant *p = *state;

    enrol_by_fog(p);
    plant_start_fog(p, false);
    plant_start_device(p);
    plant_make_records(p, RECORDS, 18);
    plant_run(p, device_was_revoked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_and_a_command_pass_and_everything_is_settled, plant_setup,
                                        plant_teardown),
        cmocka_unit_test_setup_teardown(without_a_cloud_both_hold_and_a_restart_goes_on, plant_setup,
                                        plant_teardown),
        cmocka_unit_test_setup_teardown(a_full_fog_takes_no_more_and_the_device_keeps_its_records,
                                        plant_setup, plant_teardown),
        cmocka_unit_test_setup_teardown(an_unknown_key_is_turned_away_and_listed, plant_setup,
                                        plant_teardown),
        cmocka_unit_test_setup_teardown(a_broken_store_is_moved_away_and_the_fog_starts, plant_setup,
                                        plant_teardown),
        cmocka_unit_test_setup_teardown(a_full_fog_lets_go_of_what_a_device_of_another_site_made, plant_setup,
                                        plant_teardown),
        cmocka_unit_test_setup_teardown(a_full_fog_lets_go_of_what_a_revoked_device_made, plant_setup,
                                        plant_teardown),
        cmocka_unit_test_setup_teardown(a_changed_list_is_in_force_within_a_second, plant_setup,
                                        plant_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
