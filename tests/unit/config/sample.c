#include "sample.h"

#include <string.h>

static const struct config_row channel_rows[] = {
    {"name", CONFIG_NAME, CONFIG_AT(struct sample_channel, name), .required = true,
     .help = "Name of the channel."},
    {"unit", CONFIG_STRING, CONFIG_AT(struct sample_channel, unit), .def = "1", .help = "Unit (RFC 8428)."},
    {"limit.low", CONFIG_DOUBLE, CONFIG_AT(struct sample_channel, low), .def = "nan",
     .help = "Lowest value."},
    {0},
};
static const struct config_kind channel_kinds[] = {
    {.rows = channel_rows, .size = sizeof(struct sample_channel)},
    {0},
};

static const struct config_row source_rows[] = {
    {"name", CONFIG_NAME, CONFIG_AT(struct sample_source, name), .required = true,
     .help = "Name of the source."},
    {"period", CONFIG_MS, CONFIG_AT(struct sample_source, period_ms), .min = "1 ms", .max = "1 d",
     .def = "1 s", .reloadable = true, .help = "Time between two readings."},
    {0},
};
static const struct config_row csv_rows[] = {
    {"path", CONFIG_PATH, CONFIG_AT(struct sample_csv, path), .required = true, .help = "File to read."},
    {"loop", CONFIG_BOOL, CONFIG_AT(struct sample_csv, loop), .def = "no", .help = "Start again at the end."},
    {"channels", CONFIG_LIST, CONFIG_AT(struct sample_csv, channels), .min = "1", .max = "8",
     .kinds = channel_kinds, .unique = "name", .help = "Columns of the file."},
    {0},
};
static const struct config_row sine_rows[] = {
    {"amplitude", CONFIG_DOUBLE, CONFIG_AT(struct sample_sine, amplitude), .def = "1",
     .help = "Half the swing."},
    {"frequency", CONFIG_DOUBLE, CONFIG_AT(struct sample_sine, frequency_hz), .min = "0", .max = "1e6",
     .def = "1", .unit = "Hz", .reloadable = true, .help = "Swings per second."},
    {0},
};
static const struct config_kind source_kinds[] = {
    [SAMPLE_CSV] = {"csv", csv_rows, source_rows, sizeof(struct sample_csv), "Readings from a file."},
    [SAMPLE_SINE] = {"sine", sine_rows, source_rows, sizeof(struct sample_sine), "A sine for trials."},
    {0},
};

static const char *const orders[] = {[SAMPLE_OLDEST] = "oldest", [SAMPLE_NEWEST] = "newest", NULL};

static const struct config_row rows[] = {
    {"site", CONFIG_NAME, CONFIG_AT(struct sample, site), .required = true,
     .help = "The site this node stands at."},
    {"node", CONFIG_NAME, CONFIG_AT(struct sample, node), .def = "n1", .help = "Name of this node."},
    {"note", CONFIG_STRING, CONFIG_AT(struct sample, note), .reloadable = true, .help = "A word for people."},
    {"verbose", CONFIG_BOOL, CONFIG_AT(struct sample, verbose), .def = "false", .reloadable = true,
     .help = "Log more."},
    {"link.up_endpoint", CONFIG_ENDPOINT, CONFIG_AT(struct sample, up_endpoint), .required = true,
     .help = "Where the next tier listens."},
    {"link.listen", CONFIG_STRINGS, CONFIG_AT(struct sample, listen), .item = CONFIG_ENDPOINT, .max = "4",
     .def = "*:7001", .help = "Where this node listens."},
    {"link.connect.timeout", CONFIG_MS, CONFIG_AT(struct sample, connect_timeout_ms), .min = "100 ms",
     .max = "1 h", .def = "5 s", .reloadable = true, .help = "Give up an attempt after this long."},
    {"spool.limit", CONFIG_BYTES, CONFIG_AT(struct sample, spool_bytes), .min = "1 MiB", .max = "1 TiB",
     .def = "64 MiB", .reloadable = true, .help = "Room on disk."},
    {"spool.order", CONFIG_ENUM, CONFIG_AT(struct sample, order), .choices = orders, .def = "oldest",
     .help = "What goes first."},
    {"spool.folder", CONFIG_PATH, CONFIG_AT(struct sample, state_path), .def = "state",
     .help = "Folder of the spool."},
    {"batch", CONFIG_U64, CONFIG_AT(struct sample, batch_samples), .min = "1", .max = "1000", .def = "100",
     .unit = "samples", .help = "Readings per batch."},
    {"offset", CONFIG_I64, CONFIG_AT(struct sample, offset), .min = "-10", .max = "10", .help = "Shift."},
    {"ratio", CONFIG_DOUBLE, CONFIG_AT(struct sample, ratio), .min = "0", .max = "1", .def = "0.5",
     .help = "Share."},
    {"alarm", CONFIG_DOUBLE, CONFIG_AT(struct sample, alarm), .def = "nan",
     .help = "Alarm level; none when not set."},
    {"select", CONFIG_PATTERN, CONFIG_AT(struct sample, select), .def = "**", .help = "What to forward."},
    {"tags", CONFIG_STRINGS, CONFIG_AT(struct sample, tags), .max = "3", .help = "Free words."},
    {"sources", CONFIG_LIST, CONFIG_AT(struct sample, sources), .max = "4", .kinds = source_kinds,
     .unique = "name", .reloadable = true, .help = "Where readings come from."},
    {0},
};

static void check(const void *values, struct config_check *c)
{
    const struct sample *s = values;

    if (s->sources.n > s->batch_samples)
        config_complain(c, "batch", "make it larger", "must be at least the number of sources, %zu",
                        s->sources.n);
    for (size_t i = 0; i < s->sources.n; i++) {
        const struct sample_source *source = s->sources.at[i].value;
        char field[CONFIG_FIELD_CHARS];

        snprintf(field, sizeof(field), "sources[%zu].period", i);
        if (source->period_ms < s->connect_timeout_ms && strcmp(source->name, "slow") == 0)
            config_complain(c, field, NULL, "a slow source needs a period above the connect timeout");
    }
}

const struct config_schema sample_schema = {"sample", rows, sizeof(struct sample), check};
