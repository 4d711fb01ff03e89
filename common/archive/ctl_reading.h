/* ctl_reading.h - the commands that read an archive, for the tools of the tiers that have one. */
#ifndef FOGLINE_ARCHIVE_CTL_READING_H
#define FOGLINE_ARCHIVE_CTL_READING_H

#include "archive/view.h"
#include "ctl/verbs.h"

/* The archive open for reading; zero-initialised is closed. */
struct reading {
    struct db *db;
    struct view *view;
    struct ctl *ctl;
    uint64_t n_named; /* blocks that do not decode */
};
/* Loads the configuration, opens the archive. Returns an exit code, said on ctl->err. */
must_check int reading_open(struct ctl *ctl, struct reading *r);
void reading_close(struct reading *r); /* accepts zero */
/* After a command: says what was left out. `code` if nothing was, else, when code is CTL_OK: CTL_DAMAGED for
 * damage of the store, CTL_PARTIAL when only blocks were left out that do not decode as their senders made
 * them. Those were named on ctl->err one by one, as they were met. */
int reading_verdict(struct ctl *ctl, const struct reading *r, int code);
/* Says so when the pattern takes no channel: it may be misspelt. */
void reading_matches(const struct reading *r, const char *pattern);
/* Of a store that loses what is old: says where what the pattern selects begins, unless that is before
 * from_ns: the answer is not about all that was asked for. `code` of the command so far, or when that is
 * CTL_OK what reading_failed says. */
must_check int reading_begins(const struct reading *r, const char *pattern, int64_t from_ns, int code);
/* A negative errno of the view as an exit code, said on ctl->err; a closed pipe is no failure. */
int reading_failed(struct ctl *ctl, int r);

/* Options --select, --from, --to of the reading commands; *ret_pattern is "**" when not given. */
must_check int ctl_pattern(struct ctl *ctl, const char **ret_pattern);
must_check int ctl_range(struct ctl *ctl, struct view_range *ret_range);
/* "2026-11-20", "2026-11-20T22:30:26.5Z", "...+01:00", "@1763678000.25" (seconds since 1970), "now", "-90s",
 * "-5m",
 * "-2h",
 * "-7d". false when it is none of these. Without a zone: UTC. */
bool ctl_time_parse(const char *text, int64_t now_unix_ns, int64_t *ret_unix_ns);
/* A width such as "1s", "90s", "1m", "1h", "1d", "500ms". */
bool ctl_width_parse(const char *text, int64_t *ret_ns);

extern const struct cmd archive_verbs[];      /* query, export, events, store blocks */
extern const struct cmd archive_verbs_tail[]; /* of a tier whose daemon has no tap */

int verb_query(struct ctl *ctl);
int verb_export(struct ctl *ctl);
int verb_archive_tail(struct ctl *ctl);
int verb_events(struct ctl *ctl);
int verb_store_blocks(struct ctl *ctl);

#endif
