/* paths.h - where a node keeps what, below its state and run folders.
 *
 * state_dir (0700): what must survive a reboot. run_dir (0700, under /run): what must not. Threads: values.
 */
#ifndef FOGLINE_CTL_PATHS_H
#define FOGLINE_CTL_PATHS_H

#include "base/err.h"
#include "ctl/settings.h"

enum { CTL_FILE_CHARS = CTL_PATH_CHARS + 32 };

struct ctl_paths {
    char state_dir[CTL_PATH_CHARS], run_dir[CTL_PATH_CHARS];
    char node_key[CTL_FILE_CHARS];     /* state_dir/node.key, 0400 */
    char operator_key[CTL_FILE_CHARS]; /* state_dir/operator.key, 0400; cloud only, never read by a daemon */
    char operator_pub[CTL_FILE_CHARS]; /* state_dir/operator.pub, 64 hex digits; cloud only */
    char store[CTL_FILE_CHARS];        /* state_dir/spool or state_dir/archive */
    char nodes_doc[CTL_FILE_CHARS];    /* state_dir/nodes.doc, signed node list */
    char nodes_local[CTL_FILE_CHARS];  /* state_dir/nodes.local, accepted by a fog alone */
    char commands[CTL_FILE_CHARS];     /* state_dir/commands/ */
    char continuity[CTL_FILE_CHARS];   /* run_dir/continuity, proof file of the spool */
    char status[CTL_FILE_CHARS];       /* run_dir/status.json */
    char refused[CTL_FILE_CHARS];      /* run_dir/refused.json */
    char lock[CTL_FILE_CHARS];         /* run_dir/lock */
    char send_sock[CTL_FILE_CHARS];    /* run_dir/send.sock */
};

/* store_name: "spool" or "archive". */
void ctl_paths_make(struct ctl_paths *ret_p, const struct ctl_settings *s, const char *store_name);
/* Makes state_dir and run_dir (0700) when missing; refuses folders that others can write to. 0 or negative
 * errno, *err filled. */
must_check int ctl_paths_ready(const struct ctl_paths *p, struct errmsg *err);

/* operator.pub. 0; -ENOENT, -EINVAL ... with *err filled. */
must_check int ctl_operator_pub_load(const char *path, uint8_t ret_key[KEY_BYTES], struct errmsg *err);
must_check int ctl_operator_pub_save(const char *path, const uint8_t key[KEY_BYTES], struct errmsg *err);

#endif
