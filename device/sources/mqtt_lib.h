/* mqtt_lib.h - the functions of libmosquitto that are used; see late_library.h. */
#ifndef FOGLINE_DEVICE_MQTT_LIB_H
#define FOGLINE_DEVICE_MQTT_LIB_H

#include <mosquitto.h>

#define MQTT_LIB_FUNCTIONS(F)                                                                                \
    F(connack_string)                                                                                        \
    F(connect_async)                                                                                         \
    F(connect_callback_set)                                                                                  \
    F(destroy)                                                                                               \
    F(disconnect)                                                                                            \
    F(int_option)                                                                                            \
    F(lib_cleanup)                                                                                           \
    F(lib_init)                                                                                              \
    F(log_callback_set)                                                                                      \
    F(loop_misc)                                                                                             \
    F(loop_read)                                                                                             \
    F(loop_write)                                                                                            \
    F(message_callback_set)                                                                                  \
    F(new)                                                                                                   \
    F(socket)                                                                                                \
    F(strerror)                                                                                              \
    F(subscribe)                                                                                             \
    F(subscribe_callback_set)                                                                                \
    F(tls_set)                                                                                               \
    F(username_pw_set)                                                                                       \
    F(want_write)

#define MQTT_LIB_POINTER(name) typeof(mosquitto_##name) *name;
struct mqtt_lib {
    MQTT_LIB_FUNCTIONS(MQTT_LIB_POINTER)
};
#undef MQTT_LIB_POINTER

extern struct mqtt_lib mqtt_lib;
/* NULL: mqtt_lib can be used; or what is wrong and the remedy. */
const char *mqtt_lib_load(void);

#endif
