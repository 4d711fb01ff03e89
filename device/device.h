/* device.h - the device daemon as a function, so that a program can bring sources of its own. */
#ifndef FOGLINE_DEVICE_DEVICE_H
#define FOGLINE_DEVICE_DEVICE_H

#include "device/source.h"

/* The whole of the daemon's main(). extra: kinds beside the built-in ones, NULL-terminated, or NULL. Returns
 * the exit code. */
int device_main(int argc, char **argv, const struct source_kind *const *extra);

#endif
