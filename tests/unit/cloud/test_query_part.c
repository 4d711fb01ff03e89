/* A query over several stores: what each gives, joined, is what one store of all would say. */
#include "fixture.h"

#include "archive/query_part.h"
#include "base/rng.h"

#include <math.h>

enum { BLOCKS = 40, ROWS = 50, PARTS_MAX = 64 };

static const char *const devices[FIXTURE_DEVICES] = {"north/pump-0", "north/pump-1", "south/fan-2"};

static void fill_block(struct fixture *f, struct rng *rng, unsigned device)
{
    struct fixture_row rows[ROWS];
    struct fixture_record r = {.kind = FOGLINE__V1__KIND__KIND_BLOCK};
    int64_t base = f->fake.wall_unix_ns + ((int64_t)rng_below(rng, 4000) - 2000) * NS_PER_S;
    uint64_t seq;

    base += (int64_t)device; /* which of equal times is first is for who reads them to say */
    memset(rows, 0, sizeof rows);
    for (uint32_t i = 0; i < ROWS; i++) {
        rows[i].time_ns = base + (int64_t)i * NS_PER_S;
        rows[i].cells[0].f64 = rng_normal(rng) * 1e3;
        rows[i].cells[1].i64 = (int64_t)rng_below(rng, 100);
        rows[i].cells[2].i64 = (int64_t)rng_below(rng, 2);
        rows[i].cells[3].text = span_str("ok");
        rows[i].cells[rng_below(rng, 4)].absent = true;
    }
    buf_reset(&f->payload);
    fixture_block(&f->payload, fixture_set_id(rng_below(rng, 2) == 0 ? "Cel" : "K"), rows, ROWS, &r.samples);
    r.payload = span_of(f->payload.data, f->payload.len);
    r.flags = rng_below(rng, 4) == 0 ? RECORD_FLAG_AGAIN : 0;
    assert_int_equal(fixture_put(f, device, &r, &seq), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct rng rng = {7};

    fixture_init(f);
    for (unsigned d = 0; d < FIXTURE_DEVICES; d++) {
        fixture_put_descriptor(f, d, "Cel");
        fixture_put_descriptor(f, d, "K");
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        fill_block(f, &rng, (unsigned)rng_below(&rng, FIXTURE_DEVICES));
    fixture_commit(f);
    fixture_view(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_deinit(*state);
    free(*state);
    return 0;
}

struct parts {
    struct buf at[PARTS_MAX];
    size_t n;
};

static int on_part(void *ctx, struct span part)
{
    struct parts *p = ctx;

    assert_true(p->n < PARTS_MAX && part.len <= QUERY_PART_BYTES_MAX);
    buf_append(&p->at[p->n++], part.data, part.len);
    return 0;
}

static void parts_deinit(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        buf_deinit(&p->at[i]);
    p->n = 0;
}

/* Each device is a store of its own. */
static void take_parts(struct fixture *f, const struct query_options *o, struct parts *p)
{
    for (unsigned d = 0; d < FIXTURE_DEVICES; d++) {
        struct query_options mine = *o;
        uint64_t again;

        mine.pattern = devices[d];
        assert_int_equal(query_parts(f->view, &mine, on_part, p, &again), 0);
        assert_true(o->without_again || again == 0);
    }
}

static bool same_double(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void assert_same(const struct query_result *a, const struct query_result *b, bool but_time_avg)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        const struct query_row *x = &a->at[i], *y = &b->at[i];

        assert_true(x->bucket_ns == y->bucket_ns && x->count == y->count);
        assert_true((x->unit == NULL) == (y->unit == NULL) &&
                    (x->unit == NULL || strcmp(x->unit, y->unit) == 0));
        assert_true(x->device == NULL || strcmp(x->device, y->device) == 0);
        for (unsigned s = 0; s < QUERY_STATS; s++)
            assert_true((s == QUERY_TIME_AVG && but_time_avg) || same_double(x->stat[s], y->stat[s]));
    }
}

static void parts_of_several_stores_say_what_one_would(void **state)
{
    static const int64_t widths[] = {0, 60 * NS_PER_S, NS_PER_S};
    struct parts p = {.n = 0};

    for (unsigned i = 0; i < 48; i++) {
        struct query_options o = {.pattern = "**",
                                  .range = {INT64_MIN, INT64_MAX},
                                  .bucket_ns = widths[i % 3],
                                  .by_site = (i & 4) != 0,
                                  .by_device = (i & 8) != 0,
                                  .by_channel = (i & 16) != 0,
                                  .without_again = i % 5 == 0,
                                  .wanted = i >= 32 ? QUERY_BIT(QUERY_STATS) - 1 : 0};
        struct query_result one = {0}, joined = {0};
        struct query_gather *g;

        take_parts(*state, &o, &p);
        assert_int_equal(query_gather_new(&g, &o), 0);
        for (size_t k = p.n; k-- > 0;) /* in any order */
            assert_int_equal(query_gather_add(g, span_of(p.at[k].data, p.at[k].len)), 0);
        assert_int_equal(query_gather_result(g, &joined), 0);
        assert_int_equal(query_run(((struct fixture *)*state)->view, &o, &one), 0);
        assert_true(one.n > 0);
        assert_same(&one, &joined, !o.by_device);
        query_result_deinit(&one);
        query_result_deinit(&joined);
        query_gather_free(g);
        parts_deinit(&p);
    }
}

static void bytes_that_no_store_gives_are_refused(void **state)
{
    struct query_options o = {.pattern = "**",
                              .range = {INT64_MIN, INT64_MAX},
                              .bucket_ns = 600 * NS_PER_S,
                              .by_device = true,
                              .wanted = QUERY_BIT(QUERY_P50)};
    struct parts p = {.n = 0};
    struct query_gather *g;
    struct rng rng = {3};
    unsigned refused = 0;

    take_parts(*state, &o, &p);
    for (unsigned i = 0; i < 4000; i++) {
        struct span part = span_of(p.at[0].data, p.at[0].len);
        uint8_t *byte = &p.at[0].data[rng_below(&rng, part.len)], was = *byte;

        if (i % 2 == 0)
            part.len = rng_below(&rng, part.len);
        else
            *byte = (uint8_t)rng_below(&rng, 256);
        assert_int_equal(query_gather_new(&g, &o), 0);
        refused += query_gather_add(g, part) != 0;
        query_gather_free(g);
        *byte = was;
    }
    assert_true(refused > 1500);
    o.by_channel = true; /* another question */
    assert_int_equal(query_gather_new(&g, &o), 0);
    assert_int_equal(query_gather_add(g, span_of(p.at[0].data, p.at[0].len)), -EINVAL);
    query_gather_free(g);
    parts_deinit(&p);
}

static void a_question_reads_back(void **state)
{
    struct query_options o = {.pattern = "north/*/{a,b}",
                              .range = {INT64_MIN, 5},
                              .bucket_ns = 60,
                              .by_device = true,
                              .without_again = true,
                              .wanted = QUERY_BIT(QUERY_P99)},
                         r;
    char text[100];

    (void)state;
    assert_true(query_order_format(&o, text, sizeof text));
    assert_true(query_order_parse(text, &r));
    assert_string_equal(r.pattern, o.pattern);
    assert_true(r.range.from_ns == INT64_MIN && r.range.to_ns == 5 && r.bucket_ns == 60 && r.by_device &&
                !r.by_site && !r.by_channel && r.without_again && !r.bad_too && r.wanted == o.wanted);
    assert_false(query_order_format(&o, text, 20));
    assert_false(query_order_parse("5 4 0 0 0 **", &r));
    assert_false(query_order_parse("4 5 0 0 0 {", &r));
    assert_false(query_order_parse("4 5 0 0", &r));
    assert_false(query_order_parse("4 5 0 99 0 **", &r));
    assert_false(query_order_parse("", &r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts_of_several_stores_say_what_one_would),
                                       cmocka_unit_test(bytes_that_no_store_gives_are_refused),
                                       cmocka_unit_test(a_question_reads_back)};

    return cmocka_run_group_tests_name("cloud_query_part", tests, setup, teardown);
}
