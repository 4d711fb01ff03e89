/* Rows that the fog computed, as records of its own: what is written, when the set is, what a crash leaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive/query.h"
#include "fog/derived.h"
#include "fog/fog_tier.h"
#include "hop/maker.h"
#include "link/keys.h"
#include "tests/lib/tmpdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S INT64_C(1000000000)
#define T0 (INT64_C(1700000000) * S)

struct site {
    struct tmpdir dir;
    char path[300], proof[300];
    struct archive *archive;
    struct spool *spool;
    struct history *history;
    struct derived *derived;
};

static const uint8_t no_key[KEY_BYTES];
static const struct pack_channel channels[2] = {{"pump-1.temperature.mean", "Cel", COLUMN_DOUBLE},
                                                {"pump-1.temperature.count", "", COLUMN_INT64}};
static const char *const of_pump[] = {"of=plant-a/pump-1/temperature", "window=60s", NULL};
static const char *const *const tags[2] = {of_pump, of_pump};
static const struct derived_group minute = {"minute", channels, 2, tags};

static void open_it(struct site *k)
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
    memset(o.spool.boot_id.bytes, 7, ID128_BYTES);
    if (archive_open(&k->archive, &o, &err) != 0)
        fail_msg("%s", err.text);
    d.spool = k->spool = archive_spool(k->archive);
    assert_int_equal(history_new(&k->history, k->archive, "plant-a"), 0);
    history_limit(k->history, &(struct history_limits){4 << 20, 365 * 86400 * S});
    d.history = k->history;
    assert_int_equal(derived_new(&k->derived, &d), 0);
}

static void close_it(struct site *k)
{
    k->derived = derived_free(k->derived);
    k->history = history_free(k->history);
    k->archive = archive_close(k->archive);
}

static int setup(void **state)
{
    static struct site k;

    memset(&k, 0, sizeof k);
    tmpdir_init(&k.dir);
    snprintf(k.path, sizeof k.path, "%.200s/spool", k.dir.path);
    snprintf(k.proof, sizeof k.proof, "%.200s/continuity", k.dir.path);
    open_it(&k);
    *state = &k;
    return 0;
}

static int teardown(void **state)
{
    struct site *k = *state;

    close_it(k);
    tmpdir_deinit(&k->dir);
    return 0;
}

static uint64_t put(struct site *k, unsigned from, unsigned n, const struct pack_covers *covers)
{
    struct cell *cells = calloc(n, 2 * sizeof *cells);
    struct pack_row *rows = calloc(n, sizeof *rows);
    uint64_t seq;

    for (unsigned i = 0; i < n; i++) {
        cells[2 * i].f64 = 20.5 + from + i;
        cells[2 * i + 1].i64 = 60;
        rows[i] = (struct pack_row){T0 + 60 * S * (from + i), 0, &cells[2 * i], 2};
    }
    assert_int_equal(derived_put(k->derived, &minute, rows, n, covers, &seq), 0);
    free(cells);
    free(rows);
    return seq;
}

static void commit(struct site *k)
{
    assert_int_equal(history_flush(k->history, T0 + 86400 * S), 0);
    assert_int_equal(spool_commit(k->spool), 0);
    history_committed(k->history);
}

/* Of the blocks held: how many are never evicted. */
static unsigned kept_blocks(struct site *k)
{
    const struct interval_set *all = &spool_own(k->spool)->lane[LANE_ORDINARY].held;
    struct db_txn *txn;
    unsigned n = 0;

    assert_int_equal(spool_read(k->spool, &txn), 0);
    for (size_t i = 0; i < all->n; i++)
        for (uint64_t count = all->at[i].from; count <= all->at[i].to; count++) {
            struct spool_record r;

            assert_int_equal(spool_get(k->spool, spool_own(k->spool), count, &r), 0);
            n += r.kind == FOGLINE__V1__KIND__KIND_BLOCK && (r.flags & MAKER_FLAG_COVERS) != 0;
        }
    spool_read_done(k->spool);
    return n;
}

