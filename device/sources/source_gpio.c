/* source_gpio.c - inputs of GPIO chips: levels at an interval, and edges as they come.
 *
 * Lines of mode `level` are read on ticks, in one row. Each line of mode `edges` is a group of its own
 * (level, count, rate, width), with a row for each edge that counts, stamped with the time of that edge, and
 * one for each tick. The one descriptor is an epoll set of the lines with edges and of a timer for what falls
 * due between ticks: the end of a burst, another attempt at a line that failed. What a line makes of its
 * edges: gpio/edges.h; how it fails and comes back: gpio/gpio_watch.h. */
#include "device/sources/source_gpio.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "device/gpio/gpio_watch.h"
#include "gpio/gpio_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

enum { LINES_MAX = SOURCE_GPIO_LINES_MAX, TIMER = LINES_MAX };

enum mode { MODE_LEVEL, MODE_EDGES };

struct line_config {
    char chip[128], line[64], name[SOURCE_NAME_BYTES];
    int mode, bias, count;
    bool active_low;
    int64_t debounce_ms;
};

struct gpio_config {
    struct source_config common;
    int64_t interval_ms;
    struct config_list lines;
};

struct gpio {
    int64_t interval_ns, tick;
    int epoll_fd, timer_fd;
    int64_t timer_ns; /* what the timer is set to; INT64_MAX: nothing */
    uint32_t n, n_levels, level_group;
    struct line_config configs[LINES_MAX];
    struct gpio_watch watches[LINES_MAX];
    bool readable[LINES_MAX], hung[LINES_MAX];
};

static const char *const modes[] = {"level", "edges", NULL};
static const char *const biases[] = {"as_is", "disabled", "pull_up", "pull_down", NULL};
static const char *const counts[] = {"active", "inactive", "both", NULL};

/* Of a line with edges, behind its name; the level has none. */
static const struct source_channel cells[GPIO_CELLS] = {
    [GPIO_CELL_LEVEL] = {"", "", COLUMN_BOOL},
    [GPIO_CELL_COUNT] = {".count", "", COLUMN_INT64},
    [GPIO_CELL_RATE] = {".rate", "Hz", COLUMN_DOUBLE},
    [GPIO_CELL_WIDTH] = {".width", "s", COLUMN_DOUBLE},
};

#define LINE(member) CONFIG_AT(struct line_config, member)

static const struct config_row line_rows[] = {
    {"chip", CONFIG_STRING, LINE(chip),
     .help = "Path, name (gpiochip0) or label of the chip; empty: the one that has a line of this name."},
    {"line", CONFIG_STRING, LINE(line), .min = "1", .required = true,
     .help = "Name of the line, or its number on the chip. `devicectl probe` and gpioinfo list them."},
    {"name", CONFIG_NAME, LINE(name), .required = true,
     .help = "Channel of the level; count, rate and width of edges are NAME.count, NAME.rate, NAME.width."},
    {"mode", CONFIG_ENUM, LINE(mode), .choices = modes, .def = "level",
     .help = "level: read every interval_ms; edges: each is seen, counted and stamped by the kernel."},
    {"active_low", CONFIG_BOOL, LINE(active_low), .def = "false",
     .help = "The line is active (true) when its voltage is low."},
    {"bias", CONFIG_ENUM, LINE(bias), .choices = biases, .def = "as_is",
     .help = "What the chip connects to the line, where it can: nothing, a pull-up or a pull-down resistor."},
    {"debounce_ms", CONFIG_MS, LINE(debounce_ms), .max = "10 s", .def = "0",
     .help = "An edge counts when the level has stayed for so long. Its time is that of the first edge."},
    {"count", CONFIG_ENUM, LINE(count), .choices = counts, .def = "active",
     .help = "Which edges count and make the rate: those to active, to inactive, or both."},
    {0},
};

static const struct config_kind line_kinds[] = {
    {.rows = line_rows, .size = sizeof(struct line_config), .help = "Lines of GPIO chips."},
    {0},
};

static const struct config_row rows[] = {
    {"interval_ms", CONFIG_MS, CONFIG_AT(struct gpio_config, interval_ms), .min = "1 ms", .max = "1 h",
     .def = "1 s", .help = "Time between two rows; edges have rows of their own besides."},
    {"lines", CONFIG_LIST, CONFIG_AT(struct gpio_config, lines), .kinds = line_kinds, .unique = "name",
     .min = "1", .max = "64", .required = true, .help = "What is read."},
    {0},
};

/* ---- configuration ---- */

static bool is_derived_of(const struct line_config *line, const char *name)
{
    size_t len = strlen(line->name);

    for (unsigned i = GPIO_CELL_COUNT; i < GPIO_CELLS && line->mode == MODE_EDGES; i++)
        if (strncmp(name, line->name, len) == 0 && strcmp(name + len, cells[i].name) == 0)
            return true;
    return false;
}

