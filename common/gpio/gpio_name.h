/* gpio_name.h - what both backends of gpio_line.h do with names: which chips there are, which is meant, and
 * the sentences for what went wrong.
 *
 * No hidden state; any thread. Allocates where it says so. */
#ifndef FOGLINE_GPIO_GPIO_NAME_H
#define FOGLINE_GPIO_GPIO_NAME_H

#include "gpio/gpio_line.h"

/* The paths /dev/gpiochip*, in the order of their numbers; of several for one chip (links) the first. */
struct gpio_chips {
    char **path; /* owned, as are the texts */
    size_t n;
};
/* None at all is no error: n is 0. 0 or -ENOMEM. */
must_check int gpio_chips_list(struct gpio_chips *ret_chips);
void gpio_chips_free(struct gpio_chips *chips); /* accepts zero; leaves zero */

/* Is the chip with this name and label the one that is asked for? A path does not go through here. */
bool gpio_chip_matches(const char *asked, const char *name, const char *label);
/* Which of the chips is meant by o->chip (a name, a label, or none: all are) and has o->line. `look` opens
 * one: 0 it is meant and has it, -ENOENT it is meant and has none, -ENODEV it is another, else why it cannot
 * be opened. 0 with *ret_path (borrowed from chips); -ENOTUNIQ: two have it, who gets their paths; -ENOENT,
 * -ENODEV, or what stood in the way of looking. */
enum { GPIO_WHO_BYTES = 128 };
must_check int gpio_chips_find(const struct gpio_chips *chips, const struct gpio_line_options *o,
                               int (*look)(const struct gpio_line_options *o, const char *path),
                               const char **ret_path, char who[GPIO_WHO_BYTES]);
/* A number in decimal and nothing else. */
bool gpio_line_number(const char *line, unsigned *ret_number);
/* -EINVAL with *err for options that no chip can make sense of: no line, or a number without a chip. */
must_check int gpio_line_options_check(const struct gpio_line_options *o, struct errmsg *err);

/* NULL, or what this build lacks and the remedy. */
const char *gpio_lacks(void);

/* Fills *err for the code of gpio_line_open and returns it. who: has the line, for -EBUSY; the two chips, for
 * -ENOTUNIQ; NULL: unknown. */
int gpio_line_explain(struct errmsg *err, int code, const struct gpio_line_options *o, const char *who);

#endif
