/* mqtt_topic.h - topic filters with + and #, and names of channels made of what they matched. Pure.
 *
 * In a channel's name $1 to $9 stand for the level at the first to ninth + of the filter, $# for the levels
 * at the #, joined by dots; what a name cannot hold becomes '_'. (MQTT 3.1.1, section 4.7.) */
#ifndef FOGLINE_DEVICE_MQTT_TOPIC_H
#define FOGLINE_DEVICE_MQTT_TOPIC_H

#include "base/name.h"

enum { MQTT_FILTER_CHARS = 255, MQTT_PLUS_MAX = 9 };

/* NULL, or what is wrong. */
const char *mqtt_filter_check(const char *filter);
const char *mqtt_channel_check(const char *channel, const char *filter);

bool mqtt_topic_match(const char *filter, const char *topic);
/* Of a topic that matches; filter and channel are sound. */
void mqtt_topic_channel(const char *filter, const char *channel, const char *topic,
                        char out[NAME_PART_CHARS + 1]);

#endif
