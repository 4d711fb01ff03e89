/* status.h - the last second of a daemon: written by it once a second, readable while it runs and when it is
 * dead.
 *
 * run_dir/status.json, replaced atomically (rename, no fsync: it is worth nothing after a crash of the
 * machine):
 *   {"format":1,"tier","node","site","software","pid","started_unix_ns","time_unix_ns","boot_id",
 *    "facts":{...whatever the tier says...},"counters":{"outbox.records_sent_total":12,...}}
 * The tool shows facts as they are: scalars as lines, lists of objects as tables. Keys that end in _bytes,
 * _ms, _unix_ns are shown as sizes, durations, times. Threads: one. */
#ifndef FOGLINE_CTL_STATUS_H
#define FOGLINE_CTL_STATUS_H

#include "base/counter.h"
#include "base/json.h"
#include "ctl/cmd.h"

struct status;

struct status_options {
    const char *path;               /* copied */
    const char *tier, *node, *site; /* copied; site may be "" */
    int64_t started_unix_ns;
};

must_check int status_new(struct status **ret_s, const struct status_options *options);
struct status *status_free(struct status *s); /* accepts NULL; leaves the file */

/* One report: begin gives a writer standing inside "facts" (json_kstr, json_ku64 ... on it), borrowed until
 * status_end. status_end writes the counters after the facts and replaces the file. 0 or negative errno:
 * worth a warning, never fatal. */
must_check int status_begin(struct status *s, int64_t now_unix_ns, struct json **ret_facts);
must_check int status_end(struct status *s, const struct counter_set *sets, size_t n_sets);

enum { STATUS_FRESH_MS = 5000 };
/* Is there a daemon? It lives while the lock beside the file is held; SILENT: it lives, but its last report
 * is older than STATUS_FRESH_MS (stopped by a signal, or stuck in the disk). ret_age_ms may be NULL; -1:
 * there is no report. */
enum status_life { STATUS_DEAD, STATUS_SILENT, STATUS_RUNNING };
enum status_life status_life(const char *path, int64_t now_unix_ns, int64_t *ret_age_ms);
bool status_running(const char *path, int64_t now_unix_ns, int64_t *ret_age_ms); /* STATUS_RUNNING */

/* The command `status`. */
int status_command(struct ctl *ctl);

#endif
