/* Lives of a node: it opens its store, dies at any moment, loses its disk or gets an old one back. */
#include "base/file.h"
#include "world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

struct node *world_find(struct world *w, const char *name)
{
    for (unsigned i = 0; i < w->n_nodes; i++)
        if (strcmp(w->node[i].name, name) == 0)
            return &w->node[i];
    return NULL;
}

void fatal(struct node *n, const char *what, int rc)
{
    if (rc < 0)
        violate(n->w, "%s: %s failed: %s", n->name, what, strerror(-rc));
    else if (rc > 0)
        violate(n->w, "%s: %s failed: condition %d", n->name, what, rc);
}

void node_init(struct world *w, unsigned no, enum role role, unsigned index)
{
    static const char *const names[] = {[ROLE_DEVICE] = "dev", [ROLE_FOG] = "fog", [ROLE_CLOUD] = "cloud"};
    struct node *n = &w->node[no];
    char name[sizeof n->name], folder[sizeof w->dir];

    n->w = w;
    n->role = role;
    n->no = no;
    n->index = index;
    n->weight = 1;
    if (role == ROLE_CLOUD)
        snprintf(name, sizeof name, "cloud");
    else
        snprintf(name, sizeof name, "%s%u", names[role], index);
    memcpy(n->name, name, sizeof n->name);
    memcpy(folder, w->dir, sizeof folder);
    snprintf(n->dir, sizeof n->dir, "%.200s/%s", folder, name);
    snprintf(n->copy, sizeof n->copy, "%.200s/%s.copy", folder, name);
    snprintf(n->proof, sizeof n->proof, "%.200s/%s.proof", folder, name);
    n->boot = id128_random();
    n->upstream = role == ROLE_DEVICE ? w->plan.n_devices + index % w->plan.n_fogs : w->n_nodes - 1;
    n->wake_at_ms = INT64_MAX;
    n->fake.wall_unix_ns = INT64_C(1700000000) * NS_PER_S;
    n->clock = clock_fake_of(&n->fake);
}

static void node_close(struct node *n)
{
    n->life++;
    n->wake_at_ms = INT64_MAX;
    n->wake_token++;
    n->commit_planned = false;
    n->ob = outbox_free(n->ob);
    n->ib = inbox_free(n->ib);
    n->intake = intake_free(n->intake);
    if (n->archive != NULL) {
        n->archive = archive_close(n->archive);
        n->sp = NULL;
    }
    n->sp = spool_close(n->sp);
    n->marks = marks_free(n->marks);
    n->n_fold = 0;
    n->fold_dirty = false;
    oracle_drop_pending(n);
    memset(n->granted, 0, sizeof n->granted);
    n->up = false;
}

static void copies_free(struct held_copy *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (unsigned l = 0; l < LANE_COUNT; l++) {
            interval_set_deinit(&at[i].held[l]);
            interval_set_deinit(&at[i].seen[l]);
        }
    free(at);
}

void node_deinit(struct node *n)
{
    node_close(n);
    oracle_mirror_forget(n);
    free(n->mirror);
    free(n->pending);
    copies_free(n->safe, n->n_safe);
    if (n->backup != NULL)
        oracle_deinit(n->backup);
    free(n->backup);
}

void node_open(struct node *n)
{
    int rc = n->role == ROLE_DEVICE ? device_open(n) : n->role == ROLE_FOG ? fog_open(n) : cloud_open(n);

    if (rc != 0) {
        fatal(n, "start", rc);
        return;
    }
    n->up = true;
    n->link++;
    note(n->w, n, "started%s", spool_began_epoch(n->sp) ? ", a new epoch" : "");
    oracle_opened(n);
    node_wake_at(n, n->w->now_ms);
}

void node_die(struct node *n, int64_t for_ms)
{
    struct event e = {.kind = EVENT_START, .node = n->no};

    n->w->result->crashes++;
    note(n->w, n, "died");
    node_close(n);
    if (for_ms < 0) {
        n->dead = true;
        return;
    }
    e.at_ms = n->w->now_ms + 1 + for_ms;
    e.token = n->life;
    world_push(n->w, &e);
}

static void drop_proof(struct node *n)
{
    unlink(n->proof);
    n->boot = id128_random();
}

bool node_dies(struct node *n, enum point at)
{
    static const char *const names[POINTS] = {"before the commit", "after the commit", "after the session",
                                              "after a message from above"};
    struct world *w = n->w;

    if (w->quiet || w->crashes >= w->plan.crashes_max || !chance(w, w->plan.crash[at]))
        return false;
    w->crashes++;
    note(w, n, "dies %s", names[at]);
    node_die(n, (int64_t)rng_below(&w->rng, (uint64_t)w->plan.down_ms));
    if (chance(w, w->plan.reboot))
        drop_proof(n);
    return true;
}

/* The host has to forget its batch when this says COMMIT_FAILED, and touch nothing when it says COMMIT_DIED.
 */
enum commit node_commit(struct node *n)
{
    struct world *w = n->w;
    int rc;

