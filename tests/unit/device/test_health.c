/* What is read of the machine, from trees of files and from this one. */
#include "device/health.h"

#include "base/clock.h"
#include "lib/tmpdir.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct tmpdir dir;
static const char *root = dir.path;

/* A file below the root, with the folders on the way. */
static void put(const char *path, const char *text)
{
    char full[512];
    FILE *f;

    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_root(void **state)
{
    (void)state;
    tmpdir_init(&dir);
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    tmpdir_deinit(&dir);
    return 0;
}

static void supplies_and_zones_are_summed_up(void **state)
{
    double m[HEALTH_MEASURES];
    struct health *h;

    (void)state;
    put("sys/class/thermal/thermal_zone0/temp", "41500\n");
    put("sys/class/thermal/thermal_zone1/temp", "-5000\n");
    put("sys/class/thermal/thermal_zone2/temp", "no number\n");
    put("sys/class/thermal/cooling_device0/temp", "99000\n");
    put("sys/class/power_supply/BAT0/type", "Battery\n");
    put("sys/class/power_supply/BAT0/capacity", "80\n");
    put("sys/class/power_supply/BAT0/status", "Discharging\n");
    put("sys/class/power_supply/BAT1/type", "Battery\n");
    put("sys/class/power_supply/BAT1/capacity", "15\n");
    put("sys/class/power_supply/BAT1/status", "Charging\n");
    put("sys/class/power_supply/AC/type", "Mains\n");
    put("sys/class/power_supply/AC/online", "0\n");
    put("sys/class/power_supply/usb/type", "USB\n");
    put("sys/class/power_supply/usb/online", "1\n");
    put("proc/stat", "cpu  100 0 100 700 100 0 0 0\n");
    put("proc/meminfo", "MemTotal:  1000 kB\nMemAvailable:  250 kB\n");
    put("proc/self/io", "rchar: 1\nwchar: 2\nwrite_bytes: 4096\ncancelled_write_bytes: 0\n");
    put("proc/self/statm", "100 20 3 4 5 6 7\n");
    put("proc/self/stat", "1 (a) b) S 1 1 1 0 0 0 0 0 0 0 150 50 0 0 20 0 1 0 500 0\n");
    assert_int_equal(health_new(&h, root, root), 0);
    health_read(h, 105 * NS_PER_S, m);
    assert_true(m[HEALTH_TEMPERATURE_CEL] == 41.5);
    assert_true(m[HEALTH_BATTERY_PERCENT] == 15);
    assert_true(m[HEALTH_BATTERY_CHARGING] == 1);
    assert_true(m[HEALTH_MAINS_ONLINE] == 1);
    assert_true(m[HEALTH_MACHINE_CPU_PERCENT] == 20);
    assert_true(m[HEALTH_MEMORY_AVAILABLE_BYTES] == 250 * 1024);
    assert_true(m[HEALTH_FLASH_WRITTEN_BYTES] == 4096);
    /* 100 ticks a second everywhere that Linux runs: started at 5 s, 2 s of work in 100. */
    assert_true(fabs(m[HEALTH_CPU_PERCENT] - 2) < 1e-9);
    assert_true(fabs(m[HEALTH_FLASH_BYTES_PER_DAY] - 40.96 * 86400) < 1e-3);
    assert_true(m[HEALTH_DISK_FREE_BYTES] > 0);
    assert_true(isnan(m[HEALTH_EXPOSURE_MS]));

    put("proc/stat", "cpu  150 0 150 750 150 0 0 0\n");
    put("proc/self/stat", "1 (a) b) S 1 1 1 0 0 0 0 0 0 0 160 50 0 0 20 0 1 0 500 0\n");
    health_read(h, 106 * NS_PER_S, m);
    assert_true(m[HEALTH_MACHINE_CPU_PERCENT] == 50);
    assert_true(fabs(m[HEALTH_CPU_PERCENT] - 10) < 1e-9);
    health_free(h);
}

/* Ten hours of the time since the boot, in which the kernel counts the start of processes, the monotonic
 * clock stood still. */
static void a_sleep_before_the_start_makes_no_wild_pace(void **state)
{
    double m[HEALTH_MEASURES];
    struct health *h;

    (void)state;
    put("proc/self/io", "rchar: 1\nwchar: 2\nwrite_bytes: 4096\ncancelled_write_bytes: 0\n");
    put("proc/self/stat", "1 (a) b) S 1 1 1 0 0 0 0 0 0 0 150 50 0 0 20 0 1 0 3610000 0\n");
    assert_int_equal(health_new(&h, root, root), 0);
    health_read(h, 100 * NS_PER_S, m);
    assert_true(isnan(m[HEALTH_CPU_PERCENT]) && isnan(m[HEALTH_FLASH_BYTES_PER_DAY]));
    health_read(h, 200 * NS_PER_S, m);
    assert_true(fabs(m[HEALTH_FLASH_BYTES_PER_DAY] - 40.96 * 86400) < 1);
    health_read(h, 36102 * NS_PER_S, m);
    assert_true(m[HEALTH_FLASH_BYTES_PER_DAY] < 10000);
    health_free(h);
}

static void what_is_not_there_is_not_known(void **state)
{
    double m[HEALTH_MEASURES];
    struct health *h;

    (void)state;
    assert_int_equal(health_new(&h, root, "/nowhere at all"), 0);
    health_read(h, NS_PER_S, m);
    for (unsigned i = 0; i < HEALTH_MEASURES; i++)
        assert_true(isnan(m[i]));
    put("proc/self/stat", "garbage");
    put("proc/stat", "cpu  18446744073709551615 x");
    put("proc/self/io", "write_bytes: 1");
    put("proc/self/statm", "");
    put("sys/class/power_supply/odd/type", "Battery");
    put("sys/class/thermal/thermal_zone0/temp", "nan");
    health_read(h, 2 * NS_PER_S, m);
    for (unsigned i = 0; i < HEALTH_MEASURES; i++)
        assert_true(isnan(m[i]));
    health_free(h);
}

static void this_machine_says_something_of_itself(void **state)
{
    double m[HEALTH_MEASURES];
    struct health *h;

    (void)state;
    assert_int_equal(health_new(&h, "", "/"), 0);
    health_read(h, clock_mono_ns(&clock_real), m);
    assert_true(m[HEALTH_CPU_PERCENT] >= 0);
    assert_true(m[HEALTH_MACHINE_CPU_PERCENT] >= 0 && m[HEALTH_MACHINE_CPU_PERCENT] <= 100);
    assert_true(m[HEALTH_RSS_BYTES] > 0);
    assert_true(m[HEALTH_MEMORY_AVAILABLE_BYTES] > 0);
    health_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(supplies_and_zones_are_summed_up, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_sleep_before_the_start_makes_no_wild_pace, make_root, remove_root),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_known, make_root, remove_root),
        cmocka_unit_test(this_machine_says_something_of_itself),
    };

    for (unsigned i = 0; i < HEALTH_MEASURES; i++)
        if (health_info[i].name == NULL || health_info[i].help == NULL)
            return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
