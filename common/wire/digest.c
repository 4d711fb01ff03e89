#include "wire/wire.h"

#include <sodium.h>

static const char tag_context[] = "fogline/tag/v1";
static const char mark_context[] = "fogline/mark/v1";
static const char document_context[] = "fogline/document/v1";

uint64_t wire_descriptor_set_id(struct span packed)
{
    uint8_t hash[32];

    /* Fails for wrong lengths of hash or key only. */
    (void)crypto_generichash(hash, sizeof hash, packed.data, packed.len, NULL, 0);
    return load_le64(hash);
}

/* Names have at most 64 characters; a longer one would say so in its length and be cut, so it never collides.
 */
static void append_name(struct buf *b, const char *name)
{
    size_t len = strnlen(name, UINT8_MAX);

    buf_u8(b, (uint8_t)len);
    buf_append(b, name, len);
}

void wire_tag_head(struct buf *b, const char *origin, const struct id128 *epoch, uint64_t seq, uint32_t kind,
                   size_t payload_len)
{
    buf_append(b, tag_context, sizeof tag_context);
    append_name(b, origin);
    buf_append(b, epoch->bytes, sizeof epoch->bytes);
    buf_le64(b, seq);
    buf_le32(b, kind);
    buf_le32(b, (uint32_t)payload_len);
}

void wire_tag_input(struct buf *b, const char *origin, const struct id128 *epoch, uint64_t seq, uint32_t kind,
                    struct span payload)
{
    wire_tag_head(b, origin, epoch, seq, kind, payload.len);
    buf_append(b, payload.data, payload.len);
}

void wire_mark_head(struct buf *b)
{
    buf_append(b, mark_context, sizeof mark_context);
}

void wire_mark_input(struct buf *b, struct span body)
{
    wire_mark_head(b);
    buf_append(b, body.data, body.len);
}

void wire_document_input(struct buf *b, const char *kind, const char *target, uint64_t version,
                         struct span body)
{
    buf_append(b, document_context, sizeof document_context);
    append_name(b, kind);
    append_name(b, target);
    buf_le64(b, version);
    buf_le32(b, (uint32_t)body.len);
    buf_append(b, body.data, body.len);
}
