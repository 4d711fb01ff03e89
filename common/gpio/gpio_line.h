/* gpio_line.h - lines of GPIO chips: the small interface behind which either libgpiod stands.
 *
 * Two backends, one of them built: gpio_line_v1.c (libgpiod 1.6, Debian 12) and gpio_line_v2.c
 * (libgpiod 2.x); without libgpiod gpio_line_none.c, whose functions give -ENOTSUP. Only the backends include
 * gpiod.h. A line is named by its chip (path, name as "gpiochip0", or label) and by its name or its number on
 * that chip. *Active* is what the configuration says it is: active_low turns levels, edges and outputs round.
 * Edge times are CLOCK_MONOTONIC of the kernel's interrupt. Threads: a line by one thread at a time; open and
 * close allocate, the others neither allocate nor block. Crash: the kernel lets go of the lines; what a line
 * then drives is up to its driver. */
#ifndef FOGLINE_GPIO_GPIO_LINE_H
#define FOGLINE_GPIO_GPIO_LINE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gpio_bias { GPIO_BIAS_AS_IS = 0, GPIO_BIAS_DISABLED, GPIO_BIAS_PULL_UP, GPIO_BIAS_PULL_DOWN };
enum gpio_use { GPIO_INPUT = 0, GPIO_INPUT_EDGES, GPIO_OUTPUT };

struct gpio_line_options {
    const char
        *chip; /* "/dev/gpiochip0", "gpiochip0" or a label; NULL or "": the chip that has a line so named */
    const char *line;     /* name, or number in decimal */
    const char *consumer; /* shown by gpioinfo */
    enum gpio_use use;
    enum gpio_bias bias;
    bool active_low;
    bool initial; /* GPIO_OUTPUT: active from the moment it is opened */
};

struct gpio_line;

/* 0; -ENODEV no such chip, -ENOENT no such line, -ENOTUNIQ two chips have it, -EBUSY in use by another,
 * -ENOTSUP no libgpiod in this build, -EPERM/-EACCES ...; *err names chip, line, cause and remedy. */
must_check int gpio_line_open(struct gpio_line **ret_l, const struct gpio_line_options *o,
                              struct errmsg *err);
struct gpio_line *gpio_line_close(struct gpio_line *l);         /* accepts NULL */
must_check int gpio_line_get(struct gpio_line *l);              /* 1 active, 0 not, negative errno */
must_check int gpio_line_set(struct gpio_line *l, bool active); /* GPIO_OUTPUT only */

struct gpio_edge {
    int64_t mono_ns;
    bool active;    /* became active */
    uint32_t seqno; /* of the line, from 1, as the kernel counts; 0: this libgpiod does not tell */
};
/* Readable when edges wait; -1 for lines without edges. */
int gpio_line_fd(const struct gpio_line *l);
/* Takes up to n edges that wait, without blocking: how many, or negative errno. The kernel's queue holds
 * GPIO_KERNEL_EDGES for each line and drops beyond: a gap in seqno says so, and where there is none, a read
 * that gives as many as the queue holds means that some may be gone. */
enum { GPIO_KERNEL_EDGES = 16 };
must_check int gpio_line_read_edges(struct gpio_line *l, struct gpio_edge *out, size_t n);

/* What there is, for people. fn is called for each line of each chip that can be opened; a line without a
 * name has name "". 0 or what fn gave; -ENOTSUP. */
struct gpio_line_info {
    const char *chip_name, *chip_label, *name, *consumer; /* borrowed until fn returns */
    unsigned number;
    bool is_output, is_used, is_active_low;
};
must_check int gpio_lines_each(int (*fn)(void *ctx, const struct gpio_line_info *line), void *ctx);

/* "libgpiod 1.6.3"; "none". */
const char *gpio_backend(void);

#endif
