/* Opening the store: checked by a child before anything else opens it, moved away when it is broken. */
#include "ctl/daemon_store.h"
#include "fog/fog_private.h"
#include "fog/fog_tier.h"

#include <errno.h>
#include <inttypes.h>

void fog_store_limit(struct fog *f)
{
    const struct fog_config *c = f->config;
    struct history_limits limits = {.max_bytes = c->history_max_bytes,
                                    .max_age_ns = c->history_max_age_ms * INT64_C(1000000)};

    if (limits.max_bytes == 0)
        limits.max_bytes = c->common.store_map_bytes / 4;
    history_limit(f->history, &limits);
}

int fog_store_open(struct fog *f, struct errmsg *err)
{
    const struct ctl_settings *s = f->d->settings;
    struct errmsg why = {""};
    struct archive_options o = {.spool = {
                                    .db = {.path = f->d->paths.store,
                                           .tables = fog_tables,
                                           .n_tables = FOG_TABLES,
                                           .map_bytes = s->store_map_bytes,
                                           .role = "fog"},
                                    .node = s->node,
                                    .quota_bytes = s->store_quota_bytes,
                                    .proof_path = f->d->paths.continuity,
                                    .boot_id = f->boot_id,
                                }};
    int r = daemon_store_verify(&o.spool.db, err);

    if (r < 0)
        return r;
    f->counter[FOG_STORES_QUARANTINED] += r == DAEMON_STORE_MOVED_AWAY;
    r = archive_open(&f->archive, &o, &why);
    if (r == ARCHIVE_DAMAGED) {
        r = daemon_store_move_away(o.spool.db.path, why.text, err);
        if (r < 0)
            return r;
        f->counter[FOG_STORES_QUARANTINED]++;
        r = archive_open(&f->archive, &o, &why);
    }
    if (r != 0)
        return errmsg_set(err, r < 0 ? r : -EUCLEAN, "%s", why.text);
    f->spool = archive_spool(f->archive);
    r = history_new(&f->history, f->archive, s->site);
    if (r < 0)
        return errmsg_set(err, r, "no memory");
    fog_store_limit(f);
    log_info("store_open", "store=%s held_records=%" PRIu64 " held_bytes=%" PRIu64 " new_epoch=%s",
             log_quote(f->d->paths.store), spool_held_records(f->spool), spool_held_bytes(f->spool),
             spool_began_epoch(f->spool) ? "yes" : "no");
    return 0;
}
