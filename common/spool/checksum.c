#include "spool/checksum.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(CHECKSUM_BYTES == crypto_shorthash_BYTES, "sum");
_Static_assert(CHECKSUM_KEY_BYTES == crypto_shorthash_KEYBYTES, "key");

void checksum_init(struct checksum *c, const struct id128 *env_id)
{
    static const char context[] = "fogline/store-checksum/v1";
    uint8_t both[2 * CHECKSUM_KEY_BYTES];

    /* Cannot fail: all lengths are constants within BLAKE2b's limits. */
    crypto_generichash(both, sizeof both, (const uint8_t *)context, sizeof context - 1, env_id->bytes,
                       ID128_BYTES);
    memcpy(c->value_key, both, CHECKSUM_KEY_BYTES);
    memcpy(c->row_key, both + CHECKSUM_KEY_BYTES, CHECKSUM_KEY_BYTES);
}

void checksum_make(const struct checksum *c, struct span key, struct span value, uint8_t out[CHECKSUM_BYTES])
{
    uint8_t row[CHECKSUM_ROW_KEY_MAX_BYTES + CHECKSUM_BYTES];

    assert(key.len <= CHECKSUM_ROW_KEY_MAX_BYTES);
    memcpy(row, key.data, key.len);
    crypto_shorthash(row + key.len, value.data, value.len, c->value_key);
    crypto_shorthash(out, row, key.len + CHECKSUM_BYTES, c->row_key);
}
