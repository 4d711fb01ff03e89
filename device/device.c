#include "device/device.h"

#include "device/io.h"

#include <malloc.h>

int device_main(int argc, char **argv, const struct source_kind *const *extra)
{
    struct device_tier tier;
    struct daemon d;
    struct errmsg err = {""};
    struct io *io;
    int code;

    /* One arena: two threads that hardly allocate need no second one, and it would cost memory. */
    mallopt(M_ARENA_MAX, 1);
    if (device_tier_init(&tier, extra, NULL, &err) != 0) {
        log_error("start_failed", "msg=%s", log_quote(err.text));
        return CTL_FAILED;
    }
    code = daemon_begin(&d, &tier.tier, argc, argv);
    if (code != DAEMON_RUN)
        return code;
    if (io_new(&io, &d, &tier, &err) != 0) {
        log_error("start_failed", "msg=%s", log_quote(err.text));
        return daemon_end(&d, CTL_FAILED);
    }
    code = io_run(io) == 0 ? CTL_OK : CTL_FAILED;
    io_free(io);
    return daemon_end(&d, code);
}
