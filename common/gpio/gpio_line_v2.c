/* gpio_line_v2.c - GPIO lines by libgpiod 2.x, whose kernel interface numbers the edges of a line.
 *
 * When its queue is full, this interface of the kernel drops the oldest edges, and the numbers show a gap. */
#include "base/cleanup.h"
#include "gpio/gpio_name.h"

#include <fcntl.h>
#include <gpiod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gpio_line {
    struct gpiod_line_request *request;
    struct gpiod_edge_event_buffer *events; /* NULL: no edges */
    unsigned offset;
};

/* For owned(). */
static void close_chip(struct gpiod_chip **chip)
{
    if (*chip != NULL)
        gpiod_chip_close(*chip);
}

static void free_chip_info(struct gpiod_chip_info **info)
{
    if (*info != NULL)
        gpiod_chip_info_free(*info);
}

static void free_line_info(struct gpiod_line_info **info)
{
    if (*info != NULL)
        gpiod_line_info_free(*info);
}

static void free_settings(struct gpiod_line_settings **settings)
{
    if (*settings != NULL)
        gpiod_line_settings_free(*settings);
}

static void free_line_config(struct gpiod_line_config **config)
{
    if (*config != NULL)
        gpiod_line_config_free(*config);
}

static void free_request_config(struct gpiod_request_config **config)
{
    if (*config != NULL)
        gpiod_request_config_free(*config);
}

/* On the chip that is open: 0, -ENOENT or another error. */
static int find_on(struct gpiod_chip *chip, const char *name, unsigned *ret_offset)
{
    owned(free_chip_info) struct gpiod_chip_info *info = gpiod_chip_get_info(chip);
    int offset;

    if (info == NULL)
        return -errno;
    if (gpio_line_number(name, ret_offset))
        return *ret_offset < gpiod_chip_info_get_num_lines(info) ? 0 : -ENOENT;
    offset = gpiod_chip_get_line_offset_from_name(chip, name);
    if (offset < 0)
        return -errno;
    *ret_offset = (unsigned)offset;
    return 0;
}

static int find_at_path(struct gpiod_chip **ret_chip, const char *path, const char *name,
                        unsigned *ret_offset)
{
    *ret_chip = gpiod_chip_open(path);
    if (*ret_chip == NULL)
        return errno == ENOENT || errno == ENOTTY || errno == ENXIO ? -ENODEV : -errno;
    return find_on(*ret_chip, name, ret_offset);
}

static bool chip_matches(struct gpiod_chip *chip, const char *asked)
{
    owned(free_chip_info) struct gpiod_chip_info *info = gpiod_chip_get_info(chip);

    return info != NULL &&
           gpio_chip_matches(asked, gpiod_chip_info_get_name(info), gpiod_chip_info_get_label(info));
}

static int look(const struct gpio_line_options *o, const char *path)
{
    owned(close_chip) struct gpiod_chip *chip = gpiod_chip_open(path);
    unsigned offset;

    if (chip == NULL)
        return errno == ENOENT ? -ENODEV : -errno;
    return chip_matches(chip, o->chip) ? find_on(chip, o->line, &offset) : -ENODEV;
}

/* Chip (to be closed, whatever is returned) and line of a chip named by name or label, or by none. */
static int find(struct gpiod_chip **ret_chip, const struct gpio_line_options *o, unsigned *ret_offset,
                char who[GPIO_WHO_BYTES])
{
    struct gpio_chips chips;
    const char *path;
    int rc;

    if (o->chip != NULL && strchr(o->chip, '/') != NULL)
        return find_at_path(ret_chip, o->chip, o->line, ret_offset);
    if (gpio_chips_list(&chips) != 0)
        return -ENOMEM;
    rc = gpio_chips_find(&chips, o, look, &path, who);
    if (rc == 0)
        rc = find_at_path(ret_chip, path, o->line, ret_offset);
    gpio_chips_free(&chips);
    return rc;
}

static int set_up(struct gpiod_line_settings *settings, const struct gpio_line_options *o)
{
    static const enum gpiod_line_bias biases[] = {
        [GPIO_BIAS_AS_IS] = GPIOD_LINE_BIAS_AS_IS,
        [GPIO_BIAS_DISABLED] = GPIOD_LINE_BIAS_DISABLED,
        [GPIO_BIAS_PULL_UP] = GPIOD_LINE_BIAS_PULL_UP,
        [GPIO_BIAS_PULL_DOWN] = GPIOD_LINE_BIAS_PULL_DOWN,
    };
    int rc = gpiod_line_settings_set_direction(settings, o->use == GPIO_OUTPUT ? GPIOD_LINE_DIRECTION_OUTPUT
                                                                               : GPIOD_LINE_DIRECTION_INPUT);

    if (rc == 0)
        rc = gpiod_line_settings_set_bias(settings, biases[o->bias]);
    if (rc == 0 && o->use == GPIO_INPUT_EDGES)
        rc = gpiod_line_settings_set_edge_detection(settings, GPIOD_LINE_EDGE_BOTH);
    if (rc == 0 && o->use == GPIO_OUTPUT)
        rc = gpiod_line_settings_set_output_value(settings, o->initial ? GPIOD_LINE_VALUE_ACTIVE
                                                                       : GPIOD_LINE_VALUE_INACTIVE);
    gpiod_line_settings_set_active_low(settings, o->active_low);
    return rc == 0 ? 0 : -errno;
}

