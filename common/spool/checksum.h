/* checksum.h - the eight bytes at the end of every stored value.
 *
 * SipHash-2-4 (libsodium crypto_shorthash) twice: h = siphash(K, value), sum = siphash(K', key || h). So a
 * value that a damaged page shows under another key is found too, and a value is hashed where it lies,
 * without joining it to its key. K and K' come from the environment's random id by BLAKE2b: a value of
 * another environment is found as well. The id stands in the clear beside the data: this finds damage, it
 * does not authenticate. Threads: values, no hidden state. */
#ifndef FOGLINE_SPOOL_CHECKSUM_H
#define FOGLINE_SPOOL_CHECKSUM_H

#include "base/bytes.h"
#include "base/id.h"

enum { CHECKSUM_BYTES = 8, CHECKSUM_KEY_BYTES = 16, CHECKSUM_ROW_KEY_MAX_BYTES = 64 };

struct checksum {
    uint8_t value_key[CHECKSUM_KEY_BYTES], row_key[CHECKSUM_KEY_BYTES];
};

void checksum_init(struct checksum *c, const struct id128 *env_id);
/* key <= CHECKSUM_ROW_KEY_MAX_BYTES */
void checksum_make(const struct checksum *c, struct span key, struct span value, uint8_t out[CHECKSUM_BYTES]);

#endif
