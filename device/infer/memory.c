#include "device/infer/memory.h"

#include "base/clock.h"

#include <stdlib.h>

#define RETRY_NS (100 * NS_PER_MS)

struct item {
    const struct source_kind *kind;
    const void *self;
    uint8_t *image;
    size_t room, len, missed;
};

struct memory {
    struct memory_options o;
    struct item items[SOURCES_MAX];
    uint64_t written;                   /* of the ring, at the last mark */
    int64_t since_ns;                   /* when the first message after it was seen; INT64_MAX: none */
    atomic_bool is_taken_up, is_wanted; /* taken up: the images are the consumer's */
};

int memory_new(struct memory **ret_m, const struct memory_options *options)
{
    struct memory *m = calloc(1, sizeof *m);

    if (m == NULL)
        return -ENOMEM;
    m->o = *options;
    m->since_ns = INT64_MAX;
    *ret_m = m;
    return 0;
}

struct memory *memory_free(struct memory *m)
{
    for (unsigned i = 0; m != NULL && i < SOURCES_MAX; i++)
        free(m->items[i].image);
    free(m);
    return NULL;
}

int memory_add(struct memory *m, unsigned source, const struct source_kind *kind, const void *self,
               size_t room)
{
    struct item item = {.kind = kind, .self = self, .image = malloc(room), .room = room};

    if (item.image == NULL)
        return -ENOMEM;
    m->items[source] = item;
    return 0;
}

static bool mark(struct memory *m)
{
    if (atomic_load_explicit(&m->is_taken_up, memory_order_acquire))
        return false;
    for (unsigned i = 0; i < SOURCES_MAX; i++) {
        struct item *item = &m->items[i];

        if (item->image == NULL)
            continue;
        item->len = item->kind->remember(item->self, item->image, item->room);
        item->missed = item->len > item->room ? item->len : 0;
        if (item->missed > 0)
            item->len = 0;
    }
    /* Before the mark is seen: its reader lets go of them. */
    atomic_store_explicit(&m->is_taken_up, true, memory_order_relaxed);
    atomic_store_explicit(&m->is_wanted, false, memory_order_relaxed);
    if (!feed_mark(m->o.feed, m->o.is_replay)) {
        atomic_store_explicit(&m->is_taken_up, false, memory_order_relaxed);
        return false;
    }
    m->written = ring_written(m->o.ring);
    m->since_ns = INT64_MAX;
    return true;
}

int64_t memory_round(void *ctx, int64_t now_ns)
{
    struct memory *m = ctx;

    if (ring_written(m->o.ring) == m->written)
        return INT64_MAX;
    if (m->since_ns == INT64_MAX)
        m->since_ns = now_ns;
    if (now_ns - m->since_ns < m->o.every_ns && !atomic_load_explicit(&m->is_wanted, memory_order_relaxed) &&
        !(m->o.is_replay && feed_is_urgent(m->o.feed)))
        return m->since_ns + m->o.every_ns;
    return mark(m) ? INT64_MAX : now_ns + RETRY_NS;
}

void memory_finish(struct memory *m)
{
    if (ring_written(m->o.ring) != m->written)
        (void)mark(m);
}

void memory_want(struct memory *m)
{
    atomic_store_explicit(&m->is_wanted, true, memory_order_relaxed);
}

struct span memory_image(const struct memory *m, unsigned source)
{
    return span_of(m->items[source].image, m->items[source].len);
}

size_t memory_missed(const struct memory *m, unsigned source)
{
    return m->items[source].missed;
}

void memory_release(struct memory *m)
{
    atomic_store_explicit(&m->is_taken_up, false, memory_order_release);
}
