#include "device/sources/modbus_lib.h"

#include "device/sources/late_library.h"

struct modbus_lib modbus_lib;

#define ENTRY(name) {"modbus_" #name, offsetof(struct modbus_lib, name)},
static const struct late_function functions[] = {MODBUS_LIB_FUNCTIONS(ENTRY){NULL, 0}};

const char *modbus_lib_load(void)
{
    static struct late_library library = {
        .file = "libmodbus.so.5", .package = "libmodbus5", .functions = functions, .table = &modbus_lib};

    return late_library_load(&library);
}
