/* fogline-cloud: the daemon. */
#include "base/log.h"
#include "cloud/cloud.h"
#include "cloud/cloud_tier.h"

int main(int argc, char **argv)
{
    struct daemon d;
    struct cloud *c = NULL;
    struct errmsg err = {""};
    int code = daemon_begin(&d, &cloud_tier_daemon, argc, argv);

    if (code != DAEMON_RUN)
        return code;
    if (cloud_new(&c, &d, &err) < 0) {
        log_error("start_failed", "msg=%s", log_quote(err.text));
        return daemon_end(&d, CTL_FAILED);
    }
    daemon_ready(&d);
    code = cloud_run(c);
    cloud_free(c);
    return daemon_end(&d, code);
}
