/* fake_gpio.h - gpio_line.h without a chip: lines whose levels the test sets, behind queues like the
 * kernel's.
 *
 * One chip, gpiochip0 with label "fake", and lines L0, L1, ... Linked before the library, it takes the place
 * of its backend. File-level state; one thread. */
#ifndef FOGLINE_TESTS_DEVICE_FAKE_GPIO_H
#define FOGLINE_TESTS_DEVICE_FAKE_GPIO_H

#include "gpio/gpio_line.h"

enum { FAKE_GPIO_LINES = 64, FAKE_GPIO_QUEUE = GPIO_KERNEL_EDGES };

struct fake_gpio_line {
    bool high;                       /* the voltage */
    bool is_gone, is_busy;           /* the next openings fail */
    unsigned n_tries;                /* of opening it */
    struct gpio_line_options opened; /* how it was opened last; texts are not kept */
    struct gpio_line *line;          /* NULL: nobody has it */
};

/* numbers_edges: as libgpiod 2.x does, whose kernel interface drops the oldest edges; else the newest. */
void fake_gpio_init(bool numbers_edges);
struct fake_gpio_line *fake_gpio_at(unsigned number);
/* The voltage changes (or not), and there is an edge if it does. */
void fake_gpio_set(unsigned number, bool high, int64_t mono_ns);
/* An edge that says so, whatever the voltage is. */
void fake_gpio_push(unsigned number, bool active, int64_t mono_ns);
/* The chip is pulled out: readers are hung up on. */
void fake_gpio_pull_out(unsigned number);

#endif
