/* Records a fog makes of itself. */
#include "fog/fog_private.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>

static const char fact_alive[] = "fog/alive_unix_ns";

/* Own readings make way for one another at the quota. 0; DERIVED_NO_ROOM; negative errno. */
static int try_append(struct fog *f, unsigned lane, uint32_t kind, const ProtobufCMessage *m)
{
    owned(buf_deinit) struct buf payload = {0};
    struct maker_record r = {.lane = lane, .kind = kind};
    int rc;

    if (!f->has_trust)
        return 0;
    wire_pack(&payload, m);
    if (payload.error < 0)
        return payload.error;
    r.payload = span_of(payload.data, payload.len);
    rc = derived_record(f->derived, &r, NULL);
    f->counter[FOG_OWN_RECORDS] += rc == 0;
    return rc;
}

/* When nothing can go, this one was never made. */
static int append(struct fog *f, unsigned lane, uint32_t kind, const ProtobufCMessage *m)
{
    int rc = try_append(f, lane, kind, m);

    f->counter[FOG_OWN_RECORDS_LOST] += rc == DERIVED_NO_ROOM;
    return rc == DERIVED_NO_ROOM ? 0 : rc;
}

int fog_say_reply(struct fog *f, uint64_t counter, bool ok, const char *text)
{
    Fogline__V1__Reply m = FOGLINE__V1__REPLY__INIT;

    m.format = WIRE_FORMAT;
    m.time_ns = clock_wall_unix_ns(&f->d->clock);
    m.counter = counter;
    m.ok = ok;
    m.text = (char *)text;
    return try_append(f, LANE_URGENT, FOGLINE__V1__KIND__KIND_REPLY, &m.base);
}

static int say(struct fog *f, Fogline__V1__EventType type, uint32_t severity, const char *text)
{
    Fogline__V1__Event e = FOGLINE__V1__EVENT__INIT;
    uint64_t alive_ns = 0;
    int r = 0;

    e.format = WIRE_FORMAT;
    e.type = type;
    e.severity = severity;
    e.time_ns = clock_wall_unix_ns(&f->d->clock);
    e.subject = (char *)f->d->settings->node;
    e.text = (char *)text;
    e.version = (char *)FOGLINE_VERSION;
    if (type == FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_START) {
        e.boot_id = wire_bytes(span_of(f->boot_id.bytes, ID128_BYTES));
        r = spool_fact_get_u64(f->spool, fact_alive, &alive_ns);
        if (r == 0 && (int64_t)alive_ns < e.time_ns) {
            e.blind_from_ns = (int64_t)alive_ns;
            e.blind_to_ns = e.time_ns;
        }
    }
    return r < 0 ? r : append(f, LANE_URGENT, FOGLINE__V1__KIND__KIND_EVENT, &e.base);
}

int fog_note_alive(struct fog *f)
{
    return spool_fact_put_u64(f->spool, fact_alive, (uint64_t)clock_wall_unix_ns(&f->d->clock));
}

int fog_say_start(struct fog *f, const char *quarantined)
{
    struct db_txn *txn;
    int r = spool_txn(f->spool, &txn);

    if (r == 0)
        r = say(f, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_START, 0, "");
    if (r == 0 && quarantined != NULL)
        r = say(f, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE, 2, quarantined);
    return r == 0 ? fog_note_alive(f) : r;
}

int fog_say_stop(struct fog *f)
{
    int r = say(f, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_STOP, 0, "");

    return r == 0 ? fog_note_alive(f) : r;
}

int fog_say_result(struct fog *f, uint64_t counter, const char *text, struct span result, uint32_t part,
                   uint32_t parts)
{
    owned(buf_deinit) struct buf payload = {0};
    Fogline__V1__Reply m = FOGLINE__V1__REPLY__INIT;
    struct maker_record r = {.lane = LANE_ORDINARY, .kind = FOGLINE__V1__KIND__KIND_REPLY};
    int rc;

    m.format = WIRE_FORMAT;
    m.time_ns = clock_wall_unix_ns(&f->d->clock);
    m.counter = counter;
    m.ok = true;
    m.text = (char *)text;
    m.result = wire_bytes(result);
    m.part = part;
    m.parts = parts;
    wire_pack(&payload, &m.base);
    if (payload.error < 0)
        return payload.error;
    r.payload = span_of(payload.data, payload.len);
    rc = maker_append(f->spool, lower_port_outbox(f->lower), f->end_keys.tag, &r, NULL);
    f->counter[FOG_OWN_RECORDS] += rc == 0;
    return rc == SPOOL_FULL || rc == DB_FULL ? DERIVED_NO_ROOM : rc;
}

int fog_say_note(struct fog *f, unsigned severity, const char *text)
{
    return say(f, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE, severity, text);
}

int fog_say_health(struct fog *f)
{
    enum { NAMES_MAX = 256, NAME_CHARS = 96 };
    owned(free_ptr) char *names = calloc(NAMES_MAX, NAME_CHARS);
    owned(free_ptr) Fogline__V1__Counter *counters = calloc(NAMES_MAX, sizeof(*counters));
    owned(free_ptr) Fogline__V1__Counter **at = calloc(NAMES_MAX, sizeof(Fogline__V1__Counter *));
    Fogline__V1__Health h = FOGLINE__V1__HEALTH__INIT;
    struct counter_set sets[FOG_SETS];
    uint64_t gate[4];
    size_t n_sets = fog_counter_sets(f, sets, gate), n = 0;

    if (names == NULL || counters == NULL || at == NULL)
        return -ENOMEM;
    for (size_t s = 0; s < n_sets; s++)
        for (size_t c = 0; c < sets[s].n && n < NAMES_MAX; c++) {
            if (sets[s].value[c] == 0)
                continue; /* zero is what a missing one means */
            char *name = names + n * NAME_CHARS;
            snprintf(name, NAME_CHARS, "%s.%s", sets[s].prefix, sets[s].info[c].name);
            fogline__v1__counter__init(&counters[n]);
            counters[n].name = name;
            counters[n].value = sets[s].value[c];
            at[n] = &counters[n];
            n++;
        }
    h.format = WIRE_FORMAT;
    h.time_ns = clock_wall_unix_ns(&f->d->clock);
    h.n_counters = n;
    h.counters = at;
    return append(f, LANE_ORDINARY, FOGLINE__V1__KIND__KIND_HEALTH, &h.base);
}
