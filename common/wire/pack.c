#include "wire/wire.h"

void wire_pack(struct buf *b, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *at;

    if (n == 0)
        return;
    at = buf_grow(b, n);
    if (at != NULL)
        protobuf_c_message_pack(m, at);
}

bool wire_id128(ProtobufCBinaryData b, struct id128 *ret_id)
{
    if (b.len != sizeof ret_id->bytes)
        return false;
    memcpy(ret_id->bytes, b.data, sizeof ret_id->bytes);
    return true;
}

const char *wire_fault_name(enum wire_fault f)
{
    switch (f) {
    case WIRE_OK:
        return "ok";
    case WIRE_MALFORMED:
        return "malformed";
    case WIRE_FORMAT_UNKNOWN:
        return "format-unknown";
    case WIRE_LIMIT:
        return "limit";
    case WIRE_INVALID:
        return "invalid";
    }
    return "unknown";
}
