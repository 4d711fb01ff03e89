/* rules_rows.c - states of rules on disk.
 *
 *   'i' hash be64 of rule, name and group -> state (format u8 = 1; see put_state)
 *   'w' device be64, set be64 -> epoch[16], stream u32, seq u64, payload: the newest block of a descriptor
 * set that has not come Values are little-endian; texts: varint length, bytes. */
#include "fog/rules_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <sodium.h>

enum { FORMAT = 1, KEY_BYTES_I = 9, HASH_BYTES = 16 };
enum { F_GROUP = 1, F_TOLD = 2, F_STALE = 4, F_ROW = 8, F_VALUE = 16 };
enum { S_RAISED = 1, S_BEGUN = 2, S_PENDING = 4, S_LAST = 8 };

uint64_t rules_hash(const char *rule, const char *name, bool is_group)
{
    uint8_t hash[HASH_BYTES];
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    crypto_generichash_update(&state, (const uint8_t *)rule, strlen(rule) + 1);
    crypto_generichash_update(&state, (const uint8_t *)name, strlen(name) + 1);
    crypto_generichash_update(&state, (const uint8_t *)(is_group ? "g" : "c"), 1);
    crypto_generichash_final(&state, hash, sizeof hash);
    return load_le64(hash);
}

/* ---- bytes ---- */

static void put_text(struct buf *out, const char *text, size_t n)
{
    buf_varint(out, n);
    buf_append(out, text, n);
}

static size_t get_text(struct reader *r, char *out, size_t size)
{
    uint64_t n = reader_varint(r);
    const uint8_t *at = n <= size ? reader_take(r, (size_t)n) : NULL;

    if (at == NULL) {
        r->bad = true;
        return 0;
    }
    memcpy(out, at, (size_t)n);
    return (size_t)n;
}

static void get_name(struct reader *r, char *out, size_t size)
{
    out[get_text(r, out, size - 1)] = '\0';
}

static void put_state(struct buf *out, const struct rule_state *s)
{
    uint64_t bits;

    memcpy(&bits, &s->last, sizeof bits);
    buf_u8(out, (uint8_t)((s->raised ? S_RAISED : 0) | (s->has_begun ? S_BEGUN : 0) |
                          (s->is_pending ? S_PENDING : 0) | (s->has_last ? S_LAST : 0)));
    buf_le64(out, (uint64_t)s->now_ns);
    buf_le64(out, (uint64_t)s->pending_ns);
    buf_le64(out, (uint64_t)s->good_ns);
    buf_le64(out, (uint64_t)s->last_ns);
    buf_le64(out, bits);
    buf_le64(out, (uint64_t)s->last_exact);
}

static void get_state(struct reader *r, struct rule_state *s)
{
    uint8_t flags = reader_u8(r);
    uint64_t bits;

    *s = (struct rule_state){.raised = (flags & S_RAISED) != 0,
                             .has_begun = (flags & S_BEGUN) != 0,
                             .is_pending = (flags & S_PENDING) != 0,
                             .has_last = (flags & S_LAST) != 0};
    s->now_ns = (int64_t)reader_le64(r);
    s->pending_ns = (int64_t)reader_le64(r);
    s->good_ns = (int64_t)reader_le64(r);
    s->last_ns = (int64_t)reader_le64(r);
    bits = reader_le64(r);
    memcpy(&s->last, &bits, sizeof bits);
    s->last_exact = (int64_t)reader_le64(r);
}

