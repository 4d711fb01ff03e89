/* range.h - adaptive binary range coder, raw bits, and the model of signed integers. Private to common/codec.
 *
 * The coder works on 64 bits at a time with carries back into the output; raw bits go into a second string,
 * which is turned round and put behind the range-coded bytes: the decoder reads both ends towards the middle,
 * and bytes beyond an end read as 0 (README.md, "The small encoding"). Every function serves both directions,
 * `decoding` being known when it is compiled: one text is the format for encoder and decoder alike. Threads:
 * one coder, one thread. */
#ifndef FOGLINE_CODEC_RANGE_H
#define FOGLINE_CODEC_RANGE_H

#include "base/bytes.h"

#define BOTH_WAYS static inline __attribute__((always_inline))

enum { RANGE_COUNT_MAX = 60 };

/* One adaptive bit: probability of 1 in 1/65536, and how often it was seen, up to RANGE_COUNT_MAX. */
struct range_bit {
    uint16_t p, n;
};

struct range_coder {
    uint64_t low, range, code;
    /* encoder: room is made before; `raw` grows forward and is turned round at the end */
    uint8_t *out, *raw, *raw_start;
    /* decoder: range-coded bytes from the front, raw bytes from the back */
    const uint8_t *in, *in_end, *raw_in, *in_start;
    uint64_t raw_held;
    unsigned raw_n;
};

/* How fast a probability moves after n sightings: floor(65536 / (n + 2.5)). */
extern const uint16_t range_rates[RANGE_COUNT_MAX + 1];

/* out and raw: memory enough for everything until range_finish. */
void range_begin(struct range_coder *c, uint8_t *out, uint8_t *raw);
/* Appends the last bytes and the raw ones behind c->out; returns the end. */
uint8_t *range_finish(struct range_coder *c, const uint8_t *out_start);
void range_open(struct range_coder *c, struct span body);

BOTH_WAYS uint32_t range_next32(struct range_coder *c)
{
    uint32_t v = 0;
    int k;

    if (c->in_end - c->in >= 4) {
        v = load_be32(c->in);
        c->in += 4;
        return v;
    }
    for (k = 0; k < 4; k++)
        v = v << 8 | (c->in < c->in_end ? *c->in++ : 0);
    return v;
}

/* Adds a carry to what is written; there always is a byte to take it. */
static inline void range_carry(struct range_coder *c)
{
    uint8_t *at = c->out;

    while (++*--at == 0)
        ;
}

BOTH_WAYS int range_bit(struct range_coder *c, const bool decoding, struct range_bit *m, int bit)
{
    uint64_t bound = (c->range >> 16) * m->p, lower;

    if (decoding)
        bit = c->code < bound;
    lower = (uint64_t)bit - 1; /* all ones for a 0, which takes the upper part */
    if (decoding) {
        c->code -= bound & lower;
    } else {
        c->low += bound & lower;
        if (__builtin_expect(c->low < (bound & lower), 0))
            range_carry(c);
    }
    c->range = (bound & ~lower) + ((c->range - bound) & lower);
    /* towards 65504/65536 or 32/65536: no probability ever is 0 or 1 */
    m->p = (uint16_t)(m->p + ((32 + (65472 & -bit) - m->p) * (int)range_rates[m->n] >> 16));
    m->n = (uint16_t)(m->n + (m->n < RANGE_COUNT_MAX));
    if (c->range < UINT64_C(1) << 32) {
        c->range <<= 32;
        if (decoding) {
            c->code = c->code << 32 | range_next32(c);
        } else {
            uint32_t top = __builtin_bswap32((uint32_t)(c->low >> 32));

            memcpy(c->out, &top, 4);
            c->out += 4;
            c->low <<= 32;
        }
    }
    return bit;
}

