/* mqtt_client.h - a subscriber to a broker: a thread of its own, and a bounded queue of what came.
 *
 * The thread connects, subscribes, matches topics, takes the values out of the payloads and connects again
 * with backoff when the broker is gone; the act thread only takes finished values. What finds the queue full
 * is dropped and counted. mqtt_*.c but mqtt_topic.c know libmosquitto; mqtt_client_none.c stands
 * in for them in a build without. Threads: new and free on the main thread, the rest on the act thread.
 * Limits: all memory of the queue is taken in mqtt_client_new. The library looks up names and waits for the
 * answer: a thread that hangs there at the end is left alone with the client's memory, and frees it when it
 * gets out. */
#ifndef FOGLINE_DEVICE_MQTT_CLIENT_H
#define FOGLINE_DEVICE_MQTT_CLIENT_H

#include "device/sources/told.h"

enum { MQTT_CLOSE_MS = 1000 /* until a thread is left alone */ };
enum { MQTT_QUEUE = 512, MQTT_TOPICS_MAX = 64, MQTT_PAYLOAD_BYTES = 16 * 1024, MQTT_WHY_BYTES = 192 };

struct mqtt_topic_config {
    char filter[256];
    char channel[SOURCE_NAME_BYTES];
    char json[256];
    int type; /* enum told_type */
    char unit[SOURCE_NAME_BYTES];
    int64_t qos;
};

struct mqtt_config {
    struct source_config common;
    char host[256];
    int64_t port; /* 0: 1883, with TLS 8883 */
    bool tls;
    char ca_file[512], cert_file[512], key_file[512], username[128], password_file[512], client_id[128];
    int64_t keepalive_s, stale_ms, reconnect_ms, reconnect_max_ms;
    struct config_list topics; /* items: struct mqtt_topic_config */
};

struct mqtt_client;

/* NULL, or what this build or this machine lacks and the remedy. */
const char *mqtt_client_lacks(void);
/* Copies what it needs of the configuration. */
must_check int mqtt_client_new(struct mqtt_client **ret_c, const struct mqtt_config *config,
                               struct errmsg *err);
struct mqtt_client *mqtt_client_free(struct mqtt_client *c); /* accepts NULL; takes MQTT_CLOSE_MS at most */

int mqtt_client_fd(const struct mqtt_client *c); /* readable when there is news; borrowed */

struct mqtt_item {
    char channel[SOURCE_NAME_BYTES];
    const char *unit; /* borrowed from the client */
    struct told_value value;
    char text[BLOCK_TEXT_MAX_BYTES + 1]; /* what a text value points to */
    int64_t time_ns;
};
/* The oldest one; false: none. */
bool mqtt_client_take(struct mqtt_client *c, struct mqtt_item *ret_i);

struct mqtt_news {
    bool is_up;               /* connected and subscribed */
    uint32_t n_downs;         /* how often it was lost or could not be reached */
    char why[MQTT_WHY_BYTES]; /* of the last of these, with the remedy */
    uint64_t dropped;         /* for want of room, in all */
    uint64_t bad;             /* values that could not be taken from their message, in all */
    char bad_why[MQTT_WHY_BYTES];
    uint64_t refused; /* filters that the broker refused, in all */
};
/* Clears the descriptor first: take all items after it. */
void mqtt_client_news(struct mqtt_client *c, struct mqtt_news *ret_n);

#endif
