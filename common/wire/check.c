#include "wire/check.h"

#include "base/name.h"
#include "wire/arena.h"

/* Protobuf's field numbers. protobuf-c reads others when they are written long, and cannot read them back as
 * it writes them. */
#define FIELD_NUMBER_MAX ((1u << 29) - 1)

/* A flood of unknown fields is counted over the whole tree. */
void check_unknown_fields(struct check *c, const ProtobufCMessage *m)
{
    unsigned i;

    c->n_unknown_fields += m->n_unknown_fields;
    if (c->n_unknown_fields > WIRE_UNKNOWN_FIELDS_MAX)
        check_fail(c, WIRE_MALFORMED);
    for (i = 0; c->fault == WIRE_OK && i < m->n_unknown_fields; i++)
        if (m->unknown_fields[i].tag == 0 || m->unknown_fields[i].tag > FIELD_NUMBER_MAX)
            check_fail(c, WIRE_MALFORMED);
}

void check_format(struct check *c, uint32_t format)
{
    if (format >> 8 != WIRE_FORMAT_MAJOR)
        check_fail(c, WIRE_FORMAT_UNKNOWN);
}

void check_name(struct check *c, const char *name)
{
    check_that(c, name_part_ok(name, strlen(name)));
}

void check_name_or_empty(struct check *c, const char *name)
{
    if (name[0] != '\0')
        check_name(c, name);
}

/* Length of the UTF-8 sequence at s (RFC 3629: shortest form, no surrogates), 0 when it is none. Ends at a
 * NUL by itself, since NUL continues nothing. */
static size_t utf8_length(const uint8_t *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4 || (s[1] & 0xc0) != 0x80)
        return 0;
    if (s[0] < 0xe0)
        return 2;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f) || (s[2] & 0xc0) != 0x80)
        return 0;
    if (s[0] < 0xf0)
        return 3;
    return (s[3] & 0xc0) == 0x80 ? 4 : 0;
}

/* Bytes of the character at s; 0: none that may be shown. Control characters (C0, DEL, C1) would reach an
 * operator's terminal. */
static size_t printable_length(const uint8_t *s, bool layout)
{
    size_t n = utf8_length(s);

    if (*s == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0))
        return 0;
    if (*s < 0x20 && !(layout && (*s == '\n' || *s == '\t')))
        return 0;
    return n;
}

static bool printable(const char *text, bool layout)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t n = 1;

    for (; *s != '\0' && n > 0; s += n)
        n = printable_length(s, layout);
    return n > 0;
}

void wire_text_mend(char *text)
{
    uint8_t *s = (uint8_t *)text;

    while (*s != '\0') {
        size_t n = printable_length(s, true);

        if (n == 0)
            *s = '?';
        s += n > 0 ? n : 1;
    }
}

static void check_printable(struct check *c, const char *text, size_t max_bytes, bool layout)
{
    check_limit(c, strlen(text), max_bytes);
    check_that(c, printable(text, layout));
}

void check_line(struct check *c, const char *text, size_t max_bytes)
{
    check_printable(c, text, max_bytes, false);
}

void check_text(struct check *c, const char *text, size_t max_bytes)
{
    check_printable(c, text, max_bytes, true);
}

void check_bounds(struct check *c, const uint64_t *bounds, size_t n, uint64_t from, uint64_t to)
{
    check_limit(c, n, 2 * WIRE_INTERVALS_MAX);
    check_that(c, from <= to && to <= SEQ_COUNT_MAX);
    if (c->fault != WIRE_OK || n == 0)
        return;
    check_that(c, wire_bounds_ok(bounds, n, WIRE_INTERVALS_MAX) && bounds[0] >= from && bounds[n - 1] <= to);
}

void check_seq(struct check *c, uint64_t seq)
{
    check_lane(c, seq_lane(seq));
    check_that(c, seq_count(seq) != 0);
}

void *unpack_raw(struct wire_arena *a, const ProtobufCMessageDescriptor *d, struct span bytes,
                 size_t max_bytes, struct check *c)
{
    ProtobufCMessage *m;

    if (bytes.len > max_bytes) {
        check_fail(c, WIRE_LIMIT);
        return NULL;
    }
    m = protobuf_c_message_unpack(d, wire_arena_allocator(a), bytes.len, bytes.data);
    if (m == NULL)
        check_fail(c, WIRE_MALFORMED);
    return m;
}
