/* source_mqtt.c - readings that a site's MQTT broker passes on.
 *
 * The connection is mqtt_client.h's; here its values become rows, and what happens to it becomes quality and
 * events: while the broker is away all channels have bad quality, with one event when it goes and one when it
 * is back. Values that the broker had kept (retained) have quality stale. Each channel is a row of its own.
 * Limits: CHANNELS_MAX channels (a channel whose values change their type counts again), MQTT_QUEUE values
 * that wait. */
#include "base/clock.h"
#include "base/log.h"
#include "device/sources/json_path.h"
#include "device/sources/mqtt_client.h"
#include "device/sources/mqtt_topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS_MAX = 64, ITEMS_A_STEP = 64, ROOM_WAIT_MS = 100 };

struct mqtt {
    const char *name;
    int64_t stale_ns; /* 0: never */
    struct mqtt_client *client;
    struct told *told;
    struct mqtt_item item;
    struct mqtt_news news, told_news;
    int64_t heard_ns;
    uint64_t refused; /* values that found no place */
    bool tells_failure;
    struct log_latch dropped_latch, bad_latch;
    char why[MQTT_WHY_BYTES], refused_why[MQTT_WHY_BYTES];
};

static const struct config_row topic_rows[] = {
    {"filter", CONFIG_STRING, CONFIG_AT(struct mqtt_topic_config, filter), .min = "1", .required = true,
     .help = "Topic filter: + is any one level, # at the end any number of them."},
    {"channel", CONFIG_STRING, CONFIG_AT(struct mqtt_topic_config, channel), .min = "1", .required = true,
     .help = "Name of the channel; $1 .. $9 are the levels that the + stood for, $# those of the #."},
    {"json", CONFIG_STRING, CONFIG_AT(struct mqtt_topic_config, json),
     .help = "Path of the value in a JSON payload, like a.b[0].c; empty: the payload is the value."},
    {"type", CONFIG_ENUM, CONFIG_AT(struct mqtt_topic_config, type), .choices = told_types, .def = "auto",
     .help = "What its values are; auto: what each looks like."},
    {"unit", CONFIG_STRING, CONFIG_AT(struct mqtt_topic_config, unit), .help = "UCUM unit."},
    {"qos", CONFIG_I64, CONFIG_AT(struct mqtt_topic_config, qos), .max = "1", .def = "0",
     .help = "1: the broker sends again what was not acknowledged, so that a value may come twice. Entries "
             "of one filter "
             "share the highest."},
    {0},
};

static const struct config_kind topic_kinds[] = {
    {.rows = topic_rows,
     .size = sizeof(struct mqtt_topic_config),
     .help = "Topics and the channels made of them."},
    {0},
};

static const struct config_row rows[] = {
    {"host", CONFIG_STRING, CONFIG_AT(struct mqtt_config, host), .min = "1", .required = true,
     .help = "Name or address of the broker."},
    {"port", CONFIG_I64, CONFIG_AT(struct mqtt_config, port), .max = "65535",
     .help = "Its port; 0: 1883, with tls 8883."},
    {"tls", CONFIG_BOOL, CONFIG_AT(struct mqtt_config, tls), .def = "false",
     .help = "Encrypt, and check the broker's certificate and name."},
    {"ca_file", CONFIG_PATH, CONFIG_AT(struct mqtt_config, ca_file),
     .help = "Certificates that sign the broker's, PEM; empty: those that the system trusts."},
    {"cert_file", CONFIG_PATH, CONFIG_AT(struct mqtt_config, cert_file),
     .help = "Certificate of this device, PEM, where the broker asks for one."},
    {"key_file", CONFIG_PATH, CONFIG_AT(struct mqtt_config, key_file),
     .help = "Its key, PEM, without a password."},
    {"username", CONFIG_STRING, CONFIG_AT(struct mqtt_config, username), .help = "Name at the broker."},
    {"password_file", CONFIG_PATH, CONFIG_AT(struct mqtt_config, password_file),
     .help = "File whose first line is the password; a password never stands here."},
    {"client_id", CONFIG_STRING, CONFIG_AT(struct mqtt_config, client_id),
     .help = "Name of the session, unique at the broker, which then keeps messages of qos 1 while this "
             "device is away; "
             "empty: it keeps none."},
    {"keepalive_s", CONFIG_I64, CONFIG_AT(struct mqtt_config, keepalive_s), .min = "5", .max = "3600",
     .def = "30", .unit = "seconds", .help = "A broker that is silent for so long is taken for lost."},
    {"stale_ms", CONFIG_MS, CONFIG_AT(struct mqtt_config, stale_ms), .max = "30 d",
     .help = "Without a value for so long, all channels get bad quality; 0: never, as long as the broker is "
             "there."},
    {"reconnect_ms", CONFIG_MS, CONFIG_AT(struct mqtt_config, reconnect_ms), .min = "10 ms", .max = "1 h",
     .def = "1 s", .help = "Wait before it is connected again; doubled each time, with jitter."},
    {"reconnect_max_ms", CONFIG_MS, CONFIG_AT(struct mqtt_config, reconnect_max_ms), .min = "10 ms",
     .max = "1 d", .def = "1 min", .help = "The longest such wait."},
    {"topics", CONFIG_LIST, CONFIG_AT(struct mqtt_config, topics), .kinds = topic_kinds, .min = "1",
     .max = "64", .required = true,
     .help = "What is subscribed to. Each entry that matches a message takes a value from it."},
    {0},
};