static unsigned held(struct site *k, uint32_t kind)
{
    const struct interval_set *all = &spool_own(k->spool)->lane[LANE_ORDINARY].held;
    struct db_txn *txn;
    unsigned n = 0;

    assert_int_equal(spool_read(k->spool, &txn), 0);
    for (size_t i = 0; i < all->n; i++)
        for (uint64_t count = all->at[i].from; count <= all->at[i].to; count++) {
            struct spool_record r;

            assert_int_equal(spool_get(k->spool, spool_own(k->spool), count, &r), 0);
            n += r.kind == kind;
        }
    spool_read_done(k->spool);
    return n;
}

static uint64_t in_history(struct site *k, double *ret_max)
{
    struct query_options o = {.pattern = "plant-a/fog-a/*.mean", .range = {INT64_MIN, INT64_MAX}};
    struct query_result q = {0};
    struct view *v;
    uint64_t n;

    assert_int_equal(view_new(&v, spool_db(k->spool)), 0);
    assert_int_equal(query_run(v, &o, &q), 0);
    n = q.n == 0 ? 0 : q.at[0].count;
    if (ret_max != NULL && q.n > 0)
        *ret_max = q.at[0].stat[QUERY_MAX];
    query_result_deinit(&q);
    view_free(v);
    return n;
}

static void rows_become_a_set_and_a_block_for_cloud_and_history(void **state)
{
    struct site *k = *state;
    double max = 0;

    put(k, 0, 10, NULL);
    commit(k);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_DESCRIPTOR), 1);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_BLOCK), 1);
    assert_int_equal(in_history(k, &max), 10);
    assert_true(max == 29.5);
}

static void more_rows_than_a_block_takes_are_several_blocks(void **state)
{
    struct site *k = *state;

    put(k, 0, 3 * DERIVED_ROWS + 1, NULL);
    commit(k);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_BLOCK), 4);
    assert_int_equal(in_history(k, NULL), 3 * DERIVED_ROWS + 1);
}

static void a_set_is_sent_once_over_restarts(void **state)
{
    struct site *k = *state;

    put(k, 0, 1, NULL);
    put(k, 1, 1, NULL);
    commit(k);
    close_it(k);
    open_it(k);
    assert_false(spool_began_epoch(k->spool));
    put(k, 2, 1, NULL);
    commit(k);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_DESCRIPTOR), 1);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_BLOCK), 3);
}

static void a_set_is_sent_again_in_another_epoch_and_for_another_archive(void **state)
{
    struct site *k = *state;
    uint8_t id[ID128_BYTES] = {1};

    put(k, 0, 1, NULL);
    assert_int_equal(spool_fact_put(k->spool, "archive", span_of(id, sizeof id)), 0);
    put(k, 1, 1, NULL); /* the first archive there is */
    commit(k);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_DESCRIPTOR), 1);
    id[0] = 2;
    assert_int_equal(spool_fact_put(k->spool, "archive", span_of(id, sizeof id)), 0);
    put(k, 2, 1, NULL);
    commit(k);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_DESCRIPTOR), 2);
    assert_int_equal(spool_new_epoch(k->spool), 0);
    put(k, 3, 1, NULL);
    commit(k);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_DESCRIPTOR), 1); /* of this epoch */
}

static void a_transaction_that_is_lost_takes_set_and_block_with_it(void **state)
{
    struct site *k = *state;

    put(k, 0, 5, NULL);
    close_it(k); /* as a kill: what was open is gone */
    open_it(k);
    assert_int_equal(in_history(k, NULL), 0);
    put(k, 0, 5, NULL);
    assert_int_equal(spool_rollback(k->spool), 0);
    assert_int_equal(history_reload(k->history), 0);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_BLOCK), 0);
    put(k, 0, 5, NULL);
    commit(k);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_DESCRIPTOR), 1);
    assert_int_equal(in_history(k, NULL), 5);
}

