/* verbs.h - commands that the three tools share, as tables for struct ctl_tier.cmds, and pieces for a tier's
 * own commands. */
#ifndef FOGLINE_CTL_VERBS_H
#define FOGLINE_CTL_VERBS_H

#include "ctl/cmd.h"
#include "ctl/nodes.h"
#include "spool/spool.h"

extern const struct cmd
    ctl_verbs[]; /* config check|show|doc, key gen|show, store stat|verify, status, version */
extern const struct cmd ctl_verbs_spool[];  /* store ls|get, tail: device and fog */
extern const struct cmd ctl_verbs_enroll[]; /* enroll list|accept|revoke: fog and cloud */

/* For `init`: writes the commented file at ctl->config_path (never over an existing one) from `values` (a
 * struct of the tier's schema), makes state_dir and node.key when missing. Gives the node's key text. Returns
 * an exit code. */
must_check int ctl_init(struct ctl *ctl, const void *values, struct node_public *ret_public);

/* The link key lower nodes need: of the cloud from its own keys, of a fog from its own key and up.keys. */
must_check int ctl_link_key(struct ctl *ctl, struct link_key *ret_k);

/* Opens the tier's store for reading, live or dead. Returns an exit code, said on ctl->err. Close with
 * db_close. */
must_check int ctl_store_open(struct ctl *ctl, struct db **ret_db);

#endif
