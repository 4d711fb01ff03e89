#include "device/channel.h"

#include "base/clock.h"
#include "wire/wire.h"

#include <stdio.h>
#include <string.h>

#define AT(member) CONFIG_AT(struct channel_config, member)

/* By enum keep_policy. */
static const char *const policies[] = {"raw", "change", "bound", "aggregate", "local", NULL};

static const struct config_row rows[] = {
    {"name", CONFIG_STRING, AT(name), .min = "1", .required = true,
     .help =
         "Channels of this name; * matches any run of characters, {a,b} one of these. The first entry that "
         "matches counts."},
    {"unit", CONFIG_STRING, AT(unit), .help = "UCUM unit; empty: what the source says."},
    {"bound", CONFIG_DOUBLE, AT(bound), .min = "0", .max = "1e300", .def = "0",
     .help =
         "Stored values of doubles are off by at most this, in the unit of the channel; 0: exact, bit for "
         "bit. Not with encoding raw, which is always exact."},
    {"scale", CONFIG_DOUBLE, AT(scale), .min = "-1e300", .max = "1e300", .def = "1",
     .help = "What is read is multiplied by this. With a scale or an offset an integer becomes a double."},
    {"offset", CONFIG_DOUBLE, AT(offset), .min = "-1e300", .max = "1e300", .def = "0",
     .help = "Added after the scale."},
    {"valid_min", CONFIG_DOUBLE, AT(valid_min), .def = "nan",
     .help = "Values below this, after scale and offset, are kept with quality bad."},
    {"valid_max", CONFIG_DOUBLE, AT(valid_max), .def = "nan",
     .help = "Values above this, after scale and offset, are kept with quality bad."},
    {"keep", CONFIG_ENUM, AT(keep), .choices = policies, .def = "raw",
     .help =
         "What is sent. raw: every reading; change: those that leave the deadband around the last one sent; "
         "bound: every reading, off by at most bound; aggregate: count, min, max and mean of each "
         "aggregate_ms; local: nothing, only the rules hear it."},
    {"deadband", CONFIG_DOUBLE, AT(deadband), .min = "0", .max = "1e300", .def = "0",
     .help =
         "With keep: change, a reading is sent when it is further than this from the last one sent, in the "
         "unit of the channel; 0: any change."},
    {"deadband_percent", CONFIG_DOUBLE, AT(deadband_percent), .min = "0", .max = "1000", .def = "0",
     .unit = "percent", .help = "In place of deadband: percent of the last one sent."},
    {"max_silence_ms", CONFIG_MS, AT(max_silence_ms), .max = "30 d", .def = "1 min",
     .help = "With keep: change, a reading is sent after this time in any case: a channel that is silent for "
             "longer is dead, not flat. 0: never."},
    {"min_interval_ms", CONFIG_MS, AT(min_interval_ms), .max = "30 d", .def = "0",
     .help = "With raw, change and bound: after one was sent, none is for this time, unless its quality "
             "is another. It goes before the deadband."},
    {"aggregate_ms", CONFIG_MS, AT(aggregate_ms), .max = "30 d", .def = "0",
     .help = "With keep: aggregate, the length of a window; windows begin at its multiples since 1970 UTC."},
    {"around_alarm_ms", CONFIG_MS, AT(around_alarm_ms), .max = "1 h", .def = "0",
     .help =
         "Around an alarm all readings are sent, from so long before to so long after; those before as far "
         "as keep.history_bytes reaches."},
    {0},
};

const struct config_kind channel_kinds[] = {
    {.rows = rows,
     .size = sizeof(struct channel_config),
     .help = "Channels and what is to be done with them."},
    {0},
};

const struct channel_config *channel_config_of(const struct config_list *channels, const char *channel)
{
    static const char *const no_tags[] = {NULL};

    for (size_t i = 0; i < channels->n; i++) {
        const struct channel_config *one = channels->at[i].value;
        char pattern[sizeof one->name + 8];

        snprintf(pattern, sizeof pattern, "*/*/%s", one->name);
        if (pattern_match(pattern, "s", "d", channel, no_tags))
            return one;
    }
    return NULL;
}

double channel_bound(const struct config_list *channels, const char *channel)
{
    const struct channel_config *c = channel_config_of(channels, channel);

    return c != NULL ? c->bound : 0;
}

void channel_keep_rule(const struct channel_config *c, enum column_type type, struct keep_rule *ret_rule)
{
    struct keep_rule r = {.type = type};

    if (c != NULL) {
        r.policy = (enum keep_policy)c->keep;
        r.deadband = c->deadband;
        r.deadband_percent = c->deadband_percent;
        r.max_silence_ns = c->max_silence_ms * NS_PER_MS;
        r.min_interval_ns = c->min_interval_ms * NS_PER_MS;
        r.aggregate_ns = c->aggregate_ms * NS_PER_MS;
        if (r.policy == KEEP_RAW && c->bound > 0 && type == COLUMN_DOUBLE)
            r.policy = KEEP_BOUND;
    }
    *ret_rule = r;
}