    if (node_dies(n, POINT_BEFORE_COMMIT))
        return COMMIT_DIED;
    if (spool_txn_open(n->sp) && !w->quiet && chance(w, w->plan.commit_fails)) {
        note(w, n, "the commit fails");
        rc = spool_rollback(n->sp);
        fatal(n, "rollback", rc);
        oracle_drop_pending(n);
        return COMMIT_FAILED;
    }
    rc = spool_commit(n->sp);
    if (rc == DB_FULL) {
        note(w, n, "the store is full");
        oracle_drop_pending(n);
        return COMMIT_FAILED;
    }
    fatal(n, "commit", rc);
    oracle_committed(n);
    return node_dies(n, POINT_AFTER_COMMIT) ? COMMIT_DIED : COMMIT_DONE;
}

void node_wake_at(struct node *n, int64_t at_ms)
{
    struct event e = {.kind = EVENT_WAKE, .node = n->no, .at_ms = at_ms};

    if (at_ms >= n->wake_at_ms || at_ms == INT64_MAX)
        return;
    if (e.at_ms <= n->w->now_ms)
        e.at_ms = n->w->now_ms + 1;
    n->wake_at_ms = e.at_ms;
    e.token = ++n->wake_token;
    world_push(n->w, &e);
}

/* ---- disks ---- */

static bool copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char bytes[65536];
    ssize_t n = -1;

    if (in >= 0 && out >= 0)
        while ((n = read(in, bytes, sizeof bytes)) > 0)
            if (write(out, bytes, (size_t)n) != n) {
                n = -1;
                break;
            }
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return n == 0;
}

static void store_files(const char *dir, char data[PATH_BYTES + 16], char lock[PATH_BYTES + 16])
{
    snprintf(data, PATH_BYTES + 16, "%s/data.mdb", dir);
    snprintf(lock, PATH_BYTES + 16, "%s/lock.mdb", dir);
}

static void store_copy(struct node *n)
{
    char data[PATH_BYTES + 16], lock[PATH_BYTES + 16];

    if (!n->up || spool_txn_open(n->sp))
        return;
    store_files(n->dir, data, lock);
    if (!copy_file(data, n->copy)) {
        violate(n->w, "%s: no copy of its store", n->name);
        return;
    }
    oracle_copied(n);
    if (n->role == ROLE_CLOUD)
        cloud_backup(n);
    note(n->w, n, "copied");
}

static void store_lose(struct node *n)
{
    char data[PATH_BYTES + 16], lock[PATH_BYTES + 16];

    store_files(n->dir, data, lock);
    unlink(data);
    unlink(lock);
    rmdir(n->dir);
    note(n->w, n, "its disk is lost");
    oracle_store_lost(n);
}

static void store_restore(struct node *n)
{
    char data[PATH_BYTES + 16], lock[PATH_BYTES + 16];

    if (!n->copied.there)
        return;
    store_files(n->dir, data, lock);
    if (chance(n->w, 0.5))
        unlink(data); /* else the same file gets the old content */
    unlink(lock);
    if (mkdir(n->dir, 0700) < 0 && errno != EEXIST)
        violate(n->w, "%s: no folder", n->name);
    if (!copy_file(n->copy, data))
        violate(n->w, "%s: its copy cannot be put back", n->name);
    if (chance(n->w, 0.5))
        drop_proof(n);
    note(n->w, n, "an old copy of its disk is put back");
    n->put_back = true;
    oracle_restored(n);
}

static void fail_over(struct node *n)
{
    struct world *w = n->w;
    unsigned first = w->plan.n_devices;

    if (n->role != ROLE_DEVICE || w->plan.n_fogs < 2 || !n->up)
        return;
    n->upstream = first + (n->upstream - first + 1) % w->plan.n_fogs;
    n->link++;
    note(w, n, "goes to %s", w->node[n->upstream].name);
    fatal(n, "new session", outbox_new_session(n->ob, w->now_ms));
    if (!node_dies(n, POINT_SESSION))
        node_wake_at(n, w->now_ms);
}

void node_fault(struct node *n, const struct fault *f)
{
    if (n->dead || n->w->quiet)
        return;
    switch (f->kind) {
    case FAULT_CRASH:
    case FAULT_REBOOT:
    case FAULT_STORE_LOST:
    case FAULT_RESTORE:
        if (f->kind == FAULT_RESTORE && !n->copied.there)
            return;
        if (n->up)
            node_die(n, f->lasts_ms);
        if (f->kind == FAULT_REBOOT)
            drop_proof(n);
        else if (f->kind == FAULT_STORE_LOST)
            store_lose(n);
        else if (f->kind == FAULT_RESTORE)
            store_restore(n);
        break;
    case FAULT_COPY:
        store_copy(n);
        break;
    case FAULT_FAILOVER:
        fail_over(n);
        break;
    case FAULT_PARTITION:
        n->cut_off_until_ms = n->w->now_ms + f->lasts_ms;
        note(n->w, n, "is cut off");
        break;
    case FAULT_DEAD:
        if (n->up)
            node_die(n, -1);
        break;
    case FAULT_KINDS:
        break;
    }
}
