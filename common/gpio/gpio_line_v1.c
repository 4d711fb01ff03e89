/* gpio_line_v1.c - GPIO lines by libgpiod 1.6, whose kernel interface counts no edges (seqno is 0).
 *
 * When its queue is full, this interface of the kernel drops the newest edges. */
#include "base/clock.h"
#include "gpio/gpio_name.h"

#include <fcntl.h>
#include <gpiod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gpio_line {
    struct gpiod_chip *chip;
    struct gpiod_line *line; /* of the chip */
    bool edges;
};

/* On the chip that is open: 0, -ENOENT or another error. */
static int find_on(struct gpiod_chip *chip, const char *name, struct gpiod_line **ret_line)
{
    unsigned number;

    if (gpio_line_number(name, &number)) {
        if (number >= gpiod_chip_num_lines(chip))
            return -ENOENT;
        *ret_line = gpiod_chip_get_line(chip, number);
    } else {
        *ret_line = gpiod_chip_find_line(chip, name);
    }
    return *ret_line != NULL ? 0 : errno != 0 ? -errno : -ENOENT;
}

static int find_at_path(struct gpio_line *l, const char *path, const char *name)
{
    l->chip = gpiod_chip_open(path);
    if (l->chip == NULL)
        return errno == ENOENT || errno == ENOTTY || errno == ENXIO ? -ENODEV : -errno;
    errno = 0;
    return find_on(l->chip, name, &l->line);
}

static int look(const struct gpio_line_options *o, const char *path)
{
    struct gpiod_chip *chip = gpiod_chip_open(path);
    struct gpiod_line *line;
    int rc = -ENODEV;

    if (chip == NULL)
        return errno == ENOENT ? -ENODEV : -errno;
    errno = 0;
    if (gpio_chip_matches(o->chip, gpiod_chip_name(chip), gpiod_chip_label(chip)))
        rc = find_on(chip, o->line, &line);
    gpiod_chip_close(chip);
    return rc;
}

/* Chip and line of a chip named by name or label, or by none. */
static int find(struct gpio_line *l, const struct gpio_line_options *o, char who[GPIO_WHO_BYTES])
{
    struct gpio_chips chips;
    const char *path;
    int rc;

    if (o->chip != NULL && strchr(o->chip, '/') != NULL)
        return find_at_path(l, o->chip, o->line);
    if (gpio_chips_list(&chips) != 0)
        return -ENOMEM;
    rc = gpio_chips_find(&chips, o, look, &path, who);
    if (rc == 0)
        rc = find_at_path(l, path, o->line);
    gpio_chips_free(&chips);
    return rc;
}

static int request(struct gpio_line *l, const struct gpio_line_options *o)
{
    static const int biases[] = {
        [GPIO_BIAS_AS_IS] = 0,
        [GPIO_BIAS_DISABLED] = GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE,
        [GPIO_BIAS_PULL_UP] = GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP,
        [GPIO_BIAS_PULL_DOWN] = GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN,
    };
    static const int types[] = {
        [GPIO_INPUT] = GPIOD_LINE_REQUEST_DIRECTION_INPUT,
        [GPIO_INPUT_EDGES] = GPIOD_LINE_REQUEST_EVENT_BOTH_EDGES,
        [GPIO_OUTPUT] = GPIOD_LINE_REQUEST_DIRECTION_OUTPUT,
    };
    struct gpiod_line_request_config config = {
        .consumer = o->consumer,
        .request_type = types[o->use],
        .flags = biases[o->bias] | (o->active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0),
    };
    int flags;

    if (gpiod_line_request(l->line, &config, o->initial) != 0)
        return -errno;
    l->edges = o->use == GPIO_INPUT_EDGES;
    if (!l->edges)
        return 0;
    flags = fcntl(gpio_line_fd(l), F_GETFL);
    return flags >= 0 && fcntl(gpio_line_fd(l), F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

int gpio_line_open(struct gpio_line **ret_l, const struct gpio_line_options *o, struct errmsg *err)
{
    int rc = gpio_line_options_check(o, err);
    char who[GPIO_WHO_BYTES] = "";
    struct gpio_line *l;

    if (rc != 0)
        return rc;
    l = calloc(1, sizeof *l);
    if (l == NULL)
        return -ENOMEM;
    rc = find(l, o, who);
    if (rc == 0)
        rc = request(l, o);
    if (rc != 0) {
        gpio_line_explain(err, rc, o, rc == -EBUSY ? gpiod_line_consumer(l->line) : who);
        gpio_line_close(l);
        return rc;
    }
    *ret_l = l;
    return 0;
}

struct gpio_line *gpio_line_close(struct gpio_line *l)
{
    if (l == NULL)
        return NULL;
    if (l->chip != NULL)
        gpiod_chip_close(l->chip); /* and its lines */
    free(l);
    return NULL;
}

int gpio_line_get(struct gpio_line *l)
{
    int level = gpiod_line_get_value(l->line);

    return level >= 0 ? level : -errno;
}

int gpio_line_set(struct gpio_line *l, bool active)
{
    return gpiod_line_set_value(l->line, active) == 0 ? 0 : -errno;
}

int gpio_line_fd(const struct gpio_line *l)
{
    return l->edges ? gpiod_line_event_get_fd(l->line) : -1;
}

int gpio_line_read_edges(struct gpio_line *l, struct gpio_edge *out, size_t n)
{
    struct gpiod_line_event events[GPIO_KERNEL_EDGES];
    int got = gpiod_line_event_read_multiple(l->line, events,
                                             (unsigned)(n < GPIO_KERNEL_EDGES ? n : GPIO_KERNEL_EDGES));

    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < got; i++)
        out[i] = (struct gpio_edge){
            .mono_ns = (int64_t)events[i].ts.tv_sec * NS_PER_S + events[i].ts.tv_nsec,
            .active = events[i].event_type == GPIOD_LINE_EVENT_RISING_EDGE,
        };
    return got;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static int each_line(struct gpiod_chip *chip, int (*fn)(void *ctx, const struct gpio_line_info *line),
                     void *ctx)
{
    int rc = 0;

    for (unsigned i = 0; i < gpiod_chip_num_lines(chip) && rc == 0; i++) {
        struct gpiod_line *line = gpiod_chip_get_line(chip, i);
        struct gpio_line_info info = {
            .chip_name = gpiod_chip_name(chip), .chip_label = gpiod_chip_label(chip), .number = i};

        if (line == NULL)
            continue;
        info.name = or_empty(gpiod_line_name(line));
        info.consumer = or_empty(gpiod_line_consumer(line));
        info.is_output = gpiod_line_direction(line) == GPIOD_LINE_DIRECTION_OUTPUT;
        info.is_used = gpiod_line_is_used(line);
        info.is_active_low = gpiod_line_active_state(line) == GPIOD_LINE_ACTIVE_STATE_LOW;
        rc = fn(ctx, &info);
    }
    return rc;
}

int gpio_lines_each(int (*fn)(void *ctx, const struct gpio_line_info *line), void *ctx)
{
    struct gpio_chips chips;
    int rc = gpio_chips_list(&chips);

    for (size_t i = 0; i < chips.n && rc == 0; i++) {
        struct gpiod_chip *chip = gpiod_chip_open(chips.path[i]);

        if (chip == NULL)
            continue;
        rc = each_line(chip, fn, ctx);
        gpiod_chip_close(chip);
    }
    gpio_chips_free(&chips);
    return rc;
}

const char *gpio_backend(void)
{
    static char text[32];

    snprintf(text, sizeof text, "libgpiod %s", gpiod_version_string());
    return text;
}
