/* cloudctl command, drill: what an operator orders nodes to do. */
#include "cloud/ctl_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/name.h"
#include "ctl/drill_order.h"

#include <errno.h>
#include <inttypes.h>

/* What orders are made with. Zero-initialised is empty. */
struct desk {
    struct nodes nodes;
    struct node_keys cloud;
    struct operator_keys operator;
};

static void desk_deinit(struct desk *d)
{
    nodes_deinit(&d->nodes);
    node_keys_wipe(&d->cloud);
    operator_keys_wipe(&d->operator);
}

static int desk_open(struct ctl *ctl, struct desk *d)
{
    uint8_t operator_public[KEY_BYTES];
    struct errmsg err = {""};
    int r;

    if (ctl_operator_pub_load(ctl->paths.operator_pub, operator_public, &err) < 0 ||
        nodes_load(ctl->paths.nodes_doc, operator_public, &d->nodes, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s", err.text);
    r = node_keys_load(ctl->paths.node_key, &d->cloud, &err);
    if (r == 0)
        r = operator_keys_load(ctl->paths.operator_key, &d->operator, & err);
    return r < 0 ? ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : CTL_UNAUTHORISED, "%s", err.text) : CTL_OK;
}

static int find_node(struct ctl *ctl, const struct desk *d, const char *node,
                     const struct upper_port_node **ret_n)
{
    const struct upper_port_node *n = nodes_find(&d->nodes, node);

    if (n == NULL || n->revoked)
        return ctl_fail(ctl, CTL_NOT_FOUND, "`%s` is %s; see `cloudctl enroll list`", node,
                        n == NULL ? "not on the list of nodes" : "revoked");
    *ret_n = n;
    return CTL_OK;
}

/* Gives the command its counter, signs and seals it, and lays it where the daemon takes it from. */
static int issue(struct ctl *ctl, const struct desk *d, const struct upper_port_node *n, struct command *c)
{
    owned(buf_deinit) struct buf packed = {0};
    struct end_keys keys;
    int r;

    if (end_keys_derive(d->cloud.end_secret, d->cloud.end_public, n->end, false, &keys) < 0)
        return ctl_fail(ctl, CTL_FAILED, "the key of `%s` is not usable", n->id);
    snprintf(c->target, sizeof c->target, "%s", n->id);
    r = file_mkdirs(ctl->paths.commands, 0700);
    if (r == 0)
        r = commands_next_counter(ctl->paths.commands, c->target, &c->counter);
    if (r == 0)
        r = command_make(c, keys.seal, &d->operator, & packed);
    if (r == 0)
        r = commands_save(ctl->paths.commands, c->target, c->counter, span_of(packed.data, packed.len));
    end_keys_wipe(&keys);
    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->paths.commands, strerror(-r)) : CTL_OK;
}

static void issued_json(struct json *j, const struct command *c)
{
    json_object(j);
    json_kstr(j, "node", c->target);
    json_ku64(j, "counter", c->counter);
    json_kstr(j, "command", command_type_name(c->type));
    json_object_end(j);
}

