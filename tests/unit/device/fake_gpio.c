#include "fake_gpio.h"

#include "gpio/gpio_name.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The pipe holds a byte while edges wait, so that it is readable when the kernel's descriptor would be. */
struct gpio_line {
    unsigned number;
    bool has_edges, active_low;
    int fds[2]; /* reading, writing; -1 */
    struct gpio_edge queue[FAKE_GPIO_QUEUE];
    size_t n;
    uint32_t seqno;
};

static struct fake_gpio_line lines[FAKE_GPIO_LINES];
static bool numbers_edges;

void fake_gpio_init(bool numbers)
{
    memset(lines, 0, sizeof lines);
    numbers_edges = numbers;
}

struct fake_gpio_line *fake_gpio_at(unsigned number)
{
    assert(number < FAKE_GPIO_LINES);
    return &lines[number];
}

static void set_readable(struct gpio_line *l, bool was, bool is)
{
    char byte = 0;

    if (was != is && l->fds[1] >= 0)
        assert((is ? write(l->fds[1], &byte, 1) : read(l->fds[0], &byte, 1)) == 1);
}

void fake_gpio_push(unsigned number, bool active, int64_t mono_ns)
{
    struct gpio_line *l = lines[number].line;
    bool is_full;

    if (l == NULL || !l->has_edges)
        return;
    is_full = l->n == FAKE_GPIO_QUEUE;
    l->seqno++;
    if (is_full && !numbers_edges)
        return;
    if (is_full)
        memmove(l->queue, l->queue + 1, --l->n * sizeof *l->queue);
    l->queue[l->n++] = (struct gpio_edge){mono_ns, active, numbers_edges ? l->seqno : 0};
    set_readable(l, is_full || l->n > 1, true);
}

void fake_gpio_set(unsigned number, bool high, int64_t mono_ns)
{
    bool changed = lines[number].high != high;

    lines[number].high = high;
    if (changed && lines[number].line != NULL)
        fake_gpio_push(number, high != lines[number].line->active_low, mono_ns);
}

void fake_gpio_pull_out(unsigned number)
{
    lines[number].is_gone = true;
    if (lines[number].line != NULL && lines[number].line->has_edges) {
        close(lines[number].line->fds[1]);
        lines[number].line->fds[1] = -1;
    }
}

static bool find(const struct gpio_line_options *o, unsigned *ret_number)
{
    if (!gpio_line_number(o->line, ret_number) &&
        (o->line[0] != 'L' || !gpio_line_number(o->line + 1, ret_number)))
        return false;
    return *ret_number < FAKE_GPIO_LINES;
}

int gpio_line_open(struct gpio_line **ret_l, const struct gpio_line_options *o, struct errmsg *err)
{
    unsigned number;
    struct gpio_line *l;
    int rc = gpio_line_options_check(o, err);

    if (rc != 0)
        return rc;
    if (!gpio_chip_matches(o->chip, "gpiochip0", "fake"))
        return gpio_line_explain(err, -ENODEV, o, NULL);
    if (!find(o, &number))
        return gpio_line_explain(err, -ENOENT, o, NULL);
    lines[number].n_tries++;
    if (lines[number].is_gone)
        return gpio_line_explain(err, -ENODEV, o, NULL);
    if (lines[number].is_busy || lines[number].line != NULL)
        return gpio_line_explain(err, -EBUSY, o, "other");
    l = calloc(1, sizeof *l);
    assert(l != NULL);
    *l = (struct gpio_line){.number = number,
                            .has_edges = o->use == GPIO_INPUT_EDGES,
                            .active_low = o->active_low,
                            .fds = {-1, -1}};
    if (l->has_edges)
        assert(pipe(l->fds) == 0);
    lines[number].opened = *o;
    lines[number].line = *ret_l = l;
    return 0;
}

struct gpio_line *gpio_line_close(struct gpio_line *l)
{
    if (l == NULL)
        return NULL;
    for (int i = 0; i < 2; i++)
        if (l->fds[i] >= 0)
            close(l->fds[i]);
    lines[l->number].line = NULL;
    free(l);
    return NULL;
}

int gpio_line_get(struct gpio_line *l)
{
    return lines[l->number].is_gone ? -ENODEV : lines[l->number].high != l->active_low;
}

int gpio_line_set(struct gpio_line *l, bool active)
{
    lines[l->number].high = active != l->active_low;
    return 0;
}

int gpio_line_fd(const struct gpio_line *l)
{
    return l->fds[0];
}

int gpio_line_read_edges(struct gpio_line *l, struct gpio_edge *out, size_t n)
{
    bool was = l->n > 0;

    if (lines[l->number].is_gone)
        return -ENODEV;
    n = n < l->n ? n : l->n;
    memcpy(out, l->queue, n * sizeof *out);
    l->n -= n;
    memmove(l->queue, l->queue + n, l->n * sizeof *l->queue);
    set_readable(l, was, l->n > 0);
    return (int)n;
}

/* Besides the lines that are in the way of a listing: two of one name, in use, outputs, odd names. */
int gpio_lines_each(int (*fn)(void *ctx, const struct gpio_line_info *line), void *ctx)
{
    static const struct gpio_line_info odd[] = {
        {.chip_name = "gpiochip1", .chip_label = "twin", .name = "same", .consumer = "", .number = 0},
        {.chip_name = "gpiochip1", .chip_label = "twin", .name = "same", .consumer = "", .number = 1},
        {.chip_name = "gpiochip1",
         .chip_label = "twin",
         .name = "a \"b\"\n\\c",
         .consumer = "",
         .number = 2,
         .is_active_low = true},
        {.chip_name = "gpiochip1",
         .chip_label = "twin",
         .name = "KEY",
         .consumer = "GPIO Key\n- x",
         .number = 3,
         .is_used = true},
        {.chip_name = "gpiochip1",
         .chip_label = "twin",
         .name = "LED",
         .consumer = "",
         .number = 4,
         .is_output = true},
        {.chip_name = "gpiochip1", .chip_label = "twin", .name = "5", .consumer = "", .number = 5},
        {.chip_name = "gpiochip2", .chip_label = "twin", .name = "", .consumer = "", .number = 0},
        {.chip_name = "gpiochip3",
         .chip_label = "all taken",
         .name = "x",
         .consumer = "y",
         .number = 0,
         .is_used = true},
    };
    char name[16];
    int rc = 0;

    for (unsigned i = 0; i < FAKE_GPIO_LINES + 2 && rc == 0; i++) {
        snprintf(name, sizeof name, "L%u", i);
        rc = fn(
            ctx,
            &(struct gpio_line_info){
                .chip_name = "gpiochip0", .chip_label = "fake", .name = name, .consumer = "", .number = i});
    }
    for (size_t i = 0; i < sizeof odd / sizeof odd[0] && rc == 0; i++)
        rc = fn(ctx, &odd[i]);
    return rc;
}

const char *gpio_backend(void)
{
    return "fake";
}
