/* rule_say.h - what a rule found, in words, for its events. Pure. */
#ifndef FOGLINE_RULE_RULE_SAY_H
#define FOGLINE_RULE_RULE_SAY_H

#include "rule/rule.h"

/* "20.5 is above 20, for 3 s". value: the last good reading in words, "" for none. hold_ns: how long it held
 * (the rule's, or that of several together); 0: not said. */
void rule_say_raised(struct buf *text, const struct rule *r, const char *value, int64_t hold_ns);
/* "cleared at 19, was raised for 4 s"; the times are left out when they make no sense, as after a clock was
 * set. */
void rule_say_cleared(struct buf *text, const char *value, int64_t since_ns, int64_t time_ns);
void rule_say_ms(struct buf *text, int64_t ms);   /* "3 s", "1500 ms" */
void rule_say_number(struct buf *text, double v); /* to the last digit */

#endif
