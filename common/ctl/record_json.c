/* A record as JSON; the text form is made of the same tree of names and values. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/block.h"
#include "ctl/jtree.h"
#include "ctl/record_private.h"
#include "ctl/set_starts.h"

#include <errno.h>
#include <inttypes.h>

static void arena_freep(struct wire_arena **a)
{
    *a = wire_arena_free(*a);
}

static void store_freep(struct block_store **s)
{
    *s = block_store_free(*s);
}

static void starts_freep(struct block_starts **s)
{
    *s = block_starts_free(*s);
}

static void put_time(struct json *j, const char *key, int64_t unix_ns)
{
    char text[48];

    json_kstr(j, key, clock_format_utc(unix_ns, text));
}

static void put_hex64(struct json *j, const char *key, uint64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%016" PRIx64, v);
    json_kstr(j, key, text);
}

static const char *type_name(int type)
{
    static const char *const names[] = {"unspecified", "double", "int64", "bool", "text"};

    return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

static int put_descriptors(struct wire_arena *a, const struct record *r, struct json *j)
{
    Fogline__V1__DescriptorSet *set;

    if (wire_descriptor_set_unpack(a, r->payload, &set) != 0)
        return RECORD_TEXT_DAMAGED;
    put_hex64(j, "set", wire_descriptor_set_id(r->payload));
    json_kstr(j, "group", set->group);
    json_key(j, "channels");
    json_array(j);
    for (size_t i = 0; i < set->n_channels; i++) {
        const Fogline__V1__Descriptor *d = set->channels[i];
        json_object(j);
        json_kstr(j, "name", d->name);
        json_kstr(j, "type", type_name((int)d->type));
        json_kstr(j, "unit", d->unit);
        if (d->scale != 0)
            json_kdouble(j, "scale", d->scale);
        if (d->error_bound != 0)
            json_kdouble(j, "error_bound", d->error_bound);
        if (d->start.len != 0)
            json_ku64(j, "start_bytes", d->start.len);
        json_key(j, "tags");
        json_array(j);
        for (size_t t = 0; t < d->n_tags; t++)
            json_str(j, d->tags[t]);
        json_array_end(j);
        json_object_end(j);
    }
    json_array_end(j);
    return 0;
}

static void put_covers(Fogline__V1__Cover **covers, size_t n, struct json *j)
{
    json_key(j, "covers");
    json_array(j);
    for (size_t i = 0; i < n; i++) {
        json_object(j);
        json_kstr(j, "origin", covers[i]->origin);
        json_ku64(j, "lane", covers[i]->lane);
        json_kstr(j, "reason", record_reason_name((int)covers[i]->reason));
        json_ku64(j, "samples", covers[i]->samples);
        json_key(j, "bounds");
        json_array(j);
        for (size_t b = 0; b < covers[i]->n_bounds; b++)
            json_u64(j, covers[i]->bounds[b]);
        json_array_end(j);
        json_object_end(j);
    }
    json_array_end(j);
}

static int put_event(struct wire_arena *a, const struct record *r, struct json *j)
{
    Fogline__V1__Event *e;

    if (wire_event_unpack(a, r->payload, &e) != 0)
        return RECORD_TEXT_DAMAGED;
    put_time(j, "time", e->time_ns);
    json_kstr(j, "event", record_event_name((int)e->type));
    json_kstr(j, "severity", record_severity_name(e->severity));
    json_kstr(j, "subject", e->subject);
    json_kstr(j, "text", e->text);
    if (e->count != 0)
        json_ku64(j, "count", e->count);
    if (e->blind_to_ns != 0) {
        put_time(j, "blind_from", e->blind_from_ns);
        put_time(j, "blind_to", e->blind_to_ns);
    }
    if (e->version[0] != '\0')
        json_kstr(j, "version", e->version);
    return 0;
}

static int put_other(struct wire_arena *a, const struct record *r, struct json *j)
{
    Fogline__V1__Health *health;
    Fogline__V1__Ledger *ledger;
    Fogline__V1__Reply *reply;

    switch (r->kind) {
    case FOGLINE__V1__KIND__KIND_HEALTH:
        if (wire_health_unpack(a, r->payload, &health) != 0)
            return RECORD_TEXT_DAMAGED;
        put_time(j, "time", health->time_ns);
        json_key(j, "counters");
        json_object(j);
        for (size_t i = 0; i < health->n_counters; i++)
            json_ku64(j, health->counters[i]->name, health->counters[i]->value);
        json_object_end(j);
        json_key(j, "measures");
        json_object(j);
        for (size_t i = 0; i < health->n_measures; i++)
            json_kdouble(j, health->measures[i]->name, health->measures[i]->value);
        json_object_end(j);
        return 0;
    case FOGLINE__V1__KIND__KIND_LEDGER:
        if (wire_ledger_unpack(a, r->payload, &ledger) != 0)
            return RECORD_TEXT_DAMAGED;
        put_time(j, "time", ledger->time_ns);
        put_covers(ledger->covers, ledger->n_covers, j);
        return 0;
    case FOGLINE__V1__KIND__KIND_REPLY:
        if (wire_reply_unpack(a, r->payload, &reply) != 0)
            return RECORD_TEXT_DAMAGED;
        put_time(j, "time", reply->time_ns);
        json_ku64(j, "counter", reply->counter);
        json_kbool(j, "ok", reply->ok);
        json_kstr(j, "text", reply->text);
        if (reply->parts > 0) {
            json_ku64(j, "result_bytes", reply->result.len);
            json_ku64(j, "part", reply->part);
            json_ku64(j, "parts", reply->parts);
        }
        return 0;
    default:
        return 0; /* its bytes are kept, their meaning is not ours */
    }
}

