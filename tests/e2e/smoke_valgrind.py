"""smoke_valgrind.py [BUILD] - a small system with every daemon under valgrind: sources, a kill -9, a command, a clean stop. Exit 0 when
valgrind found no error and no definite leak. By hand, and before a release; needs the package valgrind."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
from cluster import Cluster  # noqa: E402


def wrap(c, node):
    path = os.path.join(c.dir, "valgrind-" + node.name)
    with open(path, "w") as f:
        f.write("#!/bin/sh\nexec valgrind --error-exitcode=99 --leak-check=full --show-leak-kinds=definite "
                f"--errors-for-leak-kinds=definite --log-file={c.dir}/{node.name}.%p.vg {node.daemon} \"$@\"\n")
    os.chmod(path, 0o755)
    node.daemon = path


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")
    with tempfile.TemporaryDirectory(prefix="fogline-valgrind-") as d, Cluster(d, build) as c:
        c.add_cloud()
        c.add_fog("fog-a", site="s")
        c.add_device("dev", site="s", fogs=["fog-a"], sources=[
            {"type": "plant", "name": "plant", "interval_ms": 20}, {"type": "host", "name": "host", "interval_ms": 200},
            {"type": "socket", "name": "socket"}])
        c.setup()
        for node in c.nodes.values():
            wrap(c, node)
        c.start(timeout=60)
        c.wait_for("samples in the archive", lambda: c.counter("cloud", "archive.samples_total") > 500, 60)
        c.ctl("dev", "send", "temperature=21.5", timeout=30)
        c.kill("fog-a")
        c.start("fog-a", timeout=60)
        before = c.counter("cloud", "archive.samples_total")
        c.ctl("cloud", "command", "dev", "identify")
        c.wait_for("the reply", lambda: "identify" in c.ctl("cloud", "events").stdout, 60)
        c.wait_for("more samples", lambda: c.counter("cloud", "archive.samples_total") > before + 500, 60)
        codes = c.stop(timeout=60)
        findings = [line for name in os.listdir(d) if name.endswith(".vg") for line in open(os.path.join(d, name))
                    if ("ERROR SUMMARY" in line and " 0 errors" not in line) or
                    ("definitely lost" in line and " 0 bytes" not in line)]
    print("".join(findings) or "no errors, no definite leaks", codes)
    sys.exit(1 if findings or any(codes.values()) else 0)


if __name__ == "__main__":
    main()
