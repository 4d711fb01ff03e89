/* The source `modbus`: maps and requests, and a real slave that is stopped, killed and started again. */
#include "live.h"

#include "base/clock.h"
#include "base/log.h"
#include "device/sources/modbus_map.h"
#include "tests/lib/process.h"
#include "wire/wire.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum {
    FAILED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED,
    RECOVERED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED,
};

static const char *server; /* program of the slave */

static struct cell cell_of(int type, int order, double scale, const uint16_t *words)
{
    struct modbus_register r = {.kind = MODBUS_HOLDING, .type = type, .word_order = order, .scale = scale};

    return modbus_register_cell(&r, words);
}

static void words_mean_what_their_type_says(void **state)
{
    const uint16_t w[] = {0xFFFF, 0xFFFE, 0x0001, 0x0002};

    (void)state;
    assert_int_equal(cell_of(MODBUS_U16, 0, 1, w).i64, 65535);
    assert_int_equal(cell_of(MODBUS_I16, 0, 1, w).i64, -1);
    assert_int_equal(cell_of(MODBUS_U32, 0, 1, w).i64, 0xFFFFFFFE);
    assert_int_equal(cell_of(MODBUS_I32, 0, 1, w).i64, -2);
    assert_int_equal(cell_of(MODBUS_U32, 1, 1, w).i64, 0xFFFEFFFF);
    assert_true(cell_of(MODBUS_I64, 0, 1, w).i64 == (int64_t)0xFFFFFFFE00010002);
    assert_true(cell_of(MODBUS_I64, 1, 1, w).i64 == 0x00020001FFFEFFFF);
    assert_int_equal(cell_of(MODBUS_U64, 0, 1, w).quality, QUALITY_BAD);
    assert_true(cell_of(MODBUS_U64, 0, 0.5, w).f64 == 0x1p63 - 0x1p32 + 0x1p15 + 1);
    assert_true(cell_of(MODBUS_I16, 0, 0.1, w).f64 == -1 * 0.1);
    assert_true(cell_of(MODBUS_F32, 0, 2, (const uint16_t[]){0x41AC, 0}).f64 == 43);
    assert_true(cell_of(MODBUS_F32, 1, 1, (const uint16_t[]){0, 0x41AC}).f64 == 21.5);
    assert_true(cell_of(MODBUS_F64, 0, 1, (const uint16_t[]){0x4035, 0x8000, 0, 0}).f64 == 21.5);
    assert_int_equal(cell_of(MODBUS_F32, 0, 1, (const uint16_t[]){0x7FC0, 0}).quality, QUALITY_BAD);
}

static void adjacent_registers_share_a_request(void **state)
{
    struct modbus_register r[8] = {
        {.kind = MODBUS_HOLDING, .address = 10, .type = MODBUS_U16},
        {.kind = MODBUS_COIL, .address = 1},
        {.kind = MODBUS_HOLDING, .address = 8, .type = MODBUS_F32},
        {.kind = MODBUS_HOLDING, .address = 12},
        {.kind = MODBUS_INPUT, .address = 11},
        {.kind = MODBUS_COIL, .address = 2},
        {.kind = MODBUS_HOLDING, .address = 13},
        {.kind = MODBUS_HOLDING, .address = 14},
    };
    struct modbus_plan p;

    (void)state;
    modbus_plan(r, 8, &p);
    assert_int_equal(p.n_requests, 4); /* coils 1-2, input 11, holding 8-10, holding 12-14 */
    assert_int_equal(p.requests[0].words, 2);
    assert_int_equal(p.requests[2].address, 8);
    assert_int_equal(p.requests[2].words, 3);
    assert_int_equal(p.order[p.requests[2].first], 2);
    r[6].alone = true;
    modbus_plan(r, 8, &p);
    assert_int_equal(p.n_requests, 6);
}

static void a_request_has_at_most_125_words(void **state)
{
    static struct modbus_register r[MODBUS_REGISTERS_MAX];
    struct modbus_plan p;
    unsigned words = 0;

    (void)state;
    for (unsigned i = 0; i < MODBUS_REGISTERS_MAX; i++)
        r[i] = (struct modbus_register){.kind = MODBUS_HOLDING, .address = 4 * i, .type = MODBUS_F64};
    modbus_plan(r, MODBUS_REGISTERS_MAX, &p);
    for (unsigned i = 0; i < p.n_requests; i++) {
        assert_true(p.requests[i].words <= MODBUS_WORDS_MAX);
        words += p.requests[i].words;
    }
    assert_int_equal(words, 4 * MODBUS_REGISTERS_MAX);
}

/* ---- a slave ---- */

struct bench {
    struct process slave;
    struct live live;
    char port[16];
};

static void start_slave(struct bench *b)
{
    if (!process_start(&b->slave, (char *[]){(char *)(uintptr_t)server, b->port, NULL}, "ready"))
        fail_msg("%s: %s", server, b->slave.said);
}

