/* mqtt_message.c - the values in a message, into the queue of a client. */
#include "device/sources/mqtt_private.h"

#include "base/clock.h"
#include "device/sources/json_path.h"
#include "device/sources/mqtt_topic.h"

#include <stdio.h>
#include <string.h>

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

void mqtt_message_take(struct mqtt_client *c, const struct mosquitto_message *m)
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
    mqtt_wake(c);
}
