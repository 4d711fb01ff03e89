"""Fixtures of the whole-system tests; README.md says how to run them."""
import os
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import system  # noqa: E402

NEEDED = ["device/fogline-device", "device/devicectl", "device/fogline-codec", "device/fogline-model", "fog/fogline-fog", "fog/fogctl",
          "cloud/fogline-cloud", "cloud/cloudctl", "tests/limits/bench_detector", "tests/limits/bench_device", "tests/limits/watch_archive"]
LOG_LINES = 40


def pytest_configure(config):
    config._seconds = {}


def pytest_sessionstart(session):
    missing = [n for n in NEEDED if not os.access(os.path.join(system.build_dir(), n), os.X_OK)]
    if missing and not session.config.option.collectonly:
        pytest.exit(f"{system.build_dir()}: not built: {' '.join(missing)}; FOGLINE_BUILD names another folder", 2)


@pytest.fixture
def make_system(request):
    """A function that makes a System; all end with the test, cleanly, and their folders too."""
    request.node._systems = made = []

    def make(**kw):
        tmp = tempfile.TemporaryDirectory(prefix="fogline-e2e-")
        made.append((system.System(tmp.name, **kw), tmp))
        return made[-1][0]
    yield make
    complaints = []
    for s, tmp in made:
        complaints += s.end()
        tmp.cleanup()
    assert not complaints


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    seconds, outcome = item.config._seconds.get(item.nodeid, (0, "passed"))
    item.config._seconds[item.nodeid] = seconds + report.duration, report.outcome if report.outcome != "passed" else outcome
    if report.failed:
        for s, _ in getattr(item, "_systems", ()):
            for node in s.nodes.values():
                report.sections.append((f"log of {node.name} (pid {node.pid}, {'alive' if node.running else 'dead'})",
                                        node.log_tail(LOG_LINES)))


def pytest_terminal_summary(terminalreporter, config):
    terminalreporter.section("seconds")
    for name, (seconds, outcome) in config._seconds.items():
        terminalreporter.write_line(f"{seconds:7.1f}  {outcome:7} {name.split('/')[-1]}")
    terminalreporter.write_line(f"{sum(s for s, _ in config._seconds.values()):7.1f}  all")
