#include "device/gpio/gpio_watch.h"

#include "base/clock.h"
#include "wire/wire.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

enum { EDGES_A_READ = GPIO_KERNEL_EDGES };

static __attribute__((format(printf, 4, 5))) void remember(struct gpio_watch *w, uint32_t type,
                                                           uint32_t severity, const char *fmt, ...)
{
    va_list ap;

    w->event.type = type;
    w->event.severity = severity;
    va_start(ap, fmt);
    vsnprintf(w->event.text, sizeof w->event.text, fmt, ap);
    va_end(ap);
}

/* ---- opening, failing ---- */

static void let_go(struct gpio_watch *w)
{
    if (w->line != NULL && w->config.edges)
        epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, gpio_line_fd(w->line), NULL);
    w->line = gpio_line_close(w->line);
}

static int take_hold(struct gpio_watch *w, struct errmsg *err)
{
    struct gpio_line_options o = {
        .chip = w->config.chip,
        .line = w->config.line,
        .consumer = "fogline",
        .use = w->config.edges ? GPIO_INPUT_EDGES : GPIO_INPUT,
        .bias = w->config.bias,
        .active_low = w->config.active_low,
    };
    struct epoll_event interest = {.events = EPOLLIN, .data.u32 = w->no};
    int rc = gpio_line_open(&w->line, &o, err);

    if (rc != 0)
        return rc;
    w->fresh = true;
    w->was_unequal = false;
    w->seqno = 0; /* numbers begin at 1 */
    if (!w->config.edges || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, gpio_line_fd(w->line), &interest) == 0)
        return 0;
    rc = -errno;
    w->line = gpio_line_close(w->line);
    return errmsg_set(err, rc, "GPIO line %s: its edges cannot be waited for: %s", o.line, strerror(-rc));
}

int gpio_watch_open(struct gpio_watch *w, struct errmsg *err)
{
    struct errmsg why = {""};
    int rc;

    edges_init(&w->edges, w->config.debounce_ns, w->config.counted);
    w->backoff_ms = GPIO_RETRY_MIN_MS;
    rc = take_hold(w, &why);
    if (rc != -EBUSY)
        return rc == 0 ? 0 : errmsg_set(err, rc, "%s", why.text);
    remember(w, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, 2, "%s", why.text);
    return 0;
}

void gpio_watch_close(struct gpio_watch *w)
{
    let_go(w);
}

static void fail(struct gpio_watch *w, int error, const struct source_now *now)
{
    let_go(w);
    w->tick_waits = w->uncertain = false;
    /* One that fails right after each opening is not told off every second. */
    if (now->mono_ns - w->opened_ns > GPIO_RETRY_MAX_MS * NS_PER_MS)
        w->backoff_ms = GPIO_RETRY_MIN_MS;
    w->retry_ns = now->mono_ns + w->backoff_ms * NS_PER_MS;
    remember(w, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, 2,
             "GPIO line %s cannot be read: %s; it is tried again", w->config.line, strerror(-error));
}

static void try_again(struct gpio_watch *w, const struct source_now *now)
{
    struct errmsg ignored;

    w->backoff_ms = 2 * w->backoff_ms < GPIO_RETRY_MAX_MS ? 2 * w->backoff_ms : GPIO_RETRY_MAX_MS;
    w->retry_ns = now->mono_ns + w->backoff_ms * NS_PER_MS;
    if (take_hold(w, &ignored) != 0)
        return;
    w->opened_ns = now->mono_ns;
    w->uncertain = w->config.edges;
    remember(w, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED, 0, "GPIO line %s can be read again",
             w->config.line);
}

/* ---- rows ---- */

