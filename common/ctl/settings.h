/* settings.h - the part of the configuration that all tiers share, its rows, and what follows from it.
 *
 * Each tier's config struct has a `struct ctl_settings` as a member, and its schema table starts with the row
 * macros below, so that keys, defaults and helps are the same everywhere. Threads: values. */
#ifndef FOGLINE_CTL_SETTINGS_H
#define FOGLINE_CTL_SETTINGS_H

#include "base/name.h"
#include "config/config.h"
#include "hop/lower_port.h"
#include "link/keys.h"

enum { CTL_PATH_CHARS = 512 };

struct ctl_settings {
    char node[NAME_PART_CHARS + 1], site[NAME_PART_CHARS + 1]; /* site: device and fog */
    char state_dir[CTL_PATH_CHARS], run_dir[CTL_PATH_CHARS];
    int log_level;                               /* enum log_level */
    uint64_t store_map_bytes, store_quota_bytes; /* quota 0: nine tenths of the map */
    /* device, fog */
    struct config_strings up_endpoints, up_keys;
    int64_t up_poll_ms, up_failover_ms, up_return_ms;
    /* fog, cloud */
    char listen_host[256];
    int64_t listen_port;
    uint64_t limits_memory_bytes, limits_window_max_bytes;
    struct config_list grants; /* of struct ctl_grant */
};

/* How much of the backlog the nodes of a pattern may give among those that give some. */
struct ctl_grant {
    char select[256];
    int64_t weight;
};
extern const struct config_kind ctl_grant_kinds[];

extern const char *const ctl_log_levels[]; /* choices of log.level, in the order of enum log_level */

/* Rows for `type`, whose member `m` is the struct ctl_settings. In this order: NODE, (SITE), STORE, (UP),
 * (LISTEN). */
#define CTL_ROWS_NODE(type, m)                                                                               \
    {                                                                                                        \
        "node", CONFIG_NAME, CONFIG_AT(type, m.node),                                                        \
            .required = true,                                                                                \
            .help = "Name of this node, unique under one collector. It is part of its identity: a new name " \
                    "is a new node."                                                                         \
    }
#define CTL_ROWS_SITE(type, m)                                                                               \
    {                                                                                                        \
        "site", CONFIG_NAME, CONFIG_AT(type, m.site),                                                        \
            .required = true,                                                                                \
            .help = "Site this node stands at: the first part of every name site/device/channel."            \
    }
#define CTL_ROWS_STORE(type, m, state_def, run_def, map_def, map_min)                                        \
    {"state_dir", CONFIG_PATH, CONFIG_AT(type, m.state_dir), .def = state_def,                               \
     .help = "Folder of keys and store. Must be on a local disk that keeps its promises about fsync."},      \
        {"run_dir", CONFIG_PATH, CONFIG_AT(type, m.run_dir), .def = run_def,                                 \
         .help = "Folder of what a reboot may take: lock, status, proof of continuity. Must not be part of " \
                 "a backup."},                                                                               \
        {"log.level",                                                                                        \
         CONFIG_ENUM,                                                                                        \
         CONFIG_AT(type, m.log_level),                                                                       \
         .choices = ctl_log_levels,                                                                          \
         .def = "info",                                                                                      \
         .reloadable = true,                                                                                 \
         .help = "Least important lines that are written to stderr."},                                       \
        {"store.map_bytes",                                                                                  \
         CONFIG_BYTES,                                                                                       \
         CONFIG_AT(type, m.store_map_bytes),                                                                 \
         .min = map_min,                                                                                     \
         .max = "1 TiB",                                                                                     \
         .def = map_def,                                                                                     \
         .help = "Size of the store's file, taken from the disk at the first start. Can be raised later."},  \
    {                                                                                                        \
        "store.quota_bytes", CONFIG_BYTES, CONFIG_AT(type, m.store_quota_bytes),                             \
            .max = "1 TiB", .def = "0",                                                                      \
            .help = "Records held at most, in bytes; 0 is nine tenths of store.map_bytes."                   \
    }
