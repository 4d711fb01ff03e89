/* quiet_thread.h - threads of sources: no signal is ever delivered to them, since the daemon waits for its
 * signals elsewhere and a library that writes to a closed connection must not end the process. */
#ifndef FOGLINE_DEVICE_QUIET_THREAD_H
#define FOGLINE_DEVICE_QUIET_THREAD_H

#include "base/err.h"

#include <pthread.h>

/* name: at most 15 characters, what `ps -L` shows. 0 or negative errno. */
must_check int quiet_thread(pthread_t *ret_thread, const char *name, void *(*run)(void *ctx), void *ctx);

#endif