static int give(struct gpio_watch *w, const struct source_sink *sink, const struct source_now *now,
                int64_t at_ns)
{
    bool bad = w->line == NULL;
    uint8_t quality = bad ? QUALITY_BAD : w->uncertain ? QUALITY_UNCERTAIN : QUALITY_GOOD;
    struct cell cells[GPIO_CELLS] = {
        [GPIO_CELL_LEVEL] = {.absent = !w->is_known, .i64 = w->edges.level},
        [GPIO_CELL_COUNT] = {.absent = !w->is_known, .i64 = w->edges.count},
        [GPIO_CELL_RATE] = {.f64 = bad ? NAN : edges_rate(&w->edges, at_ns)},
        [GPIO_CELL_WIDTH] = {.absent = !bad && isnan(w->edges.width_s), .f64 = bad ? NAN : w->edges.width_s},
    };
    struct source_row row = {.group = w->group,
                             .time_ns = now->wall_unix_ns - (now->mono_ns - at_ns),
                             /* Not of a debounced edge: what it is was not known before now. */
                             .mono_ns = (uint64_t)(w->config.debounce_ns == 0 ? at_ns : now->mono_ns),
                             .cells = cells,
                             .n_cells = GPIO_CELLS};
    int rc;

    for (unsigned i = 0; i < GPIO_CELLS; i++)
        cells[i].quality = cells[i].absent ? QUALITY_GOOD : quality;
    /* The row of a tick in a burst that goes on and on: the level is anybody's guess. */
    if (!bad && w->edges.bouncing && at_ns == now->mono_ns)
        cells[GPIO_CELL_LEVEL].quality = QUALITY_UNCERTAIN;
    rc = sink->row(sink->ctx, &row);
    return rc < 0 ? rc : 0;
}

/* ---- edges ---- */

static int fail_with_row(struct gpio_watch *w, int error, const struct source_sink *sink,
                         const struct source_now *now)
{
    fail(w, error, now);
    return give(w, sink, now, now->mono_ns);
}

/* Edges are gone; how many, or 0: nobody knows. */
static void lose(struct gpio_watch *w, uint64_t n, const struct source_now *now, const char *how)
{
    bool goes_on = w->has_lost && now->mono_ns - w->lost_ns < GPIO_LOSS_QUIET_MS * NS_PER_MS;
    char number[32] = "edges";

    w->uncertain = w->has_lost = true;
    w->lost_ns = now->mono_ns;
    if (goes_on)
        return;
    if (n > 0)
        snprintf(number, sizeof number, "%llu edge%s", (unsigned long long)n, n == 1 ? "" : "s");
    remember(w, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE, 1,
             "GPIO line %s: %s %s lost: %s; its count is too low", w->config.line, number,
             n == 0   ? "may have been"
             : n == 1 ? "was"
                      : "were",
             how);
}

/* The level as it is now: after a loss. */
static int read_anew(struct gpio_watch *w, const struct source_sink *sink, const struct source_now *now)
{
    struct edges_accepted edge;
    int level = gpio_line_get(w->line);

    if (level < 0)
        return fail_with_row(w, level, sink, now);
    return edges_lost(&w->edges, level != 0, now->mono_ns, &edge) ? give(w, sink, now, edge.at_ns) : 0;
}

/* Edges that are missing before this one, and not in the level that was read. */
static uint64_t gap_before(struct gpio_watch *w, const struct gpio_edge *edge)
{
    uint32_t gap = edge->seqno != 0 ? edge->seqno - w->seqno - 1 : 0;

    w->seqno = edge->seqno;
    return edge->mono_ns > w->edges.known_ns ? gap : 0;
}

static int take(struct gpio_watch *w, const struct gpio_edge *edges, int n, const struct source_sink *sink,
                const struct source_now *now)
{
    struct edges_accepted accepted;
    int rc = 0;

    for (int i = 0; i < n && rc == 0; i++) {
        uint64_t gap = gap_before(w, &edges[i]);

        if (gap > 0) {
            lose(w, gap, now, "more came than the kernel keeps until they are read");
            edges_gap(&w->edges);
        }
        if (edges_take(&w->edges, &edges[i], &accepted))
            rc = give(w, sink, now, accepted.at_ns);
    }
    w->n_read += (uint64_t)n;
    return rc;
}

int gpio_watch_edges(struct gpio_watch *w, const struct source_sink *sink, const struct source_now *now,
                     bool hung)
{
    struct gpio_edge edges[EDGES_A_READ];
    bool full = false;
    int rc = 0, n = 0;

    if (w->line == NULL)
        return 0;
    for (unsigned i = 0; i < GPIO_READS_A_STEP && rc == 0; i++) {
        n = gpio_line_read_edges(w->line, edges, EDGES_A_READ);
        if (n <= 0)
            break;
        full |= n == GPIO_KERNEL_EDGES && edges[n - 1].seqno == 0;
        rc = take(w, edges, n, sink, now);
    }
    if (n < 0 || (n == 0 && hung))
        return fail_with_row(w, n < 0 ? n : -ENODEV, sink, now);
    if (full && rc == 0) {
        lose(w, 0, now, "more came than the kernel keeps until they are read");
        rc = read_anew(w, sink, now);
    }
    return rc;
}

