#include "device/ring.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum { HEADER_BYTES = 8, ALIGN = 8, CACHE_LINE = 64 };

/* A header whose length is this says that the rest up to the end of the memory is unused. */
#define SKIP UINT32_MAX

struct ring {
    uint8_t *memory;
    size_t bytes; /* power of two */
    int data_fd, room_fd;

    /* Positions only grow; modulo bytes they are offsets. Apart by a cache line, or each side slows the
     * other. */
    _Alignas(CACHE_LINE) _Atomic uint64_t head; /* written by the producer */
    uint64_t tail_seen;                         /* the producer's last look at tail */
    size_t reserved;
    _Alignas(CACHE_LINE) _Atomic uint64_t tail; /* written by the consumer */
    uint64_t head_seen;
    _Alignas(CACHE_LINE) atomic_bool consumer_sleeps, producer_sleeps;
};

int ring_new(struct ring **ret_r, size_t bytes)
{
    struct ring *r;
    size_t size = RING_MIN_BYTES;

    while (size < bytes && size < (size_t)1 << 30)
        size *= 2;
    r = aligned_alloc(CACHE_LINE, sizeof *r);
    if (r == NULL)
        return -ENOMEM;
    memset(r, 0, sizeof *r);
    r->bytes = size;
    r->data_fd = r->room_fd = -1;
    r->memory = calloc(1, size);
    if (r->memory == NULL) {
        ring_free(r);
        return -ENOMEM;
    }
    r->data_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->data_fd < 0 || r->room_fd < 0) {
        int error = -errno;

        ring_free(r);
        return error;
    }
    *ret_r = r;
    return 0;
}

struct ring *ring_free(struct ring *r)
{
    if (r == NULL)
        return NULL;
    close_fd(&r->data_fd);
    close_fd(&r->room_fd);
    free(r->memory);
    free(r);
    return NULL;
}

size_t ring_bytes(const struct ring *r)
{
    return r->bytes;
}

size_t ring_message_max(const struct ring *r)
{
    return r->bytes / 4 - HEADER_BYTES;
}

static size_t slot_bytes(size_t n)
{
    return (HEADER_BYTES + n + ALIGN - 1) / ALIGN * ALIGN;
}

/* A message that does not fit before the end of the memory starts at its beginning, so it may cost that end
 * too. */
static size_t cost(const struct ring *r, uint64_t head, size_t n)
{
    size_t to_end = r->bytes - (size_t)(head & (r->bytes - 1));

    return slot_bytes(n) <= to_end ? slot_bytes(n) : to_end + slot_bytes(n);
}

static void put_header(struct ring *r, uint64_t at, uint32_t n)
{
    memcpy(r->memory + (at & (r->bytes - 1)), &n, sizeof n);
}

void *ring_reserve(struct ring *r, size_t n)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t need = cost(r, head, n), to_end = r->bytes - (size_t)(head & (r->bytes - 1));

    if (n > ring_message_max(r))
        return NULL;
    if (r->bytes - (size_t)(head - r->tail_seen) < need) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (r->bytes - (size_t)(head - r->tail_seen) < need)
            return NULL;
    }
    r->reserved = n;
    if (need > slot_bytes(n)) {
        put_header(r, head, SKIP);
        head += to_end;
        atomic_store_explicit(&r->head, head, memory_order_release);
    }
    return r->memory + (head & (r->bytes - 1)) + HEADER_BYTES;
}

void ring_publish(struct ring *r, size_t n)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (n > r->reserved)
        abort();
    put_header(r, head, (uint32_t)n);
    atomic_store_explicit(&r->head, head + slot_bytes(n), memory_order_release);
}

static void signal_fd(int fd)
{
    uint64_t one = 1;

    /* Full counter: the other side is awake already. */
    if (write(fd, &one, sizeof one) < 0)
        return;
}

static void clear_fd(int fd)
{
    uint64_t n;

    if (read(fd, &n, sizeof n) < 0)
        return;
}

/* Sleeping: a side sets its flag, then looks again; the other side changes the position, then looks at the
 * flag. With a full fence between the two steps of each, at least one of them sees the other. */
void ring_wake_consumer(struct ring *r)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&r->consumer_sleeps, memory_order_relaxed) &&
        atomic_exchange_explicit(&r->consumer_sleeps, false, memory_order_relaxed))
        signal_fd(r->data_fd);
}

void ring_wake_producer(struct ring *r)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&r->producer_sleeps, memory_order_relaxed) &&
        atomic_exchange_explicit(&r->producer_sleeps, false, memory_order_relaxed))
        signal_fd(r->room_fd);
}

uint64_t ring_written(const struct ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_relaxed);
}

size_t ring_used(const struct ring *r)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    return (size_t)(head - tail);
}

bool ring_producer_sleeps(struct ring *r, size_t free_bytes)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    atomic_store_explicit(&r->producer_sleeps, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (r->bytes - (size_t)(head - r->tail_seen) < free_bytes)
        return true;
    atomic_store_explicit(&r->producer_sleeps, false, memory_order_relaxed);
    return false;
}

int ring_room_fd(const struct ring *r)
{
    return r->room_fd;
}

void ring_room_fd_clear(struct ring *r)
{
    clear_fd(r->room_fd);
}

const void *ring_peek(struct ring *r, size_t *ret_n)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint32_t n;

    for (;;) {
        if (tail == r->head_seen) {
            r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
            if (tail == r->head_seen)
                return NULL;
        }
        memcpy(&n, r->memory + (tail & (r->bytes - 1)), sizeof n);
        if (n != SKIP)
            break;
        tail += r->bytes - (size_t)(tail & (r->bytes - 1));
        atomic_store_explicit(&r->tail, tail, memory_order_release);
    }
    *ret_n = n;
    return r->memory + (tail & (r->bytes - 1)) + HEADER_BYTES;
}

void ring_release(struct ring *r)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    uint32_t n;

    memcpy(&n, r->memory + (tail & (r->bytes - 1)), sizeof n);
    atomic_store_explicit(&r->tail, tail + slot_bytes(n), memory_order_release);
}

bool ring_consumer_sleeps(struct ring *r)
{
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

    atomic_store_explicit(&r->consumer_sleeps, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    if (tail == r->head_seen)
        return true;
    atomic_store_explicit(&r->consumer_sleeps, false, memory_order_relaxed);
    return false;
}

int ring_data_fd(const struct ring *r)
{
    return r->data_fd;
}

void ring_data_fd_clear(struct ring *r)
{
    clear_fd(r->data_fd);
}
