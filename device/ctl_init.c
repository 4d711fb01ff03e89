#include "device/ctl_device.h"

#include "base/cleanup.h"
#include "device/device_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static int set_text(struct config_strings *s, const char *text)
{
    s->at = calloc(1, sizeof *s->at);
    if (s->at == NULL)
        return -ENOMEM;
    s->at[0] = strdup(text);
    if (s->at[0] == NULL)
        return -ENOMEM;
    s->n = 1;
    return 0;
}

static int fill(struct ctl *ctl, struct device_config *config)
{
    const char *state = ctl_option(ctl, "state-dir"), *run = ctl_option(ctl, "run-dir");
    const char *up = ctl_option(ctl, "up"), *key = ctl_option(ctl, "up-key");
    const struct config_kind *kinds = kinds_of(ctl);
    char endpoint[300];
    int rc = config_defaults(ctl->tier->schema, config);

    if (rc != 0)
        return rc;
    snprintf(config->settings.node, sizeof config->settings.node, "%s", ctl_option(ctl, "node"));
    snprintf(config->settings.site, sizeof config->settings.site, "%s", ctl_option(ctl, "site"));
    if (state != NULL)
        snprintf(config->settings.state_dir, sizeof config->settings.state_dir, "%s", state);
    if (run != NULL)
        snprintf(config->settings.run_dir, sizeof config->settings.run_dir, "%s", run);
    if (up != NULL) {
        snprintf(endpoint, sizeof endpoint, "%s%s", strncmp(up, "tcp://", 6) == 0 ? "" : "tcp://", up);
        rc = set_text(&config->settings.up_endpoints, endpoint);
        if (rc == 0)
            rc = set_text(&config->settings.up_keys, key);
    }
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
    const char *up = ctl_option(ctl, "up"), *key = ctl_option(ctl, "up-key");
    struct link_key parsed;
    struct errmsg err;

    if (node == NULL || site == NULL)
        return ctl_fail(ctl, CTL_USAGE, "--node and --site are needed");
    if (!name_part_ok(node, strlen(node)) || !name_part_ok(site, strlen(site)))
        return ctl_fail(ctl, CTL_USAGE,
                        "a node or site is named with letters, digits, '.', '_' and '-', at most 64");
    if ((up == NULL) != (key == NULL))
        return ctl_fail(ctl, CTL_USAGE,
                        "--up and --up-key belong together; on the fog, `fogctl key show --link` prints "
                        "the key");
    if (up != NULL && strrchr(up, ':') == NULL)
        return ctl_fail(ctl, CTL_USAGE,
                        "--up: `%s` is not HOST:PORT; a fog listens on 5510 unless told otherwise", up);
    if (key != NULL && link_key_parse(key, &parsed, &err) != 0)
        return ctl_fail(ctl, CTL_USAGE, "--up-key: %s", err.text);
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
        fprintf(ctl->out, "wrote %s\nkey %s (fingerprint %s)\n\n", ctl->config_path, key, fingerprint);
        if (config->settings.up_endpoints.n > 0)
            fprintf(ctl->out, "next, on the fog:\n  fogctl enroll accept %s %s\nthen, here:\n",
                    config->settings.node, key);
        else
            fprintf(ctl->out, "It works alone: add up.endpoints and up.keys to send anything.\nnext:\n");
        fprintf(ctl->out, "  fogline-device -c %s\n", ctl->config_path);
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
    int code = refuse_arguments(ctl);

    if (code != CTL_OK)
        return code;
    code = fill(ctl, &config) == 0 ? ctl_init(ctl, &config, &p) : ctl_fail(ctl, CTL_FAILED, "no memory");
    if (code == CTL_OK)
        code = print_result(ctl, &config, &p);
    config_free_values(ctl->tier->schema, &config);
    return code;
}

static const struct cmd_option options[] = {
    {"node", 0, "NAME", "name of this device, unique under one collector"},
    {"site", 0, "NAME", "site it stands at"},
    {"up", 0, "HOST:PORT", "the fog it sends to"},
    {"up-key", 0, "fl1-...", "that fog's link key, from `fogctl key show --link` there"},
    {"state-dir", 0, "DIR", "folder of key and store"},
    {"run-dir", 0, "DIR", "folder of what a reboot may take"},
    {0},
};

const struct cmd ctl_device_init[] = {
    {"init", NULL, 0, 0, "write a commented configuration and make a key",
     "devicectl -c pump-3.yaml init --up fog-a:5510 --up-key fl1-... --site plant --node pump-3\n\n"
     "Never writes over a file or a key that is there. Prints what to run next, and where.",
     options, run_init},
    {0},
};
