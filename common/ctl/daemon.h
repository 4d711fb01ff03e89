/* daemon.h - what the mains of the three daemons share, from argv to readiness.
 *
 *   PROGRAM [-c FILE] [-n] [--version] [--help]
 *
 * daemon_begin: arguments, configuration (with all problems printed), log level and tag, no core dumps, umask
 * 077, folders, the locks that keep a second daemon from the same folders (open file description locks on
 * run_dir/lock and state_dir/lock, held until the process ends), the node's key, the loop and its signals.
 * daemon_ready: service manager notification and its watchdog. SIGHUP: loads the file again; when anything
 * differs that is not reloadable, or the file has problems, nothing changes and the log says why; else the
 * tier's function is called with the new values. Threads: the main thread. Call daemon_begin before any
 * thread is made. */
#ifndef FOGLINE_CTL_DAEMON_H
#define FOGLINE_CTL_DAEMON_H

#include "base/loop.h"
#include "ctl/cmd.h"

struct daemon {
    const struct ctl_tier *tier;
    const char *config_path;
    void *values;                        /* the tier's config struct; replaced in place by a reload */
    const struct ctl_settings *settings; /* inside values */
    struct ctl_paths paths;
    struct node_keys keys; /* wiped by daemon_end */
    struct clock clock;
    struct loop *loop;
    int64_t started_unix_ns;
    struct id128 boot_id;
    /* Set by the tier before daemon_ready, both may be NULL. Called with the new values already loaded and
     * log level set, before they take the place of the old ones. Must not fail: what can fail is refused by
     * the schema's check. */
    void (*on_reload)(void *ctx, const void *old_values, const void *new_values);
    void *reload_ctx;
    /* private */
    int lock_fd, store_lock_fd;
    struct loop_timer *watchdog;
    int64_t watchdog_ms;
    char tag[96];
};

enum { DAEMON_RUN = -1 };
/* DAEMON_RUN: go on. Else the exit code (enum ctl_exit) for main, with everything said and released. */
must_check int daemon_begin(struct daemon *d, const struct ctl_tier *tier, int argc, char **argv);
/* READY=1, and WATCHDOG=1 from the loop from now on. */
void daemon_ready(struct daemon *d);
/* STOPPING=1 and release. Returns `code`. The tier has freed what uses the loop before. */
int daemon_end(struct daemon *d, int code);

#endif
