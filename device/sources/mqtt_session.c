/* mqtt_session.c - the thread of a client: it connects, subscribes, and connects again. */
#include "device/sources/mqtt_private.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOP_MS = 1000, CONNECT_MS = 10000 };

static void on_message(struct mosquitto *m, void *ctx, const struct mosquitto_message *message)
{
    (void)m;
    mqtt_message_take(ctx, message);
}

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
    mqtt_wake(c);
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
    mqtt_wake(c);
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

int mqtt_session_make(struct mqtt_client *c, struct errmsg *err)
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

void mqtt_session_unmake(struct mqtt_client *c)
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

void mqtt_session_run(struct mqtt_client *c)
{
    for (;;) {
        struct errmsg err = {""};
        int rc = 0, error;

        c->why[0] = '\0';
        c->is_tcp_up = false;
        if (c->m == NULL && mqtt_session_make(c, &err) != 0)
            snprintf(c->why, sizeof c->why, "%.150s", err.text);
        errno = 0;
        rc = c->why[0] == '\0' ? attempt(c) : MOSQ_ERR_INVAL;
        error = errno;
        if (!is_asked_to_stop(c, 0))
            on_down(c, rc, error);
        else if (c->m != NULL)
            mqtt_lib.disconnect(c->m); /* a word of farewell */
        mqtt_session_unmake(c);
        if (is_asked_to_stop(c, backoff_next_ms(&c->backoff)))
            return;
    }
}
