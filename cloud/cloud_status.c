/* What a collector tells about itself: status.json once a second, and its counters. */
#include "cloud/cloud_private.h"

#include <inttypes.h>

enum { STATUS_PEERS_MAX = 1000 };

const struct counter_info cloud_counter_info[CLOUD_COUNTERS] = {
    [CLOUD_COMMITS] = {"commits", COUNTER_TOTAL, "1", "Batches made durable."},
    [CLOUD_COMMITS_FULL] = {"commits_full", COUNTER_TOTAL, "1",
                            "Batches that did not fit into the store and come again."},
    [CLOUD_MAP_GROWN] = {"map_grown", COUNTER_TOTAL, "1", "Times the archive's file was enlarged."},
    [CLOUD_STORES_QUARANTINED] = {"stores_quarantined", COUNTER_TOTAL, "1",
                                  "Broken archives moved away at this start."},
    [CLOUD_NODE_LISTS] = {"node_lists", COUNTER_TOTAL, "1", "Times the list of nodes was put into force."},
    [CLOUD_DOCUMENTS_SENT] = {"documents_sent", COUNTER_TOTAL, "1",
                              "Node lists, commands and words on the archive sent down, repeats included."},
    [CLOUD_HELLOS_OTHER_ARCHIVE] = {"hellos_other_archive", COUNTER_TOTAL, "1",
                                    "Times a node said that it knows another archive: it keeps its records."},
    [CLOUD_REPLIES] = {"replies", COUNTER_TOTAL, "records", "Replies to commands that were archived."},
};

static const struct counter_info gate_counter_info[] = {
    {"accepted", COUNTER_TOTAL, "1", "Connections let in."},
    {"refused_unknown", COUNTER_TOTAL, "1", "Connections turned away: key not on the list."},
    {"refused_revoked", COUNTER_TOTAL, "1", "Connections turned away: key revoked."},
    {"refused_malformed", COUNTER_TOTAL, "1", "Connections turned away: not a CURVE key."},
};

static void put_store(const struct cloud *c, struct json *j)
{
    struct db *db = spool_db(archive_spool(c->archive));
    char id[ID128_HEX_CHARS + 1];

    json_key(j, "store");
    json_object(j);
    json_ku64(j, "used_bytes", db_used_bytes(db));
    json_ku64(j, "map_bytes", db_map_bytes(db));
    json_ku64(j, "streams", spool_n_streams(archive_spool(c->archive)));
    json_ku64(j, "commits", db_commits(db));
    json_ku64(j, "damaged_values", db_damaged(db));
    id128_hex(archive_id(c->archive), id);
    json_kstr(j, "archive_id", id);
    json_object_end(j);
}

static void put_peers(const struct cloud *c, int64_t now_ms, struct json *j)
{
    const struct inbox *ib = upper_port_inbox(c->port);
    size_t n = inbox_n_peers(ib), linked = 0;

    json_key(j, "peers");
    json_array(j);
    for (size_t i = 0; i < n; i++) {
        struct inbox_peer_info p;
        const struct upper_port_node *node;

        inbox_peer_at(ib, i, now_ms, &p);
        linked += p.linked;
        if (i >= STATUS_PEERS_MAX)
            continue;
        node = nodes_find(&c->nodes, p.node);
        json_object(j);
        json_kstr(j, "node", p.node);
        json_kstr(j, "role", p.role != NULL ? p.role : "");
        json_kstr(j, "site", node != NULL ? node->site : "");
        json_kbool(j, "linked", p.linked);
        json_ki64(j, "heard_ms", now_ms - p.last_heard_ms);
        json_ku64(j, "records", p.records);
        json_ku64(j, "payload_bytes", p.bytes);
        json_kstr(j, "software", p.software != NULL ? p.software : "");
        json_object_end(j);
    }
    json_array_end(j);
    json_ku64(j, "peers_linked", linked);
}

static void put_nodes(const struct cloud *c, struct json *j)
{
    json_ki64(j, "port", upper_port_port(c->port));
    json_ku64(j, "nodes_version", c->nodes.version);
    json_ku64(j, "nodes", c->nodes.n);
    json_ku64(j, "commands_waiting", c->commands.n);
}

void cloud_status_write(struct cloud *c)
{
    const struct inbox *ib = upper_port_inbox(c->port);
    struct gate_counters g;
    struct json *j;
    int r = status_begin(c->status, clock_wall_unix_ns(&c->d->clock), &j);

    upper_port_gate_counters(c->port, &g);
    if (r == 0) {
        const uint64_t gate[] = {g.accepted, g.refused_unknown, g.refused_revoked, g.refused_malformed};
        const struct counter_set sets[] = {
            {"cloud", cloud_counter_info, c->counter, CLOUD_COUNTERS},
            {"archive", archive_counter_info, archive_counters(c->archive), ARCHIVE_COUNTERS},
            {"account", account_counter_info, account_counters(intake_account(c->intake)), ACCOUNT_COUNTERS},
            {"intake", intake_counter_info, intake_counters(c->intake), INTAKE_COUNTERS},
            {"inbox", inbox_counter_info, inbox_counters(ib), INBOX_COUNTERS},
            {"down_link", link_counter_info, upper_port_link_counters(c->port), LINK_COUNTERS},
            {"gate", gate_counter_info, gate, sizeof gate / sizeof gate[0]},
        };

        put_nodes(c, j);
        put_store(c, j);
        cloud_archive_status(c, j);
        put_peers(c, loop_now_ms(c->d->loop), j);
        r = status_end(c->status, sets, sizeof sets / sizeof sets[0]);
    }
    if (r < 0 && log_latch_open(&c->status_latch, clock_mono_ns(&c->d->clock), NULL))
        log_warn("status_not_written", "path=%s msg=%s", log_quote(c->d->paths.status),
                 log_quote(strerror(-r)));
}
