/* Finding the command and parsing what stands around it. */
#include "ctl/cmd.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "config/problem.h"
#include "ctl/cmd_private.h"
#include "link/keys.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum { CMD_WORDS_MAX = 4, CMD_NAME_CHARS = 64 };

static const struct cmd_option common_options[] = {
    {"config", 'c', "FILE", "configuration file of the node"},
    {"json", 0, NULL, "machine-readable output"},
    {"no-color", 0, NULL, "no bold titles, even on a terminal"},
    {"help", 'h', NULL, "say what the command does"},
    {NULL},
};

const struct cmd_option *cmd_common_options(const struct ctl_tier *tier)
{
    return common_options + (tier->config_path == NULL ? 1 : 0);
}

bool cmd_each(const struct ctl_tier *tier, bool (*fn)(void *ctx, const struct cmd *c), void *ctx)
{
    for (const struct cmd *const *table = tier->cmds; *table != NULL; table++)
        for (const struct cmd *c = *table; c->name != NULL; c++) {
            bool known = false;
            for (const struct cmd *const *before = tier->cmds; before != table && !known; before++)
                for (const struct cmd *b = *before; b->name != NULL && !known; b++)
                    known = strcmp(b->name, c->name) == 0;
            if (!known && fn(ctx, c))
                return true;
        }
    return false;
}

unsigned cmd_words(const char *name)
{
    unsigned n = 1;

    for (; *name != '\0'; name++)
        n += *name == ' ';
    return n;
}

/* What stands on the command line, read in two passes: the words tell the command, which tells its options.
 */
struct line {
    int argc;
    char **argv;
    const char *words[CMD_WORDS_MAX];
    unsigned n_words;
    bool help, version, json, no_color;
};

static const struct cmd_option *option_by_name(const struct cmd_option *table, const char *name, size_t len)
{
    for (; table != NULL && table->name != NULL; table++)
        if (strlen(table->name) == len && memcmp(table->name, name, len) == 0)
            return table;
    return NULL;
}

static const struct cmd_option *option_by_letter(const struct cmd_option *table, char letter)
{
    for (; table != NULL && table->name != NULL; table++)
        if (table->letter != 0 && table->letter == letter)
            return table;
    return NULL;
}

struct found_option {
    const struct cmd_option *option; /* NULL: not known */
    const char *value;               /* NULL: in the next argument, or none */
};

static struct found_option find_option(const struct ctl_tier *tier, const char *arg,
                                       const struct cmd_option *own)
{
    const struct cmd_option *common = cmd_common_options(tier);
    struct found_option f = {0};

    if (arg[1] == '-') {
        const char *equals = strchr(arg, '=');
        size_t len = equals != NULL ? (size_t)(equals - arg) - 2 : strlen(arg) - 2;
        f.option = option_by_name(own, arg + 2, len);
        if (f.option == NULL)
            f.option = option_by_name(common, arg + 2, len);
        f.value = equals != NULL ? equals + 1 : NULL;
        return f;
    }
    f.option = option_by_letter(own, arg[1]);
    if (f.option == NULL)
        f.option = option_by_letter(common, arg[1]);
    f.value = f.option != NULL && arg[2] != '\0' ? arg + 2 : NULL;
    return f;
}

static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1] != '\0';
}

/* First pass: the words up to the first option that is not common to all. */
static void scan_words(const struct ctl_tier *tier, struct line *l)
{
    bool ended = false;

    for (int i = 1; i < l->argc; i++) {
        const char *arg = l->argv[i];
        if (strcmp(arg, "--") == 0)
            break;
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            l->help = true;
            continue;
        }
        if (strcmp(arg, "--version") == 0)
            l->version = true;
        if (strcmp(arg, "--json") == 0)
            l->json = true;
        if (!is_option(arg)) {
            if (!ended && l->n_words < CMD_WORDS_MAX)
                l->words[l->n_words++] = arg;
            continue;
        }
        struct found_option f = find_option(tier, arg, NULL);
        if (f.option == NULL)
            ended = true;
        else if (f.option->value != NULL && f.value == NULL)
            i++;
    }
}

