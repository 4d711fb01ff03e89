#include "device/ctl_device.h"

#include "base/cleanup.h"
#include "device/device_config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Source kinds that make sense on any machine: what a fresh device reads. */
static const char *const first_sources[] = {"host", "socket"};
enum { N_FIRST_SOURCES = sizeof first_sources / sizeof first_sources[0] };

static int find_kind(const struct config_kind *kinds, const char *name)
{
    for (int i = 0; kinds[i].rows != NULL; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return i;
    return -1;
}

static const struct config_kind *kinds_of(const struct ctl *ctl)
{
    for (const struct config_row *row = ctl->tier->schema->rows; row->path != NULL; row++)
        if (strcmp(row->path, "sources") == 0)
            return row->kinds;
    return NULL;
}

/* A source with all defaults, named like its kind. */
static int add_source(struct config_list *list, const struct config_kind *kinds, const char *name)
{
    int kind = find_kind(kinds, name);
    struct config_schema schema;
    struct config_item *item = &list->at[list->n];

    if (kind < 0)
        return -EINVAL;
    schema = (struct config_schema){.name = name, .rows = kinds[kind].rows, .size = kinds[kind].size};
    item->kind = kind;
    item->value = calloc(1, kinds[kind].size);
    if (item->value == NULL)
        return -ENOMEM;
    list->n++;
    if (config_defaults(&schema, item->value) != 0)
        return -ENOMEM;
    snprintf(((struct source_config *)item->value)->name, SOURCE_NAME_BYTES, "%s", name);
    return 0;
}

/* Every value of an option that may be given again; prefix in front of those without it. */
static int take_all(struct ctl *ctl, const char *option, const char *prefix, struct config_strings *to)
{
    to->at = calloc(LOWER_PORT_UPSTREAMS_MAX, sizeof *to->at);
    if (to->at == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < LOWER_PORT_UPSTREAMS_MAX; i++) {
        const char *given = ctl_option_n(ctl, option, i);

        if (given == NULL)
            break;
        if (asprintf(&to->at[i], "%s%s", strncmp(given, prefix, strlen(prefix)) == 0 ? "" : prefix, given) <
            0) {
            to->at[i] = NULL;
            return -ENOMEM;
        }
        to->n++;
    }
    return 0;
}

/* A folder given on the command line is one of where we stand, not of where the file will be. */
static int set_path(struct ctl *ctl, const char *option, char *to, size_t to_bytes)
{
    const char *given = ctl_option(ctl, option);
    char here[PATH_MAX] = "";
    int n;

    if (given == NULL)
        return 0;
    if (given[0] != '/' && getcwd(here, sizeof here) == NULL)
        return -errno;
    n = snprintf(to, to_bytes, "%s%s%s", here, given[0] != '/' ? "/" : "", given);
    return n < 0 || (size_t)n >= to_bytes ? -ENAMETOOLONG : 0;
}

static int fill(struct ctl *ctl, struct device_config *config)
{
    const struct config_kind *kinds = kinds_of(ctl);
    int rc = config_defaults(ctl->tier->schema, config);

    if (rc != 0)
        return rc;
    snprintf(config->settings.node, sizeof config->settings.node, "%s", ctl_option(ctl, "node"));
    snprintf(config->settings.site, sizeof config->settings.site, "%s", ctl_option(ctl, "site"));
    rc = set_path(ctl, "state-dir", config->settings.state_dir, sizeof config->settings.state_dir);
    if (rc == 0)
        rc = set_path(ctl, "run-dir", config->settings.run_dir, sizeof config->settings.run_dir);
    if (rc == 0)
        rc = take_all(ctl, "up", "tcp://", &config->settings.up_endpoints);
    if (rc == 0)
        rc = take_all(ctl, "up-key", "", &config->settings.up_keys);
    if (rc != 0)
        return rc;
    config->sources.at = calloc(N_FIRST_SOURCES, sizeof *config->sources.at);
    if (config->sources.at == NULL)
        return -ENOMEM;
    for (unsigned i = 0; rc == 0 && i < N_FIRST_SOURCES; i++)
        rc = add_source(&config->sources, kinds, first_sources[i]);
    return rc;
}

static int refuse_arguments(struct ctl *ctl)
{
    const char *node = ctl_option(ctl, "node"), *site = ctl_option(ctl, "site");
    const char *up, *key;
    struct link_key parsed;
    struct errmsg err;
    unsigned n_up = 0, n_keys = 0;

    if (node == NULL || site == NULL)
        return ctl_fail(ctl, CTL_USAGE, "--node and --site are needed");
    if (!name_part_ok(node, strlen(node)) || !name_part_ok(site, strlen(site)))
        return ctl_fail(ctl, CTL_USAGE,
                        "a node or site is named with letters, digits, '.', '_' and '-', at most 64");
    for (; (up = ctl_option_n(ctl, "up", n_up)) != NULL; n_up++)
        if (strrchr(up, ':') == NULL)
            return ctl_fail(ctl, CTL_USAGE,
                            "--up: `%s` is not HOST:PORT; a fog listens on 5510 unless told otherwise", up);
    for (; (key = ctl_option_n(ctl, "up-key", n_keys)) != NULL; n_keys++)
        if (link_key_parse(key, &parsed, &err) != 0)
            return ctl_fail(ctl, CTL_USAGE, "--up-key: %s", err.text);
    if ((n_up == 0) != (n_keys == 0) || (n_keys > 1 && n_keys != n_up) || n_up > LOWER_PORT_UPSTREAMS_MAX)
        return ctl_fail(
            ctl, CTL_USAGE,
            "each --up (at most %d) wants its --up-key, or all of them one; on the fog, `fogctl key show "
            "--link` prints the key",
            LOWER_PORT_UPSTREAMS_MAX);
    return CTL_OK;
}

static int print_result(struct ctl *ctl, const struct device_config *config, const struct node_public *p)
{
    owned(json_freep) struct json *j = NULL;
    char key[KEY_TEXT_CHARS], fingerprint[KEY_FINGERPRINT_CHARS + 1];
    int code;

    node_public_format(p, key);
    key_fingerprint(p->transport, fingerprint);
    if (!ctl->json) {
        bool alone = config->settings.up_endpoints.n == 0;

        fprintf(ctl->out, "wrote %s and %s/node.key\nkey fingerprint %s\n\n", ctl->config_path,
                config->settings.state_dir, fingerprint);
        if (!alone)
            fprintf(ctl->out, "1. On the fog's machine:\n  fogctl enroll accept %s %s\n",
                    config->settings.node, key);
        fprintf(ctl->out, "%s. Here:\n  fogline-device -c %s\n", alone ? "1" : "2", ctl->config_path);
        fputs("Readings are made durable and sent every 90 seconds, alarms at once: commit_ms in the file "
              "says how often, and what it costs.\n",
              ctl->out);
        if (alone)
            fprintf(
                ctl->out,
                "It works alone and keeps what it reads: up.endpoints and up.keys say where to send it.\n");
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "config", ctl->config_path);
    json_kstr(j, "node", config->settings.node);
    json_kstr(j, "site", config->settings.site);
    json_kstr(j, "key", key);
    json_kstr(j, "fingerprint", fingerprint);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int run_init(struct ctl *ctl)
{
    struct device_config config = {0};
    struct node_public p;
    int code = refuse_arguments(ctl), rc;

    if (code != CTL_OK)
        return code;
    rc = fill(ctl, &config);
    code = rc == 0 ? ctl_init(ctl, &config, &p)
                   : ctl_fail(ctl, CTL_FAILED, "cannot make a configuration: %s", strerror(-rc));
    if (code == CTL_OK)
        code = print_result(ctl, &config, &p);
    config_free_values(ctl->tier->schema, &config);
    return code;
}

static const struct cmd_option options[] = {
    {"node", 'N', "NAME", "name of this device, unique under one collector"},
    {"site", 's', "SITE", "site it stands at"},
    {"up", 'u', "HOST:PORT", "the fog it sends to; may be given again for others to turn to"},
    {"up-key", 'k', "KEY",
     "link key fl1-... that `fogctl key show --link` printed; one for each --up, or one for all"},
    {"state-dir", 0, "DIR", "folder of key and store (/var/lib/fogline/device)"},
    {"run-dir", 0, "DIR", "folder of lock and status (/run/fogline/device)"},
    {0},
};

const struct cmd ctl_device_init[] = {
    {"init", NULL, 0, 0, "write a commented configuration and make a key",
     "devicectl -c pump-3.yaml init --up fog-a:5510 --up-key fl1-... --site plant --node pump-3\n\n"
     "Never writes over a file or a key that is there. Prints what to run next, and where.",
     options, run_init},
    {0},
};
