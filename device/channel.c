#include "device/channel.h"

#include <stdio.h>

#define AT(member) CONFIG_AT(struct channel_config, member)

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
    }
}
