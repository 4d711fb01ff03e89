/* Help texts out of the command tables. */
#include "ctl/cmd_private.h"

#include <string.h>

enum { HELP_NAME_WIDTH = 26 };

struct group_view {
    const char *group; /* NULL: all */
    FILE *out;
};

static bool print_line(void *ctx, const struct cmd *c)
{
    const struct group_view *v = ctx;
    size_t n = v->group == NULL ? 0 : strlen(v->group);

    if (n > 0 && (strncmp(c->name, v->group, n) != 0 || c->name[n] != ' '))
        return false;
    fprintf(v->out, "  %-*s %s\n", HELP_NAME_WIDTH, c->name, c->help);
    return false;
}

static void print_options(const struct cmd_option *options, FILE *out)
{
    char left[80];

    for (const struct cmd_option *o = options; o != NULL && o->name != NULL; o++) {
        if (o->letter != 0)
            snprintf(left, sizeof(left), "-%c, --%s%s%s", o->letter, o->name, o->value != NULL ? " " : "",
                     o->value != NULL ? o->value : "");
        else
            snprintf(left, sizeof(left), "    --%s%s%s", o->name, o->value != NULL ? " " : "",
                     o->value != NULL ? o->value : "");
        fprintf(out, "  %-*s %s\n", HELP_NAME_WIDTH, left, o->help);
    }
}

static const char *config_usage(const struct ctl_tier *tier)
{
    return tier->config_path != NULL ? " [-c FILE]" : "";
}

static const char exit_codes[] =
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 cannot reach, 4 not authorised, 5 timed out, "
    "6 not found,\n7 store damaged, 8 ledger does not balance, 9 blocks left out that do not decode.\n";

void cmd_help_tool(const struct ctl_tier *tier, FILE *out)
{
    struct group_view v = {NULL, out};

    fprintf(out, "%s - %s\n\nUsage: %s%s [--json] COMMAND [options] [arguments]\n\nCommands:\n", tier->cli,
            tier->about, tier->cli, config_usage(tier));
    (void)cmd_each(tier, print_line, &v);
    fputs("\nOptions of every command:\n", out);
    print_options(cmd_common_options(tier), out);
    fputc('\n', out);
    if (tier->config_path != NULL)
        fprintf(out, "Configuration: %s, or -c FILE. ", tier->config_path);
    fprintf(out, "More on a command: %s COMMAND --help\n%s", tier->cli, exit_codes);
}

void cmd_help_group(const struct ctl_tier *tier, const char *group, FILE *out)
{
    struct group_view v = {group, out};

    fprintf(out, "Commands of %s %s:\n", tier->cli, group);
    (void)cmd_each(tier, print_line, &v);
}

void cmd_help_command(const struct ctl_tier *tier, const struct cmd *c, FILE *out)
{
    fprintf(out, "%s %s - %s\n\nUsage: %s%s %s%s%s%s\n", tier->cli, c->name, c->help, tier->cli,
            config_usage(tier), c->name, c->options != NULL && c->options->name != NULL ? " [options]" : "",
            c->args != NULL ? " " : "", c->args != NULL ? c->args : "");
    if (c->detail != NULL)
        fprintf(out, "\n%s\n", c->detail);
    if (c->options != NULL && c->options->name != NULL) {
        fputs("\nOptions:\n", out);
        print_options(c->options, out);
    }
    fputs("\nOptions of every command:\n", out);
    print_options(cmd_common_options(tier), out);
    fprintf(out, "\n%s", exit_codes);
}