struct match {
    const struct line *line;
    const struct cmd *best;
    unsigned best_words;
    bool group; /* the first word begins some command */
    struct nearest near;
};

static bool match_command(void *ctx, const struct cmd *c)
{
    struct match *m = ctx;
    const char *at = c->name;
    unsigned n = cmd_words(c->name), i = 0;

    for (; i < n && i < m->line->n_words; i++) {
        size_t len = strcspn(at, " ");
        if (strlen(m->line->words[i]) != len || memcmp(at, m->line->words[i], len) != 0)
            break;
        at += len + (at[len] == ' ');
    }
    if (i > 0)
        m->group = true;
    if (i == n && n > m->best_words) {
        m->best = c;
        m->best_words = n;
    }
    nearest_offer(&m->near, c->name);
    return false;
}

/* Second pass: options of the command and of all, and what is left. */
static int parse_rest(struct ctl *ctl, const struct line *l, unsigned n_name_words, const char **positional)
{
    bool ended = false;

    for (int i = 1; i < l->argc; i++) {
        const char *arg = l->argv[i];
        if (!ended && strcmp(arg, "--") == 0) {
            ended = true;
            continue;
        }
        if (ended || !is_option(arg)) {
            if (n_name_words > 0)
                n_name_words--;
            else
                positional[ctl->n_args++] = arg;
            continue;
        }
        struct found_option f = find_option(ctl->tier, arg, ctl->cmd->options);
        if (f.option == NULL) {
            struct nearest near = {.wanted = arg + strspn(arg, "-")};
            for (const struct cmd_option *o = ctl->cmd->options; o != NULL && o->name != NULL; o++)
                nearest_offer(&near, o->name);
            for (const struct cmd_option *o = cmd_common_options(ctl->tier); o->name != NULL; o++)
                nearest_offer(&near, o->name);
            return ctl_fail(ctl, CTL_USAGE, "unknown option %s%s%s; see: %s %s --help", arg,
                            near.best != NULL ? "; did you mean --" : "", near.best != NULL ? near.best : "",
                            ctl->tier->cli, ctl->cmd->name);
        }
        if (f.option->value != NULL && f.value == NULL && ++i >= l->argc)
            return ctl_fail(ctl, CTL_USAGE, "option --%s needs a value: %s", f.option->name, f.option->value);
        if (f.option->value == NULL && f.value != NULL)
            return ctl_fail(ctl, CTL_USAGE, "option --%s takes no value", f.option->name);
        const char *value = f.option->value == NULL ? "" : f.value != NULL ? f.value : l->argv[i];
        if (strcmp(f.option->name, "config") == 0)
            ctl->config_path = value;
        else if (strcmp(f.option->name, "no-color") == 0)
            ctl->color = false;
        else
            ctl->given[ctl->n_given++] = (struct cmd_given){f.option->name, value};
    }
    return CTL_OK;
}

static int check_args(const struct ctl *ctl)
{
    const struct cmd *c = ctl->cmd;

    if (ctl->n_args < c->min_args)
        return ctl_fail(ctl, CTL_USAGE, "too few arguments; usage: %s %s %s", ctl->tier->cli, c->name,
                        c->args != NULL ? c->args : "");
    if (c->max_args != CMD_ARGS_ANY && ctl->n_args > c->max_args)
        return ctl_fail(ctl, CTL_USAGE, "`%s` is too much; usage: %s %s %s", ctl->args[c->max_args],
                        ctl->tier->cli, c->name, c->args != NULL ? c->args : "");
    return CTL_OK;
}

