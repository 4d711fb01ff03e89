/* monitor.h - inside common/link: what a socket reports of its connections. Hints, never proof.
 *
 * Threads: the monitored socket's owner. */
#ifndef FOGLINE_LINK_MONITOR_H
#define FOGLINE_LINK_MONITOR_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Gives a socket to read with link_monitor_next; ended by link_monitor_close before the monitored socket is
 * closed. */
must_check int link_monitor_open(void **ret_monitor, void *zmq_ctx, void *socket);
void link_monitor_close(void **monitor, void *socket); /* accepts NULL inside; leaves NULL */
/* The next event (ZMQ_EVENT_*) without waiting; false when there is none. */
bool link_monitor_next(void *monitor, uint16_t *ret_event);

#endif
