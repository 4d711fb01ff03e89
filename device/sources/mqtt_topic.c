#include "device/sources/mqtt_topic.h"

#include <stdio.h>
#include <string.h>

static unsigned count_plus(const char *filter)
{
    unsigned n = 0;

    for (; *filter != '\0'; filter++)
        n += *filter == '+';
    return n;
}

const char *mqtt_filter_check(const char *filter)
{
    const char *at = filter;

    if (*at == '\0')
        return "is empty";
    for (;;) {
        size_t len = strcspn(at, "/");

        if (len > 1 && (memchr(at, '+', len) != NULL || memchr(at, '#', len) != NULL))
            return "has + or # beside other characters: each stands alone between slashes";
        if (*at == '#' && at[len] != '\0')
            return "has something behind #, which can only be the last level";
        at += len;
        if (*at == '\0')
            break;
        at++;
    }
    return count_plus(filter) > MQTT_PLUS_MAX ? "has more than nine +" : NULL;
}

const char *mqtt_channel_check(const char *channel, const char *filter)
{
    unsigned n_plus = count_plus(filter);

    if (*channel == '\0')
        return "is empty";
    for (const char *at = channel; *at != '\0'; at++) {
        if (*at != '$') {
            if (*at != '.' && !name_part_ok(at, 1))
                return "is written with letters, digits, '.', '_', '-' and $1 .. $9, $#";
            continue;
        }
        at++;
        if (*at == '#') {
            if (strchr(filter, '#') == NULL)
                return "has $#, but the filter has no #";
        } else if (*at < '1' || *at > '9') {
            return "has a $ without 1 .. 9 or # behind it";
        } else if ((unsigned)(*at - '0') > n_plus) {
            return "has a $ with a higher number than the filter has +";
        }
    }
    return NULL;
}

bool mqtt_topic_match(const char *filter, const char *topic)
{
    if (*topic == '$' && (*filter == '+' || *filter == '#'))
        return false; /* topics of the broker itself are asked for by name */
    for (;;) {
        size_t f = strcspn(filter, "/"), t = strcspn(topic, "/");

        if (*filter == '#')
            return true;
        if (*filter != '+' && (f != t || memcmp(filter, topic, f) != 0))
            return false;
        filter += f;
        topic += t;
        if (*filter == '\0' || *topic == '\0')
            break;
        filter++;
        topic++;
    }
    /* "a/#" is for "a", too. */
    return *topic == '\0' && (*filter == '\0' || strcmp(filter, "/#") == 0);
}

/* The level of the topic at the no-th +, or for no 0 all from the # on. */
static const char *level_of(const char *filter, const char *topic, unsigned no, size_t *ret_len)
{
    for (;;) {
        *ret_len = strcspn(topic, "/");
        if (*filter == '+' && no > 0 && --no == 0)
            return topic;
        if (*filter == '#') {
            *ret_len = strlen(topic);
            return topic;
        }
        filter += strcspn(filter, "/");
        topic += *ret_len;
        if (*filter == '\0' || *topic == '\0') {
            *ret_len = 0;
            return topic;
        }
        filter++;
        topic++;
    }
}

void mqtt_topic_channel(const char *filter, const char *channel, const char *topic,
                        char out[NAME_PART_CHARS + 1])
{
    char raw[4 * MQTT_FILTER_CHARS];
    size_t len = 0;

    for (const char *at = channel; *at != '\0' && len < sizeof raw; at++) {
        const char *from = at;
        size_t n = 1;

        if (*at == '$') {
            at++;
            from = level_of(filter, topic, *at == '#' ? 0 : (unsigned)(*at - '0'), &n);
        }
        if (n > sizeof raw - len)
            n = sizeof raw - len;
        for (size_t i = 0; i < n; i++)
            raw[len++] = from[i] == '/' ? '.' : from[i];
    }
    name_part_mend(raw, len, out);
}
