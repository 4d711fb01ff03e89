/* Names of kinds, the one-line summary, and the way into the text and JSON forms. */
#include "ctl/record_text.h"

#include "base/clock.h"
#include "codec/block.h"
#include "ctl/record_private.h"

#include <inttypes.h>

static const char *const kind_names[] = {"unspecified", "descriptor", "block", "event",
                                         "health",      "ledger",     "reply", "object"};
static const char *const event_names[] = {"unspecified",      "start",        "stop",    "source_failed",
                                          "source_recovered", "source_ended", "dropped", "alarm_raised",
                                          "alarm_cleared",    "note"};
static const char *const reason_names[] = {"unspecified", "evicted", "evicted_stored", "corrupt",
                                           "filtered",    "merged",  "thinned",        "local",
                                           "lost_spool",  "refused", "lost_archive"};
static const char *const severity_names[] = {"info", "warning", "error", "critical"};

#define NAME_OF(names, i, other) ((size_t)(i) < sizeof(names) / sizeof(names[0]) ? names[i] : (other))

const char *record_kind_name(uint32_t kind)
{
    static _Thread_local char other[24];

    snprintf(other, sizeof(other), "kind-%" PRIu32, kind);
    return NAME_OF(kind_names, kind, other);
}

bool record_kind_parse(const char *name, uint32_t *ret_kind)
{
    for (uint32_t i = 1; i < sizeof(kind_names) / sizeof(kind_names[0]); i++)
        if (strcmp(kind_names[i], name) == 0) {
            *ret_kind = i;
            return true;
        }
    return false;
}

const char *record_event_name(int type)
{
    return NAME_OF(event_names, (unsigned)type, "unknown");
}

const char *record_reason_name(int reason)
{
    return NAME_OF(reason_names, (unsigned)reason, "unknown");
}

const char *record_severity_name(uint32_t severity)
{
    return NAME_OF(severity_names, severity, "unknown");
}

static void summary_block(struct wire_arena *a, const struct record *r, char *out, size_t out_bytes)
{
    Fogline__V1__Block *b;
    char from[48];

    if (wire_block_unpack(a, r->payload, &b) != 0) {
        snprintf(out, out_bytes, "does not decode");
        return;
    }
    snprintf(out, out_bytes, "set %016" PRIx64 " rows %" PRIu32 " %s from %s over %.3f s", b->set_id, b->rows,
             block_encoding_name(b->encoding), clock_format_utc(b->time_first_ns, from),
             (double)b->time_span_ns / 1e9);
}

static void summary_event(struct wire_arena *a, const struct record *r, char *out, size_t out_bytes)
{
    Fogline__V1__Event *e;
    char at[48];

    if (wire_event_unpack(a, r->payload, &e) != 0) {
        snprintf(out, out_bytes, "does not decode");
        return;
    }
    snprintf(out, out_bytes, "%s %s %s %s%s%s", clock_format_utc(e->time_ns, at),
             record_severity_name(e->severity), record_event_name((int)e->type), e->subject,
             e->subject[0] != '\0' && e->text[0] != '\0' ? ": " : "", e->text);
}

static void summary_other(struct wire_arena *a, const struct record *r, char *out, size_t out_bytes)
{
    Fogline__V1__DescriptorSet *set;
    Fogline__V1__Health *health;
    Fogline__V1__Ledger *ledger;
    Fogline__V1__Reply *reply;
    char at[48];

    if (r->kind == FOGLINE__V1__KIND__KIND_DESCRIPTOR && wire_descriptor_set_unpack(a, r->payload, &set) == 0)
        snprintf(out, out_bytes, "set %016" PRIx64 " group %s channels %zu",
                 wire_descriptor_set_id(r->payload), set->group, set->n_channels);
    else if (r->kind == FOGLINE__V1__KIND__KIND_HEALTH && wire_health_unpack(a, r->payload, &health) == 0)
        snprintf(out, out_bytes, "%s counters %zu measures %zu", clock_format_utc(health->time_ns, at),
                 health->n_counters, health->n_measures);
    else if (r->kind == FOGLINE__V1__KIND__KIND_LEDGER && wire_ledger_unpack(a, r->payload, &ledger) == 0)
        snprintf(out, out_bytes, "%s covers %zu", clock_format_utc(ledger->time_ns, at), ledger->n_covers);
    else if (r->kind == FOGLINE__V1__KIND__KIND_REPLY && wire_reply_unpack(a, r->payload, &reply) == 0)
        snprintf(out, out_bytes, "%s to command %" PRIu64 " %s: %s", clock_format_utc(reply->time_ns, at),
                 reply->counter, reply->ok ? "ok" : "failed", reply->text);
    else if (r->kind > FOGLINE__V1__KIND__KIND_REPLY)
        snprintf(out, out_bytes, "kind not known to this version");
    else
        snprintf(out, out_bytes, "does not decode");
}

void record_summary(const struct record *r, char *out, size_t out_bytes)
{
    struct wire_arena *a = NULL;

    if (wire_arena_new(&a, RECORD_ARENA_BYTES) < 0) {
        snprintf(out, out_bytes, "no memory");
        return;
    }
    if (r->kind == FOGLINE__V1__KIND__KIND_BLOCK)
        summary_block(a, r, out, out_bytes);
    else if (r->kind == FOGLINE__V1__KIND__KIND_EVENT)
        summary_event(a, r, out, out_bytes);
    else
        summary_other(a, r, out, out_bytes);
    wire_arena_free(a);
}
