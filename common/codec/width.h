/* width.h - unsigned offsets from a base in 0, 1, 2, 4 or 8 bytes. Private to common/codec. */
#ifndef FOGLINE_CODEC_WIDTH_H
#define FOGLINE_CODEC_WIDTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool width_known(unsigned width)
{
    return width <= 2 || width == 4 || width == 8;
}

/* The least width that holds 0 .. span. */
static inline unsigned width_of(uint64_t span)
{
    if (span == 0)
        return 0;
    if (span <= UINT8_MAX)
        return 1;
    if (span <= UINT16_MAX)
        return 2;
    return span <= UINT32_MAX ? 4 : 8;
}

static inline void range_of(const int64_t *v, size_t n, int64_t *ret_low, int64_t *ret_high)
{
    int64_t low = v[0], high = v[0];
    size_t i;

    for (i = 1; i < n; i++) {
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
    }
    *ret_low = low;
    *ret_high = high;
}

/* `width` is a constant at each place of use, so that each becomes a loop of its own. */
static inline __attribute__((always_inline)) void put_each(const int64_t *v, size_t n, int64_t base,
                                                           unsigned width, uint8_t *out)
{
    size_t i;

    for (i = 0; i < n; i++) {
        uint64_t offset = (uint64_t)v[i] - (uint64_t)base;

        memcpy(out + i * width, &offset, width);
    }
}

static inline void width_put(const int64_t *v, size_t n, int64_t base, unsigned width, uint8_t *out)
{
    switch (width) {
    case 1:
        put_each(v, n, base, 1, out);
        break;
    case 2:
        put_each(v, n, base, 2, out);
        break;
    case 4:
        put_each(v, n, base, 4, out);
        break;
    case 8:
        put_each(v, n, base, 8, out);
        break;
    default:
        break;
    }
}

static inline uint64_t width_load(const uint8_t *p, unsigned width)
{
    uint64_t offset = 0;

    memcpy(&offset, p, width);
    return offset;
}

static inline __attribute__((always_inline)) bool get_each(const uint8_t *p, size_t n, int64_t base,
                                                           unsigned width, int64_t *out)
{
    uint64_t room = (uint64_t)INT64_MAX - (uint64_t)base;
    bool over = false;
    size_t i;

    for (i = 0; i < n; i++) {
        uint64_t offset = width_load(p + i * width, width);

        over |= offset > room;
        out[i] = (int64_t)((uint64_t)base + offset);
    }
    return !over;
}

/* false when a sum leaves the range of int64, which no encoder writes. */
static inline bool width_get(const uint8_t *p, size_t n, int64_t base, unsigned width, int64_t *out)
{
    switch (width) {
    case 1:
        return get_each(p, n, base, 1, out);
    case 2:
        return get_each(p, n, base, 2, out);
    case 4:
        return get_each(p, n, base, 4, out);
    case 8:
        return get_each(p, n, base, 8, out);
    default:
        return get_each(p, n, base, 0, out);
    }
}

#endif
