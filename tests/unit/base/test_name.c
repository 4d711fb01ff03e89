#include "base/name.h"
#include "cm.h"

#include <errno.h>
#include <string.h>

static void parts_follow_the_grammar(void **state)
{
    char long_part[NAME_PART_CHARS + 2];

    (void)state;
    memset(long_part, 'a', sizeof long_part);
    assert_true(name_part_ok("pump-3", 6));
    assert_true(name_part_ok("plant.hall_2", 12));
    assert_true(name_part_ok("...", 3));
    assert_true(name_part_ok(long_part, NAME_PART_CHARS));
    assert_false(name_part_ok(long_part, NAME_PART_CHARS + 1));
    assert_false(name_part_ok("", 0));
    assert_false(name_part_ok(".", 1));
    assert_false(name_part_ok("..", 2));
    assert_false(name_part_ok("a/b", 3));
    assert_false(name_part_ok("a b", 3));
    assert_false(name_part_ok("a\0b", 3));
    assert_false(name_part_ok("t\xc3\xa4", 3));
}

static void mending_makes_any_text_a_part(void **state)
{
    char out[NAME_PART_CHARS + 1], long_raw[100];

    (void)state;
    assert_false(name_part_mend("pump-3", 6, out));
    assert_string_equal(out, "pump-3");
    assert_true(name_part_mend("Zone 1/T", 8, out));
    assert_string_equal(out, "Zone_1_T");
    assert_true(name_part_mend("", 0, out));
    assert_string_equal(out, "_");
    assert_true(name_part_mend("..", 2, out));
    assert_string_equal(out, "__");
    memset(long_raw, 'x', sizeof long_raw);
    assert_true(name_part_mend(long_raw, sizeof long_raw, out));
    assert_int_equal(strlen(out), NAME_PART_CHARS);
    for (int c = 0; c < 256; c++) {
        char raw = (char)c;

        name_part_mend(&raw, 1, out);
        assert_true(name_part_ok(out, strlen(out)));
    }
}

static void patterns_match_names(void **state)
{
    static const char *const tags[] = {"unit=degC", "kind=motor temp", NULL};
    static const struct {
        const char *pattern;
        bool matches;
    } cases[] = {
        {"plant/pump-3/temp", true},
        {"plant/pump-3/tem", false},
        {"plant/pump-3/temps", false},
        {"*/*/*", true},
        {"*/*", true},
        {"*", true},
        {"**", true},
        {"plant", true},
        {"plant/", false},
        {"plan", false},
        {"plant/pump-*", true},
        {"plant/pump-*/temp", true},
        {"plant/*-3/t*p", true},
        {"plant/*4/temp", false},
        {"**/temp", true},
        {"**/pump-3", true},
        {"**/pump-3/**", true},
        {"**/plant/pump-3/temp", true},
        {"plant/**/temp", true},
        {"plant/**/pump-3/**/temp/**", true},
        {"plant/**/**/**/temp", true},
        {"temp/**", false},
        {"plant/pump-3/temp/extra", false},
        {"*/*/*/*", false},
        {"plant/pump-{3,4}/temp", true},
        {"plant/pump-{4,5}/temp", false},
        {"plant/{pump,fan}-*/temp", true},
        {"{plant,site}/{pump-3,x}/{temp,flow}", true},
        {"plant/pump{,-3}/temp", true},
        {"plant/p{um*,x}3/temp", true},
        {"plant/pump-{3/temp", false},
        {"unit=degC", true},
        {"unit=degF", false},
        {"unit=deg{F,C}", true},
        {"kind=motor*", true},
        {"plant/*/temp/unit=degC", true},
        {"unit=degC/kind=*/plant", true},
        {"plant/unit=degC", true},
        {"other/unit=degC", false},
        {"unit=degC/kind=valve", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (pattern_match(cases[i].pattern, "plant", "pump-3", "temp", tags) != cases[i].matches)
            fail_msg("pattern %s", cases[i].pattern);
    }
    assert_false(pattern_match("unit=degC", "plant", "pump-3", "temp", NULL));
}

static void stars_and_choices_do_not_explode(void **state)
{
    char name[NAME_PART_CHARS + 1], pattern[1025] = "";

    (void)state;
    memset(name, 'a', NAME_PART_CHARS);
    name[NAME_PART_CHARS] = '\0';
    for (int i = 0; i < 30; i++)
        strcat(pattern, "*{a,a,aa,*}");
    strcat(pattern, "b");
    assert_false(pattern_match(pattern, name, name, name, NULL));
    pattern[strlen(pattern) - 1] = 'a';
    assert_true(pattern_match(pattern, name, name, name, NULL));
}

static void long_tags_are_safe(void **state)
{
    char tag[600];
    const char *const tags[] = {tag, NULL};

    (void)state;
    memset(tag, 'x', sizeof tag);
    memcpy(tag, "key=", 4);
    tag[sizeof tag - 1] = '\0';
    assert_true(pattern_match("key=*", "a", "b", "c", tags));
    assert_true(pattern_match("key=xx*", "a", "b", "c", tags));
    assert_true(pattern_match(tag, "a", "b", "c", tags));
    assert_false(pattern_match("key=*y", "a", "b", "c", tags));
    assert_false(pattern_match("key={x,y}*", "a", "b", "c", tags));
}

static void check_tells_good_patterns_from_bad(void **state)
{
    static const char *const good[] = {
        "**", "*", "plant/pump-{3,4}/*", "unit=degC", "a/b/c/**", "plant/kind=a b/**", "**/a/**", "{,x}"};
    static const char *const bad[] = {"",    "a//b", "/a",      "a/", "a/{b",  "a}",      "{a,{b,c}}",
                                      "a b", "a,b",  "a/b/c/d", "=x", "a**/b", "{a/b,c}", "a\n"};
    struct errmsg err;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (pattern_check(good[i], &err) != 0)
            fail_msg("%s: %s", good[i], err.text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.text[0] = '\0';
        if (pattern_check(bad[i], &err) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
        assert_true(err.text[0] != '\0');
        assert_int_equal(pattern_check(bad[i], NULL), -EINVAL);
        pattern_match(bad[i], "a", "b", "c", NULL); /* must not crash */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_follow_the_grammar), cmocka_unit_test(mending_makes_any_text_a_part),
        cmocka_unit_test(patterns_match_names),     cmocka_unit_test(stars_and_choices_do_not_explode),
        cmocka_unit_test(long_tags_are_safe),       cmocka_unit_test(check_tells_good_patterns_from_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