static int no_command(const struct ctl *ctl, const struct line *l, const struct match *m)
{
    char wanted[CMD_NAME_CHARS];

    if (l->n_words == 0 && l->help) {
        cmd_help_tool(ctl->tier, ctl->out);
        return CTL_OK;
    }
    if (l->n_words == 0) {
        cmd_help_tool(ctl->tier, ctl->err);
        return CTL_USAGE;
    }
    if (m->group && l->n_words == 1) {
        cmd_help_group(ctl->tier, l->words[0], l->help ? ctl->out : ctl->err);
        return l->help ? CTL_OK : CTL_USAGE;
    }
    snprintf(wanted, sizeof(wanted), "%s%s%s", l->words[0], m->group ? " " : "", m->group ? l->words[1] : "");
    return ctl_fail(ctl, CTL_USAGE, "unknown command `%s`%s%s%s; see: %s --help", wanted,
                    m->near.best != NULL ? "; did you mean `" : "", m->near.best != NULL ? m->near.best : "",
                    m->near.best != NULL ? "`" : "", ctl->tier->cli);
}

/* What a misspelt command is compared with: its first two words, since later ones are arguments, or the first
 * alone. */
static void find_command(const struct ctl_tier *tier, const struct line *l, struct match *m)
{
    char wanted[CMD_NAME_CHARS] = "";

    if (l->n_words > 0)
        snprintf(wanted, sizeof(wanted), "%s%s%s", l->words[0], l->n_words > 1 ? " " : "",
                 l->n_words > 1 ? l->words[1] : "");
    m->near.wanted = wanted;
    (void)cmd_each(tier, match_command, m);
    if (m->best == NULL && m->near.best == NULL && l->n_words > 0) {
        struct match again = {.line = l, .near = {.wanted = l->words[0]}};
        (void)cmd_each(tier, match_command, &again);
        m->near = again.near;
    }
    m->near.wanted = NULL;
}

static int run_command(struct ctl *ctl, const struct line *l, unsigned n_name_words)
{
    owned(free_ptr) const char **positional = calloc((size_t)l->argc + 1, sizeof(*positional));
    owned(free_ptr) struct cmd_given *given = calloc((size_t)l->argc + 1, sizeof(*given));
    int code;

    if (positional == NULL || given == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    ctl->args = positional;
    ctl->given = given;
    code = parse_rest(ctl, l, n_name_words, positional);
    if (code == CTL_OK)
        code = check_args(ctl);
    if (code == CTL_OK)
        code = ctl->cmd->run(ctl);
    if (fflush(ctl->out) != 0 && code == CTL_OK)
        code = ctl_fail(ctl, CTL_FAILED, "cannot write the output: %s", strerror(errno));
    if (ctl->values != NULL) {
        config_free_values(ctl->tier->schema, ctl->values);
        free(ctl->values);
    }
    return code;
}

int cmd_run(const struct ctl_tier *tier, int argc, char **argv, FILE *out, FILE *err)
{
    struct line l = {.argc = argc, .argv = argv};
    struct match m = {.line = &l};
    struct ctl ctl = {.tier = tier, .config_path = tier->config_path, .out = out, .err = err};

    scan_words(tier, &l);
    ctl.json = l.json;
    ctl.color = isatty(fileno(out)) == 1 && getenv("NO_COLOR") == NULL;
    if (l.version && l.n_words == 0) {
        fprintf(out, "%s %s\n", tier->cli, FOGLINE_VERSION);
        return CTL_OK;
    }
    if (l.n_words > 0 && strcmp(l.words[0], "help") == 0) {
        l.help = true;
        memmove(l.words, l.words + 1, sizeof(l.words) - sizeof(l.words[0]));
        l.n_words--;
    }
    find_command(tier, &l, &m);
    if (m.best == NULL)
        return no_command(&ctl, &l, &m);
    ctl.cmd = m.best;
    if (l.help) {
        cmd_help_command(tier, m.best, out);
        return CTL_OK;
    }
    return run_command(&ctl, &l, m.best_words);
}

int cmd_main(const struct ctl_tier *tier, int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (file_guard_std() < 0)
        return CTL_FAILED;
    if (keys_init() < 0) {
        fprintf(stderr, "%s: libsodium does not start\n", tier->cli);
        return CTL_FAILED;
    }
    return cmd_run(tier, argc, argv, stdout, stderr);
}
