/* mqtt_private.h - a client of a broker, for mqtt_client.c (its life, and the act thread's side),
 * mqtt_session.c (the connection) and mqtt_message.c (values out of messages) only. */
#ifndef FOGLINE_DEVICE_MQTT_PRIVATE_H
#define FOGLINE_DEVICE_MQTT_PRIVATE_H

#include "base/backoff.h"
#include "device/sources/mqtt_client.h"
#include "device/sources/mqtt_lib.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

enum mqtt_thread { MQTT_RUNNING, MQTT_ENDED, MQTT_LEFT_ALONE };

struct mqtt_client {
    struct mqtt_config config; /* without its lists */
    int port;
    struct mqtt_topic_config *topics;
    size_t n_topics;
    int wake_fd, stop_fd;
    pthread_t thread;
    bool has_thread;
    _Atomic int state; /* of the thread: enum mqtt_thread */

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

static inline void mqtt_wake(struct mqtt_client *c)
{
    int rc = eventfd_write(c->wake_fd, 1);

    (void)rc; /* full: it is awake */
}

/* mqtt_session.c; on the client's thread, but for the first make and the last unmake. */
/* The session of an attempt: c->m. 0; negative errno, with *err where a file or a name is to blame. */
must_check int mqtt_session_make(struct mqtt_client *c, struct errmsg *err);
void mqtt_session_unmake(struct mqtt_client *c); /* accepts one that was not made */
void mqtt_session_run(struct mqtt_client *c);    /* attempts, until c->stop_fd is readable */

/* mqtt_message.c: its values into the queue. */
void mqtt_message_take(struct mqtt_client *c, const struct mosquitto_message *m);

#endif
