/* cmd.h - command lines of the three operator tools: tables of subcommands, one parser, one help, one set of
 * exit codes.
 *
 *   PROGRAM [-c FILE] [--json] [--no-color] WORDS [options] [arguments]
 *
 * The common options may stand anywhere; `--` ends options. Data go to ctl->out, sentences for people to
 * ctl->err. Every command has --help. A misspelt word or option is answered on stderr with the nearest known
 * one and exit code 2. Threads: one. */
#ifndef FOGLINE_CTL_CMD_H
#define FOGLINE_CTL_CMD_H

#include "base/json.h"
#include "config/config.h"
#include "ctl/paths.h"
#include "ctl/settings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_UNREACHABLE = 3,
    CTL_UNAUTHORISED = 4,
    CTL_TIMEOUT = 5,
    CTL_NOT_FOUND = 6,
    CTL_DAMAGED = 7,
    CTL_UNBALANCED = 8,
    CTL_PARTIAL = 9, /* done, but for blocks that do not decode */
};

struct ctl;
struct db;

struct cmd_option {
    const char *name;  /* without "--"; the last row of a table has NULL */
    char letter;       /* 0: none */
    const char *value; /* "FILE" in the help; NULL: a flag */
    const char *help;
};

struct cmd {
    const char *name;                 /* words: "store verify"; the last row of a table has NULL */
    const char *args;                 /* "NODE KEY", "[CHANNEL...]", or NULL: none */
    unsigned min_args, max_args;      /* max_args CMD_ARGS_ANY: no upper limit */
    const char *help;                 /* one line */
    const char *detail;               /* paragraphs and examples, or NULL; ends without a newline */
    const struct cmd_option *options; /* or NULL */
    int (*run)(struct ctl *ctl);      /* returns enum ctl_exit */
};
#define CMD_ARGS_ANY (~0U)

/* What a tier is to the tools and to its daemon. All borrowed for ever (static tables). */
struct ctl_tier {
    const char *name;        /* "fog": role of store and node */
    const char *cli;         /* "fogctl" */
    const char *daemon;      /* "fogline-fog" */
    const char *about;       /* one line */
    const char *config_path; /* "/etc/fogline/fog.yaml": when -c is not given; NULL: there is no -c */
    const struct config_schema *schema;
    size_t settings_offset;    /* of the struct ctl_settings in the schema's struct */
    const char *store_name;    /* "spool", "archive" */
    const char *const *tables; /* of the store, SPOOL_TABLE_NAMES first */
    unsigned n_tables;
    bool authority; /* the cloud: signs the node list with operator.key */
    bool forgets;   /* the fog: what its store answers from loses what is old */
    /* Where descriptor sets stand beside the spool's records: appends the packed set. 0; DB_NOT_FOUND;
     * negative errno. NULL: nowhere. */
    int (*find_set)(struct db *db, const char *origin, uint64_t set_id, struct buf *ret_packed);
    const struct cmd *const *cmds; /* NULL-terminated list of tables; a name in an earlier one wins */
};

/* Filled by cmd_main for the command's function. */
struct ctl {
    const struct ctl_tier *tier;
    const struct cmd *cmd;
    const char *config_path;
    bool json, color;
    FILE *out, *err;
    const char *const *args; /* positional, n_args */
    unsigned n_args;
    /* After ctl_load. */
    void *values; /* the tier's config struct */
    const struct ctl_settings *settings;
    struct ctl_paths paths;
    struct cmd_given *given; /* options as given; ask ctl_option */
    unsigned n_given;
};

/* The whole of a CLI's main(). Returns the exit code. */
int cmd_main(const struct ctl_tier *tier, int argc, char **argv);
/* The same with streams given, for tests. */
int cmd_run(const struct ctl_tier *tier, int argc, char **argv, FILE *out, FILE *err);

/* Value of an option, "" for a flag that was given, NULL when not given. Given more than once: the last;
 * ctl_option_n the nth (from 0) or NULL. */
const char *ctl_option(const struct ctl *ctl, const char *name);
const char *ctl_option_n(const struct ctl *ctl, const char *name, unsigned n);
/* Takes the option's value, when it is given, into `to`. CTL_OK, or CTL_USAGE with the message said: too
 * long. */
must_check int ctl_option_text(struct ctl *ctl, const char *option, char *to, size_t to_bytes);
/* The same for a path: relative ones in the file mean its own folder; on the command line they mean where the
 * user stands. */
must_check int ctl_option_path(struct ctl *ctl, const char *option, char *to, size_t to_bytes);
/* Integer value of an option within [min, max]; def when not given. CTL_OK, or CTL_USAGE said on ctl->err. */
must_check int ctl_option_i64(const struct ctl *ctl, const char *name, int64_t min, int64_t max, int64_t def,
                              int64_t *ret_v);

/* Loads the configuration (once); problems go to ctl->err. Returns CTL_OK or what to exit with. */
must_check int ctl_load(struct ctl *ctl);
/* "fogctl: TEXT" on ctl->err (or {"error":TEXT} there with --json); returns `code`: return ctl_fail(ctl,
 * CTL_FAILED, "..."). */
int ctl_fail(const struct ctl *ctl, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The exit code for a negative errno: CTL_UNAUTHORISED where another user may, else CTL_FAILED. */
static inline int ctl_code(int r)
{
    return r == -EACCES || r == -EPERM ? CTL_UNAUTHORISED : CTL_FAILED;
}
/* A remark for people on ctl->err. */
void ctl_note(const struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON writer on ctl->out: lines when `lines`, else indented on a terminal. CTL_OK or CTL_FAILED. */
must_check int ctl_json(const struct ctl *ctl, bool lines, struct json **ret_j);
/* json_end, and the exit code of it. */
int ctl_json_end(const struct ctl *ctl, struct json *j);

#endif
