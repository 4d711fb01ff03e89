/* The sources iio, hwmon and onewire against trees of files that behave as badly as hardware does. */
#include "recorder.h"

#include "base/clock.h"
#include "base/file.h"
#include "tests/lib/tmpdir.h"
#include "wire/wire.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SEEN_MAX = 128, EVENTS_MAX = 64, GROUPS_MAX = 40, DEADLINE_MS = 20000 };
#define FAILED FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED
#define RECOVERED FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED

struct seen {
    char name[SOURCE_NAME_BYTES], unit[SOURCE_NAME_BYTES];
    struct cell cell; /* the last one */
    unsigned rows;
};

struct heard {
    uint32_t type;
    char channel[SOURCE_NAME_BYTES], text[256];
};

struct bench {
    struct tmpdir dir;
    const struct source_kind *kind;
    void *self;
    struct source_sink sink;
    struct seen seen[SEEN_MAX];
    uint32_t n_seen, first[GROUPS_MAX], n_groups;
    struct heard events[EVENTS_MAX];
    unsigned n_events;
};

static int take_group(void *ctx, const struct source_group *g, uint32_t *ret_group)
{
    struct bench *b = ctx;

    assert_true(b->n_groups < GROUPS_MAX && b->n_seen + g->n_channels <= SEEN_MAX);
    b->first[b->n_groups] = b->n_seen;
    for (uint32_t i = 0; i < g->n_channels; i++) {
        struct seen *s = &b->seen[b->n_seen++];

        assert_true(name_part_ok(g->channels[i].name, strlen(g->channels[i].name)));
        strcpy(s->name, g->channels[i].name);
        strcpy(s->unit, g->channels[i].unit);
    }
    *ret_group = b->n_groups++;
    return 0;
}

static int take_row(void *ctx, const struct source_row *r)
{
    struct bench *b = ctx;

    for (uint32_t i = 0; i < r->n_cells; i++) {
        struct seen *s = &b->seen[b->first[r->group] + i];

        s->cell = r->cells[i];
        s->rows++;
        assert_true(isnan(s->cell.f64) == (s->cell.quality == QUALITY_BAD));
    }
    return 0;
}

static int take_event(void *ctx, const struct source_event *e)
{
    struct bench *b = ctx;
    struct heard *h = &b->events[b->n_events++];

    assert_true(b->n_events < EVENTS_MAX);
    h->type = e->type;
    snprintf(h->channel, sizeof h->channel, "%s", e->channel != NULL ? e->channel : "");
    snprintf(h->text, sizeof h->text, "%s", e->text);
    return 0;
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    assert_non_null(b);
    tmpdir_init(&b->dir);
    b->sink = (struct source_sink){b, take_group, take_row, NULL, take_event};
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    if (b->self != NULL)
        b->kind->close(b->self);
    tmpdir_deinit(&b->dir);
    free(b);
    return 0;
}

/* ---- the tree ---- */

