#include "hop/maker.h"

#include "base/cleanup.h"
#include "hop/outbox.h"

int maker_append(struct spool *sp, struct outbox *ob, const uint8_t tag_key[KEY_BYTES], const struct maker_record *r,
                 uint64_t *ret_seq)
{
    owned(buf_deinit) struct buf head = {0};
    struct spool_record record = {.kind = r->kind, .flags = r->carries_covers ? MAKER_FLAG_COVERS : 0,
                                  .samples = r->samples, .payload = r->payload};
    struct spool_stream *own = spool_own(sp);
    uint64_t seq;
    int rc;

    if (r->payload.len > WIRE_PAYLOAD_MAX_BYTES)
        return -EMSGSIZE;
    wire_tag_head(&head, own->origin, &own->epoch, spool_next_seq(sp, r->lane), r->kind, (uint32_t)r->payload.len);
    if (head.error != 0)
        return head.error;
    end_mac(tag_key, span_of(head.data, head.len), r->payload, record.tag);
    rc = spool_append(sp, r->lane, &record, &seq);
    if (rc != 0)
        return rc;
    if (ob != NULL)
        outbox_added(ob, own, seq);
    if (ret_seq != NULL)
        *ret_seq = seq;
    return 0;
}
