/* Opening, checking and growing the archive's file. */
#include "cloud/cloud_private.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "cloud/cloud_tier.h"
#include "ctl/daemon_store.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/statvfs.h>

enum { GROW_AT_THOUSANDTHS = 800 };
#define GROW_STEP_MAX_BYTES (UINT64_C(4) << 30)
#define DISK_RESERVE_BYTES (UINT64_C(256) << 20)

static void archive_was_moved_away(struct cloud *c)
{
    c->counter[CLOUD_STORES_QUARANTINED]++;
    log_error("archive_made_anew",
              "msg=\"nodes know the former archive and keep their records; put a copy back if there is "
              "one, then, with the cloud stopped, run `cloudctl store restored`\"");
}

/* The operator said that this archive was put back from a copy: it goes on under another id, so that no mark
 * of the time in between counts. The file is removed after the commit: a crash between the two repeats the
 * step with the same id. */
static int take_restored(struct cloud *c, struct errmsg *err)
{
    owned(buf_deinit) struct buf text = {0};
    char path[CTL_FILE_CHARS + 32], hex[ID128_HEX_CHARS + 1] = "";
    struct id128 id;
    int r;

    snprintf(path, sizeof path, "%s/" CLOUD_RESTORED_FILE, c->d->paths.state_dir);
    r = file_read(path, 4096, &text);
    if (r == -ENOENT)
        return 0;
    if (r == 0 && text.len >= ID128_HEX_CHARS)
        memcpy(hex, text.data, ID128_HEX_CHARS);
    if (r < 0 || !id128_from_hex(hex, &id))
        return errmsg_set(err, r < 0 ? r : -EINVAL,
                          "%s: cannot be read; write it again with `cloudctl store restored`", path);
    r = archive_renew_id(c->archive, &id);
    if (r < 0)
        return errmsg_set(err, r, "cannot write the new archive id: %s", strerror(-r));
    if (unlink(path) < 0)
        return errmsg_set(err, -errno, "%s: cannot be removed: %s", path, strerror(errno));
    log_warn("archive_restored", "archive_id=%s", hex);
    return 0;
}

int cloud_store_open(struct cloud *c, struct errmsg *err)
{
    const struct ctl_settings *s = c->d->settings;
    struct errmsg why = {""};
    struct spool_options so = {.db = {.path = c->d->paths.store, .map_bytes = s->store_map_bytes},
                               .node = s->node,
                               .quota_bytes = s->store_quota_bytes,
                               .proof_path = c->d->paths.continuity,
                               .boot_id = c->d->boot_id};
    struct archive_options o = cloud_archive_options(&so);
    struct db_options check = {
        .path = c->d->paths.store, .tables = cloud_table_names, .n_tables = CLOUD_TABLES, .role = "cloud"};
    char id[ID128_HEX_CHARS + 1];
    int r = daemon_store_verify(&check, err);

    if (r < 0)
        return r;
    if (r == DAEMON_STORE_MOVED_AWAY)
        archive_was_moved_away(c);
    r = archive_open(&c->archive, &o, &why);
    if (r == ARCHIVE_DAMAGED) {
        r = daemon_store_move_away(check.path, why.text, err);
        if (r < 0)
            return r;
        archive_was_moved_away(c);
        r = archive_open(&c->archive, &o, &why);
    }
    if (r != 0)
        return errmsg_set(err, r < 0 ? r : -EUCLEAN, "%s", why.text);
    r = take_restored(c, err);
    if (r < 0)
        return r;
    id128_hex(archive_id(c->archive), id);
    log_info("store_open", "store=%s archive_id=%s streams=%zu new_life=%s", log_quote(c->d->paths.store), id,
             spool_n_streams(archive_spool(c->archive)),
             spool_began_epoch(archive_spool(c->archive)) ? "yes" : "no");
    return 0;
}

unsigned cloud_store_fill(void *ctx)
{
    const struct cloud *c = ctx;
    struct db *db = spool_db(archive_spool(c->archive));
    uint64_t map = db_map_bytes(db);

    return map == 0 ? 0 : (unsigned)((unsigned __int128)db_used_bytes(db) * 1000 / map);
}

/* The next size of the map, or 0 when there is no room for one. */
static uint64_t next_size(const struct cloud *c, uint64_t map)
{
    uint64_t step = map / 2 < GROW_STEP_MAX_BYTES ? map / 2 : GROW_STEP_MAX_BYTES, free_bytes;
    struct statvfs fs;

    if (map >= c->config->store_map_max_bytes || statvfs(c->d->paths.store, &fs) < 0)
        return 0;
    if (step > c->config->store_map_max_bytes - map)
        step = c->config->store_map_max_bytes - map;
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes < DISK_RESERVE_BYTES + step) {
        step = free_bytes > DISK_RESERVE_BYTES ? free_bytes - DISK_RESERVE_BYTES : 0;
        if (step < map / 64)
            return 0;
    }
    return (map + step) & ~UINT64_C(0xfffff);
}

void cloud_store_grow(struct cloud *c)
{
    struct db *db = spool_db(archive_spool(c->archive));
    uint64_t map = db_map_bytes(db), size;
    int r;

    if (cloud_store_fill(c) < GROW_AT_THOUSANDTHS || spool_txn_open(archive_spool(c->archive)))
        return;
    size = next_size(c, map);
    r = size > map ? spool_grow(archive_spool(c->archive), size) : -ENOSPC;
    if (r == 0) {
        c->counter[CLOUD_MAP_GROWN]++;
        log_info("store_grown", "from_bytes=%" PRIu64 " to_bytes=%" PRIu64, map, db_map_bytes(db));
    } else if (log_latch_open(&c->grow_latch, clock_mono_ns(&c->d->clock), NULL)) {
        log_warn("store_nearly_full", "map_bytes=%" PRIu64 " used_thousandths=%u msg=%s", map,
                 cloud_store_fill(c), log_quote(strerror(-r)));
    }
}