static void put_bytes(struct bench *b, const char *path, const void *bytes, size_t n)
{
    char folder[600];
    FILE *f;

    snprintf(folder, sizeof folder, "%s", tmpdir_path(&b->dir, path));
    *strrchr(folder, '/') = '\0';
    assert_int_equal(file_mkdirs(folder, 0755), 0);
    /* Replaced, never written in part: the source may read at any time. */
    strcat(folder, "/.new");
    f = fopen(folder, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    assert_int_equal(rename(folder, tmpdir_path(&b->dir, path)), 0);
}

static void put(struct bench *b, const char *path, const char *text)
{
    put_bytes(b, path, text, strlen(text));
}

static void move(struct bench *b, const char *from, const char *to)
{
    char old[sizeof b->dir.joined];

    strcpy(old, tmpdir_path(&b->dir, from));
    assert_int_equal(rename(old, tmpdir_path(&b->dir, to)), 0);
}

/* ---- the source ---- */

static int try_to_open(struct bench *b, const struct source_kind *kind, const char *yaml, struct errmsg *err)
{
    char all[2000];
    struct source_open o = {.name = "s", .run_dir = "/tmp"};
    void *config;
    int rc;

    snprintf(all, sizeof all, "root: %s\n%s", b->dir.path, yaml);
    config = recorder_config(kind, all);
    o.config = config;
    b->kind = kind;
    rc = kind->open(&o, &b->self, err);
    recorder_config_free(kind, config);
    return rc;
}

static void start(struct bench *b, const struct source_kind *kind, const char *yaml)
{
    struct errmsg err = {""};

    if (try_to_open(b, kind, yaml, &err) != 0)
        fail_msg("%s", err.text);
}

static const struct seen *find(const struct bench *b, const char *name)
{
    for (uint32_t i = 0; i < b->n_seen; i++)
        if (strcmp(b->seen[i].name, name) == 0)
            return &b->seen[i];
    return NULL;
}

static unsigned rows_of(const struct bench *b, const char *name)
{
    const struct seen *s = find(b, name);

    return s != NULL ? s->rows : 0;
}

static unsigned heard(const struct bench *b, uint32_t type, const char *part)
{
    unsigned n = 0;

    for (unsigned i = 0; i < b->n_events; i++)
        n += b->events[i].type == type && strstr(b->events[i].text, part) != NULL;
    return n;
}

/* One round of the act thread. Gives up when the deadline is over. */
static void turn(struct bench *b, int64_t deadline_ns, const char *what)
{
    struct source_now now = {clock_wall_unix_ns(&clock_real), clock_mono_ns(&clock_real)};
    struct pollfd p = {b->kind->fd(b->self), POLLIN, 0};
    int64_t next_ns;

    if (now.mono_ns > deadline_ns) {
        for (unsigned i = 0; i < b->n_events; i++)
            print_message("%u %s: %s\n", b->events[i].type, b->events[i].channel, b->events[i].text);
        for (uint32_t i = 0; i < b->n_seen; i++)
            print_message("%s %.17g q%u\n", b->seen[i].name, b->seen[i].cell.f64, b->seen[i].cell.quality);
        fail_msg("in vain: %s", what);
    }
    assert_int_equal(b->kind->step(b->self, &b->sink, &now, &next_ns), 0);
    /* No read of a device is waited for. */
    assert_true(clock_mono_ns(&clock_real) - now.mono_ns < NS_PER_S);
    if (next_ns > now.mono_ns + 100 * NS_PER_MS)
        next_ns = now.mono_ns + 100 * NS_PER_MS;
    poll(&p, 1, (int)((next_ns - now.mono_ns) / NS_PER_MS + 1));
}

static int64_t deadline(void)
{
    return clock_mono_ns(&clock_real) + DEADLINE_MS * NS_PER_MS;
}

static void until_rows(struct bench *b, const char *name, unsigned more)
{
    unsigned rows = rows_of(b, name) + more;

    for (int64_t end_ns = deadline(); rows_of(b, name) < rows;)
        turn(b, end_ns, name);
}

static void until_quality(struct bench *b, const char *name, enum quality quality)
{
    int64_t end_ns = deadline();

    while (rows_of(b, name) == 0 || find(b, name)->cell.quality != quality)
        turn(b, end_ns, name);
}

static void until_heard(struct bench *b, uint32_t type, const char *part, unsigned times)
{
    for (int64_t end_ns = deadline(); heard(b, type, part) < times;)
        turn(b, end_ns, part);
}

static void assert_reads(struct bench *b, const char *name, double value, const char *unit)
{
    const struct seen *s;

    until_rows(b, name, 1);
    s = find(b, name);
    if (s->cell.f64 != value || s->cell.quality != QUALITY_GOOD || strcmp(s->unit, unit) != 0)
        fail_msg("%s: %.17g %s, quality %u", name, s->cell.f64, s->unit, s->cell.quality);
}

/* ---- iio ---- */

#define IIO "sys/bus/iio/devices/"

static void put_climate(struct bench *b, const char *folder)
{
    char path[200];

    snprintf(path, sizeof path, IIO "%s/name", folder);
    put(b, path, "bme280\n");
    snprintf(path, sizeof path, IIO "%s/in_temp_input", folder);
    put(b, path, "21530\n");
    snprintf(path, sizeof path, IIO "%s/in_humidityrelative_input", folder);
    put(b, path, "45250.000000\n");
    snprintf(path, sizeof path, IIO "%s/in_pressure_input", folder);
    put(b, path, "101.325\n");
}

static void iio_values_come_in_units_of_people(void **state)
{
    struct bench *b = *state;

    put_climate(b, "iio:device0");
    put(b, IIO "iio:device0/in_pressure_raw", "1\n"); /* what is processed counts */
    put(b, IIO "iio:device1/name", "ads1015\n");
    put(b, IIO "iio:device1/in_voltage0_raw", "-100\n");
    put(b, IIO "iio:device1/in_voltage0_scale", "2.5e+1\n");
    put(b, IIO "iio:device1/in_voltage1_raw", "4\n");
    put(b, IIO "iio:device1/in_voltage_scale", "250\n");
    put(b, IIO "iio:device1/in_voltage1_offset", "12\n");
    put(b, IIO "iio:device1/in_voltage0-voltage1_raw", "3\n");
    put(b, IIO "iio:device1/in_voltage-voltage_scale", "500\n");
    put(b, IIO "iio:device1/in_count0_raw", "7\n");
    put(b, IIO "iio:device1/in_voltage0_sampling_frequency", "1600\n");
    put(b, IIO "trigger0/name", "no device\n");
    start(b, &source_iio, "interval_ms: 50");
    assert_reads(b, "bme280.temp", 21.53, "Cel");
    assert_reads(b, "bme280.humidityrelative", 45.25, "%");
    assert_reads(b, "bme280.pressure", 101.325, "kPa");
    assert_reads(b, "ads1015.voltage0", -2.5, "V");
    assert_reads(b, "ads1015.voltage1", 4, "V");
    assert_reads(b, "ads1015.voltage0-voltage1", 1.5, "V");
    assert_reads(b, "ads1015.count0", 7, "");
    assert_int_equal(b->n_groups, 2);
    assert_int_equal(b->n_seen, 7);
    assert_int_equal(b->n_events, 0);
}

static void only_what_is_named_is_read(void **state)
{
    struct bench *b = *state;

    put_climate(b, "iio:device0");
    put(b, IIO "iio:device3/name", "ads1015\n");
    put(b, IIO "iio:device3/in_voltage0_raw", "1\n");
    put(b, IIO "iio:device3/in_voltage1_raw", "2\n");
    start(b, &source_iio, "interval_ms: 50\ndevices: [3, tsl2561]\nselect: ['*.voltage1']");
    assert_reads(b, "ads1015.voltage1", 2, "");
    assert_int_equal(b->n_seen, 1);
    until_heard(b, FAILED, "iio device tsl2561 is not in", 1);
    assert_int_equal(b->n_events, 1);
}

static void what_is_no_number_costs_its_cell_and_one_event(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *file, *why;
    } bad[] = {
        {"in_temp1_input", "not a number: 21.5 C"}, {"in_temp2_input", "not a text"},
        {"in_temp3_input", "longer than"},          {"in_temp4_input", "empty"},
        {"in_temp5_input", "not a number: 1e400"},  {"in_temp6_input", "not a number: nan"},
        {"in_temp7_input", "Is a directory"},       {"in_temp8_input", "not a number: ??"},
    };
    char huge[100000], name[80];

    memset(huge, '1', sizeof huge);
    put(b, IIO "iio:device0/name", "x\n");
    put(b, IIO "iio:device0/in_temp0_input", "-1.5e3\n");
    put(b, IIO "iio:device0/in_temp1_input", "21.5 C\n");
    put_bytes(b, IIO "iio:device0/in_temp2_input", "\x7f\x45\x00\xff\x01", 5);
    put_bytes(b, IIO "iio:device0/in_temp3_input", huge, sizeof huge);
    put(b, IIO "iio:device0/in_temp4_input", "");
    put(b, IIO "iio:device0/in_temp5_input", "1e400");
    put(b, IIO "iio:device0/in_temp6_input", "nan");
    put(b, IIO "iio:device0/in_temp7_input/x", "");
    put(b, IIO "iio:device0/in_temp8_input", "\xff\x1b");
    start(b, &source_iio, "interval_ms: 50");
    assert_reads(b, "x.temp0", -1.5, "Cel");
    until_rows(b, "x.temp0", 5);
    assert_int_equal(b->n_events, sizeof bad / sizeof bad[0]);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (heard(b, FAILED, bad[i].file) != 1 || strstr(b->events[i].text, bad[i].why) == NULL)
            fail_msg("%s: %s", bad[i].file, b->events[i].text);
        snprintf(name, sizeof name, "x.temp%u", i + 1);
        assert_string_equal(b->events[i].channel, name);
        assert_int_equal(find(b, name)->cell.quality, QUALITY_BAD);
    }
    put(b, IIO "iio:device0/in_temp4_input", "4000\n");
    until_heard(b, RECOVERED, "can be read again", 1);
    assert_reads(b, "x.temp4", 4, "Cel");
    assert_int_equal(b->n_events, sizeof bad / sizeof bad[0] + 1);
}

