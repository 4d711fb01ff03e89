#include "bench.h"

#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void the_shared_part_of_the_schema_is_sound(void **state)
{
    struct errmsg err = {""};

    (void)state;
    if (config_schema_check(&bench_schema, &err) != 0)
        fail_msg("%s", err.text);
}

static void no_words_show_all_commands_and_fail(void **state)
{
    const struct said *s = bench_run(*state, NULL);

    assert_int_equal(s->code, CTL_USAGE);
    assert_string_equal(s->out, "");
    assert_non_null(strstr(s->err, "store verify"));
    assert_non_null(strstr(s->err, "Exit codes: 0 ok"));
}

static void asked_for_help_goes_to_stdout(void **state)
{
    const struct said *s = bench_run(*state, "--help", NULL);

    assert_int_equal(s->code, CTL_OK);
    assert_string_equal(s->err, "");
    assert_non_null(strstr(s->out, "enroll accept"));
    s = bench_run(*state, "store", "ls", "--help", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "--origin NAME"));
    s = bench_run(*state, "help", "store", "ls", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "--origin NAME"));
}

static void a_tool_without_a_configuration_has_no_option_for_one(void **state)
{
    struct ctl_tier tier = bench_tier;
    char *help[] = {"tool", "--help"}, *given[] = {"tool", "-c", "x", "version"};
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    tier.config_path = NULL;
    assert_int_equal(cmd_run(&tier, 2, help, f, f), CTL_OK);
    fflush(f);
    assert_null(strstr(text, "--config"));
    assert_null(strstr(text, "-c FILE"));
    assert_non_null(strstr(text, "--json"));
    rewind(f);
    assert_int_equal(cmd_run(&tier, 4, given, f, f), CTL_USAGE);
    fclose(f);
    free(text);
}

static void a_group_alone_lists_its_commands(void **state)
{
    const struct said *s = bench_run(*state, "enroll", NULL);

    assert_int_equal(s->code, CTL_USAGE);
    assert_non_null(strstr(s->err, "enroll revoke"));
    assert_null(strstr(s->err, "store ls"));
}

static void a_misspelt_command_is_answered_with_the_nearest(void **state)
{
    const struct said *s = bench_run(*state, "store", "verfy", NULL);

    assert_int_equal(s->code, CTL_USAGE);
    assert_non_null(strstr(s->err, "did you mean `store verify`"));
    s = bench_run(*state, "statsu", NULL);
    assert_int_equal(s->code, CTL_USAGE);
    assert_non_null(strstr(s->err, "did you mean `status`"));
}

static void a_misspelt_option_is_answered_with_the_nearest(void **state)
{
    const struct said *s = bench_run(*state, "store", "ls", "--orign", "a", NULL);

    assert_int_equal(s->code, CTL_USAGE);
    assert_non_null(strstr(s->err, "did you mean --origin"));
}

static void an_option_without_its_value_is_refused(void **state)
{
    const struct said *s = bench_run(*state, "store", "ls", "--limit", NULL);

    assert_int_equal(s->code, CTL_USAGE);
    s = bench_run(*state, "store", "ls", "--limit", "many", NULL);
    assert_int_equal(s->code, CTL_USAGE);
    assert_non_null(strstr(s->err, "`many` is not a number"));
    s = bench_run(*state, "version", "--json=yes", NULL);
    assert_int_equal(s->code, CTL_USAGE);
}

static void arguments_are_counted(void **state)
{
    assert_int_equal(bench_run(*state, "enroll", "revoke", NULL)->code, CTL_USAGE);
    assert_int_equal(bench_run(*state, "enroll", "revoke", "a", "b", NULL)->code, CTL_USAGE);
    assert_int_equal(bench_run(*state, "version", "extra", NULL)->code, CTL_USAGE);
}

static void errors_are_json_when_asked_for(void **state)
{
    const struct said *s = bench_run(*state, "enroll", "revoke", "--json", NULL);

    assert_int_equal(s->code, CTL_USAGE);
    assert_int_equal(strncmp(s->err, "{\"error\":", 9), 0);
}

static void config_check_says_everything_that_is_wrong(void **state)
{
    const struct said *s = bench_run(*state, "config", "check", NULL);

    assert_int_equal(s->code, CTL_OK);
    bench_configure(*state, "dept: 3\ndepth: 10\nup: {endpoints: ['a:1']}\n");
    s = bench_run(*state, "config", "check", NULL);
    assert_int_equal(s->code, CTL_FAILED);
    assert_non_null(strstr(s->err, ":5:"));
    assert_non_null(strstr(s->err, ":6:"));
    assert_non_null(strstr(s->err, "up.keys"));
}

static void shown_config_loads_again(void **state)
{
    struct bench *b = *state;
    const struct said *s = bench_run(b, "config", "show", NULL);
    FILE *f;

    assert_int_equal(s->code, CTL_OK);
    f = fopen(b->config, "w");
    fputs(s->out, f);
    fclose(f);
    assert_int_equal(bench_run(b, "config", "check", NULL)->code, CTL_OK);
}

static void a_key_is_made_once(void **state)
{
    const struct said *s = bench_run(*state, "key", "show", NULL);

    assert_int_equal(s->code, CTL_NOT_FOUND);
    s = bench_run(*state, "key", "gen", NULL);
    assert_int_equal(s->code, CTL_OK);
    assert_non_null(strstr(s->out, "fn1-"));
    assert_int_equal(bench_run(*state, "key", "gen", NULL)->code, CTL_FAILED);
    assert_int_equal(bench_run(*state, "key", "show", NULL)->code, CTL_OK);
}

