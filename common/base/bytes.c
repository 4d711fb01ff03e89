#include "base/bytes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST_BYTES = 64 };

void buf_deinit(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->error = 0;
}

/* The rare half of buf_room, kept out of line so that the common half stays small enough to inline. */
static bool __attribute__((noinline)) buf_enlarge(struct buf *b, size_t n)
{
    size_t max_bytes = b->cap_bytes > 0 ? b->cap_bytes : SIZE_MAX / 2;
    size_t want;
    uint8_t *data;

    if (b->error != 0)
        return false;
    if (n > max_bytes || b->len > max_bytes - n) {
        b->error = -EMSGSIZE;
        return false;
    }
    want = b->alloc_bytes < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : b->alloc_bytes * 2;
    if (want < b->len + n)
        want = b->len + n;
    if (want > max_bytes)
        want = max_bytes;
    data = realloc(b->data, want);
    if (data == NULL) {
        b->error = -ENOMEM;
        return false;
    }
    b->data = data;
    b->alloc_bytes = want;
    return true;
}

/* alloc_bytes never exceeds the cap unless the cap was lowered later, which the first test catches. */
static inline bool buf_room(struct buf *b, size_t n)
{
    if (b->error == 0 && n <= b->alloc_bytes - b->len && b->data != NULL &&
        (b->cap_bytes == 0 || b->len + n <= b->cap_bytes))
        return true;
    return buf_enlarge(b, n);
}

uint8_t *buf_grow(struct buf *b, size_t n)
{
    uint8_t *at;

    if (!buf_room(b, n))
        return NULL;
    at = b->data + b->len;
    b->len += n;
    return at;
}

void buf_append(struct buf *b, const void *data, size_t n)
{
    if (n == 0 || !buf_room(b, n))
        return;
    memcpy(b->data + b->len, data, n);
    b->len += n;
}

void buf_u8(struct buf *b, uint8_t v)
{
    if (buf_room(b, 1))
        b->data[b->len++] = v;
}

void buf_le16(struct buf *b, uint16_t v)
{
    buf_append(b, &v, sizeof v);
}

void buf_le32(struct buf *b, uint32_t v)
{
    buf_append(b, &v, sizeof v);
}

void buf_le64(struct buf *b, uint64_t v)
{
    buf_append(b, &v, sizeof v);
}

void buf_be32(struct buf *b, uint32_t v)
{
    v = __builtin_bswap32(v);
    buf_append(b, &v, sizeof v);
}

void buf_be64(struct buf *b, uint64_t v)
{
    v = __builtin_bswap64(v);
    buf_append(b, &v, sizeof v);
}

void buf_varint(struct buf *b, uint64_t v)
{
    uint8_t text[10];
    size_t n = 0;

    while (v >= 0x80) {
        text[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    text[n++] = (uint8_t)v;
    buf_append(b, text, n);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (b->error != 0)
        return;
    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->error = -EMSGSIZE;
        return;
    }
    /* vsnprintf ends with a NUL, which is not part of the buffer: into a place of its own when the cap is
     * tight. */
    if (b->cap_bytes > 0 && b->len + (size_t)n == b->cap_bytes) {
        char *text = NULL;

        va_start(ap, fmt);
        n = vasprintf(&text, fmt, ap);
        va_end(ap);
        if (n < 0) {
            b->error = -ENOMEM;
            return;
        }
        buf_append(b, text, (size_t)n);
        free(text);
        return;
    }
    if (!buf_room(b, (size_t)n + 1))
        return;
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

const uint8_t *reader_take(struct reader *r, size_t n)
{
    const uint8_t *at = r->at;

    if (r->bad || n > reader_left(r)) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    return at;
}

uint8_t reader_u8(struct reader *r)
{
    const uint8_t *p = reader_take(r, 1);

    return p == NULL ? 0 : *p;
}

uint16_t reader_le16(struct reader *r)
{
    const uint8_t *p = reader_take(r, 2);
    uint16_t v = 0;

    if (p != NULL)
        memcpy(&v, p, sizeof v);
    return v;
}

uint32_t reader_le32(struct reader *r)
{
    const uint8_t *p = reader_take(r, 4);

    return p == NULL ? 0 : load_le32(p);
}

uint64_t reader_le64(struct reader *r)
{
    const uint8_t *p = reader_take(r, 8);

    return p == NULL ? 0 : load_le64(p);
}

uint32_t reader_be32(struct reader *r)
{
    const uint8_t *p = reader_take(r, 4);

    return p == NULL ? 0 : load_be32(p);
}

uint64_t reader_be64(struct reader *r)
{
    const uint8_t *p = reader_take(r, 8);

    return p == NULL ? 0 : load_be64(p);
}

uint64_t reader_varint(struct reader *r)
{
    uint64_t v = 0;
    unsigned shift;

    for (shift = 0; shift < 70; shift += 7) {
        uint8_t byte = reader_u8(r);

        if (r->bad)
            return 0;
        /* The tenth byte has room for one bit only. */
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return v;
    }
    r->bad = true;
    return 0;
}
