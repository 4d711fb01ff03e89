#include "archive/set_find.h"

#include "archive/rows.h"

static int find(struct db_txn *txn, const char *origin, uint64_t set_id, struct buf *ret_packed)
{
    struct device_row device;
    struct set_row set;
    struct row_key key;
    struct span value;
    int rc;

    device_key_put(&key, origin);
    rc = db_get(txn, ARCHIVE_TABLE_DEVICES, row_key_span(&key), &value);
    if (rc != 0)
        return rc;
    if (!device_get(row_key_span(&key), value, &device))
        return DB_DAMAGED;
    set_key_put(&key, device.no, set_id);
    rc = db_get(txn, ARCHIVE_TABLE_SETS, row_key_span(&key), &value);
    if (rc != 0)
        return rc;
    if (!set_get(row_key_span(&key), value, &set))
        return DB_DAMAGED;
    buf_append(ret_packed, set.descriptor.data, set.descriptor.len);
    return set.descriptor.len > 0 ? ret_packed->error : DB_NOT_FOUND;
}

int archive_find_set(struct db *db, const char *origin, uint64_t set_id, struct buf *ret_packed)
{
    struct db_txn *txn;
    int rc = db_begin(db, false, &txn);

    if (rc != 0)
        return rc;
    rc = find(txn, origin, set_id, ret_packed);
    db_abort(txn);
    return rc;
}
