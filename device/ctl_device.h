/* ctl_device.h - the device's own commands of devicectl; each file adds a table. */
#ifndef FOGLINE_DEVICE_CTL_DEVICE_H
#define FOGLINE_DEVICE_CTL_DEVICE_H

#include "ctl/verbs.h"

extern const struct cmd ctl_device_init[], ctl_device_send[], ctl_device_csv[], ctl_device_keep[],
    ctl_device_probe[];

#endif