static void mqtt_check(const void *config, const char *field, struct config_check *c)
{
    const struct mqtt_config *m = config;
    char at[CONFIG_FIELD_CHARS];

    if (mqtt_client_lacks() != NULL) {
        snprintf(at, sizeof at, "%s.type", field);
        config_complain(c, at, NULL, "%s", mqtt_client_lacks());
    }
    snprintf(at, sizeof at, "%s.tls", field);
    if (!m->tls && (m->ca_file[0] != '\0' || m->cert_file[0] != '\0' || m->key_file[0] != '\0'))
        config_complain(c, at, "Set tls: true.", "is off, but there are files for it");
    snprintf(at, sizeof at, "%s.key_file", field);
    if ((m->cert_file[0] != '\0') != (m->key_file[0] != '\0'))
        config_complain(c, at, "Give both or none.", "key_file and cert_file belong together");
    snprintf(at, sizeof at, "%s.username", field);
    if (m->password_file[0] != '\0' && m->username[0] == '\0')
        config_complain(c, at, "Give the username, too.", "is missing for the password");
    snprintf(at, sizeof at, "%s.reconnect_max_ms", field);
    source_waits_check(m->reconnect_ms, m->reconnect_max_ms, at, c);
    for (size_t i = 0; i < m->topics.n; i++) {
        const struct mqtt_topic_config *t = m->topics.at[i].value;
        const char *why = mqtt_filter_check(t->filter);

        snprintf(at, sizeof at, "%s.topics[%zu]", field, i);
        channel_unit_check(t->unit, at, c);
        snprintf(at, sizeof at, "%s.topics[%zu].filter", field, i);
        if (why != NULL)
            config_complain(c, at, "Write it like plant/+/temperature or plant/#.", "%s", why);
        snprintf(at, sizeof at, "%s.topics[%zu].channel", field, i);
        if (why == NULL && (why = mqtt_channel_check(t->channel, t->filter)) != NULL)
            config_complain(c, at, "Write it like room-$1.temperature.", "%s", why);
        snprintf(at, sizeof at, "%s.topics[%zu].json", field, i);
        if ((why = json_path_check(t->json)) != NULL)
            config_complain(c, at, "Write it like a.b[0].c.", "%s", why);
    }
}

static void mqtt_close(void *self)
{
    struct mqtt *q = self;

    mqtt_client_free(q->client);
    told_free(q->told);
    free(q);
}

static int mqtt_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    const struct mqtt_config *config = o->config;
    struct mqtt *q = calloc(1, sizeof *q);
    int rc;

    if (q == NULL)
        return -ENOMEM;
    q->name = o->name;
    q->stale_ns = config->stale_ms * NS_PER_MS;
    rc = told_new(&q->told, CHANNELS_MAX);
    if (rc == 0)
        rc = mqtt_client_new(&q->client, config, err);
    if (rc != 0) {
        mqtt_close(q);
        return rc;
    }
    *ret_self = q;
    return 0;
}