static int issued(struct ctl *ctl, const struct command *c)
{
    owned(json_freep) struct json *j = NULL;
    int code;

    if (!ctl->json) {
        fprintf(ctl->out, "%s: command %" PRIu64 " (%s) waits for its reply; watch `cloudctl events %s`\n",
                c->target, c->counter, command_type_name(c->type), c->target);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    issued_json(j, c);
    return ctl_json_end(ctl, j);
}

int verb_command(struct ctl *ctl)
{
    owned(desk_deinit) struct desk d = {.nodes = {0}};
    const struct upper_port_node *n = NULL;
    struct command c = {.counter = 0};
    int code = ctl_load(ctl);

    if (code != CTL_OK)
        return code;
    if (!name_part_ok(ctl->args[0], strlen(ctl->args[0])))
        return ctl_fail(ctl, CTL_USAGE, "`%s` is no node name", ctl->args[0]);
    if (!command_type_parse(ctl->args[1], &c.type))
        return ctl_fail(ctl, CTL_USAGE, "`%s` is no command; known: identify", ctl->args[1]);
    if (c.type == FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_DRILL)
        return ctl_fail(ctl, CTL_USAGE, "ask for raw readings by `cloudctl drill SITE/DEVICE --from TIME`");
    if (ctl->n_args > 2 && strlen(ctl->args[2]) >= sizeof c.argument)
        return ctl_fail(ctl, CTL_USAGE, "the argument is too long");
    if (ctl->n_args > 2)
        snprintf(c.argument, sizeof c.argument, "%s", ctl->args[2]);
    code = desk_open(ctl, &d);
    if (code == CTL_OK)
        code = find_node(ctl, &d, ctl->args[0], &n);
    if (code == CTL_OK)
        code = issue(ctl, &d, n, &c);
    return code == CTL_OK ? issued(ctl, &c) : code;
}

/* ---- drill ---- */

/* "SITE/DEVICE" as it is typed; where the device stands is on the list of nodes. */
static int read_device(struct ctl *ctl, char site[GATE_NAME_BYTES], char device[GATE_NAME_BYTES])
{
    const char *name = ctl->args[0], *slash = strchr(name, '/');

    if (slash == NULL || !name_part_ok(name, (size_t)(slash - name)) ||
        !name_part_ok(slash + 1, strlen(slash + 1)))
        return ctl_fail(ctl, CTL_USAGE, "`%s` is no SITE/DEVICE; one device is asked for at a time", name);
    snprintf(site, GATE_NAME_BYTES, "%.*s", (int)(slash - name), name);
    snprintf(device, GATE_NAME_BYTES, "%s", slash + 1);
    return CTL_OK;
}

static int check_device(struct ctl *ctl, const struct desk *d, const char *site, const char *device)
{
    const struct upper_port_node *n = NULL;
    int code = find_node(ctl, d, device, &n);

    if (code != CTL_OK)
        return code;
    if (strcmp(n->site, site) != 0)
        return ctl_fail(ctl, CTL_NOT_FOUND, "%s stands at site %s: %s/%s", device, n->site, n->site, device);
    if (strcmp(n->role, "fog") == 0)
        return ctl_fail(ctl, CTL_USAGE, "%s is a fog: all it makes goes up by itself", device);
    return CTL_OK;
}

static bool is_fog_of(const struct upper_port_node *n, const char *site)
{
    return strcmp(n->role, "fog") == 0 && strcmp(n->site, site) == 0 && !n->revoked;
}

static int ask_fogs(struct ctl *ctl, const struct desk *d, const char *site, struct command *c,
                    struct json *j)
{
    unsigned n = 0;

    for (size_t i = 0; i < d->nodes.n; i++) {
        int code;

        if (!is_fog_of(&d->nodes.at[i], site))
            continue;
        code = issue(ctl, d, &d->nodes.at[i], c);
        if (code != CTL_OK)
            return code;
        if (j != NULL)
            issued_json(j, c);
        else
            code = issued(ctl, c);
        if (code != CTL_OK)
            return code;
        n++;
    }
    return n > 0 ? CTL_OK
                 : ctl_fail(ctl, CTL_NOT_FOUND,
                            "no fog of site %s is on the list; see `cloudctl enroll list`", site);
}

int verb_drill(struct ctl *ctl)
{
    owned(desk_deinit) struct desk d = {.nodes = {0}};
    owned(json_freep) struct json *j = NULL;
    struct command c = {.type = FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_DRILL};
    struct drill_order order = {.max_bytes = 0};
    char site[GATE_NAME_BYTES];
    struct view_range range;
    int64_t max_bytes;
    int code = read_device(ctl, site, order.device);

    if (code == CTL_OK && ctl_option(ctl, "from") == NULL)
        code = ctl_fail(ctl, CTL_USAGE, "say from when on: --from 2026-11-20T22:30:00Z, --from -2h");
    if (code == CTL_OK)
        code = ctl_range(ctl, &range);
    if (code == CTL_OK && range.from_ns == range.to_ns)
        code = ctl_fail(ctl, CTL_USAGE, "nothing lies between --from and --to");
    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "max-bytes", 1, INT64_MAX, 0, &max_bytes);
    if (code == CTL_OK)
        code = ctl_load(ctl);
    if (code == CTL_OK)
        code = desk_open(ctl, &d);
    if (code == CTL_OK)
        code = check_device(ctl, &d, site, order.device);
    if (code == CTL_OK && ctl->json)
        code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    order.from_ns = range.from_ns;
    order.to_ns = range.to_ns;
    order.max_bytes = (uint64_t)max_bytes;
    drill_order_format(&order, c.argument);
    if (j != NULL)
        json_array(j);
    code = ask_fogs(ctl, &d, site, &c, j);
    if (j == NULL || code != CTL_OK)
        return code;
    json_array_end(j);
    return ctl_json_end(ctl, j);
}
