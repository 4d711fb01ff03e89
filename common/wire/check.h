/* check.h - the small checks that validators are made of. Private to common/wire.
 *
 * A check notes the first fault and is a no-op afterwards, so a validator is a straight list of facts. */
#ifndef FOGLINE_WIRE_CHECK_H
#define FOGLINE_WIRE_CHECK_H

#include "wire/wire.h"

struct check {
    int fault; /* enum wire_fault: the first one found */
    size_t n_unknown_fields;
};

static inline void check_fail(struct check *c, enum wire_fault fault)
{
    if (c->fault == WIRE_OK)
        c->fault = fault;
}

static inline void check_that(struct check *c, bool ok)
{
    if (!ok)
        check_fail(c, WIRE_INVALID);
}

static inline void check_limit(struct check *c, size_t n, size_t max)
{
    if (n > max)
        check_fail(c, WIRE_LIMIT);
}

void check_unknown_fields(struct check *c, const ProtobufCMessage *m);

/* Every validator calls it for its message. */
static inline void check_base(struct check *c, const ProtobufCMessage *m)
{
    if (m->n_unknown_fields > 0)
        check_unknown_fields(c, m);
}

static inline void check_lane(struct check *c, uint32_t lane)
{
    check_that(c, lane < LANE_COUNT);
}

static inline void check_id(struct check *c, ProtobufCBinaryData b)
{
    check_that(c, b.len == ID128_BYTES);
}

static inline void check_id_or_empty(struct check *c, ProtobufCBinaryData b)
{
    check_that(c, b.len == ID128_BYTES || b.len == 0);
}

static inline void check_bytes(struct check *c, ProtobufCBinaryData b, size_t len)
{
    check_that(c, b.len == len);
}

void check_format(struct check *c, uint32_t format);
void check_name(struct check *c, const char *name);
void check_name_or_empty(struct check *c, const char *name);
/* Printable UTF-8 of at most max_bytes; check_text allows line feeds and tabs too. */
void check_line(struct check *c, const char *text, size_t max_bytes);
void check_text(struct check *c, const char *text, size_t max_bytes);
/* An interval list within [from, to]; from <= to. */
void check_bounds(struct check *c, const uint64_t *bounds, size_t n, uint64_t from, uint64_t to);
void check_seq(struct check *c, uint64_t seq);

/* Unpacks into the arena; NULL when the bytes are not this message, too long, or cost more than the arena
 * has. */
void *unpack_raw(struct wire_arena *a, const ProtobufCMessageDescriptor *d, struct span bytes,
                 size_t max_bytes, struct check *c);

void check_document(struct check *c, const Fogline__V1__Document *d);

#endif
