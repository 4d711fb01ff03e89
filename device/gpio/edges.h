/* edges.h - what the edges of one line come to: level, count, rate and pulse width.
 *
 * Pure: edges and times in, values out. Debounce: edges that follow each other within debounce_ns are one
 * burst; the level at its end counts when it has stayed for debounce_ns, as an edge at the time of the first
 * edge of the burst. A burst that ends where it began counts nothing. Rate: periods between counted edges
 * over the time they took, in the window (edges_window) that is open; without any, the rate before, but no
 * more than one in the time since the last counted edge. Width: from becoming active to becoming inactive,
 * both seen. Times are of one monotonic clock. Values; one thread at a time; allocates nothing. */
#ifndef FOGLINE_DEVICE_GPIO_EDGES_H
#define FOGLINE_DEVICE_GPIO_EDGES_H

#include "gpio/gpio_line.h"

enum edges_counted { EDGES_ACTIVE = 0, EDGES_INACTIVE, EDGES_BOTH };

/* Private but for `level`, `raw`, `known_ns`, `count`, `width_s`, `bouncing` and `repeats`, which may be
 * read. */
struct edges {
    int64_t debounce_ns;
    enum edges_counted counted;
    bool level;                /* the one that stayed */
    bool raw;                  /* the one of the last edge */
    bool bouncing;             /* a burst goes on: the level is not sure */
    bool forgives;             /* the level was read: an edge that led to it may still come */
    int64_t known_ns;          /* when the level was read: what edges say of the time before is in it */
    int64_t first_ns, last_ns; /* edges of the burst */
    int64_t count;             /* edges that counted, since edges_init */
    uint64_t repeats;          /* edges to where the level was already: the one between was not seen */
    bool unseen;               /* the first edge of the burst was lost: its time is made up */
    bool in_pulse;             /* active since pulse_ns */
    int64_t pulse_ns;
    double width_s; /* of the last pulse; NaN: none yet */
    /* rate: the counted edge before the window (without one, the first in it), then the first and last in it
     */
    bool has_base, base_is_older;
    int64_t base_count, base_ns, counted_first_ns, counted_last_ns;
    int64_t window_ns, window_before_ns; /* when this window and the one before it began */
    double rate_before;                  /* at the end of the window before */
};

struct edges_accepted {
    int64_t at_ns;
    bool active;
};

void edges_init(struct edges *e, int64_t debounce_ns, enum edges_counted counted);
/* The level is this now, and what was before does not matter: at the start, after a time without the line.
 * Counts nothing. */
void edges_start(struct edges *e, bool active, int64_t now_ns);
/* Edges were lost, and this is the level now: another one than before is taken as an edge at now_ns. */
must_check bool edges_lost(struct edges *e, bool active, int64_t now_ns, struct edges_accepted *ret_edge);
/* Edges were lost before the one that edges_take is given next. */
void edges_gap(struct edges *e);
/* One edge as the kernel gives it, in order. True: with it (or with the time that passed before it) an edge
 * counts, *ret_edge. */
must_check bool edges_take(struct edges *e, const struct gpio_edge *edge, struct edges_accepted *ret_edge);
/* Time passed. True likewise. */
must_check bool edges_advance(struct edges *e, int64_t now_ns, struct edges_accepted *ret_edge);
/* When edges_advance has something to do; INT64_MAX: nothing. */
int64_t edges_due_ns(const struct edges *e);

/* Counted edges per second. */
double edges_rate(const struct edges *e, int64_t now_ns);
/* A new window of the rate begins. */
void edges_window(struct edges *e, int64_t now_ns);

#endif
