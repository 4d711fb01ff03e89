#include "device/sources/mqtt_client.h"

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "device/sources/json_path.h"
#include "device/sources/mqtt_lib.h"
#include "device/sources/mqtt_topic.h"
#include "device/sources/quiet_thread.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { LOOP_MS = 1000, CONNECT_MS = 10000 };

struct mqtt_client {
    struct mqtt_config config; /* without its lists */
    int port;
    struct mqtt_topic_config *topics;
    size_t n_topics;
    int wake_fd, stop_fd;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* of what follows; held for a copy */
    struct mqtt_news news;
    struct mqtt_item *queue; /* MQTT_QUEUE of them, a ring */
    unsigned first, n;

    /* of its own thread */
    struct mosquitto *m; /* of this attempt */
    struct backoff backoff;
    bool is_tcp_up;
    uint64_t n_said;              /* by the library: tells whether it got on */
    char why[MQTT_WHY_BYTES];     /* what the library said last of the connection */
    unsigned n_asked, n_answered; /* subscriptions */
};

const char *mqtt_client_lacks(void)
{
    return mqtt_lib_load();
}

/* ---- a message ---- */

static void wake(struct mqtt_client *c)
{
    int rc = eventfd_write(c->wake_fd, 1);

    (void)rc; /* full: it is awake */
}

static void put(struct mqtt_client *c, const struct mqtt_item *item)
{
    pthread_mutex_lock(&c->lock);
    if (c->n == MQTT_QUEUE)
        c->news.dropped++;
    else
        c->queue[(c->first + c->n++) % MQTT_QUEUE] = *item;
    pthread_mutex_unlock(&c->lock);
}

static void put_bad(struct mqtt_client *c, const char *topic, const char *path, const char *why)
{
    pthread_mutex_lock(&c->lock);
    c->news.bad++;
    snprintf(c->news.bad_why, sizeof c->news.bad_why, "message of topic %.60s %s%.40s%s%.70s", topic,
             path[0] != '\0' ? "(json " : "", path, path[0] != '\0' ? "): " : "", why);
    pthread_mutex_unlock(&c->lock);
}

/* Text of the payload without blanks and line ends around it. */
static struct span trimmed(struct span s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.data[0]) != NULL && s.data[0] != '\0')
        s = span_of(s.data + 1, s.len - 1);
    while (s.len > 0 && strchr(" \t\r\n", s.data[s.len - 1]) != NULL && s.data[s.len - 1] != '\0')
        s.len--;
    return s;
}

static const char *value_of(const struct mqtt_topic_config *t, struct span payload, struct json_text **json,
                            struct told_value *ret_v)
{
    struct span text = trimmed(payload);
    enum told_type type = (enum told_type)t->type;
    const char *why = NULL, *value;
    bool is_string;

    if (t->json[0] != '\0') {
        if (*json == NULL)
            why = json_text_parse(payload, json);
        if (why == NULL)
            why = json_path_get(*json, t->json, &value, &is_string);
        if (why != NULL)
            return why;
        text = span_str(value);
        if (is_string && type == TOLD_AUTO)
            type = TOLD_TEXT;
    }
    if (text.len == 0 || text.len > BLOCK_TEXT_MAX_BYTES)
        return "a value has 1 to 255 bytes";
    if (memchr(text.data, '\0', text.len) != NULL)
        return "has a NUL byte; is it binary?";
    return told_parse(type, (const char *)text.data, text.len, ret_v) ? NULL : "is not of the type asked for";
}

static void take(struct mqtt_client *c, const struct mosquitto_message *m)
{
    struct span payload = span_of(m->payload, (size_t)m->payloadlen);
    struct mqtt_item item = {.time_ns = clock_wall_unix_ns(&clock_real)};
    struct json_text *json = NULL;

    for (size_t i = 0; i < c->n_topics; i++) {
        const struct mqtt_topic_config *t = &c->topics[i];
        const char *why = "longer than 16 KiB";

        if (!mqtt_topic_match(t->filter, m->topic))
            continue;
        if (payload.len <= MQTT_PAYLOAD_BYTES)
            why = value_of(t, payload, &json, &item.value);
        if (why != NULL) {
            put_bad(c, m->topic, t->json, why);
            continue;
        }
        mqtt_topic_channel(t->filter, t->channel, m->topic, item.channel);
        item.unit = t->unit;
        if (item.value.type == COLUMN_TEXT) {
            memcpy(item.text, item.value.cell.text.data, item.value.cell.text.len);
            item.text[item.value.cell.text.len] = '\0';
        }
        /* The broker kept it: nobody knows since when. */
        if (m->retain)
            item.value.cell.quality = QUALITY_STALE;
        put(c, &item);
    }
    json_text_free(json);
    wake(c);
}

