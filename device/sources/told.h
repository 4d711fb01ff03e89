/* told.h - channels that come one at a time, under names and types known only when they come: lines of a
 * program, messages of a broker.
 *
 * Each pair of name and type is a group of one channel. The last values are kept, so that all channels can be
 * given bad quality when nobody tells them any more (told_bad). Whether the source as a whole is failing is
 * kept here too, and told once in each direction. Threads: the act thread, but told_new and told_free.
 * Limits: all memory is taken in told_new. */
#ifndef FOGLINE_DEVICE_TOLD_H
#define FOGLINE_DEVICE_TOLD_H

#include "device/source.h"

struct told;

/* Names and types as configurations write them: "auto", "double", "int", "bool", "text". */
enum told_type { TOLD_AUTO, TOLD_DOUBLE, TOLD_INT, TOLD_BOOL, TOLD_TEXT };
extern const char *const told_types[];

struct told_value {
    enum column_type type;
    struct cell cell; /* text borrows */
};

/* A value from its text. TOLD_AUTO: a number is a double, true and false are bool, anything else is text.
 * false: it is not of this type, empty, or a text over BLOCK_TEXT_MAX_BYTES. */
bool told_parse(enum told_type type, const char *text, size_t len, struct told_value *ret_v);

must_check int told_new(struct told **ret_t, unsigned channels_max);
struct told *told_free(struct told *t); /* accepts NULL */

/* Makes the group of a channel before its first value. 0, SINK_FULL, negative errno. */
int told_declare(struct told *t, const struct source_sink *sink, const struct source_channel *c);
/* A row of one cell. unit: of a channel that is new. NULL, or why it was not taken: a short reason. A full
 * ring is none: the sink counts what it loses. */
const char *told_row(struct told *t, const struct source_sink *sink, const struct source_channel *c,
                     const struct cell *cell, const struct source_now *now, int64_t time_ns);

/* The source has failed: `text` is told, once until told_well, and every channel gets a row of bad quality.
 * false: the sink had no room for all of it; call again soon. */
bool told_failed(struct told *t, const struct source_sink *sink, const struct source_now *now,
                 const char *text);
/* It works: tells so if it had failed. */
void told_well(struct told *t, const struct source_sink *sink, const struct source_now *now,
               const char *text);
bool told_is_failed(const struct told *t);
/* Any other event of the source as a whole. */
void told_note(const struct source_sink *sink, const struct source_now *now, uint32_t severity,
               const char *text);

#endif
