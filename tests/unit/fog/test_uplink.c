/* What goes up of a record: by pattern, and the exceptions that always go up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive/archive.h"
#include "fog/derived.h"
#include "fog/fog_config.h"
#include "fog/fog_tier.h"
#include "fog/uplink.h"
#include "link/keys.h"
#include "tests/lib/tmpdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S INT64_C(1000000000)
#define T0 (INT64_C(1700000000) * S)

enum { RULES = 3 };

struct site {
    struct tmpdir dir;
    char path[300], proof[300];
    struct archive *archive;
    struct spool *spool;
    struct history *history;
    struct derived *derived;
    struct uplink *uplink;
    struct uplink_config rule[RULES];
    struct config_item items[RULES];
    struct config_list rules;
    struct buf payload; /* of the block made last */
    struct record record;
};

static const uint8_t no_key[KEY_BYTES];
static const struct pack_channel channels[3] = {{"pump-1.flow", "m3/h", COLUMN_DOUBLE},
                                                {"pump-1.noise", "dB", COLUMN_DOUBLE},
                                                {"pump-1.level", "m", COLUMN_DOUBLE}};
static const char *const of_pump[] = {"kind=pump", NULL};
static const char *const *const tags[3] = {of_pump, of_pump, of_pump};

static void open_history(struct site *k)
{
    struct archive_options o = {.spool = {.node = "fog-a", .proof_path = k->proof}};
    struct derived_options d = {.tag_key = no_key};
    struct errmsg err = {""};

    o.spool.db = (struct db_options){.path = k->path,
                                     .tables = fog_tables,
                                     .n_tables = FOG_TABLES,
                                     .map_bytes = 16 << 20,
                                     .role = "fog",
                                     .no_preallocate = true};
    if (archive_open(&k->archive, &o, &err) != 0)
        fail_msg("%s", err.text);
    d.spool = k->spool = archive_spool(k->archive);
    assert_int_equal(history_new(&k->history, k->archive, "plant-a"), 0);
    history_limit(k->history, &(struct history_limits){4 << 20, 365 * 86400 * S});
    d.history = k->history;
    assert_int_equal(derived_new(&k->derived, &d), 0);
}

static int setup(void **state)
{
    static struct site k;
    struct uplink_options u = {.site = "plant-a"};

    memset(&k, 0, sizeof k);
    tmpdir_init(&k.dir);
    snprintf(k.path, sizeof k.path, "%.200s/spool", k.dir.path);
    snprintf(k.proof, sizeof k.proof, "%.200s/continuity", k.dir.path);
    open_history(&k);
    for (unsigned i = 0; i < RULES; i++)
        k.items[i].value = &k.rule[i];
    k.rules.at = k.items;
    u.spool = k.spool;
    u.rules = &k.rules;
    assert_int_equal(uplink_new(&k.uplink, &u), 0);
    *state = &k;
    return 0;
}

static int teardown(void **state)
{
    struct site *k = *state;

    k->uplink = uplink_free(k->uplink);
    k->derived = derived_free(k->derived);
    k->history = history_free(k->history);
    k->archive = archive_close(k->archive);
    buf_deinit(&k->payload);
    tmpdir_deinit(&k->dir);
    return 0;
}

static void rule(struct site *k, const char *select, enum uplink_way send)
{
    struct uplink_config *c = &k->rule[k->rules.n++];

    snprintf(c->select, sizeof c->select, "%s", select);
    c->send = send;
    uplink_renew(k->uplink);
}

