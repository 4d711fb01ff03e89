/* fogline-fog: the daemon. */
#include "base/log.h"
#include "fog/answer.h"
#include "fog/fog.h"
#include "fog/fog_tier.h"

#include <string.h>

int main(int argc, char **argv)
{
    struct daemon d;
    struct fog *f = NULL;
    struct errmsg err = {""};
    int code;

    if (argc > 1 && strcmp(argv[1], ANSWER_FLAG) == 0)
        return answer_child(argc, argv);
    code = daemon_begin(&d, &fog_tier_daemon, argc, argv);

    if (code != DAEMON_RUN)
        return code;
    if (fog_new(&f, &d, &err) < 0) {
        log_error("start_failed", "msg=%s", log_quote(err.text));
        return daemon_end(&d, CTL_FAILED);
    }
    daemon_ready(&d);
    code = fog_run(f);
    fog_free(f);
    return daemon_end(&d, code);
}
