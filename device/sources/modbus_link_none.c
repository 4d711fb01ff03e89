#include "device/sources/modbus_link.h"

#include <stddef.h>

const char *modbus_link_lacks(void)
{
    return "this build has no Modbus; install libmodbus-dev and build with -Dmodbus=enabled";
}

int modbus_link_new(struct modbus_link **ret_l, const struct modbus_link_options *o, struct errmsg *err)
{
    (void)ret_l;
    (void)o;
    return errmsg_set(err, -ENOSYS, "%s", modbus_link_lacks());
}

struct modbus_link *modbus_link_free(struct modbus_link *l)
{
    (void)l;
    return NULL;
}

int modbus_link_connect(struct modbus_link *l, struct errmsg *err)
{
    (void)l;
    return errmsg_set(err, -ENOSYS, "%s", modbus_link_lacks());
}

void modbus_link_close(struct modbus_link *l)
{
    (void)l;
}

int modbus_link_read(struct modbus_link *l, int kind, unsigned address, unsigned n, uint16_t *words,
                     struct errmsg *err)
{
    (void)l;
    (void)kind;
    (void)address;
    (void)n;
    (void)words;
    return errmsg_set(err, -ENOSYS, "%s", modbus_link_lacks());
}
