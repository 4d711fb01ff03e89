/* What a fog tells about itself: status.json once a second, counters, and a word in the log when the cloud
 * does not let it in. */
#include "fog/fog_private.h"

#include <errno.h>
#include <inttypes.h>

enum { STATUS_DEVICES_MAX = 1000 };

const struct counter_info fog_counter_info[FOG_COUNTERS] = {
    [FOG_COMMITS] = {"commits", COUNTER_TOTAL, "1", "Batches made durable."},
    [FOG_COMMITS_FULL] = {"commits_full", COUNTER_TOTAL, "1",
                          "Batches that did not fit into the store and came again."},
    [FOG_RECORDS_NO_ROOM] = {"records_no_room", COUNTER_TOTAL, "records",
                             "Records of devices left to them: no room here."},
    [FOG_OWN_RECORDS] = {"own_records", COUNTER_TOTAL, "records", "Events and health records of this fog."},
    [FOG_OWN_RECORDS_LOST] = {"own_records_lost", COUNTER_TOTAL, "records",
                              "Records of this fog never made: no room."},
    [FOG_STORES_QUARANTINED] = {"stores_quarantined", COUNTER_TOTAL, "1",
                                "Broken stores moved away at this start."},
    [FOG_DOCUMENTS_TAKEN] = {"documents_taken", COUNTER_TOTAL, "1",
                             "Node lists and commands that came from above."},
    [FOG_DOCUMENTS_FORGED] = {"documents_forged", COUNTER_TOTAL, "1",
                              "Node lists without the operator's signature."},
    [FOG_MARKS_PASSED] = {"marks_passed", COUNTER_TOTAL, "1", "Marks of the cloud kept for devices."},
    [FOG_RECORDS_REVOKED] = {"records_revoked", COUNTER_TOTAL, "records",
                             "Records of nodes revoked or of another site removed to make room."},
    [FOG_COMMANDS] = {"commands", COUNTER_TOTAL, "1", "Commands to this fog carried out."},
    [FOG_NODE_LISTS] = {"node_lists", COUNTER_TOTAL, "1", "Times the list of nodes was put into force."},
};

static const struct counter_info gate_counter_info[] = {
    {"accepted", COUNTER_TOTAL, "1", "Connections let in."},
    {"refused_unknown", COUNTER_TOTAL, "1", "Connections turned away: key not on the list."},
    {"refused_revoked", COUNTER_TOTAL, "1", "Connections turned away: key revoked."},
    {"refused_malformed", COUNTER_TOTAL, "1", "Connections turned away: not a CURVE key."},
};

size_t fog_counter_sets(struct fog *f, struct counter_set out[FOG_SETS], uint64_t gate[4])
{
    static const uint64_t no_rules[SITE_RULES_COUNTERS], no_models[MODELS_COUNTERS];
    static const uint64_t uplink_none[UPLINK_COUNTERS];
    struct gate_counters g;

    upper_port_gate_counters(f->upper, &g);
    gate[0] = g.accepted;
    gate[1] = g.refused_unknown;
    gate[2] = g.refused_revoked;
    gate[3] = g.refused_malformed;
    out[0] = (struct counter_set){"fog", fog_counter_info, f->counter, FOG_COUNTERS};
    out[1] = (struct counter_set){"inbox", inbox_counter_info, inbox_counters(upper_port_inbox(f->upper)),
                                  INBOX_COUNTERS};
    out[2] = (struct counter_set){"outbox", outbox_counter_info, outbox_counters(lower_port_outbox(f->lower)),
                                  OUTBOX_COUNTERS};
    out[3] =
        (struct counter_set){"up_link", link_counter_info, lower_port_link_counters(f->lower), LINK_COUNTERS};
    out[4] = (struct counter_set){"down_link", link_counter_info, upper_port_link_counters(f->upper),
                                  LINK_COUNTERS};
    out[5] = (struct counter_set){"gate", gate_counter_info, gate, 4};
    out[6] =
        (struct counter_set){"history", history_counter_info, history_counters(f->history), HISTORY_COUNTERS};
    out[7] = (struct counter_set){"drill", drill_counter_info, drill_counters(f->drill), DRILL_COUNTERS};
    out[8] = (struct counter_set){"covers", covers_counter_info, covers_counters(f->covers), COVERS_COUNTERS};
    out[9] = (struct counter_set){"uplink", uplink_counter_info, uplink_none, UPLINK_COUNTERS};
    if (f->uplink != NULL)
        out[9].value = uplink_counters(f->uplink);
    out[10] = (struct counter_set){"rules", site_rules_counter_info,
                                   f->rules != NULL ? site_rules_counters(f->rules) : no_rules,
                                   SITE_RULES_COUNTERS};
    out[11] =
        (struct counter_set){"models", models_counter_info,
                             f->models != NULL ? models_counters(f->models) : no_models, MODELS_COUNTERS};
    out[12] =
        (struct counter_set){"answer", answer_counter_info, answer_counters(f->answer), ANSWER_COUNTERS};
    return FOG_SETS;
}

