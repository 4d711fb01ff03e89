/* devicectl's own commands, run in this process. */
#include "device/ctl_device.h"
#include "device/device_config.h"
#include "tests/lib/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const struct cmd *const cmds[] = {ctl_device_init, ctl_device_send, ctl_device_csv,
                                         ctl_device_keep, ctl_verbs,       NULL};

struct bench {
    struct tmpdir dir;
    struct device_tier tier;
    char config[600], state[600], run[600];
    char out[16384], err[4096];
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    assert_int_equal(device_tier_init(&b->tier, NULL, cmds, &(struct errmsg){""}), 0);
    tmpdir_init(&b->dir);
    snprintf(b->config, sizeof b->config, "%s/d.yaml", b->dir.path);
    snprintf(b->state, sizeof b->state, "%s/state", b->dir.path);
    snprintf(b->run, sizeof b->run, "%s/run", b->dir.path);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    tmpdir_deinit(&b->dir);
    free(b);
    return 0;
}

/* Runs `devicectl -c CONFIG words`; words end with NULL. */
static int run_words(struct bench *b, const char *const *words)
{
    char *argv[24] = {(char *)"devicectl", (char *)"-c", b->config};
    FILE *out = fmemopen(b->out, sizeof b->out, "w"), *err = fmemopen(b->err, sizeof b->err, "w");
    int argc = 3, code;

    memset(b->out, 0, sizeof b->out);
    memset(b->err, 0, sizeof b->err);
    for (; *words != NULL; words++)
        argv[argc++] = (char *)*words;
    code = cmd_run(&b->tier.tier, argc, argv, out, err);
    fclose(out);
    fclose(err);
    return code;
}
#define RUN(b, ...) run_words(b, (const char *const[]){__VA_ARGS__, NULL})

static int init(struct bench *b)
{
    return RUN(b, "init", "--node", "d1", "--site", "s1", "--state-dir", b->state, "--run-dir", b->run);
}

static void make_link_key(char out[KEY_TEXT_CHARS])
{
    struct link_key k;
    struct node_keys keys;

    node_keys_generate(&keys);
    memcpy(k.upper_transport, keys.transport_public, KEY_BYTES);
    node_keys_generate(&keys);
    memcpy(k.cloud_end, keys.end_public, KEY_BYTES);
    memcpy(k.operator_public, keys.transport_public, KEY_BYTES);
    link_key_format(&k, out);
}

static void init_writes_a_configuration_that_is_good_and_a_key(void **state)
{
    struct bench *b = *state;
    char key[KEY_TEXT_CHARS];

    assert_int_equal(keys_init(), 0);
    make_link_key(key);
    assert_int_equal(RUN(b, "init", "--node", "d1", "--site", "s1", "--state-dir", b->state, "--run-dir",
                         b->run, "--up", "fog-a:5510", "--up-key", key),
                     CTL_OK);
    assert_non_null(strstr(b->out, "fogctl enroll accept d1 fn1-"));
    assert_non_null(strstr(b->out, "fogline-device -c "));
    assert_int_equal(RUN(b, "config", "check"), CTL_OK);
    assert_int_equal(RUN(b, "config", "show"), CTL_OK);
    assert_non_null(strstr(b->out, "tcp://fog-a:5510"));
    assert_non_null(strstr(b->out, "type: socket"));
    assert_int_equal(RUN(b, "key", "show"), CTL_OK);
    assert_int_not_equal(init(b), CTL_OK); /* never over what is there */
}

static void init_refuses_what_cannot_work(void **state)
{
    struct bench *b = *state;

    assert_int_equal(RUN(b, "init", "--node", "d1"), CTL_USAGE);
    assert_int_equal(RUN(b, "init", "--node", "a/b", "--site", "s"), CTL_USAGE);
    assert_int_equal(RUN(b, "init", "--node", "d", "--site", "s", "--up", "fog:1"), CTL_USAGE);
    assert_int_equal(
        RUN(b, "init", "--node", "d", "--site", "s", "--up", "fog:1", "--up-key", "fl1-nonsense"), CTL_USAGE);
    assert_true(access(b->config, F_OK) != 0);
}

static void send_without_a_daemon_says_so(void **state)
{
    struct bench *b = *state;

    assert_int_equal(init(b), CTL_OK);
    assert_int_equal(RUN(b, "send", "a=1"), CTL_UNREACHABLE);
    assert_non_null(strstr(b->err, "nobody listens"));
    assert_int_equal(RUN(b, "send", "nonsense"), CTL_USAGE);
}

static void send_gives_up_when_nobody_answers(void **state)
{
    struct bench *b = *state;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char line[64] = "";

    assert_int_equal(init(b), CTL_OK);
    snprintf(to.sun_path, sizeof to.sun_path, "%s/mute.sock", b->dir.path);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(RUN(b, "send", "--timeout", "20", "--socket", to.sun_path, "a=1", "b=x"), CTL_TIMEOUT);
    assert_true(recv(fd, line, sizeof line - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(line, "a=1 b=x");
    close(fd);
}

static void inspect_tells_what_a_file_is(void **state)
{
    struct bench *b = *state;
    const char *path = tmpdir_path(&b->dir, "f.csv");
    FILE *f = fopen(path, "w");

    fprintf(f, "when;temp out;state\n1700000000;20.5;on\n1700000001;21;off\nbad;1;x\n");
    fclose(f);
    assert_int_equal(RUN(b, "csv", "inspect", path), CTL_FAILED); /* no time by itself */
    assert_int_equal(RUN(b, "--json", "csv", "inspect", "--time", "when", path), CTL_OK);
    assert_non_null(strstr(b->out, "\"separator\":"));
    assert_non_null(strstr(b->out, "temp_out"));
    assert_non_null(strstr(b->out, "no time that can be read"));
    assert_int_equal(RUN(b, "csv", "inspect", "--time", "when", path), CTL_OK);
    assert_non_null(strstr(b->out, "2023-11-14T22:13:20Z"));
    assert_int_equal(RUN(b, "csv", "inspect", "/nowhere.csv"), CTL_NOT_FOUND);
}

static void keep_closes_blocks_when_a_device_does(void **state)
{
    struct bench *b = *state;
    char path[600];
    FILE *f;

    snprintf(path, sizeof path, "%s/pump.csv", b->dir.path);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("time,level\n", f);
    for (int i = 0; i < 180; i++)
        fprintf(f, "%d,%d\n", 1700000000 + i, i);
    fclose(f);
    assert_int_equal(RUN(b, "keep", "--what-if", path, "--rows", "4000", "--json"), CTL_OK);
    assert_non_null(strstr(b->out, "\"pack_ms\":90000"));
    assert_non_null(strstr(b->out, "\"blocks\":2")); /* of raw readings, the first policy */
    assert_int_equal(RUN(b, "keep", "--what-if", path, "--rows", "4000", "--pack-ms", "0", "--json"), CTL_OK);
    assert_non_null(strstr(b->out, "\"pack_ms\":0"));
    assert_null(strstr(b->out, "\"blocks\":2"));
    assert_int_equal(RUN(b, "keep", "--help"), CTL_OK);
    assert_non_null(strstr(b->out, "(90000)"));
    assert_int_equal(RUN(b, "keep", "--what-if", path, "--pack-ms", "600001"), CTL_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(init_writes_a_configuration_that_is_good_and_a_key, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(init_refuses_what_cannot_work, set_up, tear_down),
        cmocka_unit_test_setup_teardown(send_without_a_daemon_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(send_gives_up_when_nobody_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inspect_tells_what_a_file_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keep_closes_blocks_when_a_device_does, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
