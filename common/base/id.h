/* id.h - random identities: epochs, store ids, archive ids (128 bit) and runs (64 bit), and their text form.
 */
#ifndef FOGLINE_BASE_ID_H
#define FOGLINE_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { ID128_BYTES = 16, ID128_HEX_CHARS = 32 };

struct id128 {
    uint8_t bytes[ID128_BYTES];
};

static inline bool id128_equal(const struct id128 *a, const struct id128 *b)
{
    return memcmp(a->bytes, b->bytes, ID128_BYTES) == 0;
}

static inline bool id128_is_zero(const struct id128 *a)
{
    static const struct id128 zero;
    return id128_equal(a, &zero);
}

struct id128 id128_random(void); /* getrandom by libsodium; never all zero */
void id128_hex(const struct id128 *id, char out[ID128_HEX_CHARS + 1]);
bool id128_from_hex(const char *hex, struct id128 *ret_id);

#endif
