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

static const struct cmd_option drill_options[] = {
    {"from", 'f', "TIME", "from this time on: 2026-11-20T22:30:00Z, @SECONDS, -2h"},
    {"to", 't', "TIME", "before this time; without it: to the end"},
    {"max-bytes", 0, "N", "at most so many bytes of each fog"},
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
    {"command", "NODE COMMAND [ARGUMENT]", 2, 3, "order something: identify",
     "Signed with operator.key, sealed to the node, carried out at most once. The reply shows in "
     "`cloudctl events NODE`.",
     NULL, verb_command},
    {"drill", "SITE/DEVICE", 1, 1, "ask the fogs of a site for raw readings that were not sent",
     "Each fog of the site gives what its history still has of the device and time: as the device made it, "
     "after all else it has to send, within its drill.bytes_per_day. A site that is offline is asked when it "
     "is "
     "back; a fog that is killed goes on where it was. What the archive has already is not sent twice. The "
     "reply "
     "comes when all of it is archived, and shows in `cloudctl events FOG`. Signed with operator.key.\n\n"
     "Example: cloudctl drill plant-a/pump-1 --from 2026-11-20T22:30:00Z --to 2026-11-20T23:00:00Z",
     drill_options, verb_drill},
    {"store ls", "[DEVICE]", 0, 1, "list the streams in the archive", NULL, NULL, verb_store_ls},
    {"store restored", NULL, 0, 0, "say that the archive was put back from a copy, or made anew",
     "Run it before fogline-cloud starts on the copy: the archive then goes on under another id, so that "
     "nobody takes "
     "its word for what came after the copy was made. Signed with operator.key, so that all nodes believe "
     "the new id, "
     "give again what they hold and let go of what this archive has. A reboot alone needs none of this.",
     NULL, verb_store_restored},
    {NULL},
};

static const struct cmd *const tables[] = {cloud_verbs, archive_verbs,    archive_verbs_tail,
                                           ctl_verbs,   ctl_verbs_enroll, NULL};

int main(int argc, char **argv)
{
    struct ctl_tier tier = cloud_tier_daemon;

    tier.cmds = tables;
    return cmd_main(&tier, argc, argv);
}
