/* The source `socket`: lines in, rows and answers out. */
#include "recorder.h"

#include "base/clock.h"
#include "tests/lib/tmpdir.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    struct tmpdir dir;
    struct recorder recorder;
    void *self;
    int fd; /* of a sender with an address */
};

static const struct source_now now = {INT64_C(1700000000) * NS_PER_S, NS_PER_S};

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    void *config = recorder_config(&source_socket, "");
    struct sockaddr_un own = {.sun_family = AF_UNIX}, to = {.sun_family = AF_UNIX};
    struct source_open o = {.name = "s", .config = config};
    struct errmsg err = {""};

    tmpdir_init(&b->dir);
    recorder_init(&b->recorder);
    o.run_dir = b->dir.path;
    if (source_socket.open(&o, &b->self, &err) != 0)
        fail_msg("%s", err.text);
    recorder_config_free(&source_socket, config);
    b->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(b->fd, (struct sockaddr *)&own, sizeof own.sun_family), 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s/send.sock", b->dir.path);
    assert_int_equal(connect(b->fd, (struct sockaddr *)&to, sizeof to), 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    source_socket.close(b->self);
    recorder_deinit(&b->recorder);
    tmpdir_deinit(&b->dir);
    close(b->fd);
    free(b);
    return 0;
}

static void a_socket_that_is_in_use_is_left_to_its_owner(void **state)
{
    struct bench *b = *state;
    void *config = recorder_config(&source_socket, ""), *second = NULL;
    struct source_open o = {.name = "second", .config = config, .run_dir = b->dir.path};
    struct errmsg err = {""};

    assert_int_equal(source_socket.open(&o, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "send.sock: "));
    assert_non_null(strstr(err.text, "a path of its own"));
    recorder_config_free(&source_socket, config);
    assert_int_equal(send(b->fd, "a=1", 3, 0), 3);
}

/* Sends a line and lets the source take it. */
static void say(struct bench *b, const char *line)
{
    int64_t next;

    assert_int_equal(send(b->fd, line, strlen(line), 0), (ssize_t)strlen(line));
    assert_int_equal(source_socket.step(b->self, &b->recorder.sink, &now, &next), 0);
    assert_true(next == INT64_MAX);
}

static void assert_refused(struct bench *b, const char *line)
{
    struct pollfd p = {b->fd, POLLIN, 0};
    uint32_t rows = b->recorder.n_rows;
    char answer[256] = "";

    say(b, line);
    assert_int_equal(b->recorder.n_rows, rows);
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_true(recv(b->fd, answer, sizeof answer - 1, 0) > 0);
    if (strncmp(answer, "error ", 6) != 0)
        fail_msg("%s: answered %s", line, answer);
}

static void values_have_the_type_they_look_like(void **state)
{
    struct bench *b = *state;
    struct recorder *r = &b->recorder;

    say(b, "temperature=21.5 door=true mode=auto label=\"1 \\\"a\\\"\" count=-3e2\n");
    assert_int_equal(r->n_rows, 1);
    assert_int_equal(r->n_channels, 5);
    /* Sorted by name: count door label mode temperature. */
    assert_string_equal(r->names[0], "count");
    assert_true(r->rows[0].cells[0].f64 == -300);
    assert_int_equal(r->types[1], COLUMN_BOOL);
    assert_int_equal(r->rows[0].cells[1].i64, 1);
    assert_int_equal(r->types[2], COLUMN_TEXT);
    assert_int_equal(r->rows[0].cells[2].text.len, 5);
    assert_string_equal(r->text, "auto");
    assert_true(r->rows[0].cells[4].f64 == 21.5);
    assert_true(r->rows[0].time_ns == now.wall_unix_ns);
    assert_int_equal(r->n_receipts, 1);
}

static void the_same_channels_in_any_order_are_one_group(void **state)
{
    struct bench *b = *state;

    say(b, "a=1 b=2");
    say(b, "b=2 a=1 @1600000000.5");
    assert_int_equal(b->recorder.n_groups, 1);
    assert_true(b->recorder.rows[1].time_ns == INT64_C(1600000000500000000));
    say(b, "a=1 b=on"); /* another type is another descriptor */
    say(b, "a=1");
    assert_int_equal(b->recorder.n_groups, 3);
}

static void lines_that_are_not_readings_are_refused_with_a_reason(void **state)
{
    static const char *const lines[] = {"hello",    "=1",    "a b=1", "a=1 a=2", "a=\"x", "@1600000000",
                                        "a=1 @now", "a/b=1", "a=",    "a=\"\"",  "   ",   "ä=1"};
    char many[2048] = "";

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_refused(*state, lines[i]);
    for (int i = 0; i < 33; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "c%d=1 ", i);
    assert_refused(*state, many);
}

static void too_many_sets_are_refused_and_known_ones_go_on(void **state)
{
    struct bench *b = *state;
    char line[64];

    for (int i = 0; i < 64; i++) {
        snprintf(line, sizeof line, "c%d=1", i);
        say(b, line);
    }
    assert_refused(b, "one.more=1");
    say(b, "c7=2");
    assert_int_equal(b->recorder.n_rows, 65);
}

static int refuse_group(void *ctx, const struct source_group *g, uint32_t *ret_group)
{
    (void)ctx, (void)g, (void)ret_group;
    return -EUSERS;
}

static void a_set_that_is_refused_is_refused_with_the_reason(void **state)
{
    struct bench *b = *state;
    char answer[256] = "";

    b->recorder.sink.group = refuse_group;
    say(b, "a=1");
    assert_true(recv(b->fd, answer, sizeof answer - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(answer, "error the device has 4096 channels with settings"));
}

static void without_room_the_sender_is_told(void **state)
{
    struct bench *b = *state;

    b->recorder.room = 0;
    assert_refused(b, "a=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_socket_that_is_in_use_is_left_to_its_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_have_the_type_they_look_like, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_channels_in_any_order_are_one_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_that_are_not_readings_are_refused_with_a_reason, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(too_many_sets_are_refused_and_known_ones_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_set_that_is_refused_is_refused_with_the_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_room_the_sender_is_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
