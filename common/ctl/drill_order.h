/* drill_order.h - what a command of type drill asks a fog for: the records of a device in a time range, as
 * text in the command's argument. Pure. */
#ifndef FOGLINE_CTL_DRILL_ORDER_H
#define FOGLINE_CTL_DRILL_ORDER_H

#include "ctl/commands.h"

struct drill_order {
    char device[GATE_NAME_BYTES];
    int64_t from_ns, to_ns; /* blocks with rows in [from, to); INT64_MIN, INT64_MAX: no bound */
    uint64_t max_bytes;     /* of payloads; 0: no limit but the fog's own */
};

void drill_order_format(const struct drill_order *d, char out[COMMAND_ARGUMENT_CHARS]);
bool drill_order_parse(const char *argument, struct drill_order *ret_d);

#endif
