#include "act/act_config.h"

#include "gpio/gpio_name.h"

#include <stdio.h>
#include <string.h>

#define OUT(member) CONFIG_AT(struct output_config, member)
#define ACT(member) CONFIG_AT(struct action_config, member)

static const char *const start_levels[] = {"inactive", "active", NULL};
static const char *const levels[] = {"inactive", "active", "keep", NULL};
static const char *const whens[] = {"raised", "cleared", "both", NULL};
const char *const act_severities[] = {"info", "warning", "error", "critical", NULL};

/* ---- outputs ---- */

static const struct config_row output_common[] = {
    {"name", CONFIG_NAME, OUT(name), .required = true, .help = "Name that actions of rules use."},
    {"on_start", CONFIG_ENUM, OUT(on_start), .choices = start_levels, .def = "inactive",
     .help = "Its level from the start until a rule on it has seen a reading."},
    {"on_exit", CONFIG_ENUM, OUT(on_exit), .choices = levels, .def = "inactive",
     .help = "Its level after the daemon has ended in order."},
    {"on_stale", CONFIG_ENUM, OUT(on_stale), .choices = levels, .def = "keep",
     .help = "What a rule whose channel gave no good reading for stale_ms says: inactive, active, or keep "
             "what it said."},
    {"stale_ms", CONFIG_MS, OUT(stale_ms), .max = "7 d", .def = "0",
     .help = "A live channel without a good reading for so long is stale; 0: never."},
    {0},
};

static const struct config_row gpio_rows[] = {
    {"chip", CONFIG_STRING, OUT(chip),
     .help = "Chip by path, name or label; empty: the chip that has a line of this name."},
    {"line", CONFIG_STRING, OUT(line), .min = "1", .required = true,
     .help = "Line by its name, or by its number on the chip."},
    {"active_low", CONFIG_BOOL, OUT(active_low), .def = "false", .help = "Active is the low level."},
    {0},
};

static const struct config_row file_rows[] = {
    {"path", CONFIG_PATH, OUT(path), .required = true,
     .help = "File into which 1 or 0 is written: /sys/class/leds/NAME/brightness, or a file in memory. On a "
             "disk it would hold up decisions."},
    {0},
};

const struct config_kind act_output_kinds[] = {
    [OUTPUT_GPIO] = {"gpio", gpio_rows, output_common, sizeof(struct output_config),
                     "A line of a GPIO chip."},
    [OUTPUT_FILE] = {"file", file_rows, output_common, sizeof(struct output_config),
                     "A file that takes 1 and 0, as LEDs in sysfs do."},
    {0},
};

/* ---- actions ---- */

#define ROW_OUTPUT                                                                                           \
    {                                                                                                        \
        "output", CONFIG_NAME, ACT(output), .required = true, .help = "One of `outputs`."                    \
    }

static const struct config_row set_rows[] = {
    ROW_OUTPUT,
    {0},
};

static const struct config_row pulse_rows[] = {
    ROW_OUTPUT,
    {"ms", CONFIG_MS, ACT(ms), .min = "1", .max = "1 h", .required = true, .help = "Length of the pulse."},
    {0},
};

static const struct config_row blink_rows[] = {
    ROW_OUTPUT,
    {"on_ms", CONFIG_MS, ACT(on_ms), .min = "10", .max = "1 h", .def = "500 ms",
     .help = "Active for so long."},
    {"off_ms", CONFIG_MS, ACT(off_ms), .min = "10", .max = "1 h", .def = "500 ms",
     .help = "Then inactive for so long."},
    {0},
};

static const struct config_row exec_rows[] = {
    {"argv", CONFIG_STRINGS, ACT(argv), .min = "1", .max = "32", .required = true,
     .help = "Program by its whole path, and its arguments; no shell. FOGLINE_RULE, FOGLINE_STATE, "
             "FOGLINE_VALUE and FOGLINE_CHANNEL stand in its environment."},
    {"timeout_ms", CONFIG_MS, ACT(timeout_ms), .min = "100 ms", .max = "1 h", .def = "10 s",
     .help = "A program that runs longer is killed."},
    {"when", CONFIG_ENUM, ACT(when), .choices = whens, .def = "both", .help = "At which change it runs."},
    {0},
};