static void open_source(struct bench *b, const char *more)
{
    char yaml[2000];

    snprintf(yaml, sizeof yaml,
             "host: 127.0.0.1\nport: %s\ninterval_ms: 300\ntimeout_ms: 200\nreconnect_ms: "
             "20\nreconnect_max_ms: 100\n"
             "registers:\n"
             "  - {name: a, address: 0}\n  - {name: b, address: 1, type: i16, scale: 0.5}\n"
             "  - {name: c, address: 2, type: f32, unit: Cel}\n  - {name: d, address: 4, type: u32, "
             "word_order: low_first}\n"
             "  - {name: e, address: 6, type: i32}\n  - {name: f, address: 8, type: i64}\n"
             "  - {name: n, address: 15}\n  - {name: in, kind: input, address: 10}\n"
             "  - {name: on, kind: coil, address: 3}\n  - {name: door, kind: discrete, address: 4}\n%s",
             b->port, more);
    live_open(&b->live, &source_modbus, yaml);
}

static int set_up(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct bench *b = calloc(1, sizeof *b);
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    snprintf(b->port, sizeof b->port, "%u", (unsigned)ntohs(a.sin_port));
    start_slave(b);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    process_kill(&b->slave, SIGKILL);
    free(b);
    return 0;
}

static void registers_become_a_row(void **state)
{
    struct bench *b = *state;
    const struct cell *c;
    uint32_t i;

    open_source(b, "");
    i = live_until_row(&b->live, "a", QUALITY_GOOD, 0);
    c = b->live.recorder.rows[i].cells;
    assert_int_equal(c[0].i64, 1234);
    assert_true(c[1].f64 == -2.5);
    assert_true(c[2].f64 == 21.5);
    assert_int_equal(c[3].i64, 0x12345);
    assert_int_equal(c[4].i64, -100000);
    assert_true(c[5].i64 == INT64_MAX);
    assert_int_equal(c[7].i64, 77);
    assert_int_equal(c[8].i64, 1);
    assert_int_equal(c[9].i64, 1);
    /* 0-11 in one request, 15, the input, the coil, the discrete input: five a row. */
    i = live_until_row(&b->live, "a", QUALITY_GOOD, i + 1);
    assert_int_equal(b->live.recorder.rows[i].cells[6].i64 - c[6].i64, 5);
    assert_int_equal(b->live.recorder.n_events, 0);
    live_close(&b->live);
}

static bool has_good_neighbours(const struct live *l, const void *ctx)
{
    const struct recorded_row *r = &l->recorder.rows[l->recorder.n_rows > 0 ? l->recorder.n_rows - 1 : 0];

    (void)ctx;
    return l->recorder.n_rows > 0 && r->cells[10].quality == QUALITY_GOOD &&
           r->cells[11].quality == QUALITY_BAD;
}

static void a_refused_register_is_named_and_its_neighbours_are_read(void **state)
{
    struct bench *b = *state;

    open_source(b, "  - {name: last, address: 99}\n  - {name: beyond, address: 100}\n");
    live_until_event(&b->live, FAILED, 1);
    assert_string_equal(b->live.recorder.event_channel, "beyond");
    assert_non_null(strstr(b->live.recorder.event_text, "holding register 100: Illegal data address"));
    assert_non_null(strstr(b->live.recorder.event_text, "look at kind, address and type"));
    live_until(&b->live, has_good_neighbours, NULL);
    assert_int_equal(b->live.recorder.n_events_of[FAILED], 1);
    live_close(&b->live);
}

static void a_slave_that_is_killed_is_bad_until_it_is_back(void **state)
{
    struct bench *b = *state;
    uint32_t i = 0;

    open_source(b, "");
    for (uint32_t round = 1; round <= 3; round++) {
        i = live_until_row(&b->live, "a", QUALITY_GOOD, i);
        process_kill(&b->slave, SIGKILL);
        i = live_until_row(&b->live, "a", QUALITY_BAD, i);
        assert_int_equal(b->live.recorder.rows[i].cells[0].i64, 1234);
        assert_true(isnan(b->live.recorder.rows[i].cells[2].f64));
        live_until_event(&b->live, FAILED, round);
        start_slave(b);
        live_until_event(&b->live, RECOVERED, round);
        assert_int_equal(b->live.recorder.n_events_of[FAILED], round);
    }
    live_close(&b->live);
}

static void a_slave_that_hangs_holds_up_nobody(void **state)
{
    struct bench *b = *state;
    uint32_t i;

    open_source(b, "");
    i = live_until_row(&b->live, "a", QUALITY_GOOD, 0);
    kill(b->slave.pid, SIGSTOP);
    b->live.slowest_step_ns = 0;
    i = live_until_row(&b->live, "a", QUALITY_BAD, i);
    live_until_event(&b->live, FAILED, 1);
    print_message("slowest step while it hangs: %lld us\n", (long long)b->live.slowest_step_ns / 1000);
    assert_true(b->live.slowest_step_ns < 50 * NS_PER_MS);
    kill(b->slave.pid, SIGCONT);
    live_until_row(&b->live, "a", QUALITY_GOOD, i);
    live_close(&b->live);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_mean_what_their_type_says),
        cmocka_unit_test(adjacent_registers_share_a_request),
        cmocka_unit_test(a_request_has_at_most_125_words),
        cmocka_unit_test_setup_teardown(registers_become_a_row, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_register_is_named_and_its_neighbours_are_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_slave_that_is_killed_is_bad_until_it_is_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slave_that_hangs_holds_up_nobody, set_up, tear_down),
    };

    if (argc < 2) {
        fprintf(stderr, "usage: %s MODBUS_SERVER\n", argv[0]);
        return 2;
    }
    server = argv[1];
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