static void put_instance(struct buf *out, const struct rules_rule *rule, const struct rules_instance *in)
{
    const struct rules_value *v = &in->value;

    buf_u8(out, FORMAT);
    buf_u8(out, (uint8_t)rule->kind);
    buf_u8(out,
           (uint8_t)((in->is_group ? F_GROUP : 0) | (in->is_told ? F_TOLD : 0) |
                     (in->is_stale ? F_STALE : 0) | (in->has_row ? F_ROW : 0) | (v->is_there ? F_VALUE : 0)));
    put_text(out, rule->config->name, strlen(rule->config->name));
    put_text(out, in->name, strlen(in->name));
    put_state(out, &in->state);
    buf_le64(out, (uint64_t)in->since_ns);
    buf_le64(out, (uint64_t)in->changed_ns);
    buf_append(out, in->at.epoch.bytes, ID128_BYTES);
    buf_le32(out, in->at.stream);
    buf_le64(out, in->at.seq);
    buf_le64(out, (uint64_t)in->row_ns);
    buf_u8(out, (uint8_t)v->type);
    buf_le64(out, (uint64_t)v->i64);
    put_text(out, v->text, v->text_bytes);
}

struct stored {
    struct rules_instance in;
    char rule[NAME_PART_CHARS + 1];
    int kind;
};

static bool get_instance(struct span value, struct stored *ret)
{
    struct reader r = reader_of(value);
    bool ok = reader_u8(&r) == FORMAT;
    struct rules_instance *in = &ret->in;
    const uint8_t *epoch;
    uint8_t flags, type;

    *in = (struct rules_instance){.is_group = false};
    ret->kind = reader_u8(&r);
    flags = reader_u8(&r);
    in->is_group = (flags & F_GROUP) != 0;
    in->is_told = (flags & F_TOLD) != 0;
    in->is_stale = (flags & F_STALE) != 0;
    in->has_row = (flags & F_ROW) != 0;
    in->value.is_there = (flags & F_VALUE) != 0;
    get_name(&r, ret->rule, sizeof ret->rule);
    get_name(&r, in->name, sizeof in->name);
    get_state(&r, &in->state);
    in->since_ns = (int64_t)reader_le64(&r);
    in->changed_ns = (int64_t)reader_le64(&r);
    epoch = reader_take(&r, ID128_BYTES);
    if (epoch != NULL)
        memcpy(in->at.epoch.bytes, epoch, ID128_BYTES);
    in->at.stream = reader_le32(&r);
    in->at.seq = reader_le64(&r);
    in->row_ns = (int64_t)reader_le64(&r);
    type = reader_u8(&r);
    in->value.type = (enum rule_type)type;
    in->value.i64 = (int64_t)reader_le64(&r);
    in->value.text_bytes = (uint8_t)get_text(&r, in->value.text, sizeof in->value.text);
    return ok && !r.bad && reader_left(&r) == 0 && type <= RULE_TEXT;
}

/* ---- writing ---- */

static void key_of(const struct rules_instance *in, uint8_t key[KEY_BYTES_I])
{
    key[0] = 'i';
    store_be64(key + 1, in->hash);
}

void rules_touch(struct site_rules *s, struct rules_instance *in)
{
    in->is_dirty = s->is_dirty = true;
}

int site_rules_flush(struct site_rules *s)
{
    struct db_txn *txn;
    int rc = s->is_dirty ? spool_txn(s->o.spool, &txn) : 0;

    for (unsigned i = 0; s->is_dirty && rc == 0 && i < s->n_instances; i++) {
        struct rules_instance *in = &s->instances[i];
        uint8_t key[KEY_BYTES_I];

        if (!in->is_dirty)
            continue;
        key_of(in, key);
        buf_reset(&s->scratch);
        put_instance(&s->scratch, &s->rules[in->rule], in);
        rc = s->scratch.error != 0 ? s->scratch.error
                                   : db_put(txn, s->o.table, span_of(key, sizeof key),
                                            span_of(s->scratch.data, s->scratch.len));
        in->is_dirty = false;
    }
    s->is_dirty = false;
    return rc < 0 ? rc : 0; /* of a full map the commit says so */
}

/* ---- reading ---- */