static void check_line(const struct gpio_config *config, size_t no, const char *at, struct config_check *c)
{
    const struct line_config *line = config->lines.at[no].value;
    struct gpio_line_options o = {.chip = line->chip, .line = line->line};
    char field[CONFIG_FIELD_CHARS];
    struct errmsg err;

    if (gpio_line_options_check(&o, &err) != 0) {
        snprintf(field, sizeof field, "%s.lines[%zu].line", at, no);
        config_complain(c, field, NULL, "%s", err.text);
    }
    snprintf(field, sizeof field, "%s.lines[%zu].debounce_ms", at, no);
    if (line->debounce_ms > 0 && line->mode != MODE_EDGES)
        config_complain(c, field, "Set mode: edges, or leave it out.", "only edges are debounced");
    else if (line->debounce_ms > config->interval_ms)
        config_complain(c, field, "Make it shorter, or interval_ms longer.", "longer than interval_ms");
    snprintf(field, sizeof field, "%s.lines[%zu].name", at, no);
    if (line->mode == MODE_EDGES && strlen(line->name) + strlen(".count") > NAME_PART_CHARS)
        config_complain(c, field, "Choose a shorter one.", "at most %zu characters for a line with edges",
                        NAME_PART_CHARS - strlen(".count"));
    for (size_t i = 0; i < config->lines.n; i++) {
        const struct line_config *other = config->lines.at[i].value;

        if (is_derived_of(other, line->name))
            config_complain(c, field, "Choose another.", "is a channel of line %s already", other->name);
        if (i < no && strcmp(line->chip, other->chip) == 0 && strcmp(line->line, other->line) == 0) {
            snprintf(field, sizeof field, "%s.lines[%zu].line", at, no);
            config_complain(c, field, "A line is read once: take one of the two away.", "named twice");
        }
    }
}

static void gpio_check(const void *values, const char *field, struct config_check *c)
{
    const struct gpio_config *config = values;
    char at[CONFIG_FIELD_CHARS];

    snprintf(at, sizeof at, "%s.type", field);
    if (gpio_lacks() != NULL)
        config_complain(c, at, NULL, "%s", gpio_lacks());
    for (size_t i = 0; i < config->lines.n; i++)
        check_line(config, i, field, c);
}

/* ---- life ---- */

static void gpio_close(void *self)
{
    struct gpio *g = self;

    for (uint32_t i = 0; i < g->n; i++)
        gpio_watch_close(&g->watches[i]);
    close_fd(&g->timer_fd);
    close_fd(&g->epoll_fd);
    free(g);
}

static int make_descriptor(struct gpio *g)
{
    struct epoll_event interest = {.events = EPOLLIN, .data.u32 = TIMER};

    g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    g->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (g->epoll_fd < 0 || g->timer_fd < 0)
        return -errno;
    return epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, g->timer_fd, &interest) == 0 ? 0 : -errno;
}

static int add_line(struct gpio *g, const struct line_config *config, struct errmsg *err)
{
    struct gpio_watch *w = &g->watches[g->n];
    struct line_config *own = &g->configs[g->n];

    *own = *config;
    w->config = (struct gpio_watch_config){
        .name = own->name,
        .chip = own->chip,
        .line = own->line,
        .edges = own->mode == MODE_EDGES,
        .active_low = own->active_low,
        .bias = (enum gpio_bias)own->bias,
        .counted = (enum edges_counted)own->count,
        .debounce_ns = own->debounce_ms * NS_PER_MS,
    };
    w->epoll_fd = g->epoll_fd;
    w->no = g->n++;
    g->n_levels += !w->config.edges;
    return gpio_watch_open(w, err);
}

static int gpio_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    const struct gpio_config *config = o->config;
    struct gpio *g = calloc(1, sizeof *g);
    int rc;

    if (g == NULL)
        return -ENOMEM;
    g->interval_ns = config->interval_ms * NS_PER_MS;
    g->tick = -1;
    g->epoll_fd = g->timer_fd = -1;
    g->timer_ns = INT64_MAX;
    rc = make_descriptor(g);
    if (rc != 0)
        errmsg_set(err, rc, "source %s: no descriptor: %s", o->name, strerror(-rc));
    for (size_t i = 0; i < config->lines.n && i < LINES_MAX && rc == 0; i++)
        rc = add_line(g, config->lines.at[i].value, err);
    if (rc != 0) {
        gpio_close(g);
        return rc;
    }
    *ret_self = g;
    return 0;
}

static int declare_edges(struct gpio_watch *w, const struct source_sink *sink)
{
    char names[GPIO_CELLS][SOURCE_NAME_BYTES];
    struct source_channel channels[GPIO_CELLS];
    struct source_group group = {channels, GPIO_CELLS};

    for (unsigned i = 0; i < GPIO_CELLS; i++) {
        snprintf(names[i], sizeof names[i], "%s%s", w->config.name, cells[i].name);
        channels[i] = (struct source_channel){names[i], cells[i].unit, cells[i].type};
    }
    return sink->group(sink->ctx, &group, &w->group);
}

