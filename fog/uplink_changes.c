/* Readings that go up as changes.
 *
 * Table, of a channel:
 *   key    first 16 bytes of BLAKE2b of origin, channel of the result, type
 *   value  u8 1, u8 flags (1 was absent, 2 after a late one), u8 quality, le64 sent, le64 newest, le64 cell,
 *          8 bytes of the epoch, le64 number of the newest record looked at, text */
#include "archive/block_head.h"
#include "base/cleanup.h"
#include "fog/uplink_private.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, KEY_BYTES_OF_ROW = 16, HEAD_BYTES = 43, WAS_ABSENT = 1, AFTER_LATE = 2 };

struct memory {
    struct keep_channel channel;
    uint64_t epoch, count;
    uint8_t text[KEEP_TEXT_BYTES];
};

static void key_of(const struct uplink_set *set, uint32_t i, uint8_t key[KEY_BYTES_OF_ROW])
{
    const struct uplink_detail *d = set->detail;
    uint8_t type = (uint8_t)d->out[i].type;
    crypto_generichash_state s;

    crypto_generichash_init(&s, NULL, 0, KEY_BYTES_OF_ROW);
    crypto_generichash_update(&s, (const uint8_t *)set->origin, strlen(set->origin) + 1);
    crypto_generichash_update(&s, (const uint8_t *)d->out[i].name, strlen(d->out[i].name) + 1);
    crypto_generichash_update(&s, &type, 1);
    crypto_generichash_final(&s, key, KEY_BYTES_OF_ROW);
}

/* Zero when there is none, or it is damaged: then the next reading is sent. */
static int load(struct uplink *u, const struct uplink_set *set, uint32_t i, struct memory *m)
{
    uint8_t key[KEY_BYTES_OF_ROW];
    struct db_txn *txn;
    struct span value;
    const uint8_t *v;
    int r = spool_txn(u->o.spool, &txn);

    memset(m, 0, sizeof *m);
    m->channel.text = m->text;
    key_of(set, i, key);
    if (r == 0)
        r = db_get(txn, u->o.table, span_of(key, sizeof key), &value);
    if (r != 0)
        return r < 0 || r == DB_FULL ? r : 0;
    v = value.data;
    if (value.len < HEAD_BYTES || v[0] != FORMAT || value.len - HEAD_BYTES > KEEP_TEXT_BYTES)
        return 0;
    m->channel.has_sent = true;
    m->channel.was_absent = (v[1] & WAS_ABSENT) != 0;
    m->channel.after_late = (v[1] & AFTER_LATE) != 0;
    m->channel.quality = v[2];
    m->channel.sent_ns = (int64_t)load_le64(v + 3);
    m->channel.newest_ns = (int64_t)load_le64(v + 11);
    m->channel.i64 = (int64_t)load_le64(v + 19);
    m->epoch = load_le64(v + 27);
    m->count = load_le64(v + 35);
    m->channel.text_bytes = (uint8_t)(value.len - HEAD_BYTES);
    if (m->channel.text_bytes > 0)
        memcpy(m->text, v + HEAD_BYTES, m->channel.text_bytes);
    return 0;
}

static int save(struct uplink *u, const struct uplink_set *set, uint32_t i, const struct memory *m)
{
    uint8_t key[KEY_BYTES_OF_ROW], value[HEAD_BYTES + KEEP_TEXT_BYTES] = {FORMAT};
    const struct keep_channel *c = &m->channel;
    size_t text_bytes = set->detail->out[i].type == COLUMN_TEXT ? c->text_bytes : 0;
    struct db_txn *txn;
    int r = spool_txn(u->o.spool, &txn);

    if (r != 0 || !c->has_sent)
        return r;
    key_of(set, i, key);
    value[1] = (uint8_t)((c->was_absent ? WAS_ABSENT : 0) | (c->after_late ? AFTER_LATE : 0));
    value[2] = c->quality;
    store_le64(value + 3, (uint64_t)c->sent_ns);
    store_le64(value + 11, (uint64_t)c->newest_ns);
    store_le64(value + 19, (uint64_t)c->i64);
    store_le64(value + 27, m->epoch);
    store_le64(value + 35, m->count);
    if (text_bytes > 0)
        memcpy(value + HEAD_BYTES, m->text, text_bytes);
    return db_put(txn, u->o.table, span_of(key, sizeof key), span_of(value, HEAD_BYTES + text_bytes));
}

int uplink_changes_forget(struct uplink *u, const struct uplink_set *set)
{
    struct db_txn *txn;
    int r = set->detail != NULL ? spool_txn(u->o.spool, &txn) : 0;

    for (uint32_t i = 0; r == 0 && set->detail != NULL && i < set->detail->n; i++) {
        uint8_t key[KEY_BYTES_OF_ROW];

        key_of(set, i, key);
        r = db_del(txn, u->o.table, span_of(key, sizeof key));
        r = r == DB_NOT_FOUND ? 0 : r;
    }
    return r;
}

static struct cell cell_of(const struct uplink_channel *ch, const struct column *col, uint32_t row)
{
    struct cell cell = {.absent = col->absent != NULL && col->absent[row] != 0,
                        .quality = col->quality != NULL ? col->quality[row] : QUALITY_GOOD};

    if (cell.absent)
        return cell;
    if (col->type == COLUMN_TEXT)
        cell.text = col->text[row];
    else if (col->type == COLUMN_DOUBLE)
        cell.f64 = ch->scale != 0 ? col->f64[row] * ch->scale : col->f64[row];
    else if (ch->rule.type == COLUMN_DOUBLE)
        cell.f64 = (double)col->i64[row] * ch->scale;
    else
        cell.i64 = col->i64[row];
    return cell;
}

