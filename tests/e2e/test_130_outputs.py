"""Where the tools write to."""
import os
import stat
import subprocess
import threading


def test_export_leaves_a_pipe_a_pipe_and_says_what_failed(make_system):
    s = make_system().one_of_each(rows=200)
    s.start()
    s.wait_read()
    s.wait_settled()
    pipe, read = os.path.join(s.dir, "pipe"), []
    os.mkfifo(pipe)

    def reader():
        with open(pipe) as f:
            read.extend(f.readlines())
    t = threading.Thread(target=reader, daemon=True)
    t.start()
    s.ctl("cloud", "export", "-o", pipe)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode), "a file took the place of the pipe"
    t.join(10)
    assert len(read) > 200
    node = s.nodes["cloud"]
    with open("/dev/full", "w") as full:
        p = subprocess.run([node.cli, "-c", node.yaml, "export"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 1 and "output" in p.stderr and node.state_dir not in p.stderr, p.stderr