static void on_message(struct mosquitto *m, void *ctx, const struct mosquitto_message *message)
{
    (void)m;
    take(ctx, message);
}

/* ---- the connection ---- */

static bool is_first_of(const struct mqtt_client *c, size_t no)
{
    for (size_t i = 0; i < no; i++)
        if (strcmp(c->topics[i].filter, c->topics[no].filter) == 0)
            return false;
    return true;
}

static int qos_of(const struct mqtt_client *c, const char *filter)
{
    int64_t qos = 0;

    for (size_t i = 0; i < c->n_topics; i++)
        if (strcmp(c->topics[i].filter, filter) == 0 && c->topics[i].qos > qos)
            qos = c->topics[i].qos;
    return (int)qos;
}

static void on_connect(struct mosquitto *m, void *ctx, int rc)
{
    struct mqtt_client *c = ctx;

    if (rc != 0) {
        snprintf(c->why, sizeof c->why, "%s%s", mqtt_lib.connack_string(rc),
                 rc == 4 || rc == 5 ? " Look at username and password_file." : "");
        return;
    }
    c->n_asked = c->n_answered = 0;
    for (size_t i = 0; i < c->n_topics; i++)
        if (is_first_of(c, i) && mqtt_lib.subscribe(m, NULL, c->topics[i].filter,
                                                    qos_of(c, c->topics[i].filter)) == MOSQ_ERR_SUCCESS)
            c->n_asked++;
}

static void on_subscribe(struct mosquitto *m, void *ctx, int mid, int n, const int *granted)
{
    struct mqtt_client *c = ctx;

    (void)m;
    (void)mid;
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < n; i++)
        c->news.refused += granted[i] > 2;
    if (++c->n_answered == c->n_asked) {
        c->news.is_up = true;
        backoff_reset(&c->backoff);
    }
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

static void on_log(struct mosquitto *m, void *ctx, int level, const char *text)
{
    struct mqtt_client *c = ctx;

    (void)m;
    c->n_said++;
    if (level == MOSQ_LOG_ERR)
        snprintf(c->why, sizeof c->why, "%s", text);
}

