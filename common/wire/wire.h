/* wire.h - the only place that packs, unpacks and validates messages.
 *
 * The generated structs (proto/) are used as they are by the layers above, but only through these functions:
 * every unpack runs in a capped arena, refuses unknown-field floods, checks every length, range and interval
 * list, and so hands on messages that need no further checking of shape. Identities are fixed-length bytes;
 * strings are names of the grammar (base/name.h) or printable UTF-8 without NUL. A newer minor format is
 * accepted, another major is not. Numbers that only grow the meaning (kind, encoding, event and command type)
 * pass when unknown; those that arithmetic or decoding rests on (value type, reason, keep policy, lane) do
 * not. Record.kind OBJECT passes: its refusal is the caller's. Threads: an arena belongs to one thread.
 * Limits: below; a message over a limit is refused, never cut. */
#ifndef FOGLINE_WIRE_WIRE_H
#define FOGLINE_WIRE_WIRE_H

#include "base/bytes.h"
#include "base/id.h"
#include "base/interval.h"
#include "proto/document.pb-c.h"
#include "proto/hop.pb-c.h"
#include "proto/record.pb-c.h"

enum {
    WIRE_FORMAT_MAJOR = 1,
    WIRE_FORMAT_MINOR = 0,
    WIRE_FORMAT = WIRE_FORMAT_MAJOR << 8 | WIRE_FORMAT_MINOR,
    WIRE_PAYLOAD_MAX_BYTES = 64 * 1024,   /* one record's payload */
    WIRE_RECORD_OVERHEAD_MAX_BYTES = 256, /* identity, tag, framing of one record inside Data */
    WIRE_UP_MAX_BYTES = 255 * 1024,       /* the socket's limit of 256 KiB less margin for CURVE */
    WIRE_DOWN_MAX_BYTES = 255 * 1024,
    WIRE_DATA_TARGET_BYTES = 64 * 1024, /* what a sender packs into one Data: CURVE charges by message */
    WIRE_RECORDS_MAX = 4096,            /* in one Data */
    WIRE_EPOCHS_MAX = 16,
    WIRE_ASKS_MAX = 2048,
    WIRE_INTERVALS_MAX = 64,         /* in one LaneReport, LaneState, Mark */
    WIRE_COVER_INTERVALS_MAX = 1024, /* in one Cover */
    WIRE_CHANNELS_MAX = 256,         /* in one DescriptorSet */
    WIRE_TAG_BYTES = 16,
    WIRE_SIGNATURE_BYTES = 64,
    WIRE_DOCUMENTS_MAX = 8,
    WIRE_LANES_MAX = (WIRE_EPOCHS_MAX + WIRE_ASKS_MAX) * 2, /* LaneStates, and Marks, in one State */
    WIRE_UNKNOWN_FIELDS_MAX = 16,                           /* in a whole message with all it contains */
    WIRE_MARK_BODY_MAX_BYTES = 4 * 1024,
    WIRE_DOCUMENT_BODY_MAX_BYTES = 192 * 1024,
    WIRE_NODES_MAX = 4096,
    WIRE_KEY_BYTES = 32,
    WIRE_ROWS_MAX = 4096,              /* in one Block */
    WIRE_TAGS_MAX = 16,                /* of one Descriptor */
    WIRE_CODEC_START_MAX_BYTES = 1000, /* of one column, and of the times */
    WIRE_COVERS_MAX = 1024,            /* in one Block or Ledger */
    WIRE_NEEDS_MAX = 64,               /* in one Cover */
    WIRE_COUNTERS_MAX = 1024,
    WIRE_REDUCED_MAX = 512,       /* in one Health: sources by reasons */
    WIRE_LABEL_MAX_BYTES = 128,   /* unit, tag, version, counter name */
    WIRE_SUBJECT_MAX_BYTES = 256, /* of an event */
    WIRE_TEXT_MAX_BYTES =
        4096, /* of an event, reply, command: may hold line feeds and tabs, save in commands */
    WIRE_CLOCK_STATE_MAX = 2,
    WIRE_SEVERITY_MAX = 3,
    WIRE_ARENA_BYTES =
        1024 * 1024, /* enough for any message within these limits that is not made to be costly */
};
/* The codec takes no larger one. */
#define WIRE_ERROR_BOUND_MAX 1e300

/* Sequence numbers: the lane in the top byte, 1, 2, 3 ... below. */
enum { LANE_ORDINARY = 0, LANE_URGENT = 1, LANE_COUNT = 2 };
#define SEQ_COUNT_MAX ((UINT64_C(1) << 56) - 1)

static inline uint64_t seq_make(unsigned lane, uint64_t count)
{
    return (uint64_t)lane << 56 | count;
}

static inline unsigned seq_lane(uint64_t seq)
{
    return (unsigned)(seq >> 56);
}

static inline uint64_t seq_count(uint64_t seq)
{
    return seq & SEQ_COUNT_MAX;
}

enum {
    RECORD_FLAG_AGAIN = 1
}; /* may have been given to another store: HOP section 6 in common/hop/README.md */