/* How often a file was opened since the watch began. */
static unsigned opens(int watch_fd)
{
    _Alignas(struct inotify_event) char events[65536];
    unsigned n = 0;
    ssize_t len;

    while ((len = read(watch_fd, events, sizeof events)) > 0)
        for (ssize_t at = 0; at < len;) {
            const struct inotify_event *e = (const struct inotify_event *)(events + at);

            n += (e->mask & IN_OPEN) != 0;
            at += (ssize_t)(sizeof *e + e->len);
        }
    return n;
}

static void a_file_that_fails_is_tried_after_waits_that_double(void **state)
{
    struct bench *b = *state;
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    unsigned n;

    put(b, IIO "iio:device0/name", "x\n");
    put(b, IIO "iio:device0/in_temp0_input", "1000\n");
    put(b, IIO "iio:device0/in_temp1_input", "none\n");
    /* Closing as well: the kernel makes one of equal events that follow each other. */
    assert_true(inotify_add_watch(fd, tmpdir_path(&b->dir, IIO "iio:device0/in_temp1_input"),
                                  IN_OPEN | IN_CLOSE) >= 0);
    start(b, &source_iio, "interval_ms: 50");
    until_rows(b, "x.temp0", 40);
    n = opens(fd); /* in intervals: 0, 1, 3, 7, 15, 31 */
    close(fd);
    assert_in_range(n, 3, 7);
}

