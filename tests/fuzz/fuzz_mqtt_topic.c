/* A topic filter, the name of a channel and a topic, a line each: what is refused is refused with a reason;
 * what matches is what the standard says, told a second time here; a channel's name is a sound one. */
#include "device/sources/mqtt_topic.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* Level by level (MQTT 3.1.1, 4.7.1); NULL: no level any more. */
static bool levels_match(const char *filter, const char *topic)
{
    const char *f_end, *t_end;

    if (filter == NULL)
        return topic == NULL;
    if (strcmp(filter, "#") == 0)
        return true;
    if (topic == NULL)
        return false;
    f_end = strchr(filter, '/');
    t_end = strchr(topic, '/');
    if (filter[0] != '+') {
        size_t f = f_end != NULL ? (size_t)(f_end - filter) : strlen(filter);
        size_t t = t_end != NULL ? (size_t)(t_end - topic) : strlen(topic);

        if (f != t || strncmp(filter, topic, f) != 0)
            return false;
    }
    return levels_match(f_end != NULL ? f_end + 1 : NULL, t_end != NULL ? t_end + 1 : NULL);
}

static bool should_match(const char *filter, const char *topic)
{
    return (topic[0] != '$' || (filter[0] != '+' && filter[0] != '#')) && levels_match(filter, topic);
}

/* The next line as a string of at most `max` characters. */
static const char *take_line(const uint8_t **at, size_t *left, char *out, size_t max)
{
    const uint8_t *newline = *left > 0 ? memchr(*at, '\n', *left) : NULL;
    size_t n = newline != NULL ? (size_t)(newline - *at) : *left, skip = newline != NULL ? n + 1 : n;

    memcpy(out, *at, n < max ? n : max);
    out[n < max ? n : max] = '\0';
    *at += skip;
    *left -= skip;
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char filter_text[MQTT_FILTER_CHARS + 1], channel_text[NAME_PART_CHARS + 1], topic_text[1024];
    char name[NAME_PART_CHARS + 1];
    const char *filter, *channel, *topic, *why;

    if (size == 0)
        return 0;
    filter = take_line(&data, &size, filter_text, sizeof filter_text - 1);
    channel = take_line(&data, &size, channel_text, sizeof channel_text - 1);
    topic = take_line(&data, &size, topic_text, sizeof topic_text - 1);
    why = mqtt_filter_check(filter);
    if (why != NULL) {
        expect(why[0] != '\0');
        return 0;
    }
    expect(mqtt_topic_match(filter, topic) == should_match(filter, topic));
    if (mqtt_channel_check(channel, filter) != NULL || !mqtt_topic_match(filter, topic))
        return 0;
    mqtt_topic_channel(filter, channel, topic, name);
    expect(name_part_ok(name, strlen(name)));
    if (strchr(channel, '$') == NULL && name_part_ok(channel, strlen(channel)))
        expect(strcmp(name, channel) == 0);
    return 0;
}