static void link_key_of_a_fog_carries_the_cloud_of_its_own_link_key(void **state)
{
    struct link_key above = {.upper_transport = {1}, .cloud_end = {2}, .operator_public = {3}}, shown;
    char text[KEY_TEXT_CHARS], line[400];
    struct errmsg err;
    const struct said *s;

    link_key_format(&above, text);
    snprintf(line, sizeof(line), "up: {keys: ['%s']}\n", text);
    bench_configure(*state, line);
    assert_int_equal(bench_run(*state, "key", "gen", NULL)->code, CTL_OK);
    s = bench_run(*state, "key", "show", "--link", NULL);
    assert_int_equal(s->code, CTL_OK);
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(s->out, "\n"), s->out);
    assert_int_equal(link_key_parse(text, &shown, &err), 0);
    assert_memory_equal(shown.cloud_end, above.cloud_end, KEY_BYTES);
    assert_memory_equal(shown.operator_public, above.operator_public, KEY_BYTES);
    assert_memory_not_equal(shown.upper_transport, above.upper_transport, KEY_BYTES);
}

static void link_keys_of_two_clouds_are_refused(void **state)
{
    struct link_key a = {.upper_transport = {1}, .cloud_end = {2}, .operator_public = {3}}, b = a;
    char ta[KEY_TEXT_CHARS], tb[KEY_TEXT_CHARS], line[600];

    b.cloud_end[0] = 9;
    link_key_format(&a, ta);
    link_key_format(&b, tb);
    snprintf(line, sizeof(line), "up: {endpoints: ['h:1', 'i:2'], keys: ['%s', '%s']}\n", ta, tb);
    bench_configure(*state, line);
    const struct said *s = bench_run(*state, "config", "check", NULL);
    assert_int_equal(s->code, CTL_FAILED);
    assert_non_null(strstr(s->err, "another cloud"));
}

static void endpoints_that_lead_nowhere_are_found_by_the_check(void **state)
{
    static const char *const wrong[] = {"h:65535", "*:5510", "[::1]:*"};
    struct link_key a = {.upper_transport = {1}, .cloud_end = {2}, .operator_public = {3}};
    char text[KEY_TEXT_CHARS], line[600];

    link_key_format(&a, text);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(line, sizeof(line), "up: {endpoints: ['h:1', '%s'], keys: ['%s']}\n", wrong[i], text);
        bench_configure(*state, line);
        const struct said *s = bench_run(*state, "config", "check", NULL);
        assert_int_equal(s->code, CTL_FAILED);
        assert_non_null(strstr(s->err, "up.endpoints[1]"));
    }
}

static void upstreams_take_one_key_for_all(void **state)
{
    struct link_key k = {.upper_transport = {7}, .cloud_end = {2}, .operator_public = {3}}, trust;
    struct lower_port_upstream up[LOWER_PORT_UPSTREAMS_MAX];
    char text[KEY_TEXT_CHARS];
    char *endpoints[] = {(char *)"tcp://cloud.example:5520", (char *)"tcp://[::1]:77"}, *keys[] = {text};
    struct ctl_settings s = {.up_endpoints = {endpoints, 2}, .up_keys = {keys, 1}};
    struct errmsg err;
    unsigned n;

    (void)state;
    link_key_format(&k, text);
    assert_int_equal(ctl_upstreams(&s, up, &n, &trust, &err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(up[0].host, "cloud.example");
    assert_int_equal(up[0].port, 5520);
    assert_string_equal(up[1].host, "[::1]");
    assert_int_equal(up[1].port, 77);
    assert_int_equal(up[1].transport[0], 7);
    assert_int_equal(trust.cloud_end[0], 2);
    s.up_keys.n = 0;
    assert_int_equal(ctl_upstreams(&s, up, &n, &trust, &err), -EINVAL);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    static const struct table_column columns[] = {{"NAME", false}, {"N", true}};
    struct table *t;
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    assert_int_equal(table_new(&t, columns, 2), 0);
    table_cell(t, "pumpe-süd");
    table_cellf(t, "%d", 12345);
    table_cell(t, "a\nb");
    table_cell(t, "7");
    assert_int_equal(table_print(t, f, false), 0);
    fclose(f);
    assert_string_equal(text, "NAME           N\npumpe-süd  12345\na?b            7\n");
    table_free(t);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shared_part_of_the_schema_is_sound),
        cmocka_unit_test_setup_teardown(no_words_show_all_commands_and_fail, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(asked_for_help_goes_to_stdout, bench_setup, bench_teardown),
        cmocka_unit_test(a_tool_without_a_configuration_has_no_option_for_one),
        cmocka_unit_test_setup_teardown(a_group_alone_lists_its_commands, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_misspelt_command_is_answered_with_the_nearest, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(a_misspelt_option_is_answered_with_the_nearest, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(an_option_without_its_value_is_refused, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(arguments_are_counted, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(errors_are_json_when_asked_for, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(config_check_says_everything_that_is_wrong, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(shown_config_loads_again, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_key_is_made_once, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(link_key_of_a_fog_carries_the_cloud_of_its_own_link_key, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(link_keys_of_two_clouds_are_refused, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(endpoints_that_lead_nowhere_are_found_by_the_check, bench_setup,
                                        bench_teardown),
        cmocka_unit_test(upstreams_take_one_key_for_all),
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