static void a_device_that_is_gone_is_found_under_another_number(void **state)
{
    struct bench *b = *state;

    put_climate(b, "iio:device0");
    put(b, IIO "iio:device1/name", "steady\n");
    put(b, IIO "iio:device1/in_temp_input", "1000\n");
    start(b, &source_iio, "interval_ms: 50");
    until_rows(b, "steady.temp", 1);
    until_quality(b, "bme280.temp", QUALITY_GOOD);
    move(b, IIO "iio:device0", "away");
    until_quality(b, "bme280.temp", QUALITY_BAD);
    until_heard(b, FAILED, "iio device bme280 is gone", 1);
    until_rows(b, "bme280.pressure", 3);
    assert_int_equal(find(b, "bme280.pressure")->cell.quality, QUALITY_BAD);
    /* Another one has its number now. */
    put(b, IIO "iio:device0/name", "other\n");
    put(b, IIO "iio:device0/in_temp_input", "99000\n");
    move(b, "away", IIO "iio:device7");
    until_heard(b, RECOVERED, "bme280 is there again", 1);
    until_quality(b, "bme280.temp", QUALITY_GOOD);
    assert_reads(b, "bme280.temp", 21.53, "Cel");
    assert_reads(b, "steady.temp", 1, "Cel");
    assert_int_equal(heard(b, FAILED, ""), 1);
    assert_int_equal(heard(b, RECOVERED, ""), 1);
    assert_reads(b, "other.temp", 99, "Cel"); /* new, and so a group of its own */
    assert_int_equal(b->n_groups, 3);
}

/* The number went to another chip between two readings: its values are not taken for the first one's. */
static void a_number_that_changes_hands_is_noticed(void **state)
{
    struct bench *b = *state;

    put_climate(b, "iio:device0");
    start(b, &source_iio, "interval_ms: 50");
    until_quality(b, "bme280.temp", QUALITY_GOOD);
    put(b, IIO "iio:device0/name", "other\n");
    until_heard(b, FAILED, "iio device bme280 is gone", 1);
    until_quality(b, "bme280.temp", QUALITY_BAD);
}

