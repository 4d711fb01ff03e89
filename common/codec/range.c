#include "codec/range.h"

const uint16_t range_rates[RANGE_COUNT_MAX + 1] = {
    26214, 18724, 14563, 11915, 10082, 8738, 7710, 6898, 6241, 5698, 5242, 4854, 4519, 4228, 3971, 3744,
    3542,  3360,  3196,  3048,  2912,  2788, 2674, 2570, 2473, 2383, 2299, 2221, 2148, 2080, 2016, 1956,
    1899,  1846,  1795,  1747,  1702,  1659, 1618, 1579, 1542, 1506, 1472, 1440, 1409, 1379, 1351, 1323,
    1297,  1272,  1248,  1224,  1202,  1180, 1159, 1139, 1120, 1101, 1083, 1065, 1048};

void range_begin(struct range_coder *c, uint8_t *out, uint8_t *raw)
{
    *c = (struct range_coder){.range = ~UINT64_C(0), .out = out, .raw = raw, .raw_start = raw};
}

uint8_t *range_finish(struct range_coder *c, const uint8_t *out_start)
{
    unsigned k, j;

    /* The fewest bytes after which the decoder is inside the interval whatever follows: it reads into the raw
     * ones. */
    for (k = 1; k <= 8; k++) {
        uint64_t below = k == 8 ? 0 : ~UINT64_C(0) >> 8 * k, x = (c->low + below) & ~below;

        if (x - c->low < c->range && c->range - (x - c->low) > below) {
            if (x < c->low)
                range_carry(c);
            for (j = 0; j < k; j++)
                *c->out++ = (uint8_t)(x >> (56 - 8 * j));
            break;
        }
    }
    while (c->raw_n > 0) {
        *c->raw++ = (uint8_t)c->raw_held;
        c->raw_held >>= 8;
        c->raw_n = c->raw_n < 8 ? 0 : c->raw_n - 8;
    }
    if (c->raw == c->raw_start)
        while (c->out > out_start && c->out[-1] == 0)
            c->out--;
    while (c->raw > c->raw_start)
        *c->out++ = *--c->raw;
    return c->out;
}

void range_open(struct range_coder *c, struct span body)
{
    *c = (struct range_coder){.range = ~UINT64_C(0),
                              .in = body.data,
                              .in_start = body.data,
                              .in_end = body.data + body.len,
                              .raw_in = body.data + body.len};
    c->code = (uint64_t)range_next32(c) << 32;
    c->code |= range_next32(c);
}

void range_bit_init(struct range_bit *b, size_t n, unsigned percent, unsigned count)
{
    size_t i;

    for (i = 0; i < n; i++)
        b[i] = (struct range_bit){(uint16_t)(65536 * percent / 100), (uint16_t)count};
}

/* Percentages typical for residuals of sensors; they matter for the first hundred rows. */
void range_model_init(struct range_model *m)
{
    static const uint8_t above[4] = {14, 22, 30, 36}, down[8] = {66, 60, 55, 55, 55, 65, 75, 75},
                         second[8] = {48, 47, 47, 45, 44, 33, 27, 27},
                         third[8] = {48, 48, 48, 48, 44, 41, 38, 35};
    unsigned i, f, k;

    m->mean = 0;
    m->last_sign = 0;
    range_bit_init(m->sign, 3, 49, 4);
    for (i = 0; i < 8; i++) {
        range_bit_init(m->second[i], 8, second[i], 6);
        range_bit_init(m->third[i], 16, third[i], 6);
        for (f = 0; f < 4; f++) {
            range_bit_init(&m->above[i][f], 1, above[f], 4);
            range_bit_init(&m->up[i][f][0], 1, 28, 4);
            range_bit_init(&m->up[i][f][1], 11, i > 0 ? 20 : 40, 2);
            for (k = 0; k < 8; k++)
                range_bit_init(&m->down[i][f][k], 1, down[k], 3);
        }
    }
}
