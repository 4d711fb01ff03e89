"""manpage.py daemon|tool|codec|model TIER TOOL_PROGRAM - writes a man page (mdoc) to standard output.

The reference of keys and commands comes from the program itself (`config doc --mdoc`, `--help`), so that it cannot differ from
what it does; only the words around it stand here.
"""
import re
import subprocess
import sys

ABOUT = {
    "device": ("sensing node of Fogline", "reads its sources, packs the readings, makes them durable in its spool and sends "
               "them to a fog. It lets go of a reading when the cloud says, past the fog and authenticated, that it is "
               "archived or accounted for. It works without a network, a valid clock or anything above it. Readings become durable "
               "and are sent once a minute by default, alarms and other events at once, and so is a reading whose sender waits for "
               "its answer; what a power cut takes in between, and what a shorter commit_ms costs in flash, is in its health."),
    "fog": ("site aggregator of Fogline", "takes records from the devices of a site, makes them durable, acknowledges them and "
            "forwards them to the cloud. It keeps its copies until the cloud has archived them."),
    "cloud": ("collector of Fogline", "takes records from fogs and devices, archives each of them once and keeps the ledger: "
              "what was produced, archived, held and explained."),
}


def run(program, *args):
    return subprocess.run([program, *args], stdout=subprocess.PIPE, text=True, check=True).stdout


def escape(text):
    out = []
    for line in text.rstrip("\n").split("\n"):
        line = line.replace("\\", "\\e").replace("-", "\\-")
        out.append("\\&" + line if line[:1] in ".'" else line)
    return "\n".join(out)


def head(name, section, about):
    return f""".\\" Made by scripts/deploy/manpage.py.
.Dd November 20, 2026
.Dt {name.upper()} {section}
.Os Fogline
.Sh NAME
.Nm {name}
.Nd {about}
"""


def daemon(tier, tool):
    about, what = ABOUT[tier]
    return head("fogline-" + tier, 8, about) + f""".Sh SYNOPSIS
.Nm
.Op Fl c Ar file
.Op Fl n
.Sh DESCRIPTION
.Nm
{what}
.Pp
.Bl -tag -width Ds
.It Fl c Ar file
Configuration; the default is
.Pa /etc/fogline/{tier}.yaml .
.It Fl n
Only check the configuration, with the code of the start, and say all that is wrong in it.
.El
.Pp
It logs one logfmt line for each event to standard error, notifies a service manager of readiness and liveness, stops cleanly
on SIGTERM and reloads all or nothing of what may change on SIGHUP.
.Sh CONFIGURATION
{run(tool, "config", "doc", "--mdoc").rstrip()}
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/fogline/{tier}.yaml
configuration
.It Pa /var/lib/fogline/{tier}
key and store; mode 0700
.It Pa /run/fogline/{tier}
lock, status and proof of continuity; never part of a backup
.El
.Sh EXIT STATUS
0 after a clean stop, 1 on a failure, 2 when the configuration or the arguments are wrong.
.Sh SEE ALSO
.Xr {tier}ctl 1
"""


def commands_page(name, program, about, what, config, see_also):
    """Of a program of commands; config: it has a configuration to name with -c."""
    top = run(program, "--help")
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +\S", top.split("Options of every command")[0], re.M)
    out = head(name, 1, about) + f""".Sh SYNOPSIS
.Nm
{".Op Fl c Ar file" + chr(10) if config else ""}.Op Fl -json
.Ar command
.Op Ar options
.Sh DESCRIPTION
{what}
.Bd -literal
{escape(top)}
.Ed
.Sh COMMANDS
"""
    for c in commands:
        text = run(program, *c.split(), "--help").split("\nOptions of every command")[0]
        out += f".Ss {c}\n.Bd -literal\n{escape(text)}\n.Ed\n"
    return out + f".Sh SEE ALSO\n.Xr {see_also}\n"


def tool_page(tier, tool):
    return commands_page(tier + "ctl", tool, f"tool of the {tier} tier of Fogline", "Looks at and looks after a node. Reading "
                         "commands work while the daemon runs and when it is stopped.", True, f"fogline-{tier} 8")


def codec_page(tier, tool):
    return commands_page("fogline-codec", tool, "tables of readings as blocks of Fogline", "Makes files of blocks of CSV files and "
                         "CSV of those, and shows what each encoding, error bound, interval and number of rows in a block comes to "
                         "with data of your own.", False, f"{tier}ctl 1")


def model_page(tier, tool):
    return commands_page("fogline-model", tool, "models of Fogline", "Makes models for sources of type model of ONNX files, shows "
                         "what is in them and what they say to a recording, measures, signs and verifies them.", False, f"fogline-{tier} 8")


def main():
    kind, tier, tool = sys.argv[1:4]
    sys.stdout.write({"daemon": daemon, "tool": tool_page, "codec": codec_page, "model": model_page}[kind](tier, tool))


if __name__ == "__main__":
    main()