static void on_down(struct mqtt_client *c, int rc, int error)
{
    const char *why = c->why[0] != '\0'          ? c->why
                      : rc == MOSQ_ERR_ERRNO     ? strerror(error)
                      : rc == MOSQ_ERR_CONN_LOST ? "the connection was lost"
                      : rc == MOSQ_ERR_KEEPALIVE ? "the broker does not answer"
                                                 : mqtt_lib.strerror(rc);

    pthread_mutex_lock(&c->lock);
    c->news.is_up = false;
    c->news.n_downs++;
    snprintf(c->news.why, sizeof c->news.why, "broker %.60s:%d%s: %.100s", c->config.host, c->port,
             c->config.tls ? " (TLS)" : "", why);
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

/* ---- an attempt: a session of the library from its making to its end ---- */

static int set_password(struct mqtt_client *c, struct errmsg *err)
{
    const struct mqtt_config *config = &c->config;
    struct buf password = {0};
    int rc = 0;

    if (config->password_file[0] != '\0')
        rc = file_read(config->password_file, 4096, &password);
    if (rc != 0) {
        buf_deinit(&password);
        return errmsg_set(err, rc, "password_file %s: %s", config->password_file, strerror(-rc));
    }
    buf_u8(&password, '\0');
    if (password.error == 0) {
        password.data[strcspn((char *)password.data, "\r\n")] = '\0';
        rc = mqtt_lib.username_pw_set(c->m, config->username, (char *)password.data);
        explicit_bzero(password.data, password.len);
    }
    buf_deinit(&password);
    return rc == MOSQ_ERR_SUCCESS ? 0 : errmsg_set(err, -EINVAL, "username: %s", mqtt_lib.strerror(rc));
}

static int check_file(const char *key, const char *path, struct errmsg *err)
{
    if (path[0] == '\0' || access(path, R_OK) == 0)
        return 0;
    return errmsg_set(err, -errno, "%s %s: %s", key, path, strerror(errno));
}

static const char *if_set(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static int set_tls(struct mqtt_client *c, struct errmsg *err)
{
    const struct mqtt_config *config = &c->config;
    int rc = check_file("ca_file", config->ca_file, err);

    if (rc == 0)
        rc = check_file("cert_file", config->cert_file, err);
    if (rc == 0)
        rc = check_file("key_file", config->key_file, err);
    if (rc != 0)
        return rc;
    if (config->ca_file[0] == '\0')
        rc = mqtt_lib.int_option(c->m, MOSQ_OPT_TLS_USE_OS_CERTS, 1);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mqtt_lib.tls_set(c->m, if_set(config->ca_file), NULL, if_set(config->cert_file),
                              if_set(config->key_file), NULL);
    return rc == MOSQ_ERR_SUCCESS ? 0 : errmsg_set(err, -EINVAL, "TLS: %s", mqtt_lib.strerror(rc));
}

static int make(struct mqtt_client *c, struct errmsg *err)
{
    int rc = 0;

    /* With a name the broker keeps messages of QoS 1 for us while we are away. */
    c->m = mqtt_lib.new(if_set(c->config.client_id), c->config.client_id[0] == '\0', c);
    if (c->m == NULL)
        return -errno;
    mqtt_lib.connect_callback_set(c->m, on_connect);
    mqtt_lib.subscribe_callback_set(c->m, on_subscribe);
    mqtt_lib.message_callback_set(c->m, on_message);
    mqtt_lib.log_callback_set(c->m, on_log);
    if (c->config.username[0] != '\0')
        rc = set_password(c, err);
    if (rc == 0 && c->config.tls)
        rc = set_tls(c, err);
    return rc;
}

static void unmake(struct mqtt_client *c)
{
    if (c->m != NULL)
        mqtt_lib.destroy(c->m);
    c->m = NULL;
}

static int lost(struct mqtt_client *c, int fd)
{
    socklen_t len = sizeof(int);
    int error = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0)
        snprintf(c->why, sizeof c->why, "%s", strerror(error));
    return MOSQ_ERR_CONN_LOST;
}

/* All that was read: with TLS the descriptor says nothing of what the library holds already. */
static int read_all(struct mqtt_client *c)
{
    uint64_t before;
    int rc;

    do {
        before = c->n_said;
        rc = mqtt_lib.loop_read(c->m, 1);
    } while (rc == MOSQ_ERR_SUCCESS && c->n_said != before);
    return rc;
}

/* One wait and what it brought. The library's own loops are not used: a connection refused while TLS begins
 * makes them spin, and a name that is not found or a certificate that is refused ends mosquitto_loop_start()
 * for good. */
static int turn(struct mqtt_client *c)
{
    int fd = mqtt_lib.socket(c->m), rc = MOSQ_ERR_SUCCESS;
    bool wants_write = !c->is_tcp_up || mqtt_lib.want_write(c->m);
    struct pollfd p[2] = {{c->stop_fd, POLLIN, 0}, {fd, (short)(wants_write ? POLLIN | POLLOUT : POLLIN), 0}};
    uint64_t before = c->n_said;

    if (fd < 0)
        return MOSQ_ERR_CONN_LOST;
    if (poll(p, 2, LOOP_MS) < 0 || p[0].revents != 0)
        return MOSQ_ERR_SUCCESS;
    if (!c->is_tcp_up && (p[1].revents & (POLLERR | POLLHUP)) != 0)
        return lost(c, fd);
    c->is_tcp_up |= p[1].revents != 0;
    if (!c->is_tcp_up)
        return MOSQ_ERR_SUCCESS;
    rc = read_all(c);
    if (rc == MOSQ_ERR_SUCCESS && mqtt_lib.want_write(c->m))
        rc = mqtt_lib.loop_write(c->m, 1);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mqtt_lib.loop_misc(c->m);
    if (rc == MOSQ_ERR_SUCCESS && (p[1].revents & (POLLERR | POLLHUP)) != 0 && c->n_said == before)
        return lost(c, fd);
    return rc;
}

static bool is_asked_to_stop(const struct mqtt_client *c, int64_t wait_ms)
{
    struct pollfd p = {c->stop_fd, POLLIN, 0};

    return poll(&p, 1, (int)wait_ms) != 0;
}

static int attempt(struct mqtt_client *c)
{
    int64_t deadline_ms = clock_mono_ms(&clock_real) + CONNECT_MS;
    int rc = mqtt_lib.connect_async(c->m, c->config.host, c->port, (int)c->config.keepalive_s);

    while (rc == MOSQ_ERR_SUCCESS && !is_asked_to_stop(c, 0)) {
        rc = turn(c);
        /* Of this thread alone, so it needs no lock to be read here. */
        if (rc == MOSQ_ERR_SUCCESS && !c->news.is_up && clock_mono_ms(&clock_real) > deadline_ms)
            return MOSQ_ERR_KEEPALIVE;
    }
    return rc;
}

static void *run(void *ctx)
{
    struct mqtt_client *c = ctx;

    for (;;) {
        struct errmsg err = {""};
        int rc = 0, error;

        c->why[0] = '\0';
        c->is_tcp_up = false;
        if (c->m == NULL && make(c, &err) != 0)
            snprintf(c->why, sizeof c->why, "%.150s", err.text);
        errno = 0;
        rc = c->why[0] == '\0' ? attempt(c) : MOSQ_ERR_INVAL;
        error = errno;
        if (!is_asked_to_stop(c, 0))
            on_down(c, rc, error);
        else if (c->m != NULL)
            mqtt_lib.disconnect(c->m); /* a word of farewell */
        unmake(c);
        if (is_asked_to_stop(c, backoff_next_ms(&c->backoff)))
            return NULL;
    }
}

/* ---- its life ---- */

static int copy_topics(struct mqtt_client *c, const struct mqtt_config *config)
{
    c->topics = calloc(config->topics.n + 1, sizeof *c->topics);
    c->queue = calloc(MQTT_QUEUE, sizeof *c->queue);
    if (c->topics == NULL || c->queue == NULL)
        return -ENOMEM;
    for (; c->n_topics < config->topics.n; c->n_topics++)
        c->topics[c->n_topics] = *(const struct mqtt_topic_config *)config->topics.at[c->n_topics].value;
    return 0;
}

static int set_up(struct mqtt_client *c, const struct mqtt_config *config, struct errmsg *err)
{
    int rc = copy_topics(c, config);

    if (rc != 0)
        return rc;
    c->config = *config;
    c->config.topics = c->config.common.channels = (struct config_list){0};
    c->port = config->port != 0 ? (int)config->port : config->tls ? 8883 : 1883;
    backoff_init(&c->backoff, config->reconnect_ms, config->reconnect_max_ms, config->reconnect_ms / 4,
                 (uint64_t)clock_mono_ns(&clock_real));
    c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake_fd < 0 || c->stop_fd < 0)
        return -errno;
    return make(
        c, err); /* files that cannot be read are said at the start; later they are read anew each time */
}

