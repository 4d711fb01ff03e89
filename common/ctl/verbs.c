/* The tables, and the verbs that need no more than the configuration. */
#include "ctl/verbs_private.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "ctl/status.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int verb_config_check(struct ctl *ctl)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_load(ctl);

    if (code != CTL_OK)
        return code;
    if (!ctl->json) {
        fprintf(ctl->out, "%s: no problems found\n", ctl->config_path);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", ctl->config_path);
    json_key(j, "problems");
    json_array(j);
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int verb_config_show(struct ctl *ctl)
{
    owned(json_freep) struct json *j = NULL;
    owned(free_ptr) char *text = NULL;
    size_t len = 0;
    unsigned flags = ctl_option(ctl, "help-texts") != NULL ? CONFIG_PRINT_HELP : 0;
    int code = ctl_load(ctl), r;

    if (code != CTL_OK)
        return code;
    if (!ctl->json) {
        r = config_print(ctl->tier->schema, ctl->values, ctl->out, flags);
        return r < 0 ? ctl_fail(ctl, CTL_FAILED, "cannot print the configuration: %s", strerror(-r)) : CTL_OK;
    }
    FILE *f = open_memstream(&text, &len);
    if (f == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    r = config_print(ctl->tier->schema, ctl->values, f, flags);
    if (fclose(f) != 0 || r < 0)
        return ctl_fail(ctl, CTL_FAILED, "cannot print the configuration");
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", ctl->config_path);
    json_kstr(j, "node", ctl->settings->node);
    json_kstr(j, "site", ctl->settings->site);
    json_kstr(j, "state_dir", ctl->settings->state_dir);
    json_kstr(j, "run_dir", ctl->settings->run_dir);
    json_kstr(j, "yaml", text);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int verb_config_doc(struct ctl *ctl)
{
    enum config_doc_form form = ctl_option(ctl, "mdoc") != NULL ? CONFIG_DOC_MDOC : CONFIG_DOC_TEXT;
    owned(json_freep) struct json *j = NULL;
    int code = CTL_OK;

    if (!ctl->json)
        return config_doc(ctl->tier->schema, form, ctl->out) < 0 ? ctl_fail(ctl, CTL_FAILED, "cannot print")
                                                                 : CTL_OK;
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_key(j, "keys");
    json_array(j);
    for (const struct config_row *row = ctl->tier->schema->rows; row->path != NULL; row++) {
        json_object(j);
        json_kstr(j, "key", row->path);
        json_kstr(j, "help", row->help);
        json_kstr(j, "default", row->def != NULL ? row->def : "");
        json_kbool(j, "required", row->required);
        json_kbool(j, "reloadable", row->reloadable);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int verb_version(struct ctl *ctl)
{
    owned(json_freep) struct json *j = NULL;
    int code;

    if (!ctl->json) {
        fprintf(ctl->out, "%s %s, formats %d.%d\n", ctl->tier->cli, FOGLINE_VERSION, WIRE_FORMAT_MAJOR,
                WIRE_FORMAT_MINOR);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "program", ctl->tier->cli);
    json_kstr(j, "version", FOGLINE_VERSION);
    json_ki64(j, "wire_format_major", WIRE_FORMAT_MAJOR);
    json_ki64(j, "wire_format_minor", WIRE_FORMAT_MINOR);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static const struct cmd_option config_show_options[] = {
    {"help-texts", 0, NULL, "with the meaning of each key as comments"},
    {NULL},
};
static const struct cmd_option config_doc_options[] = {
    {"mdoc", 0, NULL, "as mdoc(7), for a man page"},
    {NULL},
};
static const struct cmd_option key_show_options[] = {
    {"link", 0, NULL, "the link key (fl1-...) that nodes below need in up.keys"},
    {NULL},
};
static const struct cmd_option status_options[] = {
    {"counters", 0, NULL, "all counters too"},
    {NULL},
};

const struct cmd ctl_verbs[] = {
    {"status", NULL, 0, 0, "what the daemon does, or did in its last second",
     "Reads run_dir/status.json, which the daemon writes once a second; works when it is stopped.\n"
     "Exit code 6 when it has not run since the last boot.",
     status_options, status_command},
    {"config check", NULL, 0, 0, "say everything that is wrong in the configuration",
     "The same code as the daemon's start: file, line, column, field, what is wrong and what to do.", NULL,
     verb_config_check},
    {"config show", NULL, 0, 0, "the configuration with all defaults", NULL, config_show_options,
     verb_config_show},
    {"config doc", NULL, 0, 0, "every key there is: type, range, default, meaning", NULL, config_doc_options,
     verb_config_doc},
    {"key gen", NULL, 0, 0, "make this node's key, if it has none",
     "Never replaces a key: a new key is a new node.", NULL, verb_key_gen},
    {"key show", NULL, 0, 0, "this node's public key and fingerprint",
     "The text fn1-... is what `enroll accept` wants; it is not secret.\n"
     "With --link: the text fl1-... that nodes below this one need as up.keys.",
     key_show_options, verb_key_show},
    {"store stat", NULL, 0, 0, "what the store holds, by stream and by table", NULL, NULL, verb_store_stat},
    {"store verify", NULL, 0, 0, "check every value of the store",
     "Beside a running daemon it reads in short slices; on a stopped one it checks the pages as well.\n"
     "Exit code 7 when something is damaged.",
     NULL, verb_store_verify},
    {"version", NULL, 0, 0, "version of program and formats", NULL, NULL, verb_version},
    {NULL},
};

/* O_EXCL: two runs at once must not both believe that they made the file. */
static int write_config(struct ctl *ctl, const void *values)
{
    int fd = open(ctl->config_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640), r;
    FILE *f;

    if (fd < 0 && errno == EEXIST)
        return ctl_fail(ctl, CTL_FAILED, "%s is there already; edit it, or move it away first",
                        ctl->config_path);
    if (fd < 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->config_path, strerror(errno));
    f = fdopen(fd, "w");
    if (f == NULL) {
        close(fd);
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    }
    r = config_print(ctl->tier->schema, values, f, CONFIG_PRINT_HELP);
    if (fflush(f) != 0 || fsync(fd) < 0)
        r = -errno;
    if (fclose(f) != 0 && r == 0)
        r = -errno;
    if (r == 0)
        return CTL_OK;
    unlink(ctl->config_path);
    return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->config_path, strerror(-r));
}

static int make_config_folder(struct ctl *ctl)
{
    owned(free_ptr) char *folder = strdup(ctl->config_path);
    char *slash = folder == NULL ? NULL : strrchr(folder, '/');
    int r;

    if (slash == NULL || slash == folder)
        return CTL_OK;
    *slash = '\0';
    r = file_mkdirs(folder, 0755);
    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "%s: %s", folder, strerror(-r)) : CTL_OK;
}

static int make_node(struct ctl *ctl, struct node_public *ret_public)
{
    struct node_keys keys;
    struct errmsg err = {""};
    int code = ctl_load(ctl), r;

    if (code != CTL_OK)
        return code;
    r = file_mkdirs(ctl->paths.state_dir, 0700);
    if (r < 0)
        return ctl_fail(ctl, CTL_FAILED, "cannot make the folder %s: %s", ctl->paths.state_dir, strerror(-r));
    r = node_keys_load(ctl->paths.node_key, &keys, &err);
    if (r == -ENOENT) {
        node_keys_generate(&keys);
        r = node_keys_save(ctl->paths.node_key, &keys, &err);
    }
    if (r == 0) {
        memcpy(ret_public->transport, keys.transport_public, KEY_BYTES);
        memcpy(ret_public->end, keys.end_public, KEY_BYTES);
    }
    node_keys_wipe(&keys);
    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "%s", err.text) : CTL_OK;
}

int ctl_init(struct ctl *ctl, const void *values, struct node_public *ret_public)
{
    int code = make_config_folder(ctl);

    if (code == CTL_OK)
        code = write_config(ctl, values);
    if (code != CTL_OK)
        return code;
    code = make_node(ctl, ret_public);
    if (code != CTL_OK)
        unlink(ctl->config_path); /* the next try must not trip over it */
    return code;
}