/* A block of the first n channels, as a record in hand. */
static void make(struct site *k, unsigned n)
{
    struct cell cells[3] = {{.f64 = 1}, {.f64 = 2}, {.f64 = 3}};
    struct pack_row row = {.time_ns = T0, .cells = cells};
    char group[8];
    struct derived_group g = {group, channels, n, tags};
    struct spool_record r;
    uint64_t seq;

    snprintf(group, sizeof group, "g%u", n);
    assert_int_equal(derived_put(k->derived, &g, &row, 1, NULL, &seq), 0);
    assert_int_equal(spool_get(k->spool, spool_own(k->spool), seq, &r), 0);
    buf_reset(&k->payload);
    buf_append(&k->payload, r.payload.data, r.payload.len);
    k->record = (struct record){.origin = "fog-a",
                                .epoch = spool_own(k->spool)->epoch,
                                .seq = seq,
                                .kind = r.kind,
                                .samples = r.samples,
                                .payload = span_of(k->payload.data, k->payload.len)};
}

static enum uplink_way judge(struct site *k, bool is_new, bool is_refused)
{
    struct uplink_record r = {&k->record, is_new, is_refused};
    enum uplink_way way;

    assert_int_equal(uplink_judge(k->uplink, &r, &way), 0);
    return way;
}

static void the_first_pattern_counts_and_else_all_goes_up(void **state)
{
    struct site *k = *state;

    make(k, 1);
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    rule(k, "*/*/*.level", UPLINK_LOCAL);
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    rule(k, "plant-a/fog-a/*.flow", UPLINK_AGGREGATES);
    assert_int_equal(judge(k, true, false), UPLINK_AGGREGATES);
    rule(k, "**", UPLINK_LOCAL);
    assert_int_equal(judge(k, true, false), UPLINK_AGGREGATES);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_AGGREGATES], 2);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BYTES_STAY], 2 * k->record.payload.len);
}

static void tags_choose_too(void **state)
{
    struct site *k = *state;

    rule(k, "plant-a/kind=pump", UPLINK_LOCAL);
    make(k, 2);
    assert_int_equal(judge(k, true, false), UPLINK_LOCAL);
    rule(k, "plant-a/kind=fan", UPLINK_LOCAL);
    assert_int_equal(judge(k, true, false), UPLINK_LOCAL);
}

/* A record is never changed: one raw channel takes the others along. */
static void one_raw_channel_takes_its_block_along(void **state)
{
    struct site *k = *state;

    rule(k, "**/*.noise", UPLINK_LOCAL);
    make(k, 2);
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_MIXED], 1);
    rule(k, "**/*.flow", UPLINK_AGGREGATES);
    assert_int_equal(judge(k, true, false), UPLINK_AGGREGATES);
}

static void what_another_fog_may_have_goes_up(void **state)
{
    struct site *k = *state;

    rule(k, "**", UPLINK_LOCAL);
    make(k, 1);
    k->record.flags = RECORD_FLAG_AGAIN;
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    k->record.flags = 0;
    assert_int_equal(judge(k, false, false), UPLINK_RAW);
    assert_int_equal(judge(k, true, true), UPLINK_RAW);
    assert_int_equal(judge(k, true, false), UPLINK_LOCAL);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_AGAIN], 1);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_NOT_KEPT], 1);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_REFUSED], 1);
}

static void events_and_what_cannot_be_read_go_up(void **state)
{
    struct site *k = *state;

    rule(k, "**", UPLINK_LOCAL);
    make(k, 1);
    k->record.origin = "pump-9"; /* its descriptor set has not come */
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    assert_int_equal(uplink_counters(k->uplink)[UPLINK_BLOCKS_NO_SET], 1);
    k->record.origin = "fog-a";
    k->record.kind = FOGLINE__V1__KIND__KIND_EVENT;
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
    k->record.kind = FOGLINE__V1__KIND__KIND_BLOCK;
    k->record.payload = span_str("no block");
    assert_int_equal(judge(k, true, false), UPLINK_RAW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_pattern_counts_and_else_all_goes_up, setup, teardown),
        cmocka_unit_test_setup_teardown(tags_choose_too, setup, teardown),
        cmocka_unit_test_setup_teardown(one_raw_channel_takes_its_block_along, setup, teardown),
        cmocka_unit_test_setup_teardown(what_another_fog_may_have_goes_up, setup, teardown),
        cmocka_unit_test_setup_teardown(events_and_what_cannot_be_read_go_up, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
