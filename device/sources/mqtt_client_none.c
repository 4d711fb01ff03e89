#include "device/sources/mqtt_client.h"

const char *mqtt_client_lacks(void)
{
    return "this build has no MQTT; install libmosquitto-dev and build with -Dmqtt=enabled";
}

int mqtt_client_new(struct mqtt_client **ret_c, const struct mqtt_config *config, struct errmsg *err)
{
    (void)ret_c;
    (void)config;
    return errmsg_set(err, -ENOSYS, "%s", mqtt_client_lacks());
}

struct mqtt_client *mqtt_client_free(struct mqtt_client *c)
{
    (void)c;
    return NULL;
}

int mqtt_client_fd(const struct mqtt_client *c)
{
    (void)c;
    return -1;
}

bool mqtt_client_take(struct mqtt_client *c, struct mqtt_item *ret_i)
{
    (void)c;
    (void)ret_i;
    return false;
}

void mqtt_client_news(struct mqtt_client *c, struct mqtt_news *ret_n)
{
    (void)c;
    *ret_n = (struct mqtt_news){0};
}
