#include "device/ctl_probe.h"

#include "base/cleanup.h"
#include "device/ctl_device.h"

#include <limits.h>
#include <string.h>

/* In the order in which they are printed. */
static const struct part {
    const char *what; /* "no ... found" */
    int (*probe)(const struct probe_options *o, FILE *out, struct errmsg *err);
} parts[] = {
    {"GPIO chips", probe_gpio},
    {"iio devices", probe_iio},
    {"hardware monitoring chips and thermal zones", probe_hwmon},
    {"1-wire sensors", probe_onewire},
};
enum { N_PARTS = sizeof parts / sizeof parts[0] };

/* Prints what a part finds. A part that fails costs no other. */
static int run_part(struct ctl *ctl, const struct part *part, const struct probe_options *o, FILE *out)
{
    struct errmsg err = {""};
    int n = part->probe(o, out, &err);

    if (n < 0)
        ctl_note(ctl, "%s: %s", part->what, err.text);
    else if (n == 0)
        fprintf(out, "  # no %s found\n", part->what);
    return n;
}

/* {"found":{"GPIO chips":0,...},"yaml":"sources:\n..."}; a part that failed is null. */
static int print_json(struct ctl *ctl, const int found[], const char *yaml)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_key(j, "found");
    json_object(j);
    for (unsigned i = 0; i < N_PARTS; i++) {
        json_key(j, parts[i].what);
        if (found[i] >= 0)
            json_i64(j, found[i]);
        else
            json_null(j);
    }
    json_object_end(j);
    json_kstr(j, "yaml", yaml);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int run_probe(struct ctl *ctl)
{
    owned(free_ptr) char *text = NULL;
    char root[PATH_MAX] = "";
    struct probe_options o = {root};
    size_t text_bytes = 0, len;
    unsigned n_found = 0, n_failed = 0;
    int found[N_PARTS];
    FILE *out;
    int code = ctl_option_path(ctl, "root", root, sizeof root);

    if (code != CTL_OK)
        return code;
    for (len = strlen(root); len > 0 && root[len - 1] == '/'; len--)
        root[len - 1] = '\0';
    out = open_memstream(&text, &text_bytes);
    if (out == NULL)
        return ctl_fail(ctl, CTL_FAILED, "out of memory");
    fputs("sources:\n", out);
    for (unsigned i = 0; i < N_PARTS; i++) {
        found[i] = run_part(ctl, &parts[i], &o, out);
        n_failed += found[i] < 0;
        n_found += found[i] > 0 ? (unsigned)found[i] : 0;
    }
    if (fclose(out) != 0)
        return ctl_fail(ctl, CTL_FAILED, "out of memory");
    if (ctl->json)
        code = print_json(ctl, found, n_found > 0 ? text : "");
    else if (n_found > 0)
        fputs(text, ctl->out);
    if (code != CTL_OK)
        return code;
    if (n_failed > 0)
        return CTL_FAILED;
    if (n_found == 0)
        return ctl_fail(ctl, CTL_NOT_FOUND,
                        "nothing found in %s/sys: is the hardware connected, and its driver loaded (lsmod, "
                        "dmesg)?",
                        root);
    return CTL_OK;
}

static const struct cmd_option options[] = {
    {"root", 0, "DIR", "look in a folder that stands for /"},
    {0},
};

const struct cmd ctl_device_probe[] = {
    {"probe", NULL, 0, 0, "list the sensors this machine offers, as sources for the configuration",
     "devicectl probe >> /etc/fogline/device.yaml\n\n"
     "Prints a list `sources:` that `devicectl config check` takes as it is; in a file that has such a list "
     "already, leave out the first line.\n"
     "With --json an object: found (how many of each), yaml. No sensor is read. Exit codes: 6 nothing found, "
     "1 something could not be looked at.",
     options, run_probe},
    {0},
};
