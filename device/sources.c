#include "device/source.h"

#include <stdio.h>

/* The kinds of sources, in the order in which the configuration's reference lists them. */
const struct source_kind *const source_kinds[] = {
    &source_csv, &source_host, &source_plant, &source_socket, NULL,
};

const char *const source_encodings[] = {"small", "fast", "raw", NULL};

static const struct config_row channel_rows[] = {
    {"name", CONFIG_STRING, CONFIG_AT(struct source_channel_config, name), .min = "1", .required = true,
     .help =
         "Channels of this name; * matches any run of characters, {a,b} one of these. The first entry that "
         "matches counts."},
    {"bound", CONFIG_DOUBLE, CONFIG_AT(struct source_channel_config, bound), .min = "0", .max = "1e300",
     .def = "0",
     .help =
         "Stored values of doubles are off by at most this, in the unit of the channel; 0: exact, bit for "
         "bit. Not with encoding raw, which is always exact."},
    {0},
};

static const struct config_kind channel_kinds[] = {
    {.rows = channel_rows, .size = sizeof(struct source_channel_config), .help = "Channels and their bound."},
    {0},
};

const struct config_row source_config_rows[] = {
    {"name", CONFIG_NAME, CONFIG_AT(struct source_config, name), .required = true,
     .help = "Name of the source, unique on this device. Its read position is kept under it."},
    {"encoding", CONFIG_ENUM, CONFIG_AT(struct source_config, encoding), .choices = source_encodings,
     .def = "small",
     .help =
         "How its readings are written, on disk and on every link. small: fewest bytes; fast: a few more, a "
         "tenth of the time; raw: readable without the rules of the others."},
    {"channels", CONFIG_LIST, CONFIG_AT(struct source_config, channels), .kinds = channel_kinds,
     .unique = "name", .max = "256", .help = "How exact channels need to be; all others are exact."},
    {0},
};

enum block_encoding source_encoding(const struct source_config *c)
{
    static const enum block_encoding encodings[] = {BLOCK_ENCODING_SMALL, BLOCK_ENCODING_FAST,
                                                    BLOCK_ENCODING_RAW};

    return encodings[c->encoding];
}

double source_bound(const struct source_config *c, const char *channel)
{
    static const char *const no_tags[] = {NULL};

    for (size_t i = 0; i < c->channels.n; i++) {
        const struct source_channel_config *one = c->channels.at[i].value;
        char pattern[sizeof one->name + 8];

        snprintf(pattern, sizeof pattern, "*/*/%s", one->name);
        if (pattern_match(pattern, "s", "d", channel, no_tags))
            return one->bound;
    }
    return 0;
}