static int request(struct gpio_line *l, struct gpiod_chip *chip, const struct gpio_line_options *o)
{
    owned(free_settings) struct gpiod_line_settings *settings = gpiod_line_settings_new();
    owned(free_line_config) struct gpiod_line_config *lines = gpiod_line_config_new();
    owned(free_request_config) struct gpiod_request_config *config = gpiod_request_config_new();
    int rc, flags;

    if (settings == NULL || lines == NULL || config == NULL)
        return -ENOMEM;
    rc = set_up(settings, o);
    if (rc != 0)
        return rc;
    if (gpiod_line_config_add_line_settings(lines, &l->offset, 1, settings) != 0)
        return -errno;
    gpiod_request_config_set_consumer(config, o->consumer);
    gpiod_request_config_set_event_buffer_size(config, GPIO_KERNEL_EDGES);
    l->request = gpiod_chip_request_lines(chip, config, lines);
    if (l->request == NULL)
        return -errno;
    if (o->use != GPIO_INPUT_EDGES)
        return 0;
    l->events = gpiod_edge_event_buffer_new(GPIO_KERNEL_EDGES);
    if (l->events == NULL)
        return -ENOMEM;
    flags = fcntl(gpio_line_fd(l), F_GETFL);
    return flags >= 0 && fcntl(gpio_line_fd(l), F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

/* Says who has the line. */
static int explain_busy(struct errmsg *err, struct gpiod_chip *chip, const struct gpio_line *l,
                        const struct gpio_line_options *o)
{
    owned(free_line_info) struct gpiod_line_info *info = gpiod_chip_get_line_info(chip, l->offset);

    return gpio_line_explain(err, -EBUSY, o, info != NULL ? gpiod_line_info_get_consumer(info) : NULL);
}

int gpio_line_open(struct gpio_line **ret_l, const struct gpio_line_options *o, struct errmsg *err)
{
    owned(close_chip) struct gpiod_chip *chip = NULL; /* not needed by its lines */
    int rc = gpio_line_options_check(o, err);
    char who[GPIO_WHO_BYTES] = "";
    struct gpio_line *l;

    if (rc != 0)
        return rc;
    l = calloc(1, sizeof *l);
    if (l == NULL)
        return -ENOMEM;
    rc = find(&chip, o, &l->offset, who);
    if (rc == 0)
        rc = request(l, chip, o);
    if (rc != 0) {
        rc = rc == -EBUSY ? explain_busy(err, chip, l, o) : gpio_line_explain(err, rc, o, who);
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
    if (l->events != NULL)
        gpiod_edge_event_buffer_free(l->events);
    if (l->request != NULL)
        gpiod_line_request_release(l->request);
    free(l);
    return NULL;
}

int gpio_line_get(struct gpio_line *l)
{
    enum gpiod_line_value level = gpiod_line_request_get_value(l->request, l->offset);

    return level == GPIOD_LINE_VALUE_ERROR ? -errno : level == GPIOD_LINE_VALUE_ACTIVE;
}

int gpio_line_set(struct gpio_line *l, bool active)
{
    return gpiod_line_request_set_value(l->request, l->offset,
                                        active ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE) == 0
               ? 0
               : -errno;
}

int gpio_line_fd(const struct gpio_line *l)
{
    return l->events != NULL ? gpiod_line_request_get_fd(l->request) : -1;
}

int gpio_line_read_edges(struct gpio_line *l, struct gpio_edge *out, size_t n)
{
    int got = gpiod_line_request_read_edge_events(l->request, l->events,
                                                  n < GPIO_KERNEL_EDGES ? n : GPIO_KERNEL_EDGES);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < got; i++) {
        struct gpiod_edge_event *event = gpiod_edge_event_buffer_get_event(l->events, (unsigned long)i);

        out[i] = (struct gpio_edge){
            .mono_ns = (int64_t)gpiod_edge_event_get_timestamp_ns(event),
            .active = gpiod_edge_event_get_event_type(event) == GPIOD_EDGE_EVENT_RISING_EDGE,
            .seqno = (uint32_t)gpiod_edge_event_get_line_seqno(event),
        };
    }
    return got;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static int each_line(struct gpiod_chip *chip, int (*fn)(void *ctx, const struct gpio_line_info *line),
                     void *ctx)
{
    owned(free_chip_info) struct gpiod_chip_info *of_chip = gpiod_chip_get_info(chip);
    size_t n = of_chip != NULL ? gpiod_chip_info_get_num_lines(of_chip) : 0;
    int rc = 0;

    for (unsigned i = 0; i < n && rc == 0; i++) {
        owned(free_line_info) struct gpiod_line_info *line = gpiod_chip_get_line_info(chip, i);
        struct gpio_line_info info = {.chip_name = gpiod_chip_info_get_name(of_chip),
                                      .chip_label = gpiod_chip_info_get_label(of_chip),
                                      .number = i};

        if (line == NULL)
            continue;
        info.name = or_empty(gpiod_line_info_get_name(line));
        info.consumer = or_empty(gpiod_line_info_get_consumer(line));
        info.is_output = gpiod_line_info_get_direction(line) == GPIOD_LINE_DIRECTION_OUTPUT;
        info.is_used = gpiod_line_info_is_used(line);
        info.is_active_low = gpiod_line_info_is_active_low(line);
        rc = fn(ctx, &info);
    }
    return rc;
}

int gpio_lines_each(int (*fn)(void *ctx, const struct gpio_line_info *line), void *ctx)
{
    struct gpio_chips chips;
    int rc = gpio_chips_list(&chips);

    for (size_t i = 0; i < chips.n && rc == 0; i++) {
        owned(close_chip) struct gpiod_chip *chip = gpiod_chip_open(chips.path[i]);

        if (chip != NULL)
            rc = each_line(chip, fn, ctx);
    }
    gpio_chips_free(&chips);
    return rc;
}

const char *gpio_backend(void)
{
    static char text[32];

    snprintf(text, sizeof text, "libgpiod %s", gpiod_api_version());
    return text;
}