static void put_hint(const struct fog *f, const struct lower_port_status *st, int64_t since_ms,
                     struct json *j)
{
    char text[512] = "";

    if (st->link == LOWER_PORT_REACHED && since_ms >= FOG_NOT_ACCEPTED_MS)
        snprintf(text, sizeof(text),
                 "%.100s is reachable but has not accepted key %s; run there: cloudctl enroll accept %.40s "
                 "KEY --site %.40s "
                 "--role fog",
                 st->upstream, st->fingerprint, f->d->settings->node, f->d->settings->site);
    else if (st->link == LOWER_PORT_HELLO && since_ms >= FOG_NOT_ACCEPTED_MS)
        snprintf(text, sizeof(text),
                 "%.100s lets this key in but does not answer: it may know it under another name than %.64s; "
                 "see its log and "
                 "`cloudctl enroll list`",
                 st->upstream, f->d->settings->node);
    else if (st->link == LOWER_PORT_UNREACHABLE && since_ms >= FOG_NOT_ACCEPTED_MS)
        snprintf(text, sizeof(text), "%.100s cannot be reached", st->upstream);
    if (text[0] != '\0')
        json_kstr(j, "up_hint", text);
}

static void put_link(struct fog *f, int64_t now_ms, struct json *j)
{
    struct lower_port_status st;
    int64_t since_ms;

    lower_port_status(f->lower, &st);
    since_ms = now_ms - st.since_mono_ms;
    json_key(j, "up");
    json_object(j);
    json_kstr(j, "link", lower_port_link_name(st.link));
    json_kstr(j, "upstream", st.upstream);
    json_ki64(j, "since_ms", since_ms);
    json_kstr(j, "key", st.fingerprint);
    json_object_end(j);
    put_hint(f, &st, since_ms, j);
}

static void put_backlog(struct fog *f, int64_t now_ms, struct json *j)
{
    struct outbox_waiting w;

    outbox_waiting(lower_port_outbox(f->lower), &w);
    if (w.urgent_records + w.ordinary_records == 0)
        f->caught_up_ms = now_ms;
    json_key(j, "backlog");
    json_object(j);
    json_ku64(j, "urgent_records", w.urgent_records);
    json_ku64(j, "ordinary_records", w.ordinary_records);
    json_ku64(j, "unsettled_records", w.unsettled_records);
    json_ku64(j, "in_flight_bytes", w.in_flight_bytes);
    /* At most this old is what waits: the time since nothing waited. */
    json_ki64(j, "lag_ms", now_ms - f->caught_up_ms);
    json_object_end(j);
}

static void put_store(struct fog *f, struct json *j)
{
    struct db *db = spool_db(f->spool);

    json_key(j, "store");
    json_object(j);
    json_ku64(j, "held_records", spool_held_records(f->spool));
    json_ku64(j, "held_bytes", spool_held_bytes(f->spool));
    json_ku64(j, "quota_bytes", spool_quota_bytes(f->spool));
    json_ku64(j, "used_bytes", db_used_bytes(db));
    json_ku64(j, "map_bytes", db_map_bytes(db));
    json_ku64(j, "commits", db_commits(db));
    json_object_end(j);
}

static void put_history(struct fog *f, struct json *j)
{
    struct history_status s;

    history_status(f->history, &s);
    json_key(j, "history");
    json_object(j);
    json_ku64(j, "bytes", s.bytes);
    json_ku64(j, "max_bytes", s.max_bytes);
    json_ki64(j, "max_age_s", s.max_age_ns / 1000000000);
    json_ku64(j, "blocks", s.blocks);
    json_ku64(j, "others", s.others);
    json_object_end(j);
}

static void put_alarm(void *ctx, const struct site_alarm *a)
{
    struct json *j = ctx;
    char since[48];

    json_object(j);
    json_kstr(j, "rule", a->rule);
    json_kstr(j, "channel", a->name);
    json_kstr(j, "since", clock_format_utc(a->since_ns, since));
    json_object_end(j);
}

static void put_alarms(const struct fog *f, struct json *j)
{
    json_key(j, "alarms");
    json_array(j);
    if (f->rules != NULL)
        site_rules_alarms(f->rules, put_alarm, j);
    json_array_end(j);
}

static void put_drill(struct fog *f, struct json *j)
{
    struct drill_status s;

    drill_status(f->drill, &s);
    json_key(j, "drill");
    json_object(j);
    json_ku64(j, "requests", s.requests);
    json_kstr(j, "device", s.device != NULL ? s.device : "");
    json_kstr(j, "waits_for", s.waits);
    json_ku64(j, "records", s.records);
    json_ku64(j, "record_bytes", s.bytes);
    json_ku64(j, "today_bytes", s.bytes_today);
    json_ku64(j, "per_day_bytes", s.bytes_per_day);
    json_object_end(j);
}