int mqtt_client_new(struct mqtt_client **ret_c, const struct mqtt_config *config, struct errmsg *err)
{
    const char *lacks = mqtt_client_lacks();
    struct mqtt_client *c;
    int rc;

    if (lacks != NULL)
        return errmsg_set(err, -ENOSYS, "%s", lacks);
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    c->wake_fd = c->stop_fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    mqtt_lib.lib_init(); /* counted: each client its own */
    rc = set_up(c, config, err);
    if (rc == 0)
        rc = quiet_thread(&c->thread, "mqtt", run, c);
    c->has_thread = rc == 0;
    if (rc != 0) {
        mqtt_client_free(c);
        return rc;
    }
    *ret_c = c;
    return 0;
}

struct mqtt_client *mqtt_client_free(struct mqtt_client *c)
{
    if (c == NULL)
        return NULL;
    if (c->has_thread && eventfd_write(c->stop_fd, 1) == 0)
        pthread_join(c->thread, NULL);
    unmake(c);
    mqtt_lib.lib_cleanup();
    close_fd(&c->wake_fd);
    close_fd(&c->stop_fd);
    pthread_mutex_destroy(&c->lock);
    free(c->queue);
    free(c->topics);
    free(c);
    return NULL;
}

int mqtt_client_fd(const struct mqtt_client *c)
{
    return c->wake_fd;
}

bool mqtt_client_take(struct mqtt_client *c, struct mqtt_item *ret_i)
{
    bool has_one;

    pthread_mutex_lock(&c->lock);
    has_one = c->n > 0;
    if (has_one) {
        *ret_i = c->queue[c->first];
        c->first = (c->first + 1) % MQTT_QUEUE;
        c->n--;
    }
    pthread_mutex_unlock(&c->lock);
    if (has_one && ret_i->value.type == COLUMN_TEXT)
        ret_i->value.cell.text.data = (const uint8_t *)ret_i->text;
    return has_one;
}

void mqtt_client_news(struct mqtt_client *c, struct mqtt_news *ret_n)
{
    eventfd_t ignored;
    int rc = eventfd_read(c->wake_fd, &ignored);

    (void)rc; /* nothing new is fine */
    pthread_mutex_lock(&c->lock);
    *ret_n = c->news;
    pthread_mutex_unlock(&c->lock);
}
