#include "hop/maker.h"

#include "base/cleanup.h"
#include "hop/outbox.h"

static bool is_zero(const uint8_t *at, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= at[i];
    return any == 0;
}

bool maker_lacks_tag(const uint8_t tag[WIRE_TAG_BYTES])
{
    return is_zero(tag, WIRE_TAG_BYTES);
}

int maker_tag(const struct spool_stream *s, uint64_t seq, const struct spool_record *r,
              const uint8_t tag_key[KEY_BYTES], uint8_t ret_tag[WIRE_TAG_BYTES])
{
    owned(buf_deinit) struct buf head = {0};

    memset(ret_tag, 0, WIRE_TAG_BYTES);
    if (is_zero(tag_key, KEY_BYTES))
        return 0;
    wire_tag_head(&head, s->origin, &s->epoch, seq, r->kind, (uint32_t)r->payload.len);
    if (head.error == 0)
        end_mac(tag_key, span_of(head.data, head.len), r->payload, ret_tag);
    return head.error;
}

int maker_append(struct spool *sp, struct outbox *ob, const uint8_t tag_key[KEY_BYTES],
                 const struct maker_record *r, uint64_t *ret_seq)
{
    struct spool_record record = {.kind = r->kind,
                                  .flags = r->carries_covers ? MAKER_FLAG_COVERS : 0,
                                  .samples = r->samples,
                                  .payload = r->payload};
    struct spool_stream *own = spool_own(sp);
    uint64_t seq;
    int rc;

    if (r->payload.len > WIRE_PAYLOAD_MAX_BYTES)
        return -EMSGSIZE;
    rc = maker_tag(own, spool_next_seq(sp, r->lane), &record, tag_key, record.tag);
    if (rc != 0)
        return rc;
    rc = spool_append(sp, r->lane, &record, &seq);
    if (rc != 0)
        return rc;
    if (ob != NULL)
        outbox_added(ob, own, seq);
    if (ret_seq != NULL)
        *ret_seq = seq;
    return 0;
}