/* One channel's settings of keeping, and what is to complain of them. */
struct keep_check {
    const struct channel_config *one;
    const char *field; /* "sources[2].channels[0]" */
    struct config_check *check;
};

static void complain(const struct keep_check *k, const char *key, const char *remedy, const char *what)
{
    char at[CONFIG_FIELD_CHARS + 32];

    snprintf(at, sizeof at, "%s.%s", k->field, key);
    config_complain(k->check, at, remedy, "%s", what);
}

void channel_unit_check(const char *unit, const char *field, struct config_check *c)
{
    char at[CONFIG_FIELD_CHARS + 32], mended[NAME_PART_CHARS + 1];

    snprintf(mended, sizeof mended, "%s", unit);
    wire_text_mend(mended);
    snprintf(at, sizeof at, "%s.unit", field);
    if (strcmp(mended, unit) != 0 || strpbrk(unit, "\n\t") != NULL)
        config_complain(c, at, "Remove them.", "has line breaks or other control characters");
}

static void check_name(const struct keep_check *k)
{
    char pattern[sizeof k->one->name + 8];
    struct errmsg why;

    snprintf(pattern, sizeof pattern, "*/*/%s", k->one->name);
    if (strpbrk(k->one->name, "/=") != NULL)
        complain(k, "name", "Write the name of a channel alone, with * and {a,b}.",
                 "has a character that no channel's name has");
    else if (pattern_check(pattern, &why) != 0)
        complain(k, "name", NULL, why.text);
}

static void check_change(const struct keep_check *k)
{
    const struct channel_config *one = k->one;
    bool is_change = one->keep == KEEP_CHANGE;

    if (one->deadband > 0 && !is_change)
        complain(k, "deadband", "Set keep: change, or leave it out.", "counts with keep: change only");
    if (one->deadband_percent > 0 && !is_change)
        complain(k, "deadband_percent", "Set keep: change, or leave it out.",
                 "counts with keep: change only");
    if (one->deadband > 0 && one->deadband_percent > 0)
        complain(k, "deadband_percent", "Leave one of the two out.", "stands beside deadband");
    if (is_change && one->max_silence_ms > 0 && one->min_interval_ms > one->max_silence_ms)
        complain(k, "min_interval_ms", "Make it the shorter one.", "is longer than max_silence_ms");
}

static void check_keep(const struct keep_check *k)
{
    const struct channel_config *one = k->one;
    bool is_kept_whole = one->keep == KEEP_RAW || one->keep == KEEP_BOUND;

    check_change(k);
    if (one->keep == KEEP_BOUND && !(one->bound > 0))
        complain(k, "keep", "Set bound to the largest error there may be.", "is bound, and there is none");
    if (one->bound > 0 && !is_kept_whole)
        complain(k, "bound", "Leave it out, or set keep: bound.",
                 "counts with keep: bound and raw only: errors would add up");
    if (one->keep == KEEP_AGGREGATE && one->aggregate_ms == 0)
        complain(k, "keep", "Set aggregate_ms to the length of a window.", "is aggregate, and of no length");
    if (one->aggregate_ms > 0 && one->keep != KEEP_AGGREGATE)
        complain(k, "aggregate_ms", "Set keep: aggregate, or leave it out.",
                 "counts with keep: aggregate only");
    if (one->min_interval_ms > 0 && (one->keep == KEEP_AGGREGATE || one->keep == KEEP_LOCAL))
        complain(k, "min_interval_ms", "Leave it out.", "counts with keep: raw, change and bound only");
    if (one->around_alarm_ms > 0 && one->keep == KEEP_LOCAL)
        complain(k, "around_alarm_ms", "Leave it out, or set another keep.",
                 "with keep: local nothing is ever sent");
}

void channel_config_check(const struct config_list *channels, const char *field, struct config_check *c)
{
    for (size_t i = 0; i < channels->n; i++) {
        const struct channel_config *one = channels->at[i].value;
        char at[CONFIG_FIELD_CHARS];

        snprintf(at, sizeof at, "%s.channels[%zu].valid_min", field, i);
        if (one->valid_min > one->valid_max)
            config_complain(c, at, "Exchange the two.", "is above valid_max, %g", one->valid_max);
        snprintf(at, sizeof at, "%s.channels[%zu].scale", field, i);
        if (one->scale == 0)
            config_complain(c, at, "Leave it out for 1.", "is 0: every reading would be the offset");
        snprintf(at, sizeof at, "%s.channels[%zu]", field, i);
        channel_unit_check(one->unit, at, c);
        check_name(&(struct keep_check){one, at, c});
        check_keep(&(struct keep_check){one, at, c});
    }
}