const struct config_kind act_action_kinds[] = {
    [ACTION_SET] = {"set", set_rows, .size = sizeof(struct action_config),
                    .help = "Active while the rule is raised."},
    [ACTION_PULSE] = {"pulse", pulse_rows, .size = sizeof(struct action_config),
                      .help = "Active for a time when the rule is raised."},
    [ACTION_BLINK] = {"blink", blink_rows, .size = sizeof(struct action_config),
                      .help = "Active now and then while the rule is raised."},
    [ACTION_EXEC] = {"exec", exec_rows, .size = sizeof(struct action_config), .help = "Runs a program."},
    {0},
};

/* ---- what single values cannot show ---- */

static bool has_output(const struct config_list *outputs, const char *name)
{
    for (size_t i = 0; i < outputs->n; i++)
        if (strcmp(((const struct output_config *)outputs->at[i].value)->name, name) == 0)
            return true;
    return false;
}

void act_check_actions(const struct config_list *outputs, const struct config_list *actions, const char *rule,
                       struct config_check *c)
{
    char field[CONFIG_FIELD_CHARS];

    for (size_t i = 0; i < actions->n; i++) {
        const struct action_config *a = actions->at[i].value;

        if (actions->at[i].kind == ACTION_EXEC) {
            snprintf(field, sizeof field, "%s.actions[%zu].argv", rule, i);
            if (a->argv.n > 0 && a->argv.at[0][0] != '/')
                config_complain(c, field, "Write the whole path of the program.",
                                "\"%s\" is looked for nowhere: there is no shell", a->argv.at[0]);
            continue;
        }
        snprintf(field, sizeof field, "%s.actions[%zu].output", rule, i);
        if (a->output[0] != '\0' && !has_output(outputs, a->output))
            config_complain(c, field, "Add it to `outputs`, or name one that is there.",
                            "there is no output \"%s\"", a->output);
    }
}

static void check_output(const struct config_list *outputs, size_t no, struct config_check *c)
{
    const struct output_config *o = outputs->at[no].value;
    char field[CONFIG_FIELD_CHARS];

    snprintf(field, sizeof field, "outputs[%zu].type", no);
    if (outputs->at[no].kind == OUTPUT_GPIO && gpio_lacks() != NULL)
        config_complain(c, field, NULL, "%s", gpio_lacks());
    snprintf(field, sizeof field, "outputs[%zu].on_stale", no);
    if (o->on_stale != LEVEL_KEEP && o->stale_ms == 0)
        config_complain(c, field, "Say after how long, with stale_ms.", "has no effect without stale_ms");
    snprintf(field, sizeof field, "outputs[%zu].stale_ms", no);
    if (o->on_stale == LEVEL_KEEP && o->stale_ms != 0)
        config_complain(c, field, "Say what then, with on_stale: inactive or active.",
                        "has no effect while on_stale is keep");
    for (size_t i = 0; i < no; i++) {
        const struct output_config *other = outputs->at[i].value;

        if (outputs->at[no].kind != outputs->at[i].kind)
            continue;
        snprintf(field, sizeof field, "outputs[%zu].%s", no,
                 outputs->at[no].kind == OUTPUT_FILE ? "path" : "line");
        if (strcmp(o->path, other->path) == 0 && strcmp(o->chip, other->chip) == 0 &&
            strcmp(o->line, other->line) == 0 && o->path[0] + o->line[0] != 0)
            config_complain(c, field, "Let rules share one output.", "is output \"%s\" already", other->name);
    }
}

void act_check_outputs(const struct config_list *outputs, struct config_check *c)
{
    for (size_t i = 0; i < outputs->n; i++)
        check_output(outputs, i, c);
}
