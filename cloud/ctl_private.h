/* ctl_private.h - the commands of cloudctl and what they share. Inside cloudctl only. */
#ifndef FOGLINE_CLOUD_CTL_PRIVATE_H
#define FOGLINE_CLOUD_CTL_PRIVATE_H

#include "archive/ctl_reading.h"
#include "ctl/verbs.h"

int verb_cloud_init(struct ctl *ctl);
int verb_gaps(struct ctl *ctl);
int verb_command(struct ctl *ctl);
int verb_drill(struct ctl *ctl);
int verb_store_restored(struct ctl *ctl);
int verb_store_ls(struct ctl *ctl);

#endif
