/* A build without libgpiod, libmodbus and libmosquitto: `devicectl config check` says of each source and
 * output that wants one where it stands, what is missing and how to get it.
 *
 * Linked with the files that stand in for the three libraries, in front of those that were built with them.
 */
#include "ctl/verbs.h"
#include "device/device_config.h"
#include "tests/lib/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct cmd *const cmds[] = {ctl_verbs, NULL};

struct check {
    int code;
    char said[4096];
};

static struct check check(const char *yaml)
{
    static struct device_tier tier;
    struct check c = {0};
    struct tmpdir dir;
    char path[PATH_MAX],
        *argv[] = {(char *)"devicectl", (char *)"-c", path, (char *)"config", (char *)"check"};
    FILE *out = fmemopen(c.said, sizeof c.said, "w"), *f;

    assert_int_equal(device_tier_init(&tier, NULL, cmds, &(struct errmsg){""}), 0);
    tmpdir_init(&dir);
    snprintf(path, sizeof path, "%s", tmpdir_path(&dir, "d.yaml"));
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "node: d\nsite: s\n%s", yaml);
    fclose(f);
    c.code = cmd_run(&tier.tier, 5, argv, out, out);
    fclose(out);
    tmpdir_deinit(&dir);
    return c;
}

static void must_say(const struct check *c, const char *line)
{
    if (strstr(c->said, line) == NULL)
        fail_msg("says\n%s\nwithout\n%s", c->said, line);
}

static void what_a_build_lacks_is_said_where_it_is_wanted(void **state)
{
    struct check c = check("sources:\n"
                           "  - {type: host, name: h}\n"
                           "  - {type: gpio, name: g, lines: [{line: L1, name: a}]}\n"
                           "  - {type: modbus, name: m, host: h, registers: [{name: a, address: 0}]}\n"
                           "  - {type: mqtt, name: q, host: h, topics: [{filter: a, channel: a}]}\n"
                           "outputs:\n"
                           "  - {type: file, name: f, path: /tmp/led}\n"
                           "  - {type: gpio, name: o, line: L2}\n");

    (void)state;
    assert_int_equal(c.code, CTL_FAILED);
    must_say(&c,
             "d.yaml:5:6: sources[1].type: this program was built without libgpiod: install libgpiod-dev and "
             "build with -Dgpio=enabled\n");
    must_say(&c,
             "d.yaml:6:6: sources[2].type: this build has no Modbus; install libmodbus-dev and build with "
             "-Dmodbus=enabled\n");
    must_say(&c,
             "d.yaml:7:6: sources[3].type: this build has no MQTT; install libmosquitto-dev and build with "
             "-Dmqtt=enabled\n");
    must_say(&c,
             "d.yaml:10:6: outputs[1].type: this program was built without libgpiod: install libgpiod-dev "
             "and build with -Dgpio=enabled\n");
}

static void what_needs_none_of_them_is_good(void **state)
{
    struct check c = check("sources:\n  - {type: host, name: h}\noutputs:\n  - {type: file, name: f, path: "
                           "/tmp/led}\n");

    (void)state;
    if (c.code != CTL_OK)
        fail_msg("says %s", c.said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_build_lacks_is_said_where_it_is_wanted),
        cmocka_unit_test(what_needs_none_of_them_is_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
