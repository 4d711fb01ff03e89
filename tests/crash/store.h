/* store.h - the three stores of the recorded pipeline: what their options are, and a digest of all they hold.
 *
 * Used by the program that is recorded and by the one that opens the crash states. */
#ifndef FOGLINE_TESTS_CRASH_STORE_H
#define FOGLINE_TESTS_CRASH_STORE_H

#include "spool/spool.h"

enum store_tier { STORE_DEVICE, STORE_FOG, STORE_CLOUD, STORE_TIERS };
enum { STORE_DIGEST_BYTES = 32, STORE_PATH_CHARS = 512 };

extern const char *const store_name[STORE_TIERS]; /* of tier, role, node and folder */
extern const uint64_t store_map_bytes[STORE_TIERS];

/* What a program tells: the state it had made durable when it spoke. */
struct store_ack {
    uint8_t tier;
    uint8_t digest[STORE_DIGEST_BYTES];
};

/* path: borrowed */
struct db_options store_db(enum store_tier t, const char *path);
/* Every key and value of every table. 0, or what the walk said (DB_DAMAGED, negative). ret_rows[table] may be
 * NULL. */
must_check int store_digest(struct db_txn *txn, unsigned n_tables, uint8_t ret_digest[STORE_DIGEST_BYTES],
                            uint64_t *ret_rows);

#endif