static void the_last_block_carries_what_all_of_them_cover(void **state)
{
    struct site *k = *state;
    static uint8_t epoch[ID128_BYTES] = {9};
    uint64_t bounds[2] = {3, 8};
    Fogline__V1__Cover cover = FOGLINE__V1__COVER__INIT, *list[1] = {&cover};
    const struct interval_set *all = &spool_own(k->spool)->lane[LANE_ORDINARY].held;
    uint64_t last;
    struct db_txn *txn;

    cover.origin = (char *)"pump-1";
    cover.epoch = wire_bytes(span_of(epoch, sizeof epoch));
    cover.n_bounds = 2;
    cover.bounds = bounds;
    cover.reason = FOGLINE__V1__REASON__REASON_MERGED;
    last = put(k, 0, 2 * DERIVED_ROWS, &(struct pack_covers){list, 1});
    commit(k);
    assert_int_equal(spool_read(k->spool, &txn), 0);
    for (uint64_t count = all->at[0].from; count <= all->at[0].to; count++) {
        struct spool_record r;
        struct block_head head;

        assert_int_equal(spool_get(k->spool, spool_own(k->spool), count, &r), 0);
        if (r.kind == FOGLINE__V1__KIND__KIND_BLOCK) {
            assert_true(block_head_read(r.payload, &head));
            assert_true(head.has_covers == (count == last));
        }
    }
    spool_read_done(k->spool);
}

static void names_are_cut_and_stay_apart(void **state)
{
    char a[DERIVED_CHANNEL_BYTES], b[DERIVED_CHANNEL_BYTES], tag[DERIVED_TAG_BYTES];
    char device[65], channel[65];

    (void)state;
    derived_channel_name("pump-3", "temperature", "mean", a);
    assert_string_equal(a, "pump-3.temperature.mean");
    derived_channel_name(NULL, "total", NULL, a);
    assert_string_equal(a, "total");
    memset(device, 'd', 64);
    memset(channel, 'c', 64);
    device[64] = channel[64] = '\0';
    derived_channel_name(device, channel, "max", a);
    channel[63] = 'x';
    derived_channel_name(device, channel, "max", b);
    assert_true(strlen(a) == 64 && strlen(b) == 64 && name_part_ok(a, 64));
    assert_string_not_equal(a, b);
    assert_string_equal(a + 60, ".max");
    derived_of_tag("plant-a", "pump-3", "temperature", tag);
    assert_string_equal(tag, "of=plant-a/pump-3/temperature");
    derived_of_tag(device, device, channel, tag);
    assert_int_equal(strlen(tag), DERIVED_TAG_BYTES - 1);
}

/* Evicted, they would never be archived, and what was withheld for them would stay with its device. */
static void blocks_that_covers_rest_on_are_never_evicted(void **state)
{
    struct site *k = *state;
    struct pack_covers none = {0};

    (void)put(k, 0, DERIVED_ROWS + 10, NULL);
    commit(k);
    assert_int_equal(kept_blocks(k), 0);
    (void)put(k, 1000, DERIVED_ROWS + 10, &none);
    commit(k);
    assert_int_equal(held(k, FOGLINE__V1__KIND__KIND_BLOCK), 4);
    assert_int_equal(kept_blocks(k), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_become_a_set_and_a_block_for_cloud_and_history, setup, teardown),
        cmocka_unit_test_setup_teardown(more_rows_than_a_block_takes_are_several_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_is_sent_once_over_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_is_sent_again_in_another_epoch_and_for_another_archive, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_transaction_that_is_lost_takes_set_and_block_with_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_last_block_carries_what_all_of_them_cover, setup, teardown),
        cmocka_unit_test(names_are_cut_and_stay_apart),
        cmocka_unit_test_setup_teardown(blocks_that_covers_rest_on_are_never_evicted, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
