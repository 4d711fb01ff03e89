#include "device/batch.h"

#include <errno.h>
#include <stdlib.h>

struct batch {
    struct buf bytes;
    struct batch_entry *at;
    size_t n, alloc, begun;
    uint64_t last_no;
};

int batch_new(struct batch **ret_b)
{
    struct batch *b = calloc(1, sizeof *b);

    if (b == NULL)
        return -ENOMEM;
    *ret_b = b;
    return 0;
}

struct batch *batch_free(struct batch *b)
{
    if (b == NULL)
        return NULL;
    buf_deinit(&b->bytes);
    free(b->at);
    free(b);
    return NULL;
}

static size_t end_of_entries(const struct batch *b)
{
    return b->n > 0 ? b->at[b->n - 1].offset + b->at[b->n - 1].len : 0;
}

struct buf *batch_begin(struct batch *b)
{
    b->begun = end_of_entries(b);
    b->bytes.len = b->begun;
    b->bytes.error = 0;
    return &b->bytes;
}

int batch_end(struct batch *b, const struct batch_entry *like, uint64_t *ret_no)
{
    struct batch_entry *e;

    if (b->bytes.error != 0) {
        int error = b->bytes.error;

        b->bytes.error = 0;
        b->bytes.len = b->begun;
        return error;
    }
    if (b->n == b->alloc) {
        size_t alloc = b->alloc == 0 ? 64 : b->alloc * 2;
        struct batch_entry *at = reallocarray(b->at, alloc, sizeof *at);

        if (at == NULL) {
            b->bytes.len = b->begun;
            return -ENOMEM;
        }
        b->at = at;
        b->alloc = alloc;
    }
    e = &b->at[b->n++];
    *e = *like;
    e->no = ++b->last_no;
    e->offset = b->begun;
    e->len = b->bytes.len - b->begun;
    e->is_done = false;
    if (ret_no != NULL)
        *ret_no = e->no;
    return 0;
}

size_t batch_n(const struct batch *b)
{
    return b->n;
}

size_t batch_bytes(const struct batch *b)
{
    return end_of_entries(b) + b->n * sizeof *b->at;
}

uint64_t batch_last_no(const struct batch *b)
{
    return b->last_no;
}

struct batch_entry *batch_at(struct batch *b, size_t i)
{
    return &b->at[i];
}

struct span batch_payload(const struct batch *b, const struct batch_entry *e)
{
    return span_of(b->bytes.data + e->offset, e->len);
}

void batch_sweep(struct batch *b)
{
    size_t kept = 0, at = 0;

    for (size_t i = 0; i < b->n; i++) {
        struct batch_entry e = b->at[i];

        if (e.is_done)
            continue;
        if (e.offset != at)
            memmove(b->bytes.data + at, b->bytes.data + e.offset, e.len);
        e.offset = at;
        at += e.len;
        b->at[kept++] = e;
    }
    b->n = kept;
    b->bytes.len = at;
}
