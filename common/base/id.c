#include "base/id.h"

#include <sodium.h>
#include <stdlib.h>

struct id128 id128_random(void)
{
    struct id128 id;

    /* Fails only where the kernel gives no randomness at all; an identity that is not random would be worse.
     */
    if (sodium_init() < 0)
        abort();
    do {
        randombytes_buf(id.bytes, sizeof id.bytes);
    } while (id128_is_zero(&id));
    return id;
}

void id128_hex(const struct id128 *id, char out[ID128_HEX_CHARS + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    for (i = 0; i < ID128_BYTES; i++) {
        out[2 * i] = digits[id->bytes[i] >> 4];
        out[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    out[ID128_HEX_CHARS] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool id128_from_hex(const char *hex, struct id128 *ret_id)
{
    struct id128 id;
    size_t i;

    for (i = 0; i < ID128_BYTES; i++) {
        int high = hex_value(hex[2 * i]);
        int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);

        if (low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (hex[ID128_HEX_CHARS] != '\0')
        return false;
    *ret_id = id;
    return true;
}
