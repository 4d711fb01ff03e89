/* `devicectl probe` on trees of files: what it prints is taken by `config check` as it is. */
#include "base/file.h"
#include "device/ctl_device.h"
#include "device/device_config.h"
#include "tests/lib/tmpdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct cmd *const cmds[] = {ctl_device_init, ctl_device_probe, ctl_verbs, NULL};

struct bench {
    struct tmpdir dir;
    struct device_tier tier;
    char config[600], root[600];
    char out[32768], err[4096];
};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    assert_non_null(b);
    assert_int_equal(device_tier_init(&b->tier, NULL, cmds, &(struct errmsg){""}), 0);
    tmpdir_init(&b->dir);
    snprintf(b->config, sizeof b->config, "%s/d.yaml", b->dir.path);
    snprintf(b->root, sizeof b->root, "%s/a \"root\"", b->dir.path);
    assert_int_equal(mkdir(b->root, 0755), 0);
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

static void put(struct bench *b, const char *path, const char *text)
{
    char whole[1400], folder[1400];
    FILE *f;

    snprintf(whole, sizeof whole, "%s/%s", b->root, path);
    strcpy(folder, whole);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(file_mkdirs(folder, 0755), 0);
    f = fopen(whole, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* A file with the sources that were printed last, as somebody would paste them. */
static void paste(struct bench *b)
{
    FILE *f = fopen(b->config, "w");

    assert_non_null(f);
    fprintf(f, "node: d1\nsite: s1\n%s", b->out);
    fclose(f);
}

static void assert_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, text);
}

static void what_is_found_can_be_pasted(void **state)
{
    struct bench *b = *state;

    put(b, "sys/bus/iio/devices/iio:device0/name", "bme280\n");
    put(b, "sys/bus/iio/devices/iio:device0/in_temp_input", "1\n");
    put(b, "sys/bus/iio/devices/iio:device1/name", "yes: [no]\n"); /* nothing a parser falls for */
    put(b, "sys/bus/iio/devices/iio:device1/in_count_raw", "1\n");
    put(b, "sys/bus/iio/devices/iio:device2/name", "no channels\n");
    put(b, "sys/class/hwmon/hwmon0/name", "nvme\n");
    put(b, "sys/class/hwmon/hwmon0/temp1_input", "1\n");
    put(b, "sys/class/hwmon/hwmon0/temp1_label", "Composite\n- #\n");
    put(b, "sys/class/hwmon/hwmon1/name", "nvme\n");
    put(b, "sys/class/hwmon/hwmon1/temp1_input", "1\n");
    put(b, "sys/class/hwmon/hwmon2/name",
        "a-chip-with-a-name-that-is-longer-than-the-name-of-a-source-may-be-x\n");
    put(b, "sys/class/hwmon/hwmon2/in0_input", "1\n");
    put(b, "sys/class/hwmon/hwmon3/name",
        "a-chip-with-a-name-that-is-longer-than-the-name-of-a-source-may-be-y\n");
    put(b, "sys/class/hwmon/hwmon3/in0_input", "1\n");
    put(b, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    put(b, "sys/class/thermal/thermal_zone0/temp", "1\n");
    put(b, "sys/bus/w1/devices/28-0316a2795cff/temperature", "1\n");
    put(b, "sys/bus/w1/devices/28-0316a2795d00/w1_slave", "1\n");
    assert_int_equal(RUN(b, "probe", "--root", b->root), CTL_OK);
    assert_string_equal(b->err, "");
    assert_says(b->out, "\n  # iio:device0");
    assert_says(b->out,
                "temp (Cel)\n  - type: iio\n    name: iio-bme280\n    devices: [\"bme280\"]\n    root: ");
    assert_says(b->out, "count (as read)");
    assert_says(b->out, "  # hwmon1: temp1 (Cel)\n  - type: hwmon\n    name: hwmon-nvme\n");
    assert_says(b->out, "  - type: hwmon\n    name: hwmon-cpu-thermal\n");
    assert_says(b->out, "devices: [\"28-0316a2795cff\", \"28-0316a2795d00\"]\n");
    assert_null(strstr(b->out, "iio:device2"));
    paste(b);
    if (RUN(b, "config", "check") != CTL_OK)
        fail_msg("%s", b->err);
    /* The check can fail. */
    strcpy(b->out, "sources:\n  - type: iio\n    name: x\n    select: [\"a{b\"]\n");
    paste(b);
    assert_int_not_equal(RUN(b, "config", "check"), CTL_OK);
    assert_says(b->err, "d.yaml:6");
    assert_says(b->err, "sources[0].select");
}

static void what_is_not_there_is_said(void **state)
{
    struct bench *b = *state;

    assert_int_equal(RUN(b, "probe", "--root", b->root), CTL_NOT_FOUND);
    assert_string_equal(b->out, "");
    assert_says(b->err, "nothing found in ");
    put(b, "sys/bus/w1/devices/28-1/temperature", "1\n");
    assert_int_equal(RUN(b, "probe", "--root", b->root), CTL_OK);
    assert_says(b->out, "  # no iio devices found\n");
    paste(b);
    assert_int_equal(RUN(b, "config", "check"), CTL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_found_can_be_pasted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_said, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