static int gpio_declare(void *self, const struct source_sink *sink)
{
    struct gpio *g = self;
    struct source_channel channels[LINES_MAX];
    struct source_group group = {channels, 0};
    int rc = 0;

    for (uint32_t i = 0; i < g->n; i++)
        if (!g->watches[i].config.edges)
            channels[group.n_channels++] =
                (struct source_channel){g->watches[i].config.name, "", COLUMN_BOOL};
    if (group.n_channels > 0)
        rc = sink->group(sink->ctx, &group, &g->level_group);
    for (uint32_t i = 0; i < g->n && rc == 0; i++)
        if (g->watches[i].config.edges)
            rc = declare_edges(&g->watches[i], sink);
    return rc;
}

/* ---- step ---- */

static void look_who_is_readable(struct gpio *g)
{
    struct epoll_event events[LINES_MAX + 1];
    int n = epoll_wait(g->epoll_fd, events, LINES_MAX + 1, 0);

    memset(g->readable, 0, sizeof g->readable);
    memset(g->hung, 0, sizeof g->hung);
    for (int i = 0; i < n; i++)
        if (events[i].data.u32 != TIMER) {
            g->readable[events[i].data.u32] = true;
            g->hung[events[i].data.u32] = (events[i].events & (EPOLLHUP | EPOLLERR)) != 0;
        }
}

static int give_levels(struct gpio *g, const struct source_sink *sink, const struct source_now *now)
{
    struct cell levels[LINES_MAX];
    struct source_row row = {.group = g->level_group,
                             .time_ns = now->wall_unix_ns,
                             .mono_ns = (uint64_t)now->mono_ns,
                             .cells = levels,
                             .n_cells = 0};
    int rc;

    for (uint32_t i = 0; i < g->n; i++)
        if (!g->watches[i].config.edges)
            levels[row.n_cells++] = gpio_watch_level(&g->watches[i], now);
    if (row.n_cells == 0)
        return 0;
    rc = sink->row(sink->ctx, &row);
    return rc < 0 ? rc : 0;
}

static int step_line(struct gpio *g, uint32_t i, const struct source_sink *sink, const struct source_now *now,
                     bool tick)
{
    struct gpio_watch *w = &g->watches[i];
    int rc = gpio_watch_wake(w, now), rc_time;

    if (!w->config.edges)
        return rc;
    if (rc == 0 && g->readable[i])
        rc = gpio_watch_edges(w, sink, now, g->hung[i]);
    rc_time = gpio_watch_time(w, sink, now, tick);
    return rc != 0 ? rc : rc_time;
}

/* Setting it also takes back that it is readable. */
static int set_timer(struct gpio *g)
{
    struct itimerspec at = {0};
    int64_t due_ns = INT64_MAX;

    for (uint32_t i = 0; i < g->n; i++)
        if (gpio_watch_due_ns(&g->watches[i]) < due_ns)
            due_ns = gpio_watch_due_ns(&g->watches[i]);
    if (due_ns == INT64_MAX && g->timer_ns == INT64_MAX)
        return 0;
    g->timer_ns = due_ns;
    if (due_ns != INT64_MAX)
        at.it_value = (struct timespec){due_ns / NS_PER_S, due_ns % NS_PER_S};
    return timerfd_settime(g->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0 ? 0 : -errno;
}

static int gpio_step(void *self, const struct source_sink *sink, const struct source_now *now,
                     int64_t *ret_next_ns)
{
    struct gpio *g = self;
    int64_t tick = now->mono_ns / g->interval_ns;
    bool is_tick = tick != g->tick;
    int rc = 0, rc_line;

    (void)ret_next_ns;
    g->tick = tick;
    look_who_is_readable(g);
    for (uint32_t i = 0; i < g->n; i++) {
        rc_line = step_line(g, i, sink, now, is_tick);
        rc = rc != 0 ? rc : rc_line;
    }
    if (is_tick) {
        rc_line = give_levels(g, sink, now);
        rc = rc != 0 ? rc : rc_line;
    }
    for (uint32_t i = 0; i < g->n; i++)
        gpio_watch_tell(&g->watches[i], sink, now);
    rc_line = set_timer(g);
    return rc != 0 ? rc : rc_line;
}

static int64_t gpio_interval_ms(const void *self)
{
    const struct gpio *g = self;

    return g->interval_ns / NS_PER_MS;
}

static int gpio_fd(const void *self)
{
    const struct gpio *g = self;

    return g->epoll_fd;
}

const struct source_kind source_gpio = {
    .name = "gpio",
    .help = "Inputs of GPIO chips: levels; edges with debounce, count, rate and pulse width.",
    .rows = rows,
    .config_bytes = sizeof(struct gpio_config),
    .check = gpio_check,
    .open = gpio_open,
    .close = gpio_close,
    .declare = gpio_declare,
    .interval_ms = gpio_interval_ms,
    .step = gpio_step,
    .fd = gpio_fd,
};
