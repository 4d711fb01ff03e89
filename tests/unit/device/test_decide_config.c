/* Wrong rules and outputs: each is said with its line, its field and what to do. */
#include "device/device_config.h"

#include "device/decide/decide_config.h"
#include "rule/rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD                                                                                                 \
    "node: d\n"                                                                                              \
    "site: s\n"                                                                                              \
    "sources:\n"                                                                                             \
    "  - {type: host, name: host}\n"                                                                         \
    "outputs:\n"                                                                                             \
    "  - {type: file, name: led, path: /tmp/led}\n"

static struct device_tier tier;

/* The problems of the text in lines; empty: there are none. */
static char *problems_of(const char *yaml)
{
    struct config_text text = {.name = "d.yaml", .text = span_str(yaml)};
    struct config_problems problems = {0};
    struct device_config values;
    char *out = NULL;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    int rc = config_load_text(&tier.schema, &text, &values, &problems);

    config_problems_print(&problems, f);
    fclose(f);
    assert_int_equal(rc, problems.n > 0 ? CONFIG_BAD : 0);
    config_problems_deinit(&problems);
    config_free_values(&tier.schema, &values);
    return out;
}

static void wrong_rules_and_outputs_are_said_with_a_remedy(void **state)
{
    static const struct {
        const char *more, *said;
    } cases[] = {
#include "decide_config_golden.h"
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[4096];
        char *said;

        snprintf(yaml, sizeof yaml, HEAD "%s", cases[i].more);
        said = problems_of(yaml);
        if (strcmp(said, cases[i].said) != 0)
            fail_msg("%s\nsays\n%s\ninstead of\n%s", cases[i].more, said, cases[i].said);
        free(said);
    }
}

static void every_key_is_taken(void **state)
{
    static const char more[] = "  - {type: gpio, name: reject, chip: gpiochip0, line: '3', active_low: true, "
                               "on_start: active, on_exit: keep, on_stale: inactive, stale_ms: 5 s}\n"
                               "rules:\n"
                               "  - type: outside\n"
                               "    name: hot\n"
                               "    channel: 'host/*.temperature'\n"
                               "    min: -5\n"
                               "    max: 30\n"
                               "    hysteresis: 1\n"
                               "    hold_ms: 3 s\n"
                               "    clear_hold_ms: 1 s\n"
                               "    severity: critical\n"
                               "    actions:\n"
                               "      - {type: set, output: led}\n"
                               "      - {type: pulse, output: reject, ms: 200 ms}\n"
                               "      - {type: blink, output: led, on_ms: 100, off_ms: 900}\n"
                               "      - {type: exec, argv: [/bin/true, a b], timeout_ms: 1 s, when: raised}\n"
                               "  - {type: equals, name: e, channel: h*/x, value: open}\n"
                               "  - {type: missing, name: m, channel: host/x, for_ms: 5 s}\n";
    struct config_text text = {.name = "d.yaml"};
    struct config_problems problems = {0};
    struct device_config v;
    const struct rule_config *hot;
    const struct action_config *exec;
    struct rule r;
    char yaml[4096];

    (void)state;
    snprintf(yaml, sizeof yaml, HEAD "%s", more);
    text.text = span_str(yaml);
    assert_int_equal(config_load_text(&tier.schema, &text, &v, &problems), 0);
    assert_int_equal(v.rules.n, 3);
    assert_int_equal(v.outputs.n, 2);
    hot = v.rules.at[0].value;
    exec = hot->actions.at[3].value;
    rule_of_config(v.rules.at[0].kind, hot, &r);
    assert_int_equal(r.kind, RULE_OUTSIDE);
    assert_true(r.low == -5 && r.high == 30 && r.hysteresis == 1);
    assert_true(r.hold_ns == INT64_C(3000000000) && r.clear_hold_ns == INT64_C(1000000000));
    assert_int_equal(hot->severity, 3);
    assert_string_equal(exec->argv.at[1], "a b");
    assert_true(rule_has_pattern(hot));
    assert_true(rule_watches(hot, "host", "cpu.temperature"));
    assert_false(rule_watches(hot, "host", "cpu.load"));
    assert_false(rule_watches(hot, "tank", "cpu.temperature"));
    assert_false(rule_has_pattern(v.rules.at[2].value));
    config_free_values(&tier.schema, &v);
}

static void the_tables_are_sound(void **state)
{
    struct errmsg err = {""};

    (void)state;
    if (config_schema_check(&tier.schema, &err) != 0)
        fail_msg("%s", err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_rules_and_outputs_are_said_with_a_remedy),
        cmocka_unit_test(every_key_is_taken),
        cmocka_unit_test(the_tables_are_sound),
    };

    assert_int_equal(device_tier_init(&tier, NULL, NULL, &(struct errmsg){""}), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
