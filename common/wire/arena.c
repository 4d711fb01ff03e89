#include "wire/arena.h"
#include "wire/wire.h"

#include <errno.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONED 1
#endif
#endif

#ifdef ARENA_POISONED
#include <sanitizer/asan_interface.h>
#endif

enum { ARENA_ALIGN_BYTES = 8 };

/* One block for life: the kernel gives its pages only when they are first touched, so an arena costs the
 * largest message it has seen and no more. */
struct wire_arena {
    ProtobufCAllocator allocator;
    size_t cap_bytes, used_bytes;
    uint8_t *block;
};

/* With the address sanitizer, what is not handed out cannot be touched: a message used after the reset shows
 * at once. */
static void arena_close(const uint8_t *p, size_t n)
{
#ifdef ARENA_POISONED
    ASAN_POISON_MEMORY_REGION(p, n);
#else
    (void)p;
    (void)n;
#endif
}

static void arena_open(const uint8_t *p, size_t n)
{
#ifdef ARENA_POISONED
    ASAN_UNPOISON_MEMORY_REGION(p, n);
#else
    (void)p;
    (void)n;
#endif
}

static void *on_alloc(void *ctx, size_t n)
{
    return wire_arena_alloc(ctx, n);
}

static void on_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

int wire_arena_new(struct wire_arena **ret_a, size_t cap_bytes)
{
    struct wire_arena *a = calloc(1, sizeof *a);

    if (a == NULL)
        return -ENOMEM;
    cap_bytes &= ~(size_t)(ARENA_ALIGN_BYTES - 1);
    a->block = malloc(cap_bytes == 0 ? ARENA_ALIGN_BYTES : cap_bytes);
    if (a->block == NULL) {
        free(a);
        return -ENOMEM;
    }
    a->cap_bytes = cap_bytes;
    a->allocator = (ProtobufCAllocator){on_alloc, on_free, a};
    arena_close(a->block, cap_bytes);
    *ret_a = a;
    return 0;
}

struct wire_arena *wire_arena_free(struct wire_arena *a)
{
    if (a == NULL)
        return NULL;
    arena_open(a->block, a->cap_bytes);
    free(a->block);
    free(a);
    return NULL;
}

void wire_arena_reset(struct wire_arena *a)
{
    a->used_bytes = 0;
    arena_close(a->block, a->cap_bytes);
}

void *wire_arena_alloc(struct wire_arena *a, size_t n)
{
    size_t room = a->cap_bytes - a->used_bytes,
           take = (n + ARENA_ALIGN_BYTES - 1) & ~(size_t)(ARENA_ALIGN_BYTES - 1);
    uint8_t *at = a->block + a->used_bytes;

    /* `take` wraps to 0 near SIZE_MAX, hence both tests. */
    if (n > room || take > room)
        return NULL;
    a->used_bytes += take;
    arena_open(at, n);
    return at;
}

ProtobufCAllocator *wire_arena_allocator(struct wire_arena *a)
{
    return &a->allocator;
}
