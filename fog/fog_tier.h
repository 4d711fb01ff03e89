/* fog_tier.h - what the fog's daemon and its tool both are. */
#ifndef FOGLINE_FOG_FOG_TIER_H
#define FOGLINE_FOG_FOG_TIER_H

#include "ctl/cmd.h"
#include "fog/history.h"

extern const char *const fog_tables[];
extern const struct ctl_tier fog_tier_daemon; /* without commands */

#endif
