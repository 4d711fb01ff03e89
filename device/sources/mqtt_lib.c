#include "device/sources/mqtt_lib.h"

#include "device/sources/late_library.h"

struct mqtt_lib mqtt_lib;

#define ENTRY(name) {"mosquitto_" #name, offsetof(struct mqtt_lib, name)},
static const struct late_function functions[] = {MQTT_LIB_FUNCTIONS(ENTRY){NULL, 0}};

const char *mqtt_lib_load(void)
{
    static struct late_library library = {
        .file = "libmosquitto.so.1", .package = "libmosquitto1", .functions = functions, .table = &mqtt_lib};

    return late_library_load(&library);
}
