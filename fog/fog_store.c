/* Opening the store: checked by a child before anything else opens it, moved away when it is broken. */
#include "fog/fog_private.h"
#include "fog/fog_tier.h"

#include <errno.h>
#include <inttypes.h>

/* Longer is not waited for at a start: damaged values are found when they are read, and a broken page ends
 * the process, which comes back to this check. */
enum { VERIFY_TIMEOUT_S = 20, PATH_CHARS = CTL_FILE_CHARS + 32 };

static int move_away(struct fog *f, const char *why, struct errmsg *err)
{
    char where[PATH_CHARS];
    int r = db_quarantine(f->d->paths.store, where, sizeof(where));

    if (r < 0)
        return errmsg_set(err, r, "%s is damaged and cannot be moved away: %s", f->d->paths.store,
                          strerror(-r));
    f->counter[FOG_STORES_QUARANTINED]++;
    log_error("store_quarantined", "store=%s moved_to=%s why=%s", log_quote(f->d->paths.store),
              log_quote(where), log_quote(why));
    return 0;
}

static int verify(struct fog *f, const struct db_options *o, struct errmsg *err)
{
    struct db_verify_result result = {0};
    struct errmsg why = {""};
    int r = db_verify(o, VERIFY_TIMEOUT_S, &result, &why);

    switch (r) {
    case 0:
        log_info("store_verified", "values=%" PRIu64, result.n_values);
        return 0;
    case DB_UNREADABLE:
        return move_away(f, why.text, err);
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

int fog_store_open(struct fog *f, struct errmsg *err)
{
    const struct ctl_settings *s = f->d->settings;
    struct errmsg why = {""};
    struct spool_options o = {
        .db = {.path = f->d->paths.store,
               .tables = fog_tables,
               .n_tables = FOG_TABLES,
               .map_bytes = s->store_map_bytes,
               .role = "fog"},
        .node = s->node,
        .quota_bytes = s->store_quota_bytes,
        .proof_path = f->d->paths.continuity,
        .boot_id = f->boot_id,
    };
    int r = verify(f, &o.db, err);

    if (r < 0)
        return r;
    r = spool_open(&f->spool, &o, &why);
    if (r == SPOOL_DAMAGED || r == -EUCLEAN) {
        r = move_away(f, why.text, err);
        if (r < 0)
            return r;
        r = spool_open(&f->spool, &o, &why);
    }
    if (r != 0)
        return errmsg_set(err, r < 0 ? r : -EUCLEAN, "%s", why.text);
    log_info("store_open", "store=%s held_records=%" PRIu64 " held_bytes=%" PRIu64 " new_epoch=%s",
             log_quote(f->d->paths.store), spool_held_records(f->spool), spool_held_bytes(f->spool),
             spool_began_epoch(f->spool) ? "yes" : "no");
    return 0;
}
