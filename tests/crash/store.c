#include "store.h"

#include "archive/archive.h"
#include "base/cleanup.h"
#include "cloud/account_rows.h"

#include <sodium.h>

const char *const store_name[STORE_TIERS] = {"device", "fog", "cloud"};
const uint64_t store_map_bytes[STORE_TIERS] = {512 << 10, 768 << 10, 2 << 20};

static const char *const spool_tables[] = {SPOOL_TABLE_NAMES};

struct db_options store_db(enum store_tier t, const char *path)
{
    bool cloud = t == STORE_CLOUD;

    return (struct db_options){.path = path,
                               .tables = cloud ? cloud_table_names : spool_tables,
                               .n_tables = cloud ? (unsigned)CLOUD_TABLES : (unsigned)SPOOL_TABLES,
                               .map_bytes = store_map_bytes[t],
                               .role = store_name[t]};
}

static int digest_table(struct db_txn *txn, unsigned table, crypto_generichash_state *state,
                        uint64_t *ret_rows)
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key, value;
    int r = db_cursor_new(txn, table, &c);

    *ret_rows = 0;
    if (r == 0)
        r = db_cursor_seek(c, span_of(NULL, 0), &key, &value);
    while (r == 0) {
        uint64_t head[3] = {table, key.len, value.len};

        crypto_generichash_update(state, (const uint8_t *)head, sizeof head);
        crypto_generichash_update(state, key.data, key.len);
        crypto_generichash_update(state, value.data, value.len);
        ++*ret_rows;
        r = db_cursor_next(c, &key, &value);
    }
    return r == DB_NOT_FOUND ? 0 : r;
}

int store_digest(struct db_txn *txn, unsigned n_tables, uint8_t ret_digest[STORE_DIGEST_BYTES],
                 uint64_t *ret_rows)
{
    crypto_generichash_state state;
    uint64_t rows;

    crypto_generichash_init(&state, NULL, 0, STORE_DIGEST_BYTES);
    for (unsigned t = 0; t < n_tables; t++) {
        int r = digest_table(txn, t, &state, &rows);

        if (r != 0)
            return r;
        if (ret_rows != NULL)
            ret_rows[t] = rows;
    }
    crypto_generichash_final(&state, ret_digest, STORE_DIGEST_BYTES);
    return 0;
}
