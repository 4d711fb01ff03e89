/* reader.h - a thread of its own for readings that may block: 1-wire, I2C behind sysfs, Modbus.
 *
 * The thread calls `read` at once and then on ticks of the monotonic clock that are multiples of the
 * interval; what the function says with source_reader_row and source_reader_event goes through slots that
 * were allocated in source_reader_new to the act thread, which hands it to the sink in source_reader_step. A
 * read that hangs blocks its own thread and nobody else: when no read has ended for two intervals,
 * source_reader_step says so in one event and gives a bad row of each group for every interval (NaN; of a
 * channel that is no double the last value, absent before the first), until a read ends, which is one event
 * more.
 *
 * Threads: source_reader_new, source_reader_stop and source_reader_close by the main thread;
 * source_reader_declare, source_reader_step and source_reader_fd by the act thread; read, and with it
 * source_reader_row, _event, _rest, _wake and _is_stopping, on the reader's; source_reader_start by any,
 * once.
 *
 * Ownership: ctx belongs to the reader from source_reader_new's success on. A thread that does not end in
 * time, stuck in the kernel, is left alone with the reader's memory and frees both when it gets out. Limits:
 * READER_GROUPS_MAX groups, no text channels. */
#ifndef FOGLINE_DEVICE_READER_H
#define FOGLINE_DEVICE_READER_H

#include "device/source.h"

enum {
    READER_GROUPS_MAX = 32,
    READER_WHAT_BYTES = 160,
    READER_TEXT_BYTES = 200,
    READER_CLOSE_MS = 1000, /* from source_reader_stop until a thread is left alone */
};

struct source_reader;

struct source_reader_options {
    const char *what; /* "chip nvme": in events that are about the thread; copied */
    int64_t interval_ns;
    uint32_t n_groups;  /* 1 .. READER_GROUPS_MAX; numbered from 0 */
    uint32_t cells_max; /* of a row, 1 .. BLOCK_COLUMNS_MAX */
    void *ctx;
    void (*read)(void *ctx, struct source_reader *r, const struct source_now *tick);
    /* The channels of a group, on either thread. What it points to was written before source_reader_new, or
     * on the reader's thread before the first source_reader_row of that group, and is never changed after. */
    void (*shape)(const void *ctx, uint32_t group, struct source_group *ret_group);
    /* On the act thread, when a read hangs and when it is over: in place of `what`. May be NULL. */
    void (*describe)(void *ctx, char *out, size_t out_bytes);
    void (*free)(void *ctx); /* once, when read is never called again */
};

/* 0; -ENOMEM, -EMFILE or the like: ctx is the caller's still. */
must_check int source_reader_new(struct source_reader **ret_r, const struct source_reader_options *options);
/* 0 or negative errno: no thread, and the reader is as before. */
must_check int source_reader_start(struct source_reader *r);
/* Asks the thread to end and does not wait: for one reader after the other, before each is closed. */
void source_reader_stop(struct source_reader *r);
/* Stops it and waits until READER_CLOSE_MS after source_reader_stop at most. Accepts NULL; returns NULL. */
struct source_reader *source_reader_close(struct source_reader *r);

/* ---- on the reader's thread ---- */
/* false: no room, the row is lost and counted (a NOTE event tells of it). Rows are stamped with the beginning
 * of the read; when that was more than an interval ago, with this moment. */
bool source_reader_row(struct source_reader *r, uint32_t group, const struct cell *cells);
/* false: no room; say it again when it still matters. channel: NULL is the source as a whole. */
bool source_reader_event(struct source_reader *r, uint32_t type, uint32_t severity, const char *channel,
                         const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The next read is not before mono_ns, and until then nobody waits for one: for a sensor that is looked for
 * now and then. */
void source_reader_rest(struct source_reader *r, int64_t mono_ns);
/* Makes source_reader_fd readable without a row: for what ctx tells the act thread by itself. */
void source_reader_wake(struct source_reader *r);
bool source_reader_is_stopping(
    const struct source_reader *r); /* for reads of many parts: give up between two of them */

/* ---- on the act thread ---- */
int source_reader_fd(const struct source_reader *r);
/* Declares a group now instead of before its first row: so that it has bad rows when the first read hangs.
 * 0 (also when it is declared), SINK_FULL, -ENOSPC. */
must_check int source_reader_declare(struct source_reader *r, uint32_t group, const struct source_sink *sink);
/* Hands over what came. A group that the sink has no number for costs its rows and one event. *ret_next_ns:
 * when to call again if source_reader_fd does not become readable before. */
void source_reader_step(struct source_reader *r, const struct source_sink *sink, const struct source_now *now,
                        int64_t *ret_next_ns);

#endif
