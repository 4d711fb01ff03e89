#include "ctl/daemon.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/notify.h"
#include "link/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

enum { LOCK_WAIT_MS = 500, LOCK_STEP_MS = 10 };

struct arguments {
    const char *config;
    bool check_only;
};

static const struct ctl_settings *settings_of(const struct ctl_tier *tier, const void *values)
{
    return (const struct ctl_settings *)((const char *)values + tier->settings_offset);
}

static void print_help(const struct ctl_tier *tier, FILE *out)
{
    fprintf(out,
            "Usage: %s [-c FILE] [-n] [--version] [--help]\n\n"
            "  -c FILE    configuration (default %s)\n"
            "  -n         only check the configuration, as at start, and say everything that is wrong\n\n"
            "SIGTERM ends it cleanly, SIGHUP loads the configuration again: all or nothing.\n"
            "Its tool is %s; the keys of the configuration: %s config doc\n",
            tier->daemon, tier->config_path, tier->cli, tier->cli);
}

static int parse_arguments(const struct ctl_tier *tier, int argc, char **argv, struct arguments *ret_a)
{
    struct arguments a = {.config = tier->config_path};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(tier, stdout);
            return CTL_OK;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s %s\n", tier->daemon, FOGLINE_VERSION);
            return CTL_OK;
        }
        if (strcmp(argv[i], "-n") == 0) {
            a.check_only = true;
        } else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
            a.config = argv[++i];
        } else {
            fprintf(stderr, "%s: `%s` is not understood\n", tier->daemon, argv[i]);
            print_help(tier, stderr);
            return CTL_USAGE;
        }
    }
    *ret_a = a;
    return DAEMON_RUN;
}

static int load_values(const struct ctl_tier *tier, const char *path, void **ret_values)
{
    struct config_problems problems = {0};
    owned(free_ptr) void *values = calloc(1, tier->schema->size);
    int r = values == NULL ? -ENOMEM : config_load(tier->schema, path, values, &problems);

    if (r == CONFIG_BAD)
        config_problems_print(&problems, stderr);
    else if (r < 0)
        fprintf(stderr, "%s: %s\n", path, strerror(-r));
    config_problems_deinit(&problems);
    if (r != 0)
        return CTL_FAILED;
    *ret_values = TAKE(values);
    return CTL_OK;
}

/* A daemon that was killed may have left a child that is ending only now and still has its lock (db_verify):
 * waits a moment. */
static int lock_file(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    for (int waited_ms = 0; fcntl(fd, F_OFD_SETLK, &whole) < 0; waited_ms += LOCK_STEP_MS) {
        if (errno != EAGAIN && errno != EACCES)
            return -errno;
        if (waited_ms >= LOCK_WAIT_MS)
            return -EBUSY;
        poll(NULL, 0, LOCK_STEP_MS);
    }
    return 0;
}

static int take_lock(const char *path, int *ret_fd, struct errmsg *err)
{
    char pid[32] = "";
    int r;
    owned(close_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return errmsg_set(err, -errno, "%s: %s", path, strerror(errno));
    r = lock_file(fd);
    if (r < 0 && r != -EBUSY)
        return errmsg_set(err, r, "%s: %s", path, strerror(-r));
    if (r < 0) {
        ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
        pid[n > 0 ? n : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        return errmsg_set(err, -EBUSY, "%s: a daemon is already running here, pid %s; stop it first", path,
                          pid[0] != '\0' ? pid : "unknown");
    }
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        return errmsg_set(err, -EIO, "%s: cannot write the pid: %s", path, strerror(errno));
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static void log_changes(const struct config_changes *c, bool refused)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct config_change *ch = &c->at[i];
        if (refused && ch->reloadable)
            continue;
        if (refused)
            log_error("reload_refused", "field=%s from=%s to=%s msg=\"needs a restart\"", ch->field,
                      log_quote(ch->from), log_quote(ch->to));
        else
            log_info("reload_changed", "field=%s from=%s to=%s", ch->field, log_quote(ch->from),
                     log_quote(ch->to));
    }
}

static void swap_values(struct daemon *d, void *values)
{
    const struct ctl_settings *s = settings_of(d->tier, values);

    log_set_level((enum log_level)s->log_level);
    if (d->on_reload != NULL)
        d->on_reload(d->reload_ctx, d->values, values);
    /* In place, because tiers and their threads hold pointers into the struct and the lists inside. */
    config_take_reloadable(d->tier->schema, d->values, values);
    config_free_values(d->tier->schema, values);
}

static void on_hup(void *ctx)
{
    struct daemon *d = ctx;
    struct config_changes changes = {0};
    owned(free_ptr) void *values = NULL;
    char state[96];

    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_ns(&d->clock) / 1000);
    notify_send(state);
    if (load_values(d->tier, d->config_path, &values) != CTL_OK) {
        log_error("reload_refused", "file=%s msg=\"the file has problems, nothing was changed\"",
                  log_quote(d->config_path));
        notify_send("READY=1");
        return;
    }
    int r = config_diff_reloadable(d->tier->schema, d->values, values, &changes);
    if (r < 0 || changes.n_fixed > 0) {
        log_changes(&changes, true);
        log_error("reload_refused", "file=%s msg=\"nothing was changed\"", log_quote(d->config_path));
        config_free_values(d->tier->schema, values);
    } else {
        log_changes(&changes, false);
        log_info("reloaded", "file=%s changes=%zu", log_quote(d->config_path), changes.n);
        swap_values(d, values);
    }
    config_changes_deinit(&changes);
    notify_send("READY=1");
}

