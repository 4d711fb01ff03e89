#include "device/device_config.h"

#include "device/decide/decide_config.h"
#include "spool/spool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AT(member) CONFIG_AT(struct device_config, member)

static const char *const tables[] = {SPOOL_TABLE_NAMES};

static const struct config_row rows[] = {
    CTL_ROWS_NODE(struct device_config, settings),
    CTL_ROWS_SITE(struct device_config, settings),
    CTL_ROWS_STORE(struct device_config, settings, "/var/lib/fogline/device", "/run/fogline/device", "64 MiB",
                   "4 MiB"),
    CTL_ROWS_UP(struct device_config, settings),
    {"commit_ms", CONFIG_MS, AT(commit_ms), .max = "10 min", .def = "90 s", .reloadable = true,
     .help = "How often what was read is made durable and sent: so much a power cut takes, and so late "
             "readings are above. Each commit writes some 30 KiB to flash, however little is in it: 34 MiB a "
             "day at 90 s, 2.6 GB at 1 s. For a live view: 1 s. 0: as soon as the last commit has ended. "
             "Events, "
             "and readings whose sender waits for an answer, are committed at once, with all that was read "
             "until a second before."},
    {"pack.rows", CONFIG_I64, AT(pack_rows), .min = "1", .max = "4096", .def = "100", .unit = "rows",
     .help = "Rows in one block at most. More rows cost fewer bytes each."},
    {"pack.bytes", CONFIG_BYTES, AT(pack_bytes), .min = "1 KiB", .max = "56 KiB", .def = "48 KiB",
     .help = "Bytes of one block at most."},
    {"pack.ms", CONFIG_MS, AT(pack_ms), .max = "10 min", .reloadable = true,
     .help = "When blocks are closed, however few rows they have: all at once, so that they share a commit. "
             "Not set: for each commit, so that commit_ms alone says how long a reading waits. Longer than "
             "commit_ms: readings wait as long, in blocks that cost fewer bytes on the link."},
    {"ring.bytes", CONFIG_BYTES, AT(ring_bytes), .min = "64 KiB", .max = "64 MiB", .def = "512 KiB",
     .help = "Room between reading and storing: what may wait while the disk is busy. Beyond it live "
             "readings are dropped "
             "and counted."},
    {"act.budget_us", CONFIG_I64, AT(budget_us), .min = "1", .max = "10000000", .def = "1000", .unit = "us",
     .help = "Time that a step of a detector or model may take on the thread that reads sensors. A model of "
             "live inputs that takes longer runs on a thread of its own, and only the newest input waits for "
             "it."},
    {"keep.history_bytes", CONFIG_BYTES, AT(history_bytes), .min = "4 KiB", .max = "64 MiB", .def = "256 KiB",
     .help = "Memory for readings that were not sent, for when an alarm asks for them: 24 bytes each, of all "
             "channels with around_alarm_ms together. Taken when there is one."},
    {"health_s", CONFIG_I64, AT(health_s), .min = "1", .max = "86400", .def = "60", .unit = "seconds",
     .reloadable = true, .help = "How often a report of all counters is sent."},
    {"sources", CONFIG_LIST, AT(sources), .unique = "name", .max = "32", .help = "Where readings come from."},
    {"outputs", CONFIG_LIST, AT(outputs), .unique = "name", .max = "32", .kinds = act_output_kinds,
     .help = "What rules can switch."},
    {"rules", CONFIG_LIST, AT(rules), .unique = "name", .max = "64", .kinds = rule_kinds,
     .help = "What is decided here, at once, with nobody's help."},
};

/* NULL: one that a program brought along. */
static const struct source_kind *built_in(int no)
{
    for (int i = 0; source_kinds[i] != NULL; i++)
        if (i == no)
            return source_kinds[i];
    return NULL;
}

static void check(const void *values, struct config_check *c)
{
    const struct device_config *config = values;

    ctl_settings_check(&config->settings, c);
    for (size_t i = 0; i < config->sources.n; i++) {
        const struct source_config *s = config->sources.at[i].value;
        const struct source_kind *kind = built_in(config->sources.at[i].kind);
        char field[CONFIG_FIELD_CHARS];

        /* The read position stands in the store under this name, whose keys are short. */
        snprintf(field, sizeof field, "sources[%zu].name", i);
        if (strlen(s->name) > DEVICE_SOURCE_NAME_CHARS)
            config_complain(c, field, "Choose a shorter one.", "at most %d characters",
                            DEVICE_SOURCE_NAME_CHARS);
        snprintf(field, sizeof field, "sources[%zu]", i);
        channel_config_check(&s->channels, field, c);
        if (kind != NULL && kind->check != NULL)
            kind->check(s, field, c);
    }
    decide_config_check(&(struct decide_config){&config->rules, &config->outputs, &config->sources}, c);
}

/* false: they are too many. */
static bool add_kinds(struct device_tier *t, size_t *n, const struct source_kind *const *kinds)
{
    for (; kinds != NULL && *kinds != NULL; kinds++) {
        if (*n == DEVICE_KINDS_MAX)
            return false;
        t->kinds[(*n)++] = *kinds;
    }
    return true;
}

int device_tier_init(struct device_tier *t, const struct source_kind *const *extra,
                     const struct cmd *const *cmds, struct errmsg *err)
{
    static const struct cmd *const no_cmds[] = {NULL};
    size_t n_kinds = 0, n_rows = sizeof rows / sizeof rows[0];

    *t = (struct device_tier){0};
    if (!add_kinds(t, &n_kinds, source_kinds) || !add_kinds(t, &n_kinds, extra))
        return errmsg_set(err, -ENOSPC,
                          "more than %d kinds of sources with those that the program brings; raise "
                          "DEVICE_KINDS_MAX in device_config.h",
                          DEVICE_KINDS_MAX);
    for (size_t i = 0; i < n_kinds; i++)
        t->config_kinds[i] = (struct config_kind){.name = t->kinds[i]->name,
                                                  .rows = t->kinds[i]->rows,
                                                  .common = source_config_rows,
                                                  .size = t->kinds[i]->config_bytes,
                                                  .help = t->kinds[i]->help};
    _Static_assert(sizeof rows / sizeof rows[0] < DEVICE_ROWS_MAX, "room for the rows and their end");
    for (size_t i = 0; i < n_rows; i++) {
        t->rows[i] = rows[i];
        if (t->rows[i].type == CONFIG_LIST && t->rows[i].kinds == NULL)
            t->rows[i].kinds = t->config_kinds;
    }
    t->schema = (struct config_schema){
        .name = "device", .rows = t->rows, .size = sizeof(struct device_config), .check = check};
    t->tier = (struct ctl_tier){
        .name = "device",
        .cli = "devicectl",
        .daemon = "fogline-device",
        .about = "Tool of a Fogline device: readings from sources to a durable spool and up to a fog.",
        .config_path = "/etc/fogline/device.yaml",
        .schema = &t->schema,
        .settings_offset = offsetof(struct device_config, settings),
        .store_name = "spool",
        .tables = tables,
        .n_tables = SPOOL_TABLES,
        .cmds = cmds != NULL ? cmds : no_cmds,
    };
    return 0;
}
