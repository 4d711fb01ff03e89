"""kill -9 of each tier under load: nothing lost, nothing twice, nothing unexplained. kill.py does the same for longer."""
import pytest

import kill
from system import until

ROUNDS = 15


@pytest.mark.parametrize("tier", kill.TIERS)
def test_kill_9_at_random_moments_loses_nothing(tier, tmp_path):
    result = kill.run(ROUNDS, tier, seed=1, keep=str(tmp_path))
    print(result)
    assert kill.is_clean(result), result
    assert result["kills"] >= ROUNDS and result["rows"] > 0 and result["acked"] > 0
    assert not result["explained"], "nothing may have been let go"


@pytest.mark.parametrize("name", ["cloud", "fog-a", "dev-1"])
def test_a_daemon_killed_while_it_checks_its_store_starts_again_at_once(make_system, name):
    s = make_system().one_of_each(rows=500)
    s.start()
    s.wait_read()
    s.stop(name)
    for _ in range(5):
        s.start(name, wait=False)
        try:
            until("it has a child that checks", lambda: children(s.nodes[name]), timeout=5, every=0)
        finally:
            s.kill(name)
        s.start(name)
        s.stop(name)
    s.start(name)
    s.must_be_exact(s.wait_settled())


def children(node):
    """Its child processes; true as well when it has got past the check unseen."""
    with open(f"/proc/{node.pid}/task/{node.pid}/children") as f:
        return f.read().split() or "event=ready" in node.log_tail(1)
