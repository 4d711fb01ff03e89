#include "ctl/settings.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>

const char *const ctl_log_levels[] = {"error", "warn", "info", "debug", NULL};

static const struct config_row grant_rows[] = {
    {"select", CONFIG_PATTERN, CONFIG_AT(struct ctl_grant, select), .required = true,
     .help = "Pattern SITE or SITE/NODE of the nodes meant."},
    {"weight", CONFIG_I64, CONFIG_AT(struct ctl_grant, weight), .min = "1", .max = "1000", .def = "1",
     .help = "Their backlog drains so many times as fast as that of a node of weight 1."},
    {NULL},
};
const struct config_kind ctl_grant_kinds[] = {
    {NULL, grant_rows, .size = sizeof(struct ctl_grant), .help = "Weight of some nodes below."},
    {NULL},
};

unsigned ctl_grant_weight(const struct ctl_settings *s, const char *site, const char *node)
{
    for (size_t i = 0; i < s->grants.n; i++) {
        const struct ctl_grant *g = s->grants.at[i].value;

        if (pattern_match(g->select, site, node, "", NULL))
            return (unsigned)g->weight;
    }
    return 1;
}

/* A grant is looked up by site and node alone: tags and channels are of sources. */
static void check_grants(const struct ctl_settings *s, struct config_check *c)
{
    for (size_t i = 0; i < s->grants.n; i++) {
        const struct ctl_grant *g = s->grants.at[i].value;
        char field[32];

        snprintf(field, sizeof(field), "grants[%zu].select", i);
        if (strchr(g->select, '=') != NULL)
            config_complain(c, field, "name the nodes as SITE or SITE/NODE; * and {a,b} work in both",
                            "fits no node: `%.200s` asks for a tag, and nodes have none", g->select);
    }
}

static bool link_keys_agree(const struct link_key *a, const struct link_key *b)
{
    return memcmp(a->cloud_end, b->cloud_end, KEY_BYTES) == 0 &&
           memcmp(a->operator_public, b->operator_public, KEY_BYTES) == 0;
}

/* "tcp://HOST:PORT", with IPv6 in brackets, as the schema stores it. The port above is used too, and `*` is
 * nowhere to go to. */
static int split_endpoint(const char *endpoint, struct lower_port_upstream *out)
{
    const char *host = strncmp(endpoint, "tcp://", 6) == 0 ? endpoint + 6 : endpoint;
    const char *colon = strrchr(host, ':');
    int64_t port;

    if (colon == NULL || colon == host || (size_t)(colon - host) >= sizeof(out->host) || host[0] == '*')
        return -EINVAL;
    char *end;
    port = strtol(colon + 1, &end, 10);
    if (*end != '\0' || port < 1 || port > 65534)
        return -EINVAL;
    memcpy(out->host, host, (size_t)(colon - host));
    out->host[colon - host] = '\0';
    out->port = (uint16_t)port;
    return 0;
}

void ctl_settings_check(const struct ctl_settings *s, struct config_check *c)
{
    struct link_key first = {0}, k;
    struct errmsg err;
    bool have_first = false;
    char field[32];

    if (s->store_quota_bytes > s->store_map_bytes)
        config_complain(c, "store.quota_bytes", "lower it or raise store.map_bytes",
                        "%" PRIu64 " bytes do not fit in a store of %" PRIu64, s->store_quota_bytes,
                        s->store_map_bytes);
    if (s->limits_window_max_bytes > s->limits_memory_bytes)
        config_complain(c, "limits.window_max_bytes", "lower it or raise limits.memory_bytes",
                        "one node's window is larger than the memory for all");
    check_grants(s, c);
    if (s->up_endpoints.n > 0 && s->up_keys.n == 0)
        config_complain(c, "up.keys", "run `fogctl key show --link` or `cloudctl key show --link` there",
                        "up.endpoints needs the link key of the other side");
    if (s->up_keys.n > 1 && s->up_endpoints.n > 0 && s->up_keys.n != s->up_endpoints.n)
        config_complain(c, "up.keys", "give one key for each endpoint, or one for all",
                        "%zu keys for %zu endpoints", s->up_keys.n, s->up_endpoints.n);
    for (size_t i = 0; i < s->up_endpoints.n; i++) {
        struct lower_port_upstream up;

        snprintf(field, sizeof(field), "up.endpoints[%zu]", i);
        if (split_endpoint(s->up_endpoints.at[i], &up) < 0)
            config_complain(c, field, "write tcp://HOST:PORT with the lower port of the node above",
                            "not a host and a port of 1..65534");
    }
    for (size_t i = 0; i < s->up_keys.n; i++) {
        snprintf(field, sizeof(field), "up.keys[%zu]", i);
        if (link_key_parse(s->up_keys.at[i], &k, &err) != 0) {
            config_complain(c, field, NULL, "%.200s", err.text);
            continue;
        }
        if (have_first && !link_keys_agree(&first, &k))
            config_complain(c, field, "all nodes above must belong to one cloud",
                            "names another cloud or operator than the keys before it");
        if (!have_first)
            first = k;
        have_first = true;
    }
}

int ctl_upstreams(const struct ctl_settings *s, struct lower_port_upstream out[LOWER_PORT_UPSTREAMS_MAX],
                  unsigned *ret_n, struct link_key *ret_trust, struct errmsg *err)
{
    struct link_key keys[LOWER_PORT_UPSTREAMS_MAX] = {0};
    struct lower_port_upstream up[LOWER_PORT_UPSTREAMS_MAX] = {0};
    size_t n = s->up_endpoints.n, n_keys = s->up_keys.n;
    int r;

    if (n > LOWER_PORT_UPSTREAMS_MAX || n_keys > LOWER_PORT_UPSTREAMS_MAX || (n > 0 && n_keys == 0) ||
        (n_keys > 1 && n > 0 && n_keys != n))
        return errmsg_set(err, -EINVAL,
                          "up.keys: give one link key for each of up.endpoints, or one for all");
    for (size_t i = 0; i < n_keys; i++) {
        r = link_key_parse(s->up_keys.at[i], &keys[i], err);
        if (r < 0)
            return r;
        if (i > 0 && !link_keys_agree(&keys[0], &keys[i]))
            return errmsg_set(err, -EINVAL,
                              "up.keys[%zu]: names another cloud or operator than the first key", i);
    }
    for (size_t i = 0; i < n; i++) {
        if (split_endpoint(s->up_endpoints.at[i], &up[i]) < 0)
            return errmsg_set(err, -EINVAL,
                              "up.endpoints[%zu]: `%s` is not HOST:PORT with a port of 1..65534", i,
                              s->up_endpoints.at[i]);
        memcpy(up[i].transport, keys[n_keys > 1 ? i : 0].upper_transport, KEY_BYTES);
    }
    memcpy(out, up, sizeof(up));
    *ret_n = (unsigned)n;
    *ret_trust = keys[0];
    return 0;
}