static int check_only(const struct arguments *a)
{
    printf("%s: no problems found\n", a->config);
    return CTL_OK;
}

static int prepare(struct daemon *d, struct errmsg *err)
{
    char store_lock[CTL_FILE_CHARS]; /* two configurations may name one state_dir and two run_dirs */
    int r = keys_harden_process();

    snprintf(store_lock, sizeof(store_lock), "%s/lock", d->paths.state_dir);
    if (r < 0)
        return errmsg_set(err, r, "cannot forbid core dumps: %s", strerror(-r));
    r = ctl_paths_ready(&d->paths, err);
    if (r < 0)
        return r;
    r = take_lock(d->paths.lock, &d->lock_fd, err);
    if (r == 0)
        r = take_lock(store_lock, &d->store_lock_fd, err);
    if (r < 0)
        return r;
    r = node_keys_load(d->paths.node_key, &d->keys, err);
    if (r == -ENOENT)
        return errmsg_set(err, r, "%s: there is no key; make one with: %s -c %s key gen", d->paths.node_key,
                          d->tier->cli, d->config_path);
    if (r < 0)
        return r;
    r = loop_new(&d->loop, &d->clock);
    if (r == 0)
        r = loop_signals(d->loop, on_hup, d);
    return r < 0 ? errmsg_set(err, r, "cannot set up the event loop: %s", strerror(-r)) : 0;
}

int daemon_begin(struct daemon *d, const struct ctl_tier *tier, int argc, char **argv)
{
    struct arguments a;
    struct errmsg err = {""};
    int code;

    memset(d, 0, sizeof(*d));
    d->lock_fd = d->store_lock_fd = -1;
    d->tier = tier;
    d->clock = clock_real;
    if (file_guard_std() < 0)
        return CTL_FAILED;
    if (keys_init() < 0) {
        fprintf(stderr, "%s: libsodium does not start\n", tier->daemon);
        return CTL_FAILED;
    }
    code = parse_arguments(tier, argc, argv, &a);
    if (code != DAEMON_RUN)
        return code;
    d->config_path = a.config;
    code = load_values(tier, a.config, &d->values);
    if (code != CTL_OK)
        return code;
    d->settings = settings_of(tier, d->values);
    if (a.check_only)
        return daemon_end(d, check_only(&a));
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    snprintf(d->tag, sizeof(d->tag), "%s=%s", tier->name, d->settings->node);
    log_set_tag(d->tag);
    log_set_level((enum log_level)d->settings->log_level);
    ctl_paths_make(&d->paths, d->settings, tier->store_name);
    d->started_unix_ns = clock_wall_unix_ns(&d->clock);
    d->boot_id = clock_boot_id();
    if (prepare(d, &err) < 0) {
        log_error("start_failed", "msg=%s", log_quote(err.text));
        return daemon_end(d, CTL_FAILED);
    }
    return DAEMON_RUN;
}

static void on_watchdog(void *ctx)
{
    struct daemon *d = ctx;

    notify_send("WATCHDOG=1");
    loop_timer_set(d->watchdog, loop_now_ms(d->loop) + d->watchdog_ms);
}

void daemon_ready(struct daemon *d)
{
    d->watchdog_ms = notify_watchdog_interval_ms();
    notify_send("READY=1");
    if (d->watchdog_ms > 0 && loop_timer_new(d->loop, on_watchdog, d, &d->watchdog) == 0)
        on_watchdog(d);
    log_info("ready", "version=%s pid=%d", FOGLINE_VERSION, (int)getpid());
}

int daemon_end(struct daemon *d, int code)
{
    if (d->loop != NULL) {
        notify_send("STOPPING=1");
        log_info("stopped", "exit=%d", code);
    }
    loop_timer_free(d->watchdog);
    d->watchdog = NULL;
    d->loop = loop_free(d->loop);
    node_keys_wipe(&d->keys);
    if (d->values != NULL) {
        config_free_values(d->tier->schema, d->values);
        free(d->values);
        d->values = NULL;
    }
    log_set_tag(NULL); /* d may be on a stack that ends */
    close_fd(&d->lock_fd);
    close_fd(&d->store_lock_fd);
    d->lock_fd = d->store_lock_fd = -1;
    return code;
}
