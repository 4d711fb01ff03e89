/* log.h - levelled logfmt lines on stderr: `ts=2026-11-20T22:30:26.123Z level=info event=link_up
 * peer=fog-a msg="..."`, the tag before the event.
 *
 * Only tiers and command line tools log; common/ returns. Events are fixed words an operator can search for.
 * No payloads and never keys. A line is one write(2) of at most 1 KiB, so lines of several threads do not
 * mix. Threads: any. The level is the one global of the project besides the stop flag. */
#ifndef FOGLINE_BASE_LOG_H
#define FOGLINE_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
/* Tag of every line, e.g. "device=pump-3"; borrowed for ever. */
void log_set_tag(const char *tag);
/* fmt continues the line after `event=`: log_warn("link_down", "peer=%s after_s=%d", ...). Values with blanks
 * are quoted by the caller with %s of log_quote(). */
void log_line(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define log_error(event, ...) log_line(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...) log_line(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...) log_line(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...) log_line(LOG_LEVEL_DEBUG, event, __VA_ARGS__)

/* Quotes and escapes a value for logfmt, also control characters beyond ASCII and bytes of no character; into
 * one of 4 rotating thread-local buffers of 512 bytes. */
const char *log_quote(const char *value);

/* For states that repeat: says yes the first time, then at most once a minute with how often it was held back
 * (ret_held_back may be NULL). */
struct log_latch {
    int64_t last_mono_ns;
    uint64_t held_back;
};
bool log_latch_open(struct log_latch *l, int64_t now_mono_ns, uint64_t *ret_held_back);

#endif
