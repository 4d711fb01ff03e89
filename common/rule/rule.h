/* rule.h - one condition on one channel: when it is raised, when it is cleared. Pure: no clock, no I/O.
 *
 * The caller moves the time with rule_advance, which says what fell due by then, and gives each reading to
 * rule_sample at the same time. Raising and clearing alternate. What lies between the limit and the limit
 * less the hysteresis changes nothing but ends a hold. A hold goes by the value read last: without new
 * readings it is over when its time is. Readings that are not good (bad quality, NaN) are not looked at,
 * except that they are none to `missing`. Time that goes back begins anew at the earlier one, and so do
 * holds. Values; no hidden state; any times and any bits are safe. */
#ifndef FOGLINE_RULE_RULE_H
#define FOGLINE_RULE_RULE_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum rule_kind {
    RULE_ABOVE,   /* x > high */
    RULE_BELOW,   /* x < low */
    RULE_OUTSIDE, /* x < low or x > high */
    RULE_RATE,    /* |change per second| of two readings one after the other > high */
    RULE_STUCK,   /* not changed by more than the hysteresis for for_ns: said by a reading, not by silence */
    RULE_MISSING, /* no good reading for for_ns */
    RULE_EQUALS,  /* x is `equals` */
};

enum rule_type { RULE_DOUBLE, RULE_INTEGER, RULE_BOOL, RULE_TEXT };

struct rule {
    enum rule_kind kind;
    double low, high, hysteresis;
    int64_t for_ns, hold_ns, clear_hold_ns;
    const char *equals; /* a number, true, false or a text; borrowed */
};

struct rule_value {
    enum rule_type type;
    bool is_good;
    union {
        double f64;
        int64_t i64; /* bool: 0 or 1 */
        struct span text;
    };
};

/* Zero is cleared and has heard nothing. */
struct rule_state {
    bool raised;
    bool has_begun, is_pending, has_last;
    int64_t now_ns;
    int64_t pending_ns; /* since when it wants to change */
    int64_t good_ns;    /* of the last good reading; before one, of the beginning */
    int64_t last_ns;    /* RATE: of the last reading; STUCK: since when it is the same */
    double last;        /* RATE, STUCK */
    int64_t last_exact; /* STUCK: the integer, or a hash of the text */
};

enum rule_change { RULE_SAME = 0, RULE_RAISED, RULE_CLEARED };

/* Can this rule say anything about values of that type? */
bool rule_suits(const struct rule *r, enum rule_type type);
/* What fell due between the time before and now_ns; *ret_at_ns: when, at a change. One change a call: call
 * until RULE_SAME. */
enum rule_change rule_advance(const struct rule *r, struct rule_state *s, int64_t now_ns, int64_t *ret_at_ns);
/* A reading at the time advanced to. */
enum rule_change rule_sample(const struct rule *r, struct rule_state *s, const struct rule_value *v);
/* The next time at which rule_advance can change anything without a new reading; INT64_MAX: none. */
int64_t rule_deadline_ns(const struct rule *r, const struct rule_state *s);

const char *rule_kind_name(enum rule_kind kind); /* "above" */

#endif