/* Is there a rule that would have made it? Conditions on tags cannot be looked at here. */
static bool belongs(const struct site_rules *s, const struct stored *st, unsigned *ret_rule)
{
    char device[RULES_NAME_BYTES], *slash;

    snprintf(device, sizeof device, "%s", st->in.name);
    slash = strchr(device, '/');
    if (slash != NULL)
        *slash = '\0';
    for (unsigned i = 0; i < s->n_rules; i++) {
        const struct rules_rule *r = &s->rules[i];

        if (strcmp(r->config->name, st->rule) != 0)
            continue;
        *ret_rule = i;
        if (r->kind != st->kind || (st->in.is_group && !r->is_group))
            return false;
        if (st->in.is_group)
            return strcmp(r->config->select, st->in.name) == 0;
        if (r->is_group && st->in.is_told) /* it alarmed for itself */
            return false;
        return strchr(r->config->select, '=') != NULL ||
               pattern_match(r->config->select, s->o.site, device, slash != NULL ? slash + 1 : "c", NULL);
    }
    return false;
}

static void take(struct site_rules *s, const struct stored *st, struct rules_instance *in)
{
    struct rules_instance old = *in;

    *in = st->in;
    in->rule = old.rule;
    in->hash = old.hash;
    in->heard_ns = old.heard_ns;
    in->good_ns = old.good_ns;
    in->is_present = old.is_present;
    in->has_heard = old.has_heard;
    in->is_output_stale = old.is_output_stale;
    in->pulses = old.pulses;
    in->turned_ns = old.turned_ns;
    if (rules_by_mono(s, in)) /* of a clock that began anew */
        in->state = (struct rule_state){.raised = in->state.raised};
}

/* One row: 0, or an error. *ret_gone: it belongs to nobody. */
static int read_row(struct site_rules *s, struct stored *st, int64_t now_ns, bool *ret_gone)
{
    unsigned rule, no;
    int rc;

    *ret_gone = !belongs(s, st, &rule);
    if (*ret_gone)
        return 0;
    rc = rules_instance(s, rule, st->in.name, st->in.is_group, now_ns, &no);
    if (rc == 0)
        take(s, st, &s->instances[no]);
    return rc < 0 ? rc : 0;
}

/* The first row from `from` on that belongs to nobody, in *st, with its key in `from`. 0; DB_NOT_FOUND. */
static int walk(struct site_rules *s, struct db_txn *txn, int64_t now_ns, struct stored *st,
                uint8_t from[KEY_BYTES_I])
{
    owned(db_cursor_freep) struct db_cursor *c = NULL;
    struct span key, value;
    int rc = db_cursor_new(txn, s->o.table, &c);

    if (rc == 0)
        rc = db_cursor_seek(c, span_of(from, KEY_BYTES_I), &key, &value);
    for (; rc == 0 || rc == DB_DAMAGED; rc = db_cursor_next(c, &key, &value)) {
        bool is_gone = false;
        int told;

        if (key.len != KEY_BYTES_I || key.data[0] != 'i')
            return DB_NOT_FOUND;
        if (rc == DB_DAMAGED || !get_instance(value, st)) {
            s->counters[SITE_RULES_DAMAGED]++;
            continue;
        }
        told = read_row(s, st, now_ns, &is_gone);
        if (told != 0)
            return told;
        if (is_gone) {
            memcpy(from, key.data, KEY_BYTES_I);
            return 0;
        }
    }
    return rc;
}

int rules_read(struct site_rules *s, struct db_txn *txn, int64_t now_ns)
{
    uint8_t from[KEY_BYTES_I] = {'i'};
    struct stored st;
    int rc;

    while ((rc = walk(s, txn, now_ns, &st, from)) == 0) {
        if (st.in.is_told)
            rc = rules_tell_gone(s, st.rule, &st.in);
        if (rc == 0)
            rc = db_del(txn, s->o.table, span_of(from, sizeof from));
        else if (rc == DERIVED_NO_ROOM) /* said at a later start */
            store_be64(from + 1, load_be64(from + 1) + 1);
        if (rc != 0 && rc != DERIVED_NO_ROOM)
            return rc;
    }
    return rc == DB_NOT_FOUND ? 0 : rc;
}
