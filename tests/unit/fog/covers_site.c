#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fog/covers_site.h"

#include "fog/fog_tier.h"

#include <stdio.h>
#include <string.h>

struct spool_stream *site_stream(struct site *k, unsigned device)
{
    struct id128 epoch = {{(uint8_t)(device + 1)}};
    struct spool_stream *s;
    char name[16];

    snprintf(name, sizeof name, "pump-%u", device);
    assert_int_equal(spool_stream_make(k->spool, name, &epoch, &s), 0);
    return s;
}

static unsigned device_of(const char *origin)
{
    unsigned device;

    assert_int_equal(sscanf(origin, "pump-%u", &device), 1);
    assert_true(device < DEVICES);
    return device;
}

static bool needs_it(const struct known *r, uint64_t need)
{
    for (unsigned i = 0; i < r->n_needs; i++)
        if (r->needs[i] == need)
            return true;
    return false;
}

/* A cover speaks of records of which all is made, each not said before or not taken; it names all that is
 * still needed and nothing else. */
static void check_cover(struct site *k, const Fogline__V1__Cover *v, uint64_t ledger)
{
    unsigned device = device_of(v->origin);
    uint64_t samples = 0;

    for (size_t i = 0; i < v->n_needs; i++) {
        bool is_of_one = false;

        for (size_t b = 0; b < v->n_bounds; b += 2)
            for (uint64_t n = v->bounds[b]; n <= v->bounds[b + 1]; n++)
                is_of_one |= needs_it(&k->now.at[device][v->lane][n], v->needs[i]);
        assert_true(is_of_one);
    }
    for (size_t b = 0; b < v->n_bounds; b += 2)
        for (uint64_t n = v->bounds[b]; n <= v->bounds[b + 1]; n++) {
            struct known *r = &k->now.at[device][v->lane][n];

            if (r->what == SAID) {
                assert_false(site_is_held(k, r->ledger));
                assert_false(r->accepted);
            } else {
                assert_int_equal(r->what, COVERED);
            }
            assert_int_equal(r->reason, v->reason);
            for (unsigned i = 0; i < r->n_needs; i++) {
                bool is_named = !site_is_held(k, r->needs[i]);

                for (size_t j = 0; j < v->n_needs; j++)
                    is_named |= v->needs[j] == r->needs[i];
                assert_true(is_named);
            }
            samples += r->samples;
            r->what = SAID;
            r->ledger = ledger;
        }
    assert_int_equal(samples, v->samples);
}

static int make(void *ctx, struct span payload, uint64_t *ret_seq)
{
    struct site *k = ctx;
    struct spool_record r = {.kind = SPOOL_KIND_LEDGER, .payload = payload};
    Fogline__V1__Ledger *ledger;
    int rc;

    if (k->is_full)
        return SPOOL_FULL;
    if (k->settled_by_room != 0)
        site_settle(k, k->settled_by_room, true);
    k->settled_by_room = 0;
    rc = spool_append(k->spool, LANE_URGENT, &r, ret_seq);
    if (rc != 0)
        return rc;
    wire_arena_reset(k->arena);
    assert_int_equal(wire_ledger_unpack(k->arena, payload, &ledger), 0);
    assert_int_equal(ledger->time_ns, k->clock.wall_unix_ns);
    for (size_t i = 0; i < ledger->n_covers; i++)
        check_cover(k, ledger->covers[i], *ret_seq);
    k->n_ledgers++;
    return 0;
}

void site_open(struct site *k)
{
    struct spool_options o = {.node = "fog-a", .proof_path = k->proof};
    struct covers_options c = {.table = FOG_TABLE_COVERS, .make = make, .ctx = k};
    struct errmsg err = {""};

    o.db = (struct db_options){.path = k->path,
                               .tables = fog_tables,
                               .n_tables = FOG_TABLES,
                               .map_bytes = 16 << 20,
                               .role = "fog",
                               .no_preallocate = true};
    memset(o.boot_id.bytes, 7, ID128_BYTES);
    if (spool_open(&k->spool, &o, &err) != 0)
        fail_msg("%s", err.text);
    c.spool = k->spool;
    c.clock = clock_fake_of(&k->clock);
    assert_int_equal(covers_new(&k->covers, &c), 0);
    covers_link(k->covers, true);
}

