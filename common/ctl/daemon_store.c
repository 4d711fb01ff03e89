#include "ctl/daemon_store.h"

#include "base/log.h"
#include "ctl/paths.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Longer is not waited for at a start: damaged values are found when they are read, and a broken page ends
 * the process, which comes back to this check. */
enum { VERIFY_TIMEOUT_S = 20, PATH_CHARS = CTL_FILE_CHARS + 32 };

int daemon_store_move_away(const char *path, const char *why, struct errmsg *err)
{
    char where[PATH_CHARS];
    int r = db_quarantine(path, where, sizeof(where));

    if (r < 0)
        return errmsg_set(err, r, "%s is damaged and cannot be moved away: %s", path, strerror(-r));
    log_error("store_quarantined", "store=%s moved_to=%s why=%s", log_quote(path), log_quote(where),
              log_quote(why));
    return 0;
}

int daemon_store_verify(const struct db_options *o, struct errmsg *err)
{
    struct db_verify_result result = {0};
    struct errmsg why = {""};
    int r = db_verify(o, VERIFY_TIMEOUT_S, &result, &why);

    switch (r) {
    case 0:
        log_info("store_verified", "values=%" PRIu64, result.n_values);
        return 0;
    case DB_UNREADABLE:
        r = daemon_store_move_away(o->path, why.text, err);
        return r < 0 ? r : DAEMON_STORE_MOVED_AWAY;
    case DB_DAMAGED:
        log_warn("store_damaged", "values=%" PRIu64 " damaged=%" PRIu64 " msg=%s", result.n_values,
                 result.n_damaged, log_quote(why.text));
        return 0;
    case -ETIMEDOUT:
        log_info("store_verify_cut", "after_s=%d", VERIFY_TIMEOUT_S);
        return 0;
    default:
        return errmsg_set(err, r, "%s", why.text);
    }
}
