/* Services for the functions of commands. */
#include "base/cleanup.h"
#include "base/numfmt.h"
#include "ctl/cmd_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

int ctl_fail(const struct ctl *ctl, int code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    owned(json_freep) struct json *j = NULL;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!ctl->json || json_new(&j, ctl->err, false) < 0) {
        fprintf(ctl->err, "%s: %s\n", ctl->tier->cli, text);
        return code;
    }
    json_object(j);
    json_kstr(j, "error", text);
    json_ki64(j, "exit", code);
    json_object_end(j);
    if (json_end(j) < 0)
        fprintf(ctl->err, "%s: %s\n", ctl->tier->cli, text);
    return code;
}

void ctl_note(const struct ctl *ctl, const char *fmt, ...)
{
    va_list ap;

    (void)fflush(ctl->out); /* a note follows what it is about, wherever both go */
    va_start(ap, fmt);
    vfprintf(ctl->err, fmt, ap);
    va_end(ap);
    fputc('\n', ctl->err);
}

const char *ctl_option_n(const struct ctl *ctl, const char *name, unsigned n)
{
    for (unsigned i = 0; i < ctl->n_given; i++)
        if (strcmp(ctl->given[i].name, name) == 0 && n-- == 0)
            return ctl->given[i].value;
    return NULL;
}

const char *ctl_option(const struct ctl *ctl, const char *name)
{
    const char *last = NULL, *value;

    for (unsigned n = 0; (value = ctl_option_n(ctl, name, n)) != NULL; n++)
        last = value;
    return last;
}

int ctl_option_i64(const struct ctl *ctl, const char *name, int64_t min, int64_t max, int64_t def,
                   int64_t *ret_v)
{
    const char *text = ctl_option(ctl, name);
    int64_t v = def;

    if (text != NULL && (!numfmt_parse_i64(text, strlen(text), &v) || v < min || v > max))
        return ctl_fail(ctl, CTL_USAGE, "--%s: `%s` is not a number of %" PRId64 "..%" PRId64, name, text,
                        min, max);
    *ret_v = v;
    return CTL_OK;
}

int ctl_load(struct ctl *ctl)
{
    const struct ctl_tier *t = ctl->tier;
    struct config_problems problems = {0};
    int r;

    if (ctl->values != NULL)
        return CTL_OK;
    void *values = calloc(1, t->schema->size);
    if (values == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    r = config_load(t->schema, ctl->config_path, values, &problems);
    if (r != 0) {
        free(values);
        if (r == CONFIG_BAD && ctl->json)
            r = config_problems_print_json(&problems, ctl->err);
        else if (r == CONFIG_BAD)
            config_problems_print(&problems, ctl->err);
        config_problems_deinit(&problems);
        if (r < 0)
            return ctl_fail(ctl, CTL_FAILED, "%s: %s", ctl->config_path, strerror(-r));
        return access(ctl->config_path, R_OK) < 0 ? ctl_code(-errno) : CTL_FAILED;
    }
    config_problems_deinit(&problems);
    ctl->values = values;
    ctl->settings = (const struct ctl_settings *)((const char *)values + t->settings_offset);
    ctl_paths_make(&ctl->paths, ctl->settings, t->store_name);
    return CTL_OK;
}

int ctl_json(const struct ctl *ctl, bool lines, struct json **ret_j)
{
    int r = json_new(ret_j, ctl->out, !lines && isatty(fileno(ctl->out)) == 1);

    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "no memory") : CTL_OK;
}

int ctl_json_end(const struct ctl *ctl, struct json *j)
{
    int r = json_end(j);

    return r < 0 ? ctl_fail(ctl, CTL_FAILED, "cannot write the output: %s", strerror(-r)) : CTL_OK;
}

int ctl_option_text(struct ctl *ctl, const char *option, char *to, size_t to_bytes)
{
    const char *value = ctl_option(ctl, option);

    if (value == NULL)
        return CTL_OK;
    if (strlen(value) >= to_bytes)
        return ctl_fail(ctl, CTL_USAGE, "--%s is too long", option);
    memcpy(to, value, strlen(value) + 1);
    return CTL_OK;
}

int ctl_option_path(struct ctl *ctl, const char *option, char *to, size_t to_bytes)
{
    const char *value = ctl_option(ctl, option);
    char here[CTL_PATH_CHARS / 2];

    if (value == NULL || value[0] == '/')
        return ctl_option_text(ctl, option, to, to_bytes);
    if (getcwd(here, sizeof(here)) == NULL || snprintf(to, to_bytes, "%s/%s", here, value) >= (int)to_bytes)
        return ctl_fail(ctl, CTL_USAGE, "--%s is too long", option);
    return CTL_OK;
}
