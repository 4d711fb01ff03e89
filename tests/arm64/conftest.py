"""The guests of these tests: one for each Debian whose libgpiod there is, made once."""
import os
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import guest as guests  # noqa: E402


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def guest(request):
    """A running machine with the device tier built on that Debian (libgpiod 1.6, 2.x) and a key in /disk/state."""
    with tempfile.TemporaryDirectory(prefix="fogline-arm64-") as folder:
        g = guests.Guest(folder, request.param)
        try:
            g.start()
            g.run("devicectl -c /disk/first.yaml init --node arm-1 --site s --state-dir /disk/state --run-dir /run/device")
            yield g
        finally:
            g.kill()