/* ---- time ---- */

int gpio_watch_wake(struct gpio_watch *w, const struct source_now *now)
{
    int level;

    if (w->line == NULL && w->retry_ns == 0) /* it was in use at the start */
        w->retry_ns = now->mono_ns + w->backoff_ms * NS_PER_MS;
    if (w->line == NULL && now->mono_ns >= w->retry_ns)
        try_again(w, now);
    if (w->line == NULL || !w->fresh || !w->config.edges)
        return 0;
    level = gpio_line_get(w->line);
    if (level < 0) {
        fail(w, level, now);
        return 0;
    }
    w->fresh = false;
    w->is_known = true;
    edges_start(&w->edges, level != 0, now->mono_ns);
    w->repeats = w->edges.repeats;
    return 0;
}

/* Is the line where its edges led to? An edge may be on its way, so twice no, with none in between, is a no.
 */
static int compare(struct gpio_watch *w, const struct source_sink *sink, const struct source_now *now)
{
    int level = gpio_line_get(w->line);
    bool is_unequal = level >= 0 && (level != 0) != w->edges.raw, still;

    if (level < 0) {
        fail(w, level, now); /* the row of the tick comes next */
        return 0;
    }
    still = is_unequal && w->was_unequal && w->n_read == w->n_read_before;
    w->was_unequal = is_unequal && !still;
    w->n_read_before = w->n_read;
    if (!still)
        return 0;
    lose(w, 0, now, "the line is not at the level the last edge led to");
    return read_anew(w, sink, now);
}

int gpio_watch_time(struct gpio_watch *w, const struct source_sink *sink, const struct source_now *now,
                    bool tick)
{
    struct edges_accepted accepted;
    bool waited = w->tick_waits;
    int rc = 0;

    if (w->line != NULL && edges_advance(&w->edges, now->mono_ns, &accepted))
        rc = give(w, sink, now, accepted.at_ns);
    /* Without debounce each edge counts, so one that was not seen is a loss. */
    if (w->config.debounce_ns == 0 && w->edges.repeats != w->repeats)
        lose(w, w->edges.repeats - w->repeats, now,
             "they follow each other faster than the kernel tells apart");
    w->repeats = w->edges.repeats;
    if (tick && w->line != NULL && rc == 0)
        rc = compare(w, sink, now);
    if (!tick && !w->tick_waits)
        return rc;
    w->tick_waits = true;
    if (rc != 0 || (w->line != NULL && w->edges.bouncing && !(tick && waited)))
        return rc;
    rc = give(w, sink, now, now->mono_ns);
    edges_window(&w->edges, now->mono_ns);
    w->tick_waits = w->uncertain = false;
    return rc;
}

struct cell gpio_watch_level(struct gpio_watch *w, const struct source_now *now)
{
    int level = w->line != NULL ? gpio_line_get(w->line) : -ENODEV;

    if (level >= 0) {
        w->is_known = true;
        w->level = level != 0;
    } else if (w->line != NULL) {
        fail(w, level, now);
    }
    return (struct cell){.absent = !w->is_known,
                         .quality = level < 0 && w->is_known ? QUALITY_BAD : QUALITY_GOOD,
                         .i64 = w->level};
}

void gpio_watch_tell(struct gpio_watch *w, const struct source_sink *sink, const struct source_now *now)
{
    struct source_event e = {.type = w->event.type,
                             .severity = w->event.severity,
                             .channel = w->config.name,
                             .time_ns = now->wall_unix_ns,
                             .text = w->event.text};

    if (e.type != 0 && sink->event(sink->ctx, &e) == 0)
        w->event.type = 0;
}

int64_t gpio_watch_due_ns(const struct gpio_watch *w)
{
    return w->line == NULL ? w->retry_ns : edges_due_ns(&w->edges);
}
