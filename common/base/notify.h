/* notify.h - readiness and watchdog notification for service managers (sd_notify protocol: a datagram to
 * $NOTIFY_SOCKET). A no-op when the variable is not set. Threads: any. */
#ifndef FOGLINE_BASE_NOTIFY_H
#define FOGLINE_BASE_NOTIFY_H

#include <stdint.h>

/* state: "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=...", "RELOADING=1\nMONOTONIC_USEC=..." */
void notify_send(const char *state);
/* Half of $WATCHDOG_USEC in milliseconds: how often to send WATCHDOG=1; 0 when no watchdog is asked for. */
int64_t notify_watchdog_interval_ms(void);

#endif
