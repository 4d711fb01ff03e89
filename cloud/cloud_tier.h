/* cloud_tier.h - what the collector's daemon and its tool both are. */
#ifndef FOGLINE_CLOUD_CLOUD_TIER_H
#define FOGLINE_CLOUD_CLOUD_TIER_H

#include "ctl/cmd.h"

extern const struct ctl_tier cloud_tier_daemon; /* without commands */

/* state_dir/restored: 32 hex digits, the archive id to go on with. Written by `cloudctl store restored`, read and
 * removed at the next start of the daemon. */
#define CLOUD_RESTORED_FILE "restored"

#endif