/* 0: all that waits was taken; 1: there is more. */
static int take_items(struct mqtt *q, const struct source_sink *sink, const struct source_now *now)
{
    for (unsigned i = 0; i < ITEMS_A_STEP; i++) {
        struct mqtt_item *item = &q->item;
        const char *why;

        if (!mqtt_client_take(q->client, item))
            return 0;
        q->heard_ns = now->mono_ns;
        why = told_row(q->told, sink, &(struct source_channel){item->channel, item->unit, item->value.type},
                       &item->value.cell, now, item->time_ns);
        if (why != NULL) {
            q->refused++;
            snprintf(q->refused_why, sizeof q->refused_why, "channel %s: %s", item->channel, why);
        }
    }
    return 1;
}

/* What was lost on the way, told once a minute at most. */
static void tell_losses(struct mqtt *q, const struct source_sink *sink, const struct source_now *now)
{
    struct mqtt_news *n = &q->news, *t = &q->told_news;
    char text[MQTT_WHY_BYTES];
    uint64_t held_back;

    if (n->dropped != t->dropped && log_latch_open(&q->dropped_latch, now->mono_ns, &held_back)) {
        snprintf(text, sizeof text, "%" PRIu64 " values found no room in the queue and were dropped",
                 n->dropped - t->dropped);
        log_warn("mqtt_dropped", "source=%s values=%" PRIu64, q->name, n->dropped - t->dropped);
        told_note(sink, now, 1, text);
        t->dropped = n->dropped;
    }
    if ((n->bad != t->bad || q->refused != 0) && log_latch_open(&q->bad_latch, now->mono_ns, &held_back)) {
        const char *why = n->bad != t->bad ? n->bad_why : q->refused_why;

        log_warn("mqtt_bad", "source=%s msg=%s values=%" PRIu64, q->name, log_quote(why),
                 n->bad - t->bad + q->refused);
        told_note(sink, now, 1, why);
        t->bad = n->bad;
        q->refused = 0;
    }
    if (n->refused != t->refused) {
        log_warn("mqtt_refused", "source=%s filters=%" PRIu64, q->name, n->refused - t->refused);
        told_note(sink, now, 2, "the broker refuses a topic filter; allow this user to read it (its ACL)");
        t->refused = n->refused;
    }
}

static void tell_state(struct mqtt *q, const struct source_sink *sink, const struct source_now *now)
{
    bool is_stale = q->stale_ns > 0 && now->mono_ns - q->heard_ns >= q->stale_ns;

    if (q->news.n_downs != q->told_news.n_downs) {
        q->told_news.n_downs = q->news.n_downs;
        q->tells_failure = true;
        snprintf(q->why, sizeof q->why, "%s", q->news.why);
        if (!told_is_failed(q->told))
            log_warn("mqtt_down", "source=%s msg=%s", q->name, log_quote(q->why));
    } else if (is_stale && !told_is_failed(q->told)) {
        q->tells_failure = true;
        snprintf(q->why, sizeof q->why, "no value came for %" PRId64 " ms", q->stale_ns / NS_PER_MS);
    }
    if (q->tells_failure && told_failed(q->told, sink, now, q->why))
        q->tells_failure = false;
    if (!q->tells_failure && q->news.is_up && !is_stale && told_is_failed(q->told)) {
        told_well(q->told, sink, now, "the broker is back");
        log_info("mqtt_up", "source=%s", q->name);
    }
}

static int mqtt_step(void *self, const struct source_sink *sink, const struct source_now *now,
                     int64_t *ret_next_ns)
{
    struct mqtt *q = self;
    int has_more;

    if (q->heard_ns == 0)
        q->heard_ns = now->mono_ns;
    mqtt_client_news(q->client, &q->news);
    /* Before the values that came after it: they stand for themselves. */
    tell_state(q, sink, now);
    has_more = take_items(q, sink, now);
    tell_losses(q, sink, now);
    *ret_next_ns = has_more ? now->mono_ns : INT64_MAX;
    if (!has_more && q->tells_failure)
        *ret_next_ns = now->mono_ns + ROOM_WAIT_MS * NS_PER_MS;
    else if (!has_more && q->stale_ns > 0)
        *ret_next_ns = now->mono_ns + q->stale_ns / 2;
    return 0;
}

static int mqtt_fd(const void *self)
{
    const struct mqtt *q = self;

    return mqtt_client_fd(q->client);
}

const struct source_kind source_mqtt = {
    .name = "mqtt",
    .help = "Subscribes to topics of an MQTT broker.",
    .rows = rows,
    .config_bytes = sizeof(struct mqtt_config),
    .check = mqtt_check,
    .open = mqtt_open,
    .close = mqtt_close,
    .step = mqtt_step,
    .fd = mqtt_fd,
};
