#include "fog/covers_rows.h"

#include "archive/rows_bytes.h"

void covers_key_put(struct row_key *k, const struct covers_row *r)
{
    k->len = 0;
    key_u8(k, r->state);
    key_be32(k, r->stream);
    key_u8(k, r->lane);
    key_u8(k, r->reason);
    key_be64(k, r->first);
}

void covers_value_put(struct buf *b, const struct covers_row *r)
{
    buf_u8(b, ROWS_FORMAT);
    buf_le64(b, r->last);
    buf_le64(b, r->samples);
    buf_le32(b, r->parts);
    buf_le32(b, r->asked);
    buf_le64(b, r->ledger);
    for (size_t i = 0; i < r->n_needs; i++)
        buf_le64(b, r->needs[i]);
}

bool covers_row_get(struct span key, struct span value, struct covers_row *ret_r)
{
    enum { KEY_BYTES_OF_ROW = 15, HEAD_BYTES = 33 };
    const uint8_t *k = key.data, *v = value.data;
    size_t n = value.len < HEAD_BYTES ? 0 : (value.len - HEAD_BYTES) / 8;

    if (key.len != KEY_BYTES_OF_ROW || value.len < HEAD_BYTES || v[0] != ROWS_FORMAT ||
        value.len != HEAD_BYTES + 8 * n || n > COVERS_NEEDS_MAX || k[0] < COVERS_STATE_WAITING ||
        k[0] > COVERS_STATE_SAID || k[5] >= SPOOL_LANES)
        return false;
    ret_r->state = (enum covers_state)k[0];
    ret_r->stream = load_be32(k + 1);
    ret_r->lane = k[5];
    ret_r->reason = k[6];
    ret_r->first = load_be64(k + 7);
    ret_r->last = load_le64(v + 1);
    ret_r->samples = load_le64(v + 9);
    ret_r->parts = load_le32(v + 17);
    ret_r->asked = load_le32(v + 21);
    ret_r->ledger = load_le64(v + 25);
    ret_r->n_needs = n;
    for (size_t i = 0; i < n; i++)
        ret_r->needs[i] = load_le64(v + HEAD_BYTES + 8 * i);
    return ret_r->first > 0 && ret_r->first <= ret_r->last;
}

bool covers_needs_add(struct covers_row *r, uint64_t need)
{
    size_t i = r->n_needs;

    while (i > 0 && r->needs[i - 1] > need)
        i--;
    if (i > 0 && r->needs[i - 1] == need)
        return true;
    if (r->n_needs == COVERS_NEEDS_MAX)
        return false;
    memmove(&r->needs[i + 1], &r->needs[i], (r->n_needs - i) * sizeof r->needs[0]);
    r->needs[i] = need;
    r->n_needs++;
    return true;
}

bool covers_needs_unite(struct covers_row *r, const struct covers_row *with, size_t max)
{
    uint64_t all[COVERS_NEEDS_MAX];
    size_t n = 0, a = 0, b = 0;

    while (a < r->n_needs || b < with->n_needs) {
        uint64_t x;

        if (b == with->n_needs || (a < r->n_needs && r->needs[a] <= with->needs[b])) {
            x = r->needs[a++];
            b += b < with->n_needs && with->needs[b] == x;
        } else {
            x = with->needs[b++];
        }
        if (n == max)
            return false;
        all[n++] = x;
    }
    memcpy(r->needs, all, n * sizeof all[0]);
    r->n_needs = n;
    return true;
}
