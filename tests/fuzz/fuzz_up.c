/* What a device or a fog with a valid key may say to the side above it. */
#include "wire/wire.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_arena *arena;
    Fogline__V1__Up *up;
    struct buf b = {0};

    if (arena == NULL && wire_arena_new(&arena, WIRE_ARENA_BYTES) < 0)
        return 0;
    wire_arena_reset(arena);
    if (wire_up_unpack(arena, span_of(data, size), &up) == 0) {
        /* What was accepted can be said again, and is accepted again. */
        wire_pack(&b, &up->base);
        assert(b.error == 0);
        wire_arena_reset(arena);
        assert(b.len > WIRE_UP_MAX_BYTES || wire_up_unpack(arena, span_of(b.data, b.len), &up) == 0);
        buf_deinit(&b);
    }
    return 0;
}
