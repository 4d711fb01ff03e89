/* frames.c - integers of a column side by side (README.md, "The fast encoding"). */
#include "codec/frames.h"

enum {
    FRAME_PATCHED = 128,
    FRAMES_ZERO = 127, /* this frame and all further ones hold zeros */
    FRAME_SLACK_BYTES = 8,
    /* Head, number and width of the patches; the integers; places and upper bits of the patches. A body may
     * be read this far from a frame's beginning, whatever the frame holds. */
    FRAME_READ_BYTES = 3 + 8 * FRAME + FRAME + 8 * FRAME + 2 * FRAME_SLACK_BYTES,
};

/* v: FRAME of them, zeros behind the first k. */
static uint8_t *put_bits(const struct kernels *kernel, uint8_t *at, const uint64_t *v, unsigned k,
                         unsigned width)
{
    kernel->pack(v, width, at);
    return at + (k * width + 7) / 8;
}

/* What is above `width` of those that are patched, in `upper_width` bits each. They are few: one after the
 * other. Writes up to a word beyond. */
static uint8_t *put_upper(uint8_t *at, const uint64_t *z, uint32_t patched, unsigned width,
                          unsigned upper_width)
{
    uint64_t held = 0;
    unsigned n_held = 0;

    for (; patched != 0; patched &= patched - 1) {
        uint64_t v = z[__builtin_ctz(patched)] >> width;

        held |= v << n_held;
        n_held += upper_width;
        if (n_held >= 64) {
            memcpy(at, &held, 8);
            at += 8;
            n_held -= 64;
            held = n_held == 0 ? 0 : v >> (upper_width - n_held);
        }
    }
    memcpy(at, &held, 8);
    return at + (n_held + 7) / 8;
}

static uint8_t *put_frame(const struct kernels *kernel, uint8_t *at, const uint64_t *z, unsigned k)
{
    uint32_t patched, rest;
    unsigned top, width = kernel->frame_width(z, k, &patched, &top);

    if (patched == 0) {
        *at++ = (uint8_t)width;
        return put_bits(kernel, at, z, k, width);
    }
    *at++ = (uint8_t)(width | FRAME_PATCHED);
    *at++ = (uint8_t)__builtin_popcount(patched);
    *at++ = (uint8_t)(top - width);
    at = put_bits(kernel, at, z, k, width);
    for (rest = patched; rest != 0; rest &= rest - 1)
        *at++ = (uint8_t)__builtin_ctz(rest);
    return put_upper(at, z, patched, width, top - width);
}

/* How many of the last ones are zero: whole frames of them are one byte together. */
static size_t without_zeros(const uint64_t *z, size_t n)
{
    while (n > 0 && z[n - 1] == 0)
        n--;
    return n;
}

void frames_put(struct buf *out, uint64_t *z, size_t n)
{
    const struct kernels *kernel = kernels();
    size_t used = without_zeros(z, n), frames = (used + FRAME - 1) / FRAME, i;
    /* At worst a frame is its header and 64 bits a cell; pack() writes whole frames and a word more. */
    uint8_t *at = buf_grow(out, frames * (1 + 8 * FRAME) + 1 + 8 * FRAME + FRAME_SLACK_BYTES), *end;

    if (at == NULL)
        return;
    end = at;
    for (i = n; i % FRAME != 0; i++)
        z[i] = 0;
    for (i = 0; i < frames; i++)
        end =
            put_frame(kernel, end, z + i * FRAME, (unsigned)(n - i * FRAME < FRAME ? n - i * FRAME : FRAME));
    if (frames * FRAME < n)
        *end++ = FRAMES_ZERO;
    out->len = (size_t)(end - out->data);
}

/* `width` bits from bit `at`; nine bytes are read. */
static inline uint64_t upper_at(const uint8_t *from, unsigned at, unsigned width)
{
    unsigned shift = at % 8;
    uint64_t v = load_le64(from + at / 8) >> shift;

    if (shift + width > 64)
        v |= (uint64_t)from[at / 8 + 8] << (64 - shift);
    return width == 64 ? v : v & ((UINT64_C(1) << width) - 1);
}

/* The k integers of a frame whose head was read, from `at`: FRAME_READ_BYTES are there, but for the head. z
 * has room for FRAME, whatever k is. Where the frame ends; NULL when it is damaged. */
static const uint8_t *get_frame(const struct kernels *kernel, const uint8_t *at, unsigned head, unsigned k,
                                uint64_t *z)
{
    unsigned width = head & ~(unsigned)FRAME_PATCHED, patches = 0, upper_width = 0, i;
    const uint8_t *places;

    if (width > 64)
        return NULL;
    if (head & FRAME_PATCHED) {
        patches = *at++;
        upper_width = *at++;
        if (patches > k || width + upper_width > 64)
            return NULL;
    }
    if (width == 0)
        memset(z, 0, FRAME * sizeof *z);
    else
        kernel->unpack(at, width, z);
    at += (k * width + 7) / 8;
    if (patches == 0)
        return at;
    places = at;
    at += patches;
    if (width == 64)
        width = 0; /* upper_width is 0, too: nothing is added */
    for (i = 0; i < patches; i++) {
        if (places[i] >= k)
            return NULL;
        z[places[i]] |= upper_at(at, i * upper_width, upper_width) << width;
    }
    return at + (patches * upper_width + 7) / 8;
}

bool frames_get(struct reader *r, size_t n, uint64_t *z)
{
    const struct kernels *kernel = kernels();
    const uint8_t *at = r->at, *end = r->end;
    /* The last bytes of a body, from where on what a frame reads might lie beyond them. */
    uint8_t tail[2 * FRAME_READ_BYTES];
    size_t i;

    if (r->bad)
        return false;
    for (i = 0; i < n; i += FRAME) {
        size_t left = (size_t)(end - at);

        if (left == 0)
            return false;
        if (left < FRAME_READ_BYTES && end == r->end) {
            memcpy(tail, at, left);
            memset(tail + left, 0, sizeof tail - left);
            at = tail;
            end = tail + left;
        }
        if (*at == FRAMES_ZERO) {
            memset(z + i, 0, (n - i) * sizeof *z);
            at++;
            break;
        }
        at = get_frame(kernel, at + 1, *at, (unsigned)(n - i < FRAME ? n - i : FRAME), z + i);
        if (at == NULL || at > end)
            return false;
    }
    r->at = r->end - (end - at);
    return true;
}
