/* The source `mqtt`: filters, names and JSON paths, and Debian's broker with TLS: killed, flooded, refusing.
 */
#include "live.h"

#include "base/clock.h"
#include "base/log.h"
#include "device/sources/json_path.h"
#include "device/sources/mqtt_client.h"
#include "device/sources/mqtt_topic.h"
#include "tests/lib/process.h"
#include "tests/lib/tmpdir.h"
#include "wire/wire.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <mosquitto.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum {
    FAILED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED,
    RECOVERED = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED,
    NOTE = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE,
};

/* ---- topics and paths ---- */

static void filters_match_as_the_standard_says(void **state)
{
    static const struct {
        const char *filter, *topic;
        bool matches;
    } cases[] = {
        {"a/b", "a/b", true},    {"a/b", "a/bc", false}, {"a/b", "a", false},      {"a", "a/b", false},
        {"a/+", "a/b", true},    {"a/+", "a", false},    {"a/+", "a/b/c", false},  {"+/+", "/x", true},
        {"+", "/x", false},      {"a/#", "a", true},     {"a/#", "a/b/c", true},   {"#", "a/b", true},
        {"a/#", "ab", false},    {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true},
        {"a/+/c", "a//c", true}, {"a/+/#", "a/b", true}, {"a/+/#", "a", false},    {"a/b/", "a/b", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (mqtt_topic_match(cases[i].filter, cases[i].topic) != cases[i].matches)
            fail_msg("%s with %s", cases[i].filter, cases[i].topic);
    assert_null(mqtt_filter_check("a/+/b/#"));
    assert_non_null(mqtt_filter_check("a+/b"));
    assert_non_null(mqtt_filter_check("a/#/b"));
    assert_non_null(mqtt_filter_check("a/b#"));
    assert_non_null(mqtt_filter_check(""));
}

static void channels_are_named_after_what_the_filter_matched(void **state)
{
    char name[NAME_PART_CHARS + 1];

    (void)state;
    mqtt_topic_channel("a/+/x/+/#", "$2.$1-$#", "a/one/x/t w\xc3\xb6/p/q", name);
    assert_string_equal(name, "t_w__.one-p.q");
    mqtt_topic_channel("a/#", "all.$#", "a", name);
    assert_string_equal(name, "all.");
    mqtt_topic_channel("+", "$1", "0123456789012345678901234567890123456789012345678901234567890123456789",
                       name);
    assert_int_equal(strlen(name), NAME_PART_CHARS);
    assert_null(mqtt_channel_check("room-$1.t", "a/+"));
    assert_non_null(mqtt_channel_check("room-$2.t", "a/+"));
    assert_non_null(mqtt_channel_check("$#", "a/+"));
    assert_non_null(mqtt_channel_check("$", "a/+"));
    assert_non_null(mqtt_channel_check("a b", "a/+"));
}

static void a_json_path_finds_its_value(void **state)
{
    static const char json[] = "{\"a\":{\"b\":[{\"c\":1.50},true,null,\"x\"]},\"long key\":-2e3,\"e\":{}}";
    static const struct {
        const char *path, *value; /* NULL: none */
    } cases[] = {{"a.b[0].c", "1.50"}, {"a.b[1]", "true"},  {"a.b[3]", "x"}, {"long key", "-2e3"},
                 {"a.b[2]", NULL},     {"a.b[9]", NULL},    {"a.c", NULL},   {"a[0]", NULL},
                 {"e", NULL},          {"a.b[0].c.d", NULL}};
    char deep[5000];
    struct json_text *t = NULL;
    const char *value;
    bool is_string;

    (void)state;
    assert_null(json_text_parse(span_str(json), &t));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *why = json_path_get(t, cases[i].path, &value, &is_string);

        assert_null(json_path_check(cases[i].path));
        if ((why == NULL) != (cases[i].value != NULL))
            fail_msg("%s: %s", cases[i].path, why != NULL ? why : value);
        if (why == NULL)
            assert_string_equal(value, cases[i].value);
    }
    json_text_free(t);
    memset(deep, '[', sizeof deep);
    assert_string_equal(json_text_parse(span_of(deep, sizeof deep), &t), "nested more than 64 deep");
    assert_string_equal(json_text_parse(span_str("{\"a\":"), &t), "no JSON");
    assert_string_equal(json_text_parse(span_str(""), &t), "no JSON");
    assert_non_null(json_path_check("a..b"));
    assert_non_null(json_path_check("a[x]"));
    assert_non_null(json_path_check("a[0"));
    assert_non_null(json_path_check(".a"));
    assert_non_null(json_path_check("a]"));
}

/* ---- a broker ---- */

struct bench {
    struct tmpdir dir;
    int port;
    struct process broker;
    struct mosquitto *publisher;
    bool is_connected; /* it */
};

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void start_broker(struct bench *b)
{
    if (!process_start(&b->broker, (char *[]){"mosquitto", "-c", (char *)tmpdir_path(&b->dir, "conf"), NULL},
                       "running"))
        fail_msg("mosquitto: %s", b->broker.said);
}

static void make_certificates(struct bench *b)
{
    char script[4000];

    snprintf(
        script, sizeof script,
        "set -e; cd %s; for ca in ca other; do openssl req -x509 -newkey rsa:2048 -nodes -keyout $ca.key "
        "-out $ca.pem "
        "-days 2 -subj /CN=$ca; done; openssl req -newkey rsa:2048 -nodes -keyout key.pem -out csr.pem "
        "-subj /CN=localhost; echo subjectAltName=DNS:localhost,IP:127.0.0.1 >ext; openssl x509 -req -in "
        "csr.pem "
        "-CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem; "
        "PATH=$PATH:/usr/sbin; mosquitto_passwd -b -c users reader secret; printf \"secret\\n\" >password; "
        "printf \"wrong\\n\" >wrong; chmod 644 *",
        b->dir.path);
    assert_true(process_run((char *[]){"sh", "-c", script, NULL}));
}

static void on_publisher_connected(struct mosquitto *m, void *ctx, int rc)
{
    (void)m;
    *(bool *)ctx = rc == 0;
}

static void connect_publisher(struct bench *b)
{
    int64_t deadline_ns = clock_mono_ns(&clock_real) + LIVE_DEADLINE_S * NS_PER_S;

    if (b->publisher != NULL)
        mosquitto_destroy(b->publisher);
    b->is_connected = false;
    b->publisher = mosquitto_new(NULL, true, &b->is_connected);
    mosquitto_username_pw_set(b->publisher, "reader", "secret");
    mosquitto_tls_set(b->publisher, tmpdir_path(&b->dir, "ca.pem"), NULL, NULL, NULL, NULL);
    mosquitto_connect_callback_set(b->publisher, on_publisher_connected);
    assert_int_equal(mosquitto_connect(b->publisher, "127.0.0.1", b->port, 60), MOSQ_ERR_SUCCESS);
    while (!b->is_connected) {
        assert_int_equal(mosquitto_loop(b->publisher, 100, 1), MOSQ_ERR_SUCCESS);
        assert_true(clock_mono_ns(&clock_real) < deadline_ns);
    }
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    FILE *f;

    tmpdir_init(&b->dir);
    make_certificates(b);
    b->port = free_port();
    f = fopen(tmpdir_path(&b->dir, "conf"), "w");
    fprintf(f,
            "user root\nlistener %d 127.0.0.1\ncafile %s/ca.pem\ncertfile %s/cert.pem\nkeyfile %s/key.pem\n"
            "allow_anonymous false\npassword_file %s/users\nmax_queued_messages 0\nmax_inflight_messages 0\n",
            b->port, b->dir.path, b->dir.path, b->dir.path, b->dir.path);
    fclose(f);
    start_broker(b);
    mosquitto_lib_init();
    connect_publisher(b);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    mosquitto_destroy(b->publisher);
    mosquitto_lib_cleanup();
    process_kill(&b->broker, SIGKILL);
    tmpdir_deinit(&b->dir);
    free(b);
    return 0;
}

static void open_client(struct bench *b, struct live *l, const char *ca, const char *password)
{
    char yaml[3000];

    snprintf(yaml, sizeof yaml,
             "host: localhost\nport: %d\ntls: true\nca_file: %s/%s\nusername: reader\npassword_file: %s/%s\n"
             "reconnect_ms: 50 ms\nreconnect_max_ms: 200 ms\ntopics:\n"
             "  - filter: plant/+/t\n    channel: $1.temperature\n    unit: Cel\n    qos: 1\n"
             "  - filter: json/#\n    channel: v.$#\n    json: a.b[0].c\n"
             "  - filter: json/#\n    channel: on.$#\n    json: a.on\n    type: bool\n",
             b->port, b->dir.path, ca, b->dir.path, password);
    live_open(l, &source_mqtt, yaml);
}

static void publish(struct bench *b, const char *topic, const char *payload)
{
    assert_int_equal(mosquitto_publish(b->publisher, NULL, topic, (int)strlen(payload), payload, 0, false),
                     MOSQ_ERR_SUCCESS);
    assert_int_equal(mosquitto_loop(b->publisher, 0, 1), MOSQ_ERR_SUCCESS);
}

/* Nothing tells a client's user that it is subscribed, so one topic is said until it comes through. */
static bool comes_through(const struct live *l, const void *ctx)
{
    struct bench *b = (struct bench *)(uintptr_t)ctx;

    publish(b, "plant/probe/t", "1");
    for (uint32_t i = 0; i < l->recorder.n_rows; i++)
        if (strcmp(l->recorder.first_names[l->recorder.rows[i].group], "probe.temperature") == 0 &&
            l->recorder.rows[i].cells[0].quality == QUALITY_GOOD)
            return true;
    /* The wait of the next step is ended by what was just said, once it is subscribed. */
    return false;
}

static void until_subscribed(struct bench *b, struct live *l)
{
    int64_t next = l->next_ns;

    while (!comes_through(l, b)) {
        l->next_ns = clock_mono_ns(&clock_real) + 20 * NS_PER_MS;
        live_once(l);
    }
    l->next_ns = next;
}

static void values_come_over_tls(void **state)
{
    struct bench *b = *state;
    struct live l;
    uint32_t i;

    open_client(b, &l, "ca.pem", "password");
    until_subscribed(b, &l);
    publish(b, "plant/mill/t", " 21.5\n");
    i = live_until_row(&l, "mill.temperature", QUALITY_GOOD, 0);
    assert_true(l.recorder.rows[i].cells[0].f64 == 21.5);
    publish(b, "json/x/y", "{\"a\":{\"b\":[{\"c\":-7}],\"on\":true}}");
    i = live_until_row(&l, "v.x.y", QUALITY_GOOD, 0);
    assert_true(l.recorder.rows[i].cells[0].f64 == -7);
    i = live_until_row(&l, "on.x.y", QUALITY_GOOD, 0);
    assert_int_equal(l.recorder.rows[i].cells[0].i64, 1);
    assert_int_equal(l.recorder.n_events, 0);
    publish(b, "json/z", "{\"a\":");
    live_until_event(&l, NOTE, 1);
    assert_string_equal(l.recorder.event_text, "message of topic json/z (json a.on): no JSON");
    live_close(&l);
}

static void what_the_broker_kept_is_stale(void **state)
{
    struct bench *b = *state;
    struct live l;

    assert_int_equal(mosquitto_publish(b->publisher, NULL, "plant/kept/t", 1, "5", 0, true),
                     MOSQ_ERR_SUCCESS);
    open_client(b, &l, "ca.pem", "password");
    live_until_row(&l, "kept.temperature", QUALITY_STALE, 0);
    live_close(&l);
}

static void a_broker_that_is_killed_under_load_comes_back(void **state)
{
    struct bench *b = *state;
    unsigned long long good = 0;
    struct live l;
    uint32_t i;

    open_client(b, &l, "ca.pem", "password");
    until_subscribed(b, &l);
    for (int round = 1; round <= 3; round++) {
        char payload[32];

        for (int k = 0; k < 500; k++) {
            snprintf(payload, sizeof payload, "%d", k);
            publish(b, "plant/mill/t", payload);
            if (k % 10 == 0)
                live_once(&l);
        }
        i = l.recorder.n_rows;
        process_kill(&b->broker, SIGKILL);
        i = live_until_row(&l, "mill.temperature", QUALITY_BAD, i);
        assert_true(isnan(l.recorder.rows[i].cells[0].f64));
        live_until_event(&l, FAILED, (uint32_t)round);
        start_broker(b);
        live_until_event(&l, RECOVERED, (uint32_t)round);
        connect_publisher(b);
        publish(b, "plant/mill/t", "1000");
        i = live_until_row(&l, "mill.temperature", QUALITY_GOOD, i);
        for (good = 0; i > 0; i--)
            good += l.recorder.rows[i].cells[0].quality == QUALITY_GOOD;
        assert_int_equal(l.recorder.n_events_of[FAILED], round);
    }
    assert_true(good > 500);
    live_close(&l);
}

static bool is_overflow(const struct live *l, const void *ctx)
{
    (void)ctx;
    return strstr(l->recorder.event_text, "no room in the queue") != NULL;
}

static void what_finds_no_room_is_counted_and_told(void **state)
{
    struct bench *b = *state;
    struct live l;
    unsigned n = 0;

    open_client(b, &l, "ca.pem", "password");
    until_subscribed(b, &l);
    l.recorder.n_rows = 0;
    for (int k = 0; k < 4 * MQTT_QUEUE; k++)
        publish(b, "plant/flood/t", "1");
    /* Whatever the client still had to read then: more comes than a step takes out. */
    while (!is_overflow(&l, NULL)) {
        for (int k = 0; k < 1000; k++)
            publish(b, "plant/flood/t", "1");
        live_once(&l);
        assert_true(n++ < 1000);
    }
    assert_int_equal(l.recorder.n_events_of[NOTE], 1);
    live_close(&l);
}

static void a_broker_with_another_certificate_is_refused(void **state)
{
    struct live l;

    open_client(*state, &l, "other.pem", "password");
    live_until_event(&l, FAILED, 1);
    if (strstr(l.recorder.event_text, "certificate verify failed") == NULL)
        fail_msg("%s", l.recorder.event_text);
    live_close(&l);
}

static void a_wrong_password_is_named(void **state)
{
    struct live l;

    open_client(*state, &l, "ca.pem", "wrong");
    live_until_event(&l, FAILED, 1);
    if (strstr(l.recorder.event_text, "username and password_file") == NULL)
        fail_msg("%s", l.recorder.event_text);
    live_close(&l);
}

/* ---- a resolver that does not answer ---- */

enum { RESOLVER_MS = 20000 };
static int asked[2], answers[2]; /* pipes */

/* In place of the C library's, for libmosquitto too. */
int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict res)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    struct pollfd p = {answers[0], POLLIN, 0};

    if (node != NULL && strcmp(node, "nobody.answers.invalid") == 0) {
        if (write(asked[1], "?", 1) != 1 || poll(&p, 1, RESOLVER_MS) < 0)
            return EAI_SYSTEM;
        return EAI_AGAIN;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, res);
}

