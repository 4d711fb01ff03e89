/* modbus_lib.h - the functions of libmodbus that are used; see late_library.h. */
#ifndef FOGLINE_DEVICE_MODBUS_LIB_H
#define FOGLINE_DEVICE_MODBUS_LIB_H

#include <modbus/modbus.h>

#define MODBUS_LIB_FUNCTIONS(F)                                                                              \
    F(close)                                                                                                 \
    F(connect)                                                                                               \
    F(flush)                                                                                                 \
    F(free)                                                                                                  \
    F(get_socket)                                                                                            \
    F(new_rtu)                                                                                               \
    F(new_tcp_pi)                                                                                            \
    F(read_bits)                                                                                             \
    F(read_input_bits)                                                                                       \
    F(read_input_registers)                                                                                  \
    F(read_registers)                                                                                        \
    F(set_response_timeout)                                                                                  \
    F(set_slave)                                                                                             \
    F(strerror)

#define MODBUS_LIB_POINTER(name) typeof(modbus_##name) *name;
struct modbus_lib {
    MODBUS_LIB_FUNCTIONS(MODBUS_LIB_POINTER)
};
#undef MODBUS_LIB_POINTER

extern struct modbus_lib modbus_lib;
/* NULL: modbus_lib can be used; or what is wrong and the remedy. */
const char *modbus_lib_load(void);

#endif