/* n <= 32 */
BOTH_WAYS uint64_t range_raw32(struct range_coder *c, const bool decoding, uint64_t v, unsigned n)
{
    uint64_t mask = (UINT64_C(1) << n) - 1;

    if (!decoding) {
        c->raw_held |= (v & mask) << c->raw_n;
        c->raw_n += n;
        if (c->raw_n >= 32) {
            uint32_t word = (uint32_t)c->raw_held;

            memcpy(c->raw, &word, 4);
            c->raw += 4;
            c->raw_held >>= 32;
            c->raw_n -= 32;
        }
        return v;
    }
    if (c->raw_n < n) {
        if (c->raw_in - c->in_start >= 8) {
            unsigned n_bytes = (63 - c->raw_n) / 8;
            uint64_t word = load_be64(c->raw_in - 8);

            c->raw_held |= (word & ((UINT64_C(1) << 8 * n_bytes) - 1)) << c->raw_n;
            c->raw_in -= n_bytes;
            c->raw_n += 8 * n_bytes;
        } else {
            while (c->raw_n < n) {
                c->raw_held |= (uint64_t)(c->raw_in > c->in_start ? *--c->raw_in : 0) << c->raw_n;
                c->raw_n += 8;
            }
        }
    }
    v = c->raw_held & mask;
    c->raw_held >>= n;
    c->raw_n -= n;
    return v;
}

/* n <= 64; the upper bits first. */
BOTH_WAYS uint64_t range_raw(struct range_coder *c, const bool decoding, uint64_t v, unsigned n)
{
    uint64_t upper = 0;

    if (n > 32) {
        upper = range_raw32(c, decoding, v >> 32, n - 32) << 32;
        n = 32;
    }
    v = range_raw32(c, decoding, v & 0xffffffff, n);
    return upper | v;
}

/* ---- signed integers ---- */

/* The bit length of an integer, told relative to the one expected from the mean size so far, then its sign
 * and two leading bits, each with probabilities of its own; what is below them is noise, and raw. */
struct range_model {
    struct range_bit above[8][4], up[8][4][12], down[8][4][8], sign[3], second[8][8], third[8][16];
    uint64_t mean;     /* running mean of the sizes, in 1/128 */
    uint8_t last_sign; /* 0 none yet or zero, 1 plus, 2 minus */
};

/* Typical probabilities, mean 0. */
void range_model_init(struct range_model *m);
void range_bit_init(struct range_bit *b, size_t n, unsigned percent, unsigned count);

BOTH_WAYS unsigned range_bit_length(uint64_t a)
{
    return a == 0 ? 0 : 64 - (unsigned)__builtin_clzll(a);
}

BOTH_WAYS int64_t range_integer(struct range_coder *c, const bool decoding, struct range_model *m, int64_t x)
{
    uint64_t size = x < 0 ? 0 - (uint64_t)x : (uint64_t)x, scale = m->mean + 64;
    unsigned top = 63 - (unsigned)__builtin_clzll(scale), e = top - 6, f = (unsigned)(scale >> (top - 2)) & 3,
             row = e > 7 ? 7 : e, length = range_bit_length(size), i;
    int minus = x < 0, second = 0, third = 0;

    if (range_bit(c, decoding, &m->above[row][f], length > e)) {
        for (i = 0; e + 1 + i < 64; i++)
            if (!range_bit(c, decoding, &m->up[row][f][i > 11 ? 11 : i], length > e + 1 + i))
                break;
        length = e + 1 + i;
    } else {
        for (i = 0; i < e; i++)
            if (!range_bit(c, decoding, &m->down[row][f][i > 7 ? 7 : i], length < e - i))
                break;
        length = e - i;
    }
    if (length == 0) {
        size = 0;
        m->last_sign = 0;
    } else {
        unsigned column = length < 7 ? length : 7;
        int relative = (int)length - (int)e + 4;

        relative = relative < 0 ? 0 : relative > 7 ? 7 : relative;
        minus = range_bit(c, decoding, &m->sign[m->last_sign], minus);
        m->last_sign = (uint8_t)(1 + minus);
        if (length > 1)
            second = range_bit(c, decoding, &m->second[relative][column], (int)(size >> (length - 2) & 1));
        if (length > 2)
            third = range_bit(c, decoding, &m->third[relative][2 * column + (unsigned)second],
                              (int)(size >> (length - 3) & 1));
        if (decoding)
            size = length == 1   ? 1
                   : length == 2 ? 2 | (uint64_t)second
                                 : (4 | (uint64_t)(second << 1 | third)) << (length - 3);
        if (length > 3) {
            uint64_t noise = range_raw(c, decoding, size & ((UINT64_C(1) << (length - 3)) - 1), length - 3);

            if (decoding)
                size |= noise;
        }
    }
    m->mean += ((size > UINT64_C(1) << 48 ? UINT64_C(1) << 48 : size) << 4) - (m->mean >> 3);
    return (int64_t)(minus ? 0 - size : size);
}

#endif