static unsigned count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static void a_resolver_that_does_not_answer_does_not_hold_up_the_end(void **state)
{
    int64_t began_ms, deadline_ms;
    struct pollfd p = {-1, POLLIN, 0};
    unsigned before = count_threads();
    struct live l;

    (void)state;
    if (mqtt_client_lacks() != NULL)
        skip();
    assert_int_equal(pipe(asked), 0);
    assert_int_equal(pipe(answers), 0);
    live_open(&l, &source_mqtt, "host: nobody.answers.invalid\ntopics: [{filter: a, channel: a}]\n");
    p.fd = asked[0];
    assert_int_equal(poll(&p, 1, RESOLVER_MS), 1);
    began_ms = clock_mono_ms(&clock_real);
    live_close(&l);
    assert_true(clock_mono_ms(&clock_real) - began_ms < RESOLVER_MS / 2);
    /* It frees what it has when the answer comes. */
    assert_int_equal(write(answers[1], "!", 1), 1);
    deadline_ms = clock_mono_ms(&clock_real) + RESOLVER_MS;
    while (count_threads() > before) {
        assert_true(clock_mono_ms(&clock_real) < deadline_ms);
        sched_yield();
    }
    for (int i = 0; i < 2; i++) {
        close(asked[i]);
        close(answers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_match_as_the_standard_says),
        cmocka_unit_test(channels_are_named_after_what_the_filter_matched),
        cmocka_unit_test(a_json_path_finds_its_value),
        cmocka_unit_test(a_resolver_that_does_not_answer_does_not_hold_up_the_end),
    };
    const struct CMUnitTest with_broker[] = {
        cmocka_unit_test(values_come_over_tls),
        cmocka_unit_test(what_the_broker_kept_is_stale),
        cmocka_unit_test(a_broker_that_is_killed_under_load_comes_back),
        cmocka_unit_test(what_finds_no_room_is_counted_and_told),
        cmocka_unit_test(a_broker_with_another_certificate_is_refused),
        cmocka_unit_test(a_wrong_password_is_named),
    };
    char path[2000];
    int failed;

    /* Debian has the broker where only root looks. */
    snprintf(path, sizeof path, "%s:/usr/sbin", getenv("PATH") != NULL ? getenv("PATH") : "/usr/bin:/bin");
    setenv("PATH", path, 1);
    signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_ERROR);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed != 0)
        return failed;
    if (access("/usr/sbin/mosquitto", X_OK) != 0)
        return 77;
    return cmocka_run_group_tests_name("broker", with_broker, set_up, tear_down);
}
