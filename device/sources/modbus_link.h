/* modbus_link.h - one connection to a slave, RTU or TCP; each call may block up to its timeout.
 *
 * modbus_link.c and modbus_lib are what knows libmodbus; modbus_link_none.c stands in for them in a build
 * without.
 * Threads: one at a time. */
#ifndef FOGLINE_DEVICE_MODBUS_LINK_H
#define FOGLINE_DEVICE_MODBUS_LINK_H

#include "base/err.h"

#include <stdint.h>

struct modbus_link;

struct modbus_link_options {
    const char *host, *port; /* TCP when host is not empty; borrowed until modbus_link_new returns */
    const char *serial;      /* else RTU: its device */
    int baud, stop_bits;
    char parity; /* N, E, O */
    int unit_id;
    int64_t timeout_ms;
};

/* NULL, or what this build or this machine lacks and the remedy. */
const char *modbus_link_lacks(void);
must_check int modbus_link_new(struct modbus_link **ret_l, const struct modbus_link_options *o,
                               struct errmsg *err);
struct modbus_link *modbus_link_free(struct modbus_link *l); /* accepts NULL */

must_check int modbus_link_connect(struct modbus_link *l, struct errmsg *err);
void modbus_link_close(struct modbus_link *l);
enum { MODBUS_REFUSED = 1 };
/* kind: enum modbus_kind. Bits come as 0 or 1. 0; MODBUS_REFUSED: the slave answers that it will not, *err
 * says why and the connection is sound; negative errno: close it. */
must_check int modbus_link_read(struct modbus_link *l, int kind, unsigned address, unsigned n,
                                uint16_t *words, struct errmsg *err);

#endif