void site_close(struct site *k)
{
    k->covers = covers_free(k->covers);
    k->spool = spool_close(k->spool);
    k->now = k->committed;
}

int site_setup(void **state)
{
    static struct site k;

    memset(&k, 0, sizeof k);
    k.clock.wall_unix_ns = INT64_C(1700000000) * NS_PER_S;
    tmpdir_init(&k.dir);
    snprintf(k.path, sizeof k.path, "%.200s/spool", k.dir.path);
    snprintf(k.proof, sizeof k.proof, "%.200s/continuity", k.dir.path);
    assert_int_equal(wire_arena_new(&k.arena, 8 << 20), 0);
    site_open(&k);
    *state = &k;
    return 0;
}

int site_teardown(void **state)
{
    struct site *k = *state;

    site_close(k);
    wire_arena_free(k->arena);
    tmpdir_deinit(&k->dir);
    return 0;
}

uint64_t site_derived(struct site *k)
{
    struct spool_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK, .payload = span_of("rows", 4)};
    uint64_t seq;

    assert_int_equal(spool_append(k->spool, LANE_ORDINARY, &r, &seq), 0);
    return seq;
}

bool site_is_held(const struct site *k, uint64_t own_seq)
{
    return interval_set_has(&spool_own(k->spool)->lane[seq_lane(own_seq)].held, seq_count(own_seq));
}

void site_settle(struct site *k, uint64_t own_seq, bool is_allowed)
{
    struct interval one = {seq_count(own_seq), seq_count(own_seq)};

    assert_int_equal(spool_remove(k->spool, spool_own(k->spool), seq_lane(own_seq), one, NULL), 0);
    if (seq_lane(own_seq) != LANE_URGENT || !is_allowed)
        return;
    for (unsigned d = 0; d < DEVICES; d++)
        for (unsigned l = 0; l < SPOOL_LANES; l++)
            for (unsigned n = 1; n <= RECORDS; n++)
                if (k->now.at[d][l][n].what == SAID && k->now.at[d][l][n].ledger == own_seq)
                    k->now.at[d][l][n].accepted = true;
}

bool site_is_explained(const struct site *k, const struct known *r)
{
    for (unsigned i = 0; i < r->n_needs; i++)
        if (site_is_held(k, r->needs[i]))
            return false;
    return r->what == SETTLED || (r->what == SAID && r->accepted);
}

void site_mark(struct site *k, unsigned device, unsigned lane)
{
    Fogline__V1__MarkBody body = FOGLINE__V1__MARK_BODY__INIT;
    uint64_t bounds[2 * RECORDS];

    body.lane = lane;
    body.from = 1;
    body.to = RECORDS;
    body.explained = bounds;
    for (unsigned n = 1; n <= RECORDS; n++) {
        struct known *r = &k->now.at[device][lane][n];

        if (!site_is_explained(k, r))
            continue;
        r->what = SETTLED;
        if (body.n_explained > 0 && bounds[body.n_explained - 1] == n - 1) {
            bounds[body.n_explained - 1] = n;
        } else {
            bounds[body.n_explained++] = n;
            bounds[body.n_explained++] = n;
        }
    }
    covers_marked(k->covers, site_stream(k, device), &body);
    site_flush(k, false);
}

uint64_t site_count(const struct site *k, enum what what)
{
    uint64_t count = 0;

    for (unsigned d = 0; d < DEVICES; d++)
        for (unsigned l = 0; l < SPOOL_LANES; l++)
            for (unsigned n = 1; n <= RECORDS; n++)
                count += k->now.at[d][l][n].what == what;
    return count;
}

static void check_status(struct site *k)
{
    struct covers_status s;

    covers_status(k->covers, &s);
    assert_int_equal(s.waiting_records, site_count(k, WAITING));
    assert_int_equal(s.covered_records + s.said_records, site_count(k, COVERED) + site_count(k, SAID));
}

void site_flush(struct site *k, bool force)
{
    assert_int_equal(covers_flush(k->covers, k->now_ms, force), 0);
    check_status(k);
}

void site_commit(struct site *k)
{
    assert_int_equal(spool_commit(k->spool), 0);
    k->committed = k->now;
}

void site_rollback(struct site *k)
{
    assert_int_equal(spool_rollback(k->spool), 0);
    assert_int_equal(covers_reload(k->covers), 0);
    k->now = k->committed;
    check_status(k);
}
