/* Opening the store: checked by a child before anything else opens it, moved away when it is broken. */
#include "ctl/daemon_store.h"
#include "fog/fog_private.h"
#include "fog/fog_tier.h"

#include <errno.h>
#include <inttypes.h>

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
    int r = daemon_store_verify(&o.db, err);

    if (r < 0)
        return r;
    f->counter[FOG_STORES_QUARANTINED] += r == DAEMON_STORE_MOVED_AWAY;
    r = spool_open(&f->spool, &o, &why);
    if (r == SPOOL_DAMAGED || r == -EUCLEAN) {
        r = daemon_store_move_away(o.db.path, why.text, err);
        if (r < 0)
            return r;
        f->counter[FOG_STORES_QUARANTINED]++;
        r = spool_open(&f->spool, &o, &why);
    }
    if (r != 0)
        return errmsg_set(err, r < 0 ? r : -EUCLEAN, "%s", why.text);
    log_info("store_open", "store=%s held_records=%" PRIu64 " held_bytes=%" PRIu64 " new_epoch=%s",
             log_quote(f->d->paths.store), spool_held_records(f->spool), spool_held_bytes(f->spool),
             spool_began_epoch(f->spool) ? "yes" : "no");
    return 0;
}
