/* The commands that read an archive, as tables for a tier's tool. */
#include "archive/ctl_reading.h"

#define RANGE_OPTIONS                                                                                        \
    {"from", 'f', "TIME", "from this time on: 2026-11-20T22:30:00Z, @SECONDS, -2h, now"},                    \
    {                                                                                                        \
        "to", 't', "TIME", "before this time"                                                                \
    }
#define SELECT_OPTION                                                                                        \
    {                                                                                                        \
        "select", 's', "PATTERN", "SITE/DEVICE/CHANNEL with *, **, {a,b}; fewer parts: all below"            \
    }

static const struct cmd_option query_options[] = {
    SELECT_OPTION,
    RANGE_OPTIONS,
    {"bucket", 'b', "WIDTH", "one line per 1s, 5m, 1h, 1d ..."},
    {"by", 0, "NAMES", "site,device,channel: what to keep apart; all: nothing"},
    {"stats", 0, "NAMES", "statistics to show instead of count,min,max,avg,sum"},
    {"bad", 0, NULL, "count values of bad quality too"},
    {NULL},
};

static const struct cmd_option export_options[] = {
    {"format", 'F', "FORMAT", "csv (one line per value) or jsonl (one object per row)"},
    SELECT_OPTION,
    RANGE_OPTIONS,
    {"output", 'o', "FILE", "write here instead of stdout; the file appears when it is complete"},
    {"time", 0, "FORM", "rfc3339 or unix_ns"},
    {"no-header", 0, NULL, "csv without the line of titles"},
    {NULL},
};

static const struct cmd_option tail_options[] = {
    SELECT_OPTION,
    {"format", 'F', "FORMAT", "csv or jsonl"},
    {"time", 0, "FORM", "rfc3339 or unix_ns"},
    {"rows", 'n', "N", "end after so many rows"},
    {NULL},
};

static const struct cmd_option events_options[] = {
    SELECT_OPTION,
    RANGE_OPTIONS,
    {"last", 'n', "N", "the newest N (50)"},
    {"health", 0, NULL, "health reports too"},
    {NULL},
};

const struct cmd archive_verbs[] = {
    {"query", "[PATTERN]", 0, 1, "show last values, or statistics: count, avg, p99 ...",
     "Without --from, --to, --bucket, --by and --stats: the last value of each channel.\n\n"
     "--stats: count, min, max, avg, sum, stddev (of the sample), first, last, rate ((last - first) per "
     "second), "
     "time_avg (each value holds until the next one, from the first to the last), p50, p90, p99, p_error. "
     "What is unknown is empty, null in JSON: time_avg is unless samples come in the order of time, as those "
     "of several channels in one line seldom do.\n\n"
     "p50, p90 and p99 are off by at most p_error of themselves: at most 0.1 % for values within a factor of "
     "1.4, 1 % within 10, 7 % when they span 1000 on both sides of 0. All else is exact but for the last "
     "digit, and the same in any order.\n\n"
     "Example: query 'plant-a/*/temperature' --from -1h --bucket 1m --by site",
     query_options, verb_query},
    {"export", NULL, 0, 0, "write samples as CSV or JSON lines",
     "Numbers are the shortest text that reads back to the same bits. (epoch, seq, row) names a row for "
     "ever.\n\n"
     "Example: export --select plant-a --from 2026-11-20 -o plant-a.csv",
     export_options, verb_export},
    {"events", "[NODE]", 0, 1, "show events and replies to commands", NULL, events_options, verb_events},
    {"store blocks", "[DEVICE]", 0, 1, "decode every block: encodings, sizes, and blocks that do not decode",
     "One line for each set of channels and encoding; blocks that do not decode are listed below. They are "
     "kept as they came, and every command leaves them out.\n\n"
     "Exit code 9 when there are any.",
     NULL, verb_store_blocks},
    {NULL},
};

const struct cmd archive_verbs_tail[] = {
    {"tail", NULL, 0, 0, "show samples as they are archived",
     "The newest block of each group first, then what comes. Late readings, older than what was shown, are "
     "not.",
     tail_options, verb_archive_tail},
    {NULL},
};