/* What is between the record looked at last and this one has not all come: it may be other than both. */
static void note_gap(const struct uplink *u, const struct uplink_record *r, struct memory *m)
{
    uint64_t epoch = load_le64(r->stream->epoch.bytes), count = seq_count(r->record->seq);
    const struct interval_set *seen = &r->stream->lane[seq_lane(r->record->seq)].seen;
    uint64_t from = m->count + 1, to = u->run.from - 1; /* the run ends with this one */

    if (epoch != m->epoch || (count > m->count && from <= to && !interval_set_covers(seen, from, to)))
        m->channel.was_absent = true;
    if (epoch != m->epoch || count > m->count)
        m->count = count;
    m->epoch = epoch;
}

/* The cells of a channel, in the order of rows; absent: not sent. */
static void judge_column(struct uplink *u, const struct uplink_channel *ch, const struct block *b,
                         struct memory *m, struct cell *out, uint32_t stride, bool *row_is_sent)
{
    const struct column *col = &b->columns[ch->column];

    for (uint32_t row = 0; row < b->n_rows; row++) {
        struct cell cell = cell_of(ch, col, row);
        bool sent;

        out[(size_t)row * stride] = (struct cell){.absent = true};
        if (cell.absent) {
            keep_was_absent(&ch->rule, &m->channel);
            continue;
        }
        sent = keep_judge(&ch->rule, &m->channel, b->time_ns[row], &cell) == KEEP_SEND;
        keep_took(&ch->rule, &m->channel, b->time_ns[row], &cell, sent);
        u->counters[UPLINK_READINGS]++;
        u->counters[UPLINK_READINGS_SENT] += sent;
        if (!sent)
            continue;
        out[(size_t)row * stride] = cell;
        row_is_sent[row] = true;
    }
}

static int put_rows(struct uplink *u, const struct uplink_set *set, const struct block *b,
                    const struct cell *cells, const bool *row_is_sent, uint64_t *ret_seq)
{
    static const struct pack_covers nothing = {0}; /* never evicted: covers rest on it */
    const struct uplink_detail *d = set->detail;
    struct derived_group g = {"uplink", d->out, d->n, d->tags};
    owned(free_ptr) struct pack_row *rows = calloc(b->n_rows, sizeof *rows);
    size_t n = 0;

    if (rows == NULL)
        return -ENOMEM;
    for (uint32_t row = 0; row < b->n_rows; row++)
        if (row_is_sent[row])
            rows[n++] = (struct pack_row){
                .time_ns = b->time_ns[row], .cells = cells + (size_t)row * d->n, .n_cells = d->n};
    *ret_seq = 0;
    return n == 0 ? 0 : derived_put(u->o.derived, &g, rows, n, &nothing, ret_seq);
}

/* All its memories, or none: what finds no room goes up raw, and was not sent. */
static int look_at(struct uplink *u, const struct uplink_record *record, const struct uplink_set *set,
                   const struct block *b, uint64_t *ret_seq)
{
    const struct uplink_detail *d = set->detail;
    owned(free_ptr) struct memory *memories = calloc(d->n, sizeof *memories);
    owned(free_ptr) struct cell *cells = calloc((size_t)b->n_rows * d->n, sizeof *cells);
    owned(free_ptr) bool *row_is_sent = calloc(b->n_rows, sizeof *row_is_sent);
    int r = memories == NULL || cells == NULL || row_is_sent == NULL ? -ENOMEM : 0;

    for (uint32_t i = 0; r == 0 && i < d->n; i++) {
        r = load(u, set, i, &memories[i]);
        if (r == 0)
            note_gap(u, record, &memories[i]);
        if (r == 0)
            judge_column(u, &d->channel[i], b, &memories[i], cells + i, d->n, row_is_sent);
    }
    if (r == 0)
        r = put_rows(u, set, b, cells, row_is_sent, ret_seq);
    for (uint32_t i = 0; r == 0 && i < d->n; i++)
        r = save(u, set, i, &memories[i]);
    return r;
}

int uplink_changes(struct uplink *u, const struct uplink_record *record, uint64_t *ret_seq)
{
    const struct uplink_set *set;
    const struct block *b;
    struct block_head head;
    int r;

    *ret_seq = 0;
    if (!block_head_read(record->record->payload, &head))
        return UPLINK_GOES_RAW;
    r = uplink_set_of(u, record->record->origin, head.set_id, &set);
    if (r != 0 || set->detail == NULL)
        return r == 0 || r == UPLINK_SET_UNKNOWN ? UPLINK_GOES_RAW : r;
    r = block_decode(&(struct block_shape){.encoding = head.encoding,
                                           .types = set->detail->types,
                                           .n_columns = set->detail->n_types,
                                           .n_rows = head.rows,
                                           .only_column = -1,
                                           .time_first_ns = head.time_first_ns,
                                           .starts = set->detail->starts},
                     head.body, u->store, &b);
    if (r > 0)
        u->counters[UPLINK_BLOCKS_UNREADABLE]++;
    if (r != 0)
        return r > 0 ? UPLINK_GOES_RAW : r;
    r = look_at(u, record, set, b, ret_seq);
    if (r != DERIVED_NO_ROOM)
        return r;
    u->counters[UPLINK_NO_ROOM]++;
    r = uplink_changes_forget(u, set);
    return r == 0 ? UPLINK_GOES_RAW : r;
}
