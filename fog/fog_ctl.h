/* fog_ctl.h - the fog's own commands, beside those that all tiers share. */
#ifndef FOGLINE_FOG_FOG_CTL_H
#define FOGLINE_FOG_FOG_CTL_H

#include "ctl/cmd.h"

extern const struct cmd fog_ctl_report[]; /* report devices|queues|links|bytes, why */

int verb_report_bytes(struct ctl *ctl);
int verb_why(struct ctl *ctl);

#endif
