#include "device/sources/mqtt_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "device/sources/quiet_thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

const char *mqtt_client_lacks(void)
{
    return mqtt_lib_load();
}

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
    return mqtt_session_make(
        c, err); /* files that cannot be read are said at the start; later they are read anew each time */
}

static void free_client(struct mqtt_client *c)
{
    mqtt_session_unmake(c);
    mqtt_lib.lib_cleanup();
    close_fd(&c->wake_fd);
    close_fd(&c->stop_fd);
    pthread_mutex_destroy(&c->lock);
    free(c->queue);
    free(c->topics);
    free(c);
}

static void *run(void *ctx)
{
    struct mqtt_client *c = ctx;
    int expected = MQTT_RUNNING;

    mqtt_session_run(c);
    if (atomic_compare_exchange_strong(&c->state, &expected, MQTT_ENDED))
        mqtt_wake(c);
    else
        free_client(c);
    return NULL;
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

/* Until the thread has ended or its time is over. */
static void wait_for_end(const struct mqtt_client *c)
{
    int64_t until_ms = clock_mono_ms(&clock_real) + MQTT_CLOSE_MS, left_ms = MQTT_CLOSE_MS;
    struct pollfd p = {c->wake_fd, POLLIN, 0};
    eventfd_t ignored;

    while (atomic_load(&c->state) == MQTT_RUNNING && left_ms > 0) {
        if (poll(&p, 1, (int)left_ms) > 0 && eventfd_read(c->wake_fd, &ignored) != 0)
            return;
        left_ms = until_ms - clock_mono_ms(&clock_real);
    }
}

struct mqtt_client *mqtt_client_free(struct mqtt_client *c)
{
    int expected = MQTT_RUNNING;

    if (c == NULL)
        return NULL;
    if (c->has_thread && eventfd_write(c->stop_fd, 1) == 0) {
        wait_for_end(c);
        if (atomic_compare_exchange_strong(&c->state, &expected, MQTT_LEFT_ALONE)) {
            pthread_detach(c->thread);
            return NULL;
        }
        pthread_join(c->thread, NULL);
    }
    free_client(c);
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
