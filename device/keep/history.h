/* history.h - the last samples that were not sent, for when an alarm asks for them.
 *
 * One ring for a device: the oldest make room for new ones, whatever channel they are of. Threads: one owner.
 * Limits: a fixed number of bytes, taken at once; texts are not held. */
#ifndef FOGLINE_DEVICE_HISTORY_H
#define FOGLINE_DEVICE_HISTORY_H

#include "keep/keep.h"

enum { HISTORY_BYTES_MIN = 4096 };

struct history_sample {
    int64_t time_ns;
    int64_t bits; /* of the number */
    uint16_t group;
    uint8_t channel, quality, reason; /* enum keep_verdict */
    bool is_wanted, is_gone;
};

struct history;

must_check int history_new(struct history **ret_h, size_t bytes);
struct history *history_free(struct history *h); /* accepts NULL */
void history_add(struct history *h, const struct history_sample *s);
/* The samples, the oldest first; borrowed until the next history_add. */
size_t history_n(const struct history *h);
struct history_sample *history_at(struct history *h, size_t i);

#endif
