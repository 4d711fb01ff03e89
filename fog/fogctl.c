/* fogctl: the operator's tool of a fog. */
#include "archive/ctl_reading.h"
#include "base/cleanup.h"
#include "ctl/verbs.h"
#include "fog/fog_config.h"
#include "fog/fog_ctl.h"
#include "fog/fog_tier.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Lists of texts are freed by config_free_values: they are made the same way as the parser makes them. */
static int set_list(struct ctl *ctl, const char *option, struct config_strings *to)
{
    size_t n = 0;

    while (ctl_option_n(ctl, option, (unsigned)n) != NULL)
        n++;
    if (n == 0)
        return CTL_OK;
    to->at = calloc(n, sizeof(char *));
    for (size_t i = 0; to->at != NULL && i < n; i++) {
        to->at[i] = strdup(ctl_option_n(ctl, option, (unsigned)i));
        if (to->at[i] == NULL)
            return ctl_fail(ctl, CTL_FAILED, "no memory");
        to->n++;
    }
    return to->at == NULL ? ctl_fail(ctl, CTL_FAILED, "no memory") : CTL_OK;
}

static int fill(struct ctl *ctl, struct fog_config *c)
{
    int64_t port;
    int code = ctl_option_text(ctl, "site", c->common.site, sizeof(c->common.site));

    if (code == CTL_OK && c->common.site[0] == '\0')
        code = ctl_fail(ctl, CTL_USAGE, "say where this fog stands: --site SITE");
    snprintf(c->common.node, sizeof(c->common.node), "fog-%.60s", c->common.site);
    if (code == CTL_OK)
        code = ctl_option_text(ctl, "node", c->common.node, sizeof(c->common.node));
    if (code == CTL_OK)
        code = ctl_option_path(ctl, "state-dir", c->common.state_dir, sizeof(c->common.state_dir));
    if (code == CTL_OK)
        code = ctl_option_path(ctl, "run-dir", c->common.run_dir, sizeof(c->common.run_dir));
    if (code == CTL_OK)
        code = ctl_option_text(ctl, "listen", c->common.listen_host, sizeof(c->common.listen_host));
    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "port", 1, 65534, c->common.listen_port, &port);
    if (code == CTL_OK)
        c->common.listen_port = port;
    if (code == CTL_OK)
        code = set_list(ctl, "up", &c->common.up_endpoints);
    if (code == CTL_OK)
        code = set_list(ctl, "up-key", &c->common.up_keys);
    return code;
}

static int said(struct ctl *ctl, const struct node_public *key)
{
    owned(json_freep) struct json *j = NULL;
    char text[KEY_TEXT_CHARS], link_text[KEY_TEXT_CHARS] = "", host[256] = "THIS-HOST";
    struct link_key link;
    int code;

    node_public_format(key, text);
    if (ctl->settings->up_keys.n > 0) {
        code = ctl_link_key(ctl, &link);
        if (code != CTL_OK)
            return code;
        link_key_format(&link, link_text);
    }
    if (ctl->json) {
        code = ctl_json(ctl, false, &j);
        if (code != CTL_OK)
            return code;
        json_object(j);
        json_kstr(j, "node", ctl->settings->node);
        json_kstr(j, "site", ctl->settings->site);
        json_kstr(j, "config", ctl->config_path);
        json_kstr(j, "key", text);
        json_kstr(j, "link_key", link_text);
        json_object_end(j);
        return ctl_json_end(ctl, j);
    }
    (void)gethostname(host, sizeof(host) - 1);
    fprintf(ctl->out,
            "wrote %s and %s\n\n"
            "1. On the cloud's machine:\n  cloudctl enroll accept %s %s --site %s --role fog\n"
            "2. Here:\n  fogline-fog -c %s\n",
            ctl->config_path, ctl->paths.node_key, ctl->settings->node, text, ctl->settings->site,
            ctl->config_path);
    if (link_text[0] != '\0')
        fprintf(
            ctl->out,
            "3. On each device's machine:\n  devicectl init --up %s:%d --up-key %s --site %s --node NAME\n",
            host, (int)ctl->settings->listen_port, link_text, ctl->settings->site);
    else
        fprintf(
            ctl->out,
            "3. Put the cloud's endpoint and link key into up.endpoints and up.keys when you know them.\n");
    return CTL_OK;
}

static int verb_init(struct ctl *ctl)
{
    struct fog_config c;
    struct node_public key;
    int code;

    if (config_defaults(&fog_schema, &c) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    code = fill(ctl, &c);
    if (code == CTL_OK)
        code = ctl_init(ctl, &c, &key);
    config_free_values(&fog_schema, &c);
    return code == CTL_OK ? said(ctl, &key) : code;
}

static const struct cmd_option init_options[] = {
    {"site", 's', "SITE", "site this fog stands at"},
    {"node", 'N', "NAME", "name of this fog (fog-SITE)"},
    {"up", 'u', "HOST:PORT", "the cloud; may be given again for others to turn to"},
    {"up-key", 'k', "KEY",
     "link key fl1-... that `cloudctl key show --link` printed; one for each --up, or one for all"},
    {"listen", 'l', "HOST", "address to listen on (*)"},
    {"port", 'p', "PORT", "port to listen on (5510); the next one is used too"},
    {"state-dir", 0, "DIR", "folder of key and store (/var/lib/fogline/fog)"},
    {"run-dir", 0, "DIR", "folder of lock and status (/run/fogline/fog)"},
    {NULL},
};

static const struct cmd fog_verbs[] = {
    {"init", NULL, 0, 0, "write a commented configuration and make a key",
     "Writes the file named by -c, never over an existing one, and says what to run next and where.\n\n"
     "Example: fogctl init --up cloud.example:5520 --up-key fl1-... --site plant-a",
     init_options, verb_init},
    {NULL},
};

static const struct cmd *const tables[] = {fog_verbs,       fog_ctl_report,   archive_verbs, ctl_verbs,
                                           ctl_verbs_spool, ctl_verbs_enroll, NULL};

int main(int argc, char **argv)
{
    struct ctl_tier tier = fog_tier_daemon;

    tier.cmds = tables;
    return cmd_main(&tier, argc, argv);
}
