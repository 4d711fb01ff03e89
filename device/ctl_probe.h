/* ctl_probe.h - `devicectl probe`: what this machine offers, as sources ready to be pasted.
 *
 * Each part prints list items of `sources:` for what it finds, indented by two spaces ("  - type: hwmon"),
 * with a comment above each that says what it is. */
#ifndef FOGLINE_DEVICE_CTL_PROBE_H
#define FOGLINE_DEVICE_CTL_PROBE_H

#include "base/err.h"

#include <stdio.h>

struct probe_options {
    const char *root; /* "" or a folder that stands for /: a tree of files for tests */
};

/* Number of things found, or negative errno with *err. */
must_check int probe_gpio(const struct probe_options *o, FILE *out, struct errmsg *err);
must_check int probe_iio(const struct probe_options *o, FILE *out, struct errmsg *err);
must_check int probe_hwmon(const struct probe_options *o, FILE *out, struct errmsg *err);
must_check int probe_onewire(const struct probe_options *o, FILE *out, struct errmsg *err);

#endif
