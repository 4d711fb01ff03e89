/* gpio_watch.h - one input line at run time: its edges into rows, its losses and failures into events.
 *
 * Reads a line of gpio_line.h into the core of edges.h. A line that fails is closed and opened again with
 * backoff, GPIO_RETRY_MIN_MS at first, GPIO_RETRY_MAX_MS at most. Edges that were lost make the next values
 * uncertain, up to and including the next row of a tick, and one event for as long as that goes on. Threads:
 * gpio_watch_open and gpio_watch_close on the main thread, the others on the act thread. Only the opening of
 * a line that failed allocates there. */
#ifndef FOGLINE_DEVICE_GPIO_GPIO_WATCH_H
#define FOGLINE_DEVICE_GPIO_GPIO_WATCH_H

#include "device/gpio/edges.h"
#include "device/source.h"

enum {
    GPIO_RETRY_MIN_MS = 1000,
    GPIO_RETRY_MAX_MS = 60 * 1000,
    GPIO_LOSS_QUIET_MS = 60 * 1000, /* a loss so long after the one before has an event of its own */
    GPIO_READS_A_STEP = 64,         /* of a line with edges: others want their turn */
};

/* Of a line that counts edges, in this order in its group. */
enum { GPIO_CELL_LEVEL, GPIO_CELL_COUNT, GPIO_CELL_RATE, GPIO_CELL_WIDTH, GPIO_CELLS };

struct gpio_watch_config {
    const char *name; /* of the level's channel */
    const char *chip, *line;
    bool edges, active_low;
    enum gpio_bias bias;
    enum edges_counted counted;
    int64_t debounce_ns;
};

/* Private but for `group` and `edges`. */
struct gpio_watch {
    struct gpio_watch_config config; /* texts are borrowed */
    int epoll_fd;                    /* borrowed */
    uint32_t no;                     /* data of its entry in epoll_fd */
    uint32_t group;
    struct gpio_line *line; /* NULL: it failed */
    struct edges edges;
    bool fresh;       /* just opened: the level is not read yet */
    bool is_known;    /* a level was read once */
    bool level;       /* of a line without edges: the last that was read */
    bool uncertain;   /* the next values */
    bool tick_waits;  /* a row for a tick is due, and waits for the end of a burst */
    bool was_unequal; /* at the last tick the line was not at the level its edges led to */
    uint32_t seqno;   /* of the last edge that was read */
    uint64_t repeats, n_read, n_read_before; /* edges; before: at the last tick */
    bool has_lost;
    int64_t lost_ns; /* the last loss */
    int64_t opened_ns, retry_ns, backoff_ms;
    struct {
        uint32_t type, severity; /* type 0: nothing to say */
        char text[200];
    } event;
};

/* 0, also when the line is not to be had for now (in use), which is told and tried again; negative errno with
 * *err for what will not change by itself: no such chip or line, not allowed. */
must_check int gpio_watch_open(struct gpio_watch *w, struct errmsg *err);
void gpio_watch_close(struct gpio_watch *w); /* accepts zero */

/* Call in this order in each step: edges that wait (readable: epoll says there is something; hung: nothing
 * more will come), time. Rows go to the sink. 0 or a negative errno of the sink. */
must_check int gpio_watch_wake(struct gpio_watch *w, const struct source_now *now);
must_check int gpio_watch_edges(struct gpio_watch *w, const struct source_sink *sink,
                                const struct source_now *now, bool hung);
must_check int gpio_watch_time(struct gpio_watch *w, const struct source_sink *sink,
                               const struct source_now *now, bool tick);
/* A line without edges, at a tick: its level as a cell. */
struct cell gpio_watch_level(struct gpio_watch *w, const struct source_now *now);
/* What happened and was not told yet. */
void gpio_watch_tell(struct gpio_watch *w, const struct source_sink *sink, const struct source_now *now);
/* When it wants a step, monotonic; INT64_MAX: on an edge or a tick only. */
int64_t gpio_watch_due_ns(const struct gpio_watch *w);

#endif
