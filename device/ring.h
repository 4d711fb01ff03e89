/* ring.h - bytes from one thread to another: a single-producer, single-consumer ring of messages in fixed
 * memory.
 *
 * Messages are contiguous and 8-byte aligned, written in place and read in place. No locks, no allocation
 * after ring_new. Sleeping is by two event descriptors: `data_fd` for the consumer, `room_fd` for the
 * producer; each is written only when the other side has said that it sleeps. Threads: functions of the
 * producer by one thread, of the consumer by one other. Limits: a message is at most a quarter of the ring.
 */
#ifndef FOGLINE_DEVICE_RING_H
#define FOGLINE_DEVICE_RING_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_MIN_BYTES = 64 * 1024 };

struct ring;

/* bytes is rounded up to a power of two, at least RING_MIN_BYTES. */
must_check int ring_new(struct ring **ret_r, size_t bytes);
struct ring *ring_free(struct ring *r); /* accepts NULL */
size_t ring_bytes(const struct ring *r);
size_t ring_message_max(const struct ring *r);

/* ---- producer ---- */
/* Room for a message of n bytes; NULL when there is none now. Nothing is seen before ring_publish. */
void *ring_reserve(struct ring *r, size_t n);
/* Makes the first n bytes of what was reserved a message. */
void ring_publish(struct ring *r, size_t n);
/* Wakes the consumer if it sleeps. */
void ring_wake_consumer(struct ring *r);
size_t ring_used(const struct ring *r);      /* either side; exact for neither */
uint64_t ring_written(const struct ring *r); /* grows with each message */
/* About to wait on room_fd: false when free_bytes are free by now. */
bool ring_producer_sleeps(struct ring *r, size_t free_bytes);
int ring_room_fd(const struct ring *r);
void ring_room_fd_clear(struct ring *r);

/* ---- consumer ---- */
/* The oldest message, borrowed until ring_release; NULL when there is none. */
const void *ring_peek(struct ring *r, size_t *ret_n);
void ring_release(struct ring *r);
/* Wakes the producer if it sleeps: after a batch of releases. */
void ring_wake_producer(struct ring *r);
/* About to wait on data_fd: false when a message is there by now. */
bool ring_consumer_sleeps(struct ring *r);
int ring_data_fd(const struct ring *r);
void ring_data_fd_clear(struct ring *r);

#endif