static void put_cell(const struct column *c, uint32_t row, struct json *j)
{
    if (c->absent != NULL && c->absent[row] != 0)
        json_null(j);
    else if (c->type == COLUMN_DOUBLE)
        json_double(j, c->f64[row]);
    else if (c->type == COLUMN_TEXT)
        json_strn(j, (const char *)c->text[row].data, c->text[row].len);
    else if (c->type == COLUMN_BOOL)
        json_bool(j, c->i64[row] != 0);
    else
        json_i64(j, c->i64[row]);
}

static void put_rows(const struct block *b, unsigned max_rows, struct json *j)
{
    uint32_t n = max_rows != 0 && b->n_rows > max_rows ? max_rows : b->n_rows;

    json_key(j, "rows");
    json_array(j);
    for (uint32_t row = 0; row < n; row++) {
        char text[48];
        json_array(j);
        json_str(j, clock_format_utc(b->time_ns[row], text));
        for (uint32_t c = 0; c < b->n_columns; c++)
            put_cell(&b->columns[c], row, j);
        json_array_end(j);
    }
    json_array_end(j);
}

static int put_columns(struct wire_arena *a, const struct record_view *v, const Fogline__V1__Block *m,
                       struct json *j)
{
    Fogline__V1__DescriptorSet *set;
    enum column_type types[BLOCK_COLUMNS_MAX];
    owned(store_freep) struct block_store *store = NULL;
    owned(starts_freep) struct block_starts *starts = NULL;
    struct span packed;
    const struct block *b;
    int r;

    if (v->descriptors == NULL || !v->descriptors(v->ctx, v->record, m->set_id, &packed))
        return 0;
    if (wire_descriptor_set_unpack(a, packed, &set) != 0 || set->n_channels > BLOCK_COLUMNS_MAX)
        return RECORD_TEXT_DAMAGED;
    json_key(j, "columns");
    json_array(j);
    json_str(j, "time");
    for (size_t i = 0; i < set->n_channels; i++) {
        types[i] = (enum column_type)set->channels[i]->type;
        json_str(j, set->channels[i]->name);
    }
    json_array_end(j);
    r = block_store_new(&store);
    if (r == 0)
        r = set_starts_new(&starts, set);
    if (r < 0)
        return r == -EINVAL ? RECORD_TEXT_DAMAGED : r;
    struct block_shape shape = {m->encoding,      types, (uint32_t)set->n_channels, m->rows, -1,
                                m->time_first_ns, starts};
    r = block_decode(&shape, wire_span(m->body), store, &b);
    if (r == 0)
        put_rows(b, v->max_rows, j);
    return r > 0 ? RECORD_TEXT_DAMAGED : r;
}

static int put_block(struct wire_arena *a, const struct record_view *v, struct json *j)
{
    Fogline__V1__Block *m;

    if (wire_block_unpack(a, v->record->payload, &m) != 0)
        return RECORD_TEXT_DAMAGED;
    put_hex64(j, "set", m->set_id);
    json_ku64(j, "n_rows", m->rows);
    json_ku64(j, "encoding", m->encoding);
    json_kstr(j, "encoding_name", block_encoding_name(m->encoding));
    json_ku64(j, "body_bytes", m->body.len);
    put_time(j, "from", m->time_first_ns);
    put_time(j, "to", (int64_t)((uint64_t)m->time_first_ns + m->time_span_ns));
    json_ku64(j, "clock_state", m->clock_state);
    json_ku64(j, "clock_error_us", m->clock_error_us);
    if (m->n_covers > 0)
        put_covers(m->covers, m->n_covers, j);
    return put_columns(a, v, m, j);
}

static int put_payload(struct wire_arena *a, const struct record_view *v, struct json *j)
{
    switch (v->record->kind) {
    case FOGLINE__V1__KIND__KIND_DESCRIPTOR:
        return put_descriptors(a, v->record, j);
    case FOGLINE__V1__KIND__KIND_BLOCK:
        return put_block(a, v, j);
    case FOGLINE__V1__KIND__KIND_EVENT:
        return put_event(a, v->record, j);
    default:
        return put_other(a, v->record, j);
    }
}

int record_json(const struct record_view *v, struct json *j)
{
    owned(arena_freep) struct wire_arena *a = NULL;
    const struct record *r = v->record;
    char epoch[ID128_HEX_CHARS + 1];
    int code = wire_arena_new(&a, RECORD_ARENA_BYTES);

    if (code < 0)
        return code;
    id128_hex(&r->epoch, epoch);
    json_object(j);
    json_kstr(j, "origin", r->origin);
    json_kstr(j, "epoch", epoch);
    json_ku64(j, "lane", seq_lane(r->seq));
    json_ku64(j, "seq", seq_count(r->seq));
    json_kstr(j, "kind", record_kind_name(r->kind));
    json_ku64(j, "bytes", r->payload.len);
    json_ku64(j, "samples", r->samples);
    json_kbool(j, "again", (r->flags & RECORD_FLAG_AGAIN) != 0);
    code = put_payload(a, v, j);
    json_kbool(j, "decodes", code == 0);
    json_object_end(j);
    return code;
}
