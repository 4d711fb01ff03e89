/* gpio_line_none.c - GPIO lines without libgpiod: there are none. */
#include "gpio/gpio_name.h"

int gpio_line_open(struct gpio_line **ret_l, const struct gpio_line_options *o, struct errmsg *err)
{
    int rc = gpio_line_options_check(o, err);

    (void)ret_l;
    return rc != 0 ? rc : gpio_line_explain(err, -ENOTSUP, o, NULL);
}

struct gpio_line *gpio_line_close(struct gpio_line *l)
{
    (void)l;
    return NULL;
}

int gpio_line_get(struct gpio_line *l)
{
    (void)l;
    return -ENOTSUP;
}

int gpio_line_set(struct gpio_line *l, bool active)
{
    (void)l;
    (void)active;
    return -ENOTSUP;
}

int gpio_line_fd(const struct gpio_line *l)
{
    (void)l;
    return -1;
}

int gpio_line_read_edges(struct gpio_line *l, struct gpio_edge *out, size_t n)
{
    (void)l;
    (void)out;
    (void)n;
    return -ENOTSUP;
}

int gpio_lines_each(int (*fn)(void *ctx, const struct gpio_line_info *line), void *ctx)
{
    (void)fn;
    (void)ctx;
    return -ENOTSUP;
}

const char *gpio_backend(void)
{
    return "none";
}
