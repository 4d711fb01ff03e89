/* bytes.h - borrowed spans, a growing buffer with a cap, and fixed-width integers in both byte orders.
 *
 * Threads: values, no hidden state. Big-endian is for keys (byte order is key order), little-endian for
 * blocks. */
#ifndef FOGLINE_BASE_BYTES_H
#define FOGLINE_BASE_BYTES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrows: valid as long as its owner says. */
struct span {
    const uint8_t *data;
    size_t len;
};

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){data, len};
}

static inline struct span span_str(const char *s)
{
    return (struct span){(const uint8_t *)s, strlen(s)};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Growing buffer. Zero-initialised is empty with no cap; `cap_bytes` > 0 bounds it. The first failure (no
 * memory, cap reached) sticks in `error`; later calls are no-ops, so straight-line code checks once at the
 * end. */
struct buf {
    uint8_t *data;
    size_t len, alloc_bytes, cap_bytes;
    int error; /* 0, -ENOMEM or -EMSGSIZE */
};

void buf_deinit(struct buf *b); /* frees, leaves it empty; accepts zero */
void buf_reset(struct buf *b);  /* empties, keeps the memory, clears the error */
/* Room for n more bytes at the tail, uninitialised; NULL on the sticky error. Borrowed until the next call.
 */
uint8_t *buf_grow(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *data, size_t n);
void buf_u8(struct buf *b, uint8_t v);
void buf_le16(struct buf *b, uint16_t v);
void buf_le32(struct buf *b, uint32_t v);
void buf_le64(struct buf *b, uint64_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, uint64_t v); /* LEB128, at most 10 bytes */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reader over a span. Reading past the end sets `bad` and yields zeros: check `bad` once at the end. */
struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static inline struct reader reader_of(struct span s)
{
    return (struct reader){s.data, s.data + s.len, false};
}

static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

/* Borrowed: n bytes inside the span; NULL and `bad` when fewer are left. */
const uint8_t *reader_take(struct reader *r, size_t n);
uint8_t reader_u8(struct reader *r);
uint16_t reader_le16(struct reader *r);
uint32_t reader_le32(struct reader *r);
uint64_t reader_le64(struct reader *r);
uint32_t reader_be32(struct reader *r);
uint64_t reader_be64(struct reader *r);
uint64_t reader_varint(struct reader *r);

/* Signed integers near 0 as small unsigned ones, for varints: 0, -1, 1, -2 ... are 0, 1, 2, 3 ... */
static inline uint64_t zigzag64(int64_t x)
{
    return (uint64_t)x << 1 ^ (uint64_t)(x >> 63);
}

static inline int64_t unzigzag64(uint64_t z)
{
    return (int64_t)(z >> 1 ^ (0 - (z & 1)));
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}

static inline void store_be64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}

static inline uint32_t load_be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

static inline void store_le64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, 8);
}

static inline uint64_t load_le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t load_le32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fogline stores little-endian columns by memcpy");

#endif
