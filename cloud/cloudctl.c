/* cloudctl: the operator's tool of a collector. */
#include "cloud/cloud_tier.h"
#include "cloud/ctl_private.h"

static const struct cmd_option init_options[] = {
    {"node", 'N', "NAME", "name of this collector (cloud)"},
    {"listen", 'l', "HOST", "address to listen on (*)"},
    {"port", 'p', "PORT", "port to listen on (5520); the next one is used too"},
    {"state-dir", 0, "DIR", "folder of keys and archive (/var/lib/fogline/cloud)"},
    {"run-dir", 0, "DIR", "folder of lock and status (/run/fogline/cloud)"},
    {NULL},
};

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

static const struct cmd cloud_verbs[] = {
    {"init", NULL, 0, 0, "write a commented configuration and make the keys",
     "Writes the file named by -c, never over an existing one, the collector's key and the operator's key, "
     "and says "
     "what to run next and where.\n\n"
     "Example: cloudctl init --port 5520",
     init_options, verb_cloud_init},
    {"gaps", "[DEVICE]", 0, 1, "show the ledger: produced = archived + held + explained",
     "Exit code 8 when records or samples are missing that nothing explains; then the missing numbers are "
     "listed. "
     "Counts in the table are samples, but for the columns that say records.",
     NULL, verb_gaps},
    {"query", "[PATTERN]", 0, 1, "show last values, or count, min, max, avg and sum",
     "Without --from, --to, --bucket and --by: the last value of each channel.\n\n"
     "Example: cloudctl query 'plant-a/*/temperature' --from -1h --bucket 1m --by site",
     query_options, verb_query},
    {"export", NULL, 0, 0, "write samples as CSV or JSON lines",
     "Numbers are the shortest text that reads back to the same bits. (epoch, seq, row) names a row for "
     "ever.\n\n"
     "Example: cloudctl export --select plant-a --from 2026-11-20 -o plant-a.csv",
     export_options, verb_export},
    {"tail", NULL, 0, 0, "show samples as they are archived",
     "The newest block of each group first, then what comes. Late readings, older than what was shown, are "
     "not.",
     tail_options, verb_archive_tail},
    {"events", "[NODE]", 0, 1, "show events and replies to commands", NULL, events_options, verb_events},
    {"command", "NODE COMMAND [ARGUMENT]", 2, 3, "order something: identify",
     "Signed with operator.key, sealed to the node, carried out at most once. The reply shows in "
     "`cloudctl events NODE`.",
     NULL, verb_command},
    {"store ls", "[DEVICE]", 0, 1, "list the streams in the archive", NULL, NULL, verb_store_ls},
    {"store blocks", "[DEVICE]", 0, 1, "decode every block: encodings, sizes, and blocks that do not decode",
     "One line for each set of channels and encoding; blocks that do not decode are listed below. They are "
     "kept as they came, and every command leaves them out.\n\n"
     "Exit code 9 when there are any.",
     NULL, verb_store_blocks},
    {"store restored", NULL, 0, 0, "say that the archive was put back from a copy, or made anew",
     "Run it before fogline-cloud starts on the copy: the archive then goes on under another id, so that "
     "nobody takes "
     "its word for what came after the copy was made. Signed with operator.key, so that all nodes believe "
     "the new id, "
     "give again what they hold and let go of what this archive has. A reboot alone needs none of this.",
     NULL, verb_store_restored},
    {NULL},
};

static const struct cmd *const tables[] = {cloud_verbs, ctl_verbs, ctl_verbs_enroll, NULL};

int main(int argc, char **argv)
{
    struct ctl_tier tier = cloud_tier_daemon;

    tier.cmds = tables;
    return cmd_main(&tier, argc, argv);
}
