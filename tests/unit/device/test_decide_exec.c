/* Programs that rules run: one at a time, not for ever, and nobody waits for them. */
#include "act/exec.h"

#include "base/clock.h"
#include "tests/lib/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000 };

static bool reaches(const _Atomic uint64_t *counter, uint64_t want)
{
    int64_t until_ns = clock_mono_ns(&clock_real) + DEADLINE_MS * NS_PER_MS;

    while (atomic_load(counter) < want) {
        if (clock_mono_ns(&clock_real) > until_ns)
            return false;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return true;
}

/* Until the file holds n lines. */
static bool has_lines(const char *path, int n, char *out, size_t out_bytes)
{
    int64_t until_ns = clock_mono_ns(&clock_real) + DEADLINE_MS * NS_PER_MS;
    int found = 0;

    while (clock_mono_ns(&clock_real) < until_ns) {
        FILE *f = fopen(path, "r");
        size_t got = f != NULL ? fread(out, 1, out_bytes - 1, f) : 0;

        if (f != NULL)
            fclose(f);
        out[got] = '\0';
        found = 0;
        for (size_t i = 0; i < got; i++)
            found += out[i] == '\n';
        if (found >= n)
            return found == n;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return false;
}

static void a_program_is_told_what_happened(void **state)
{
    struct tmpdir dir;
    char script[512], out[1024];
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", script, (char *)"sh", (char *)"a b; c"};
    struct exec_slot slot = {.argv = argv, .n_args = 5, .rule = "hot", .timeout_ms = 10000};
    struct exec_request r = {.raised = true, .value = "31.5", .channel = "host/temperature"};
    struct exec *e;

    (void)state;
    tmpdir_init(&dir);
    snprintf(script, sizeof script,
             "echo \"$FOGLINE_RULE $FOGLINE_STATE $FOGLINE_VALUE $FOGLINE_CHANNEL $1 $#\" >>%s/out",
             dir.path);
    assert_int_equal(exec_new(&e, &slot, 1), 0);
    assert_true(exec_request(e, &r));
    r.raised = false;
    assert_true(exec_request(e, &r));
    assert_true(has_lines(tmpdir_path(&dir, "out"), 2, out, sizeof out));
    assert_string_equal(out, "hot raised 31.5 host/temperature a b; c 1\n"
                             "hot cleared 31.5 host/temperature a b; c 1\n");
    assert_int_equal(exec_counters(e)->failed, 0);
    exec_free(e);
    tmpdir_deinit(&dir);
}

static void one_that_hangs_is_killed_with_its_children(void **state)
{
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)"sleep 1000 & wait"};
    struct exec_slot slot = {.argv = argv, .n_args = 3, .rule = "r", .timeout_ms = 100};
    struct exec_request r = {.raised = true};
    struct exec *e;

    (void)state;
    assert_int_equal(exec_new(&e, &slot, 1), 0);
    assert_true(exec_request(e, &r));
    assert_true(reaches(&exec_counters(e)->failed, 1));
    assert_int_equal(exec_counters(e)->killed, 1);
    exec_free(e);
}

static void a_flood_waits_in_a_short_queue_and_the_rest_is_refused(void **state)
{
    char *slow[] = {(char *)"/bin/sleep", (char *)"1000"}, *quick[] = {(char *)"/bin/true"};
    struct exec_slot slots[] = {{.argv = slow, .n_args = 2, .rule = "a", .timeout_ms = 100000, .serial = 0},
                                {.argv = quick, .n_args = 1, .rule = "b", .timeout_ms = 1000, .serial = 1}};
    struct exec_request r = {.raised = true};
    struct exec *e;

    (void)state;
    assert_int_equal(exec_new(&e, slots, 2), 0);
    assert_true(exec_request(e, &r));
    assert_true(reaches(&exec_counters(e)->started, 1));
    for (int i = 0; i < EXEC_WAITING + 3; i++)
        assert_true(exec_request(e, &r));
    assert_true(reaches(&exec_counters(e)->refused, 3));
    /* Another rule is not held up. */
    r.slot = 1;
    assert_true(exec_request(e, &r));
    assert_true(reaches(&exec_counters(e)->started, 2));
    exec_free(e);
}

static void what_cannot_be_started_holds_up_nothing(void **state)
{
    char *argv[] = {(char *)"/nowhere/at/all"};
    struct exec_slot slot = {.argv = argv, .n_args = 1, .rule = "r", .timeout_ms = 1000};
    struct exec_request r = {.raised = true};
    struct exec *e;

    (void)state;
    assert_int_equal(exec_new(&e, &slot, 1), 0);
    for (int i = 0; i < EXEC_WAITING; i++)
        assert_true(exec_request(e, &r));
    assert_true(reaches(&exec_counters(e)->failed, EXEC_WAITING));
    exec_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_told_what_happened),
        cmocka_unit_test(one_that_hangs_is_killed_with_its_children),
        cmocka_unit_test(a_flood_waits_in_a_short_queue_and_the_rest_is_refused),
        cmocka_unit_test(what_cannot_be_started_holds_up_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