static void put_covers(struct fog *f, struct json *j)
{
    struct covers_status s;

    covers_status(f->covers, &s);
    json_key(j, "covers");
    json_object(j);
    json_ku64(j, "waiting_records", s.waiting_records);
    json_ku64(j, "covered_records", s.covered_records);
    json_ku64(j, "said_records", s.said_records);
    json_ku64(j, "refused_records", s.refused_records);
    json_ku64(j, "refused_devices", s.refused_origins);
    json_kstr(j, "a_refused_device", s.a_refused_origin != NULL ? s.a_refused_origin : "");
    json_object_end(j);
}

static const struct upper_port_node *device_at(const struct fog *f, size_t i)
{
    const struct upper_port_node *n = &f->nodes.at[i];

    return strcmp(n->role, "device") == 0 && strcmp(n->site, f->d->settings->site) == 0 ? n : NULL;
}

static bool peer_of(const struct fog *f, const char *id, int64_t now_ms, struct inbox_peer_info *ret_p)
{
    struct inbox *ib = upper_port_inbox(f->upper);

    for (size_t i = 0; i < inbox_n_peers(ib); i++) {
        inbox_peer_at(ib, i, now_ms, ret_p);
        if (strcmp(ret_p->node, id) == 0)
            return true;
    }
    return false;
}

static void put_device(const struct fog *f, const struct upper_port_node *n, int64_t now_ms, struct json *j)
{
    struct inbox_peer_info p = {0};
    bool heard = peer_of(f, n->id, now_ms, &p);

    json_object(j);
    json_kstr(j, "device", n->id);
    json_kstr(j, "state", n->revoked ? "revoked" : p.linked ? "linked" : heard ? "quiet" : "not heard");
    json_kstr(j, "enrolled", n->revoked ? "revoked" : n->provisional ? "provisional" : "accepted");
    json_key(j, "last_heard_ms");
    if (heard)
        json_i64(j, now_ms - p.last_heard_ms);
    else
        json_i64(j, -1);
    json_ku64(j, "records", p.records);
    json_ku64(j, "record_bytes", p.bytes);
    json_kstr(j, "software", heard ? p.software : "");
    json_object_end(j);
}

static void put_devices(struct fog *f, int64_t now_ms, struct json *j)
{
    size_t n = 0;

    json_key(j, "devices");
    json_array(j);
    for (size_t i = 0; i < f->nodes.n && n < STATUS_DEVICES_MAX; i++) {
        const struct upper_port_node *node = device_at(f, i);
        if (node == NULL)
            continue;
        put_device(f, node, now_ms, j);
        n++;
    }
    json_array_end(j);
}

void fog_status_write(struct fog *f)
{
    struct counter_set sets[FOG_SETS];
    struct gate_refusal refusals[FOG_REFUSALS_MAX];
    uint64_t gate[4];
    int64_t now_ms = loop_now_ms(f->d->loop);
    struct json *j;
    int r = status_begin(f->status, clock_wall_unix_ns(&f->d->clock), &j);

    if (r == 0) {
        json_kstr(j, "listen_host", f->d->settings->listen_host);
        json_ki64(j, "listen_port", upper_port_port(f->upper));
        put_link(f, now_ms, j);
        put_backlog(f, now_ms, j);
        put_store(f, j);
        put_history(f, j);
        put_alarms(f, j);
        put_drill(f, j);
        put_covers(f, j);
        fog_meter_put(f, j);
        json_ku64(j, "node_list_version", f->nodes.version);
        json_ku64(j, "refused_keys", upper_port_refused(f->upper, refusals, FOG_REFUSALS_MAX));
        put_devices(f, now_ms, j);
        r = status_end(f->status, sets, fog_counter_sets(f, sets, gate));
    }
    if (r < 0 && log_latch_open(&f->status_latch, clock_mono_ns(&f->d->clock), NULL))
        log_warn("status_failed", "file=%s msg=%s", log_quote(f->d->paths.status), log_quote(strerror(-r)));
}

void fog_link_watch(struct fog *f)
{
    struct lower_port_status st;

    lower_port_status(f->lower, &st);
    if (st.link != f->last_link) {
        if (st.link == LOWER_PORT_OPEN)
            log_info("up_open", "upstream=%s", st.upstream);
        else if (f->last_link == LOWER_PORT_OPEN)
            log_warn("up_lost", "upstream=%s link=%s", st.upstream, log_quote(lower_port_link_name(st.link)));
        f->last_link = st.link;
        f->said_not_accepted = false;
    }
    if (st.link != LOWER_PORT_REACHED || f->said_not_accepted ||
        loop_now_ms(f->d->loop) - st.since_mono_ms < FOG_NOT_ACCEPTED_MS)
        return;
    f->said_not_accepted = true;
    log_warn("up_not_accepted",
             "upstream=%s key=%s msg=\"reachable, but it has not accepted this key; run there: cloudctl "
             "enroll accept %s "
             "KEY --site %s --role fog, with the KEY that `fogctl key show` prints here\"",
             st.upstream, st.fingerprint, f->d->settings->node, f->d->settings->site);
}
