/* arena.h - the arena as protobuf-c wants it. Private to common/wire. */
#ifndef FOGLINE_WIRE_ARENA_H
#define FOGLINE_WIRE_ARENA_H

#include "wire/wire.h"

/* Borrowed as long as the arena lives; its `free` does nothing. */
ProtobufCAllocator *wire_arena_allocator(struct wire_arena *a);

#endif
