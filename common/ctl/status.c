/* Daemon's side of status.json, and the one question about it that other commands ask. */
#include "ctl/status.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/jtree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

struct status {
    char path[CTL_FILE_CHARS], temporary[CTL_FILE_CHARS + 8];
    char tier[16], node[NAME_PART_CHARS + 1], site[NAME_PART_CHARS + 1];
    char boot_id[ID128_HEX_CHARS + 1];
    int64_t started_unix_ns, began_mono_ms;
    FILE *file;
    struct json *json;
};

int status_new(struct status **ret_s, const struct status_options *options)
{
    struct status *s = calloc(1, sizeof(*s));
    struct id128 boot = clock_boot_id();

    if (s == NULL)
        return -ENOMEM;
    snprintf(s->path, sizeof(s->path), "%s", options->path);
    snprintf(s->temporary, sizeof(s->temporary), "%s.new", s->path);
    snprintf(s->tier, sizeof(s->tier), "%s", options->tier);
    snprintf(s->node, sizeof(s->node), "%s", options->node);
    snprintf(s->site, sizeof(s->site), "%s", options->site);
    id128_hex(&boot, s->boot_id);
    s->started_unix_ns = options->started_unix_ns;
    s->began_mono_ms = clock_mono_ms(&clock_real);
    *ret_s = s;
    return 0;
}

static void close_report(struct status *s)
{
    s->json = json_free(s->json);
    if (s->file != NULL)
        fclose(s->file);
    s->file = NULL;
}

struct status *status_free(struct status *s)
{
    if (s == NULL)
        return NULL;
    close_report(s);
    free(s);
    return NULL;
}

int status_begin(struct status *s, int64_t now_unix_ns, struct json **ret_facts)
{
    int r;

    close_report(s);
    s->file = fopen(s->temporary, "we");
    if (s->file == NULL)
        return -errno;
    r = json_new(&s->json, s->file, false);
    if (r < 0) {
        close_report(s);
        return r;
    }
    json_object(s->json);
    json_ki64(s->json, "format", 1);
    json_kstr(s->json, "tier", s->tier);
    json_kstr(s->json, "node", s->node);
    json_kstr(s->json, "site", s->site);
    json_kstr(s->json, "software", FOGLINE_VERSION);
    json_ki64(s->json, "pid", getpid());
    json_ki64(s->json, "started_unix_ns", s->started_unix_ns);
    json_ki64(s->json, "time_unix_ns", now_unix_ns);
    /* The clock may have been set since the start. */
    json_ki64(s->json, "up_ms", clock_mono_ms(&clock_real) - s->began_mono_ms);
    json_kstr(s->json, "boot_id", s->boot_id);
    json_key(s->json, "facts");
    json_object(s->json);
    *ret_facts = s->json;
    return 0;
}

int status_end(struct status *s, const struct counter_set *sets, size_t n_sets)
{
    char name[128];
    int r;

    if (s->json == NULL)
        return -EINVAL;
    json_object_end(s->json);
    json_key(s->json, "counters");
    json_object(s->json);
    for (size_t i = 0; i < n_sets; i++)
        for (size_t c = 0; c < sets[i].n; c++) {
            snprintf(name, sizeof(name), "%s.%s", sets[i].prefix, sets[i].info[c].name);
            json_ku64(s->json, name, sets[i].value[c]);
        }
    json_object_end(s->json);
    json_object_end(s->json);
    r = json_end(s->json);
    s->json = json_free(s->json);
    if (fclose(s->file) != 0 && r == 0)
        r = -errno;
    s->file = NULL;
    if (r == 0 && rename(s->temporary, s->path) < 0)
        r = -errno;
    return r;
}

/* The daemon holds a lock as long as it lives; asking for it takes nothing, so it never stands in a start's
 * way. */
static bool lock_held(const char *status_path)
{
    struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    char path[CTL_FILE_CHARS];
    const char *slash = strrchr(status_path, '/');

    snprintf(path, sizeof(path), "%.*s/lock", slash == NULL ? 1 : (int)(slash - status_path),
             slash == NULL ? "." : status_path);
    owned(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

enum status_life status_life(const char *path, int64_t now_unix_ns, int64_t *ret_age_ms)
{
    owned(jtree_freep) struct jtree *t = NULL;
    int64_t age_ms = -1;
    bool held = lock_held(path);

    /* A clock that was set back makes the age negative: no sign of death. */
    if (jtree_read(path, &t) == 0)
        age_ms = (now_unix_ns - jnode_i64(jnode_get(jtree_root(t), "time_unix_ns"))) / NS_PER_MS;
    if (ret_age_ms != NULL)
        *ret_age_ms = t == NULL ? -1 : age_ms < 0 ? 0 : age_ms;
    if (!held)
        return STATUS_DEAD;
    return t != NULL && age_ms <= STATUS_FRESH_MS ? STATUS_RUNNING : STATUS_SILENT;
}

bool status_running(const char *path, int64_t now_unix_ns, int64_t *ret_age_ms)
{
    return status_life(path, now_unix_ns, ret_age_ms) == STATUS_RUNNING;
}
