/* rows_bytes.h - the pieces that keys and values of rows are made of. For the files that define rows. */
#ifndef FOGLINE_ARCHIVE_ROWS_BYTES_H
#define FOGLINE_ARCHIVE_ROWS_BYTES_H

#include "archive/rows.h"

static inline void key_be32(struct row_key *k, uint32_t v)
{
    store_be32(k->bytes + k->len, v);
    k->len += 4;
}

static inline void key_be64(struct row_key *k, uint64_t v)
{
    store_be64(k->bytes + k->len, v);
    k->len += 8;
}

static inline void key_u8(struct row_key *k, unsigned v)
{
    k->bytes[k->len++] = (uint8_t)v;
}

static inline void key_text(struct row_key *k, const char *text)
{
    size_t n = strnlen(text, SPOOL_NAME_BYTES - 1);

    memcpy(k->bytes + k->len, text, n);
    k->len += n;
}

/* Copies a name of len bytes; false when it does not fit or holds a NUL. */
static inline bool name_get(char out[SPOOL_NAME_BYTES], const uint8_t *at, size_t len)
{
    if (at == NULL || len >= SPOOL_NAME_BYTES || memchr(at, 0, len) != NULL)
        return false;
    memcpy(out, at, len);
    out[len] = 0;
    return true;
}

static inline void name_put(struct buf *b, const char *name)
{
    size_t n = strnlen(name, SPOOL_NAME_BYTES - 1);

    buf_u8(b, (uint8_t)n);
    buf_append(b, name, n);
}

static inline bool name_read(struct reader *r, char out[SPOOL_NAME_BYTES])
{
    size_t n = reader_u8(r);

    return name_get(out, reader_take(r, n), n);
}

#endif
