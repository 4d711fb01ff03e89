#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cloud/cloud_config.h"
#include "cloud/ctl_private.h"

#define NOW (INT64_C(1763678000) * NS_PER_S)

static void schema_is_sound(void **state)
{
    struct errmsg err = {""};

    (void)state;
    if (config_schema_check(&cloud_schema, &err) != 0)
        fail_msg("%s", err.text);
}

static int load(const char *text, struct cloud_config *c, struct config_problems *p)
{
    const struct config_text t = {.name = "cloud.yaml", .text = span_str(text)};

    return config_load_text(&cloud_schema, &t, c, p);
}

static void defaults_and_patterns_load(void **state)
{
    struct config_problems p = {0};
    struct cloud_config c;

    (void)state;
    assert_int_equal(load("node: cloud\nreduce_sites: [plant-a, 'plant-b/pump-*']\n", &c, &p), 0);
    assert_int_equal(c.common.listen_port, 5520);
    assert_int_equal(c.reduce_sites.n, 2);
    assert_string_equal(c.reduce_sites.at[1], "plant-b/pump-*");
    config_free_values(&cloud_schema, &c);
    config_problems_deinit(&p);
}

static void check_problem(const char *text, const char *field)
{
    struct config_problems p = {0};
    struct cloud_config c;
    int r = load(text, &c, &p);

    config_free_values(&cloud_schema, &c);
    assert_int_equal(r, CONFIG_BAD);
    assert_int_equal(p.n, 1);
    assert_string_equal(p.at[0].field, field);
    config_problems_deinit(&p);
}

static void bad_pattern_and_small_limit_are_named(void **state)
{
    (void)state;
    check_problem("node: cloud\nreduce_sites: ['{a']\n", "reduce_sites[0]");
    check_problem("node: cloud\ngrants: [{select: plant-a}, {select: 'plant-a/kind=pump', weight: 3}]\n",
                  "grants[1].select");
    check_problem("node: cloud\nstore: {map_bytes: 1 GiB, map_max_bytes: 512 MiB}\n", "store.map_max_bytes");
}

static void check_time(const char *text, int64_t expected_ns)
{
    int64_t ns = 0;

    if (!ctl_time_parse(text, NOW, &ns))
        fail_msg("%s does not parse", text);
    if (ns != expected_ns)
        fail_msg("%s is %lld, not %lld", text, (long long)ns, (long long)expected_ns);
}

static void times_are_read_in_every_form(void **state)
{
    (void)state;
    check_time("now", NOW);
    check_time("-90s", NOW - 90 * NS_PER_S);
    check_time("-2h", NOW - 7200 * NS_PER_S);
    check_time("@1763678000.25", NOW + NS_PER_S / 4);
    check_time("@-1.5", -NS_PER_S - NS_PER_S / 2);
    check_time("@-0.5", -NS_PER_S / 2);
    check_time("2024-02-29", 1709164800 * NS_PER_S);
    check_time("1970-01-02", 86400 * NS_PER_S);
    check_time("1970-01-01T00:00:01.5Z", NS_PER_S + NS_PER_S / 2);
    check_time("1970-01-01T01:00:00+01:00", 0);
    check_time("1970-01-01 00:30", 1800 * NS_PER_S);
    check_time("1969-12-31T23:59:59Z", -NS_PER_S);
    check_time("1969-12-31T18:30:00-0530", 0);
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const texts[] = {
        "",     "yesterday",   "2026-13-01",  "2026-02-29", "2026-04-31T12:00:00Z",  "-5",           "@",
        "@12x", "2026-01-01T", "1970-01-01Q", "-0s",        "1970-01-01T00:00:00+1", "-99999999999w"};
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (ctl_time_parse(texts[i], NOW, &ns))
            fail_msg("`%s` parses", texts[i]);
    assert_false(ctl_width_parse("s", &ns));
    assert_true(ctl_width_parse("500ms", &ns) && ns == 500 * NS_PER_MS);
    assert_true(ctl_width_parse("1d", &ns) && ns == 86400 * NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema_is_sound),
        cmocka_unit_test(defaults_and_patterns_load),
        cmocka_unit_test(bad_pattern_and_small_limit_are_named),
        cmocka_unit_test(times_are_read_in_every_form),
        cmocka_unit_test(what_is_no_time_is_refused),
    };

    return cmocka_run_group_tests_name("cloud_settings", tests, NULL, NULL);
}
