/* The frame of the daemons, in this process: a second daemon is a second call. */
#include "bench.h"

#include "base/log.h"
#include "ctl/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* argv as a shell would give it. */
static int begin(struct daemon *d, struct bench *b, const char *more)
{
    char *argv[] = {(char *)"benchd", (char *)"-c", b->config, (char *)more, NULL};
    int code = daemon_begin(d, &bench_tier, more == NULL ? 3 : 4, argv);

    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* sanitizers look at this process from outside */
    return code;
}

static void with_key(struct bench *b)
{
    assert_int_equal(bench_run(b, "key", "gen", NULL)->code, CTL_OK);
}

static void without_a_key_it_does_not_start(void **state)
{
    struct daemon d;

    assert_int_equal(begin(&d, *state, NULL), CTL_FAILED);
}

static void a_bad_configuration_is_refused_before_anything_is_made(void **state)
{
    struct bench *b = *state;
    struct daemon d;

    bench_configure(b, "depth: 10\n");
    assert_int_equal(begin(&d, b, NULL), CTL_FAILED);
    assert_int_equal(begin(&d, b, "-n"), CTL_FAILED);
    assert_int_not_equal(access(b->run, F_OK), 0);
    bench_configure(b, "depth: 9\n");
    assert_int_equal(begin(&d, b, "-n"), CTL_OK);
    assert_int_not_equal(access(b->run, F_OK), 0);
    assert_int_equal(begin(&d, b, "--nonsense"), CTL_USAGE);
    assert_int_equal(begin(&d, b, "--version"), CTL_OK);
}

static void a_second_daemon_is_kept_out_while_the_first_lives(void **state)
{
    struct bench *b = *state;
    struct daemon first, second;
    char more[400];

    with_key(b);
    assert_int_equal(begin(&first, b, NULL), DAEMON_RUN);
    assert_int_equal(begin(&second, b, NULL), CTL_FAILED);
    /* the same store under another run_dir */
    snprintf(b->run, sizeof(b->run), "%s/other", b->folder);
    snprintf(more, sizeof(more), "depth: 1\n");
    bench_configure(b, more);
    assert_int_equal(begin(&second, b, NULL), CTL_FAILED);
    assert_int_equal(daemon_end(&first, CTL_OK), CTL_OK);
    assert_int_equal(begin(&second, b, NULL), DAEMON_RUN);
    assert_int_equal(daemon_end(&second, CTL_OK), CTL_OK);
}

static void folders_that_others_can_write_to_are_refused(void **state)
{
    struct bench *b = *state;
    struct daemon d;

    with_key(b);
    assert_int_equal(chmod(b->state, 0777), 0);
    assert_int_equal(begin(&d, b, NULL), CTL_FAILED);
    assert_int_equal(chmod(b->state, 0700), 0);
    assert_int_equal(begin(&d, b, NULL), DAEMON_RUN);
    assert_int_equal(daemon_end(&d, CTL_OK), CTL_OK);
}

struct seen {
    unsigned n;
    int old_level, new_level;
};

static void on_reload(void *ctx, const void *old_values, const void *new_values)
{
    struct seen *s = ctx;

    s->n++;
    s->old_level = ((const struct bench_config *)old_values)->common.log_level;
    s->new_level = ((const struct bench_config *)new_values)->common.log_level;
}

static void hup(struct daemon *d)
{
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(loop_step(d->loop, 5000), 0);
}

static void a_reload_is_all_or_nothing(void **state)
{
    struct bench *b = *state;
    struct daemon d;
    struct seen seen = {0};
    const struct bench_config *c;

    with_key(b);
    bench_configure(b, "log: {level: error}\n");
    assert_int_equal(begin(&d, b, NULL), DAEMON_RUN);
    d.on_reload = on_reload;
    d.reload_ctx = &seen;
    c = d.values;
    daemon_ready(&d);
    bench_configure(b, "log: {level: warn}\ndepth: 4\n"); /* depth is not reloadable */
    hup(&d);
    assert_int_equal(seen.n, 0);
    assert_int_equal(c->common.log_level, LOG_LEVEL_ERROR);
    bench_configure(b, "log: {level: wrn}\n");
    hup(&d);
    assert_int_equal(seen.n, 0);
    assert_int_equal(c->common.log_level, LOG_LEVEL_ERROR);
    bench_configure(b, "log: {level: warn}\n");
    hup(&d);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.old_level, LOG_LEVEL_ERROR);
    assert_int_equal(seen.new_level, LOG_LEVEL_WARN);
    assert_int_equal(c->common.log_level, LOG_LEVEL_WARN);
    assert_string_equal(d.settings->node, "fog-a");
    assert_int_equal(daemon_end(&d, CTL_OK), CTL_OK);
}

/* Tiers hold pointers into lists, in other threads too. */
static void a_reload_leaves_lists_where_they_are(void **state)
{
    struct bench *b = *state;
    const struct bench_config *c;
    struct daemon d;
    char *word;

    with_key(b);
    bench_configure(b, "log: {level: error}\nwords: [one, two]\n");
    assert_int_equal(begin(&d, b, NULL), DAEMON_RUN);
    c = d.values;
    word = c->words.at[1];
    daemon_ready(&d);
    bench_configure(b, "log: {level: warn}\nwords: [one, two]\n");
    hup(&d);
    assert_int_equal(c->common.log_level, LOG_LEVEL_WARN);
    assert_ptr_equal(c->words.at[1], word);
    assert_string_equal(word, "two");
    assert_int_equal(daemon_end(&d, CTL_OK), CTL_OK);
}

static void a_term_signal_ends_the_loop(void **state)
{
    struct daemon d;

    with_key(*state);
    assert_int_equal(begin(&d, *state, NULL), DAEMON_RUN);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(loop_run(d.loop, NULL, NULL), 0);
    assert_true(loop_stopping(d.loop));
    assert_int_equal(daemon_end(&d, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_key_it_does_not_start, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_bad_configuration_is_refused_before_anything_is_made, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(a_second_daemon_is_kept_out_while_the_first_lives, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(folders_that_others_can_write_to_are_refused, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(a_reload_is_all_or_nothing, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_reload_leaves_lists_where_they_are, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_term_signal_ends_the_loop, bench_setup, bench_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
