#include "device/sources/quiet_thread.h"

#include <signal.h>

int quiet_thread(pthread_t *ret_thread, const char *name, void *(*run)(void *ctx), void *ctx)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc != 0)
        return -rc;
    rc = pthread_create(ret_thread, NULL, run, ctx);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(*ret_thread, name);
    return -rc;
}