/* A bump allocator with a cap, handed to protobuf-c: one message can never cost more than the cap. Reset, not
 * freed, between messages; the memory is kept for the next one. An arena costs the pages it has touched, not
 * its cap (WIRE_ARENA_BYTES is the usual one). */
struct wire_arena;
must_check int wire_arena_new(struct wire_arena **ret_a, size_t cap_bytes);
struct wire_arena *wire_arena_free(struct wire_arena *a); /* accepts NULL */
void wire_arena_reset(struct wire_arena *a);
void *wire_arena_alloc(struct wire_arena *a,
                       size_t n); /* 8-byte aligned; NULL over the cap. For building messages */

/* Why a message was refused: a fixed word for counters and logs. */
enum wire_fault {
    WIRE_OK = 0,
    WIRE_MALFORMED = 1, /* not protobuf, over the arena, unknown-field flood */
    WIRE_FORMAT_UNKNOWN = 2,
    WIRE_LIMIT = 3,   /* a count or length over its limit */
    WIRE_INVALID = 4, /* a field out of its range */
};
const char *wire_fault_name(enum wire_fault f);

/* What no reader takes in the text of an event or of a reply becomes '?': bytes that are no UTF-8, as where a
 * text was cut, and control characters. */
void wire_text_mend(char *text);

/* Unpack and validate. The result lives in the arena until wire_arena_reset(); never free it. `bytes` fields
 * are copies in the arena. 0 or a wire_fault; *ret set only on 0. */
must_check int wire_up_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Up **ret_up);
must_check int wire_down_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Down **ret_down);
must_check int wire_mark_body_unpack(struct wire_arena *a, struct span bytes,
                                     Fogline__V1__MarkBody **ret_body);
must_check int wire_node_list_unpack(struct wire_arena *a, struct span bytes,
                                     Fogline__V1__NodeList **ret_list);
must_check int wire_command_unpack(struct wire_arena *a, struct span bytes,
                                   Fogline__V1__Command **ret_command);
must_check int wire_document_unpack(struct wire_arena *a, struct span bytes,
                                    Fogline__V1__Document **ret_document);
must_check int wire_descriptor_set_unpack(struct wire_arena *a, struct span bytes,
                                          Fogline__V1__DescriptorSet **ret_set);
must_check int wire_block_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Block **ret_block);
must_check int wire_event_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Event **ret_event);
must_check int wire_health_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Health **ret_health);
must_check int wire_ledger_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Ledger **ret_ledger);
must_check int wire_reply_unpack(struct wire_arena *a, struct span bytes, Fogline__V1__Reply **ret_reply);

/* Packs any generated message (pass &msg->base) at the tail of b. The buffer's sticky error tells of failure.
 */
void wire_pack(struct buf *b, const ProtobufCMessage *m);

/* Interval lists as flat from, to, from, to ... */
/* Copies at most max_intervals intervals of s that lie within [from, to] (cut to it) into the arena; NULL and
 * *ret_n 0 when none, or when the arena is full. *ret_n counts numbers, two per interval. *ret_cut (may be
 * NULL) says that there were more. */
uint64_t *wire_bounds_of(struct wire_arena *a, const struct interval_set *s, uint64_t from, uint64_t to,
                         size_t max_intervals, size_t *ret_n, bool *ret_cut);
/* true when the list is ascending, disjoint, within 1 .. SEQ_COUNT_MAX and of even length <= 2 *
 * max_intervals. */
bool wire_bounds_ok(const uint64_t *bounds, size_t n, size_t max_intervals);
must_check int wire_bounds_add_to(struct interval_set *s, const uint64_t *bounds, size_t n);

static inline struct span wire_span(ProtobufCBinaryData b)
{
    return (struct span){b.data, b.len};
}

static inline ProtobufCBinaryData wire_bytes(struct span s)
{
    return (ProtobufCBinaryData){s.len, (uint8_t *)s.data};
}

/* false when the field has not 16 bytes. */
bool wire_id128(ProtobufCBinaryData b, struct id128 *ret_id);

/* Id of a descriptor set: first 8 bytes, little-endian, of BLAKE2b-256 over its packed bytes. */
uint64_t wire_descriptor_set_id(struct span packed);

/* The byte strings that authenticators are made over (fixed layout, all integers little-endian, written down
 * in proto/README.md). All append to b. The heads are all but the payload or body that follows, for streamed
 * hashing: input = head, then the bytes. */
void wire_tag_head(struct buf *b, const char *origin, const struct id128 *epoch, uint64_t seq, uint32_t kind,
                   size_t payload_len);
void wire_tag_input(struct buf *b, const char *origin, const struct id128 *epoch, uint64_t seq, uint32_t kind,
                    struct span payload);
void wire_mark_head(struct buf *b);
void wire_mark_input(struct buf *b, struct span body);
void wire_document_input(struct buf *b, const char *kind, const char *target, uint64_t version,
                         struct span body);

/* A record as everything but the messages sees it. Borrows origin and payload. */
struct record {
    const char *origin; /* node id */
    struct id128 epoch;
    uint64_t seq; /* lane in the top byte */
    uint32_t kind, flags, samples;
    struct span payload;
    uint8_t tag[WIRE_TAG_BYTES];
};

#endif