#define CTL_ROWS_UP(type, m)                                                                                 \
    {"up.endpoints",                                                                                         \
     CONFIG_STRINGS,                                                                                         \
     CONFIG_AT(type, m.up_endpoints),                                                                        \
     .item = CONFIG_ENDPOINT,                                                                                \
     .max = "4",                                                                                             \
     .help = "Nodes above, in order of preference: HOST:PORT. Empty: this node works alone and keeps what "  \
             "it makes."},                                                                                   \
        {"up.keys", CONFIG_STRINGS, CONFIG_AT(type, m.up_keys), .max = "4",                                  \
         .help = "Link keys (fl1-...) of the nodes above, printed there by `key show --link`: one for each " \
                 "endpoint, or "                                                                             \
                 "one for all."},                                                                            \
        {"up.poll",                                                                                          \
         CONFIG_MS,                                                                                          \
         CONFIG_AT(type, m.up_poll_ms),                                                                      \
         .min = "200 ms",                                                                                    \
         .max = "10 min",                                                                                    \
         .def = "5 s",                                                                                       \
         .help = "How often to ask above what has arrived while nothing else is said."},                     \
        {"up.failover",                                                                                      \
         CONFIG_MS,                                                                                          \
         CONFIG_AT(type, m.up_failover_ms),                                                                  \
         .min = "500 ms",                                                                                    \
         .max = "1 h",                                                                                       \
         .def = "3 s",                                                                                       \
         .help = "Try the next endpoint when one cannot be reached for this long, or twice as long says "    \
                 "nothing to what is sent."},                                                                \
    {                                                                                                        \
        "up.return", CONFIG_MS, CONFIG_AT(type, m.up_return_ms),                                             \
            .min = "0", .max = "24 h", .def = "1 min",                                                       \
            .help = "Go back to an endpoint named before the one in use when it could be reached for this "  \
                    "long; 0: stay."                                                                         \
    }
#define CTL_ROWS_LISTEN(type, m, port_def, memory_def)                                                       \
    {"listen.host",                                                                                          \
     CONFIG_STRING,                                                                                          \
     CONFIG_AT(type, m.listen_host),                                                                         \
     .min = "1",                                                                                             \
     .def = "*",                                                                                             \
     .help = "Address to listen on: an IPv4 or IPv6 address, an interface, or * for all."},                  \
        {"listen.port",                                                                                      \
         CONFIG_I64,                                                                                         \
         CONFIG_AT(type, m.listen_port),                                                                     \
         .min = "1",                                                                                         \
         .max = "65534",                                                                                     \
         .def = port_def,                                                                                    \
         .help = "TCP port for what comes up; the next port is for what goes down."},                        \
        {"limits.memory_bytes",                                                                              \
         CONFIG_BYTES,                                                                                       \
         CONFIG_AT(type, m.limits_memory_bytes),                                                             \
         .min = "1 MiB",                                                                                     \
         .max = "16 GiB",                                                                                    \
         .def = memory_def,                                                                                  \
         .help = "Sum of what all nodes below may have under way at a time."},                               \
        {"limits.window_max_bytes",                                                                          \
         CONFIG_BYTES,                                                                                       \
         CONFIG_AT(type, m.limits_window_max_bytes),                                                         \
         .min = "128 KiB",                                                                                   \
         .max = "1 GiB",                                                                                     \
         .def = "2 MiB",                                                                                     \
         .help = "What one node below may have under way at a time."},                                       \
    {                                                                                                        \
        "grants", CONFIG_LIST, CONFIG_AT(type, m.grants),                                                    \
            .max = "64", .kinds = ctl_grant_kinds, .reloadable = true,                                       \
            .help = "Weights of nodes below while they give what piled up; the first that fits counts."      \
    }

/* Cross-field checks of the shared part, for a schema's check hook: keys parse and fit the endpoints, quota
 * fits the map. */
void ctl_settings_check(const struct ctl_settings *s, struct config_check *c);

/* Weight of a node's backlog: of the first of `grants` whose pattern fits SITE/NODE, else 1. */
unsigned ctl_grant_weight(const struct ctl_settings *s, const char *site, const char *node);

/* Upstreams of a device or fog as lower_port takes them, and whom its link keys tell to trust: all keys must
 * name the same cloud and operator. With no endpoint *ret_n is 0; with no key either, *ret_trust is all zero.
 * 0; -EINVAL with *err filled. */
must_check int ctl_upstreams(const struct ctl_settings *s,
                             struct lower_port_upstream out[LOWER_PORT_UPSTREAMS_MAX], unsigned *ret_n,
                             struct link_key *ret_trust, struct errmsg *err);

#endif