static void a_file_that_hangs_holds_up_its_own_device_only(void **state)
{
    struct bench *b = *state;
    int64_t before_ns;
    int fd;

    put_climate(b, "iio:device0");
    put(b, IIO "iio:device1/name", "slow\n");
    put(b, IIO "iio:device1/in_temp_input", "5000\n");
    start(b, &source_iio, "interval_ms: 100");
    until_quality(b, "slow.temp", QUALITY_GOOD);
    assert_int_equal(mkfifo(tmpdir_path(&b->dir, "fifo"), 0600), 0);
    move(b, "fifo", IIO "iio:device1/in_temp_input");
    until_heard(b, FAILED, "iio:device1/in_temp_input) gives no answer", 1);
    until_quality(b, "slow.temp", QUALITY_BAD);
    /* The others on time: as many rows as intervals, give or take what a busy machine does. */
    before_ns = clock_mono_ns(&clock_real);
    until_rows(b, "bme280.temp", 10);
    assert_true(clock_mono_ns(&clock_real) - before_ns < 4 * NS_PER_S);
    until_rows(b, "slow.temp", 3);
    assert_int_equal(heard(b, FAILED, ""), 1);

    fd = open(tmpdir_path(&b->dir, IIO "iio:device1/in_temp_input"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    put(b, IIO "iio:device1/in_temp_input", "6000\n");
    assert_int_equal(write(fd, "5500\n", 5), 5);
    close(fd);
    until_heard(b, RECOVERED, "answers again", 1);
    until_quality(b, "slow.temp", QUALITY_GOOD);
    until_rows(b, "slow.temp", 2);
    assert_reads(b, "slow.temp", 6, "Cel");
}

static void a_hanging_file_does_not_hold_up_the_end(void **state)
{
    struct bench *b = *state;
    int64_t before_ns;
    int fd;

    put_climate(b, "iio:device0");
    assert_int_equal(unlink(tmpdir_path(&b->dir, IIO "iio:device0/in_temp_input")), 0);
    assert_int_equal(mkfifo(tmpdir_path(&b->dir, IIO "iio:device0/in_temp_input"), 0600), 0);
    put(b, IIO "iio:device1/name", "fine\n");
    put(b, IIO "iio:device1/in_temp_input", "5000\n");
    start(b, &source_iio, "interval_ms: 50");
    until_rows(b, "fine.temp", 2);
    until_heard(b, FAILED, "gives no answer", 1);
    until_rows(b, "bme280.temp", 2); /* bad from the first one on */
    assert_int_equal(find(b, "bme280.temp")->cell.quality, QUALITY_BAD);
    before_ns = clock_mono_ns(&clock_real);
    b->kind->close(b->self);
    b->self = NULL;
    assert_true(clock_mono_ns(&clock_real) - before_ns < 5 * NS_PER_S);
    /* Its thread gets out, and ends with what it was left. */
    fd = open(tmpdir_path(&b->dir, IIO "iio:device0/in_temp_input"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
}

/* ---- hwmon ---- */

#define HWMON "sys/class/hwmon/"

static void hwmon_labels_units_and_zones(void **state)
{
    struct bench *b = *state;

    put(b, HWMON "hwmon0/name", "nct6775\n");
    put(b, HWMON "hwmon0/temp1_input", "-40500\n");
    put(b, HWMON "hwmon0/temp1_label", "SYSTIN\n");
    put(b, HWMON "hwmon0/temp1_max", "80000\n");
    put(b, HWMON "hwmon0/temp2_input", "30000\n");
    put(b, HWMON "hwmon0/temp2_label", "SYSTIN\n");
    put(b, HWMON "hwmon0/in0_input", "1248\n");
    put(b, HWMON "hwmon0/curr1_input", "1500\n");
    put(b, HWMON "hwmon0/power1_input", "2500000\n");
    put(b, HWMON "hwmon0/power1_average", "1\n");
    put(b, HWMON "hwmon0/power2_average", "3000000\n");
    put(b, HWMON "hwmon0/fan2_input", "900\n");
    put(b, HWMON "hwmon0/humidity1_input", "55500\n");
    put(b, HWMON "hwmon0/intrusion0_alarm", "1\n");
    put(b, HWMON "hwmon1/name", "cpu_thermal\n");
    put(b, HWMON "hwmon1/temp1_input", "50000\n");
    assert_int_equal(symlink("../../thermal_zone0", tmpdir_path(&b->dir, HWMON "hwmon1/device")), 0);
    put(b, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
    put(b, "sys/class/thermal/thermal_zone0/temp", "51234\n");
    put(b, "sys/class/thermal/cooling_device0/type", "fan\n");
    start(b, &source_hwmon, "interval_ms: 100");
    assert_reads(b, "nct6775.SYSTIN", -40.5, "Cel");
    assert_reads(b, "nct6775.temp2", 30, "Cel");
    assert_reads(b, "nct6775.in0", 1.248, "V");
    assert_reads(b, "nct6775.curr1", 1.5, "A");
    assert_reads(b, "nct6775.power1", 2.5, "W");
    assert_reads(b, "nct6775.power2", 3, "W");
    assert_reads(b, "nct6775.fan2", 900, "/min");
    assert_reads(b, "nct6775.humidity1", 55.5, "%");
    assert_reads(b, "cpu-thermal.temp", 51.234, "Cel");
    assert_int_equal(b->n_seen, 9);
    assert_int_equal(b->n_events, 0);
}

static void put_disk(struct bench *b, unsigned number, const char *place, const char *milli)
{
    char path[200], target[200];

    snprintf(path, sizeof path, HWMON "hwmon%u/name", number);
    put(b, path, "nvme\n");
    snprintf(path, sizeof path, HWMON "hwmon%u/temp1_input", number);
    put(b, path, milli);
    snprintf(path, sizeof path, HWMON "hwmon%u/device", number);
    snprintf(target, sizeof target, "../../%s", place);
    assert_int_equal(symlink(target, tmpdir_path(&b->dir, path)), 0);
}

static void chips_of_one_name_are_told_apart_by_their_place(void **state)
{
    struct bench *b = *state;

    put_disk(b, 2, "nvme1", "41000\n");
    put_disk(b, 10, "nvme0", "40000\n");
    start(b, &source_hwmon, "interval_ms: 100");
    assert_reads(b, "nvme-nvme0.temp1", 40, "Cel");
    assert_reads(b, "nvme-nvme1.temp1", 41, "Cel");
    /* Both go, and come back with their numbers exchanged. */
    move(b, HWMON "hwmon2", "one");
    move(b, HWMON "hwmon10", "zero");
    until_heard(b, FAILED, "is gone", 2);
    move(b, "zero", HWMON "hwmon2");
    move(b, "one", HWMON "hwmon10");
    until_heard(b, RECOVERED, "is there again", 2);
    until_quality(b, "nvme-nvme0.temp1", QUALITY_GOOD);
    until_quality(b, "nvme-nvme1.temp1", QUALITY_GOOD);
    assert_reads(b, "nvme-nvme0.temp1", 40, "Cel");
    assert_reads(b, "nvme-nvme1.temp1", 41, "Cel");
    assert_int_equal(b->n_groups, 2);
}

/* ---- 1-wire ---- */

#define W1 "sys/bus/w1/devices/"

static void onewire_reads_all_three_forms(void **state)
{
    struct bench *b = *state;

    put(b, W1 "28-00000a/w1_slave",
        "2d 00 4b 46 ff ff 02 10 19 : crc=19 YES\n2d 00 4b 46 ff ff 02 10 19 t=22625\n");
    put(b, W1 "28-00000b/temperature", "-1250\n");
    put(b, W1 "28-00000b/w1_slave", "");
    put(b, W1 "10-00000c/hwmon/hwmon4/temp1_input", "18500\n");
    put(b, W1 "28-00000d/w1_slave",
        "2d 00 4b 46 ff ff 02 10 18 : crc=19 NO\n2d 00 4b 46 ff ff 02 10 18 t=22625\n");
    put(b, W1 "28-00000e/w1_slave",
        "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n");
    put(b, W1 "28-00000f/w1_slave", "2d 00 4b 46 ff ff 02 10 19 : crc=19 YES\n");
    put(b, W1 "w1_bus_master1/w1_master_slaves", "28-00000a\n");
    put(b, W1 "29-000001/state", "\xff");
    start(b, &source_onewire, "interval_ms: 1 s");
    assert_reads(b, "28-00000a", 22.625, "Cel");
    assert_reads(b, "28-00000b", -1.25, "Cel");
    assert_reads(b, "10-00000c", 18.5, "Cel");
    until_rows(b, "28-00000f", 1);
    assert_int_equal(find(b, "28-00000d")->cell.quality, QUALITY_BAD);
    assert_int_equal(heard(b, FAILED, "28-00000d/w1_slave: the checksum is wrong"), 1);
    assert_int_equal(heard(b, FAILED, "28-00000e/w1_slave: nothing but zeros"), 1);
    assert_int_equal(heard(b, FAILED, "28-00000f/w1_slave: no checksum and temperature"), 1);
    assert_int_equal(b->n_events, 3);
    assert_int_equal(b->n_seen, 6);
}

static void the_value_of_power_on_is_uncertain(void **state)
{
    struct bench *b = *state;

    put(b, W1 "28-1/temperature", "85000\n");
    start(b, &source_onewire, "interval_ms: 1 s");
    until_quality(b, "28-1", QUALITY_UNCERTAIN);
    assert_true(find(b, "28-1")->cell.f64 == 85);
    put(b, W1 "28-1/temperature", "84500\n");
    until_quality(b, "28-1", QUALITY_GOOD);
    put(b, W1 "28-1/temperature", "85000\n"); /* it may well be */
    until_rows(b, "28-1", 2);
    assert_reads(b, "28-1", 85, "Cel");
    put(b, W1 "28-1/temperature", "20000\n");
    until_rows(b, "28-1", 2);
    put(b, W1 "28-1/temperature", "85000\n"); /* it lost its power */
    until_quality(b, "28-1", QUALITY_UNCERTAIN);
    assert_int_equal(b->n_events, 0);
}

static void a_sensor_that_comes_late_is_taken(void **state)
{
    struct bench *b = *state;

    start(b, &source_onewire, "interval_ms: 1 s\ndevices: [28-2]");
    until_heard(b, FAILED, "1-wire sensor 28-2 is not in", 1);
    put(b, W1 "28-1/temperature", "20000\n");
    put(b, W1 "28-2/temperature", "21000\n");
    until_heard(b, RECOVERED, "1-wire sensor 28-2 is there", 1);
    assert_reads(b, "28-2", 21, "Cel");
    assert_int_equal(b->n_events, 2);
    assert_int_equal(b->n_seen, 1);
}

static void nothing_there_is_said_once(void **state)
{
    struct bench *b = *state;

    start(b, &source_hwmon, "interval_ms: 100");
    until_heard(b, FAILED, "no chip is in", 1);
    put(b, HWMON "hwmon0/name", "late\n");
    put(b, HWMON "hwmon0/temp1_input", "1000\n");
    until_heard(b, RECOVERED, "chip late is there", 1);
    assert_reads(b, "late.temp1", 1, "Cel");
    assert_int_equal(b->n_events, 2);
}

static void a_pattern_that_is_none_is_refused(void **state)
{
    struct bench *b = *state;
    struct errmsg err = {""};

    assert_true(try_to_open(b, &source_iio, "devices: ['a{b']", &err) < 0);
    assert_non_null(strstr(err.text, "devices: a{b"));
    assert_null(b->self);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(iio_values_come_in_units_of_people),
        CASE(only_what_is_named_is_read),
        CASE(what_is_no_number_costs_its_cell_and_one_event),
        CASE(a_file_that_fails_is_tried_after_waits_that_double),
        CASE(a_device_that_is_gone_is_found_under_another_number),
        CASE(a_number_that_changes_hands_is_noticed),
        CASE(a_file_that_hangs_holds_up_its_own_device_only),
        CASE(a_hanging_file_does_not_hold_up_the_end),
        CASE(hwmon_labels_units_and_zones),
        CASE(chips_of_one_name_are_told_apart_by_their_place),
        CASE(onewire_reads_all_three_forms),
        CASE(the_value_of_power_on_is_uncertain),
        CASE(a_sensor_that_comes_late_is_taken),
        CASE(nothing_there_is_said_once),
        CASE(a_pattern_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
