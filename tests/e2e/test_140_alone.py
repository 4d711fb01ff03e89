"""A device that begins without anybody above it."""
from system import until


def test_what_a_device_made_alone_arrives_once_a_fog_is_named(make_system):
    s = make_system().one_of_each(rows=500)
    device = s.nodes["dev-1"]
    ups, device.ups = device.ups, []
    s.write_config("dev-1")
    s.start("dev-1")
    s.wait_read()
    until("all of it is kept", lambda: s.produced_samples("dev-1") > 1000)
    s.stop("dev-1")
    device.ups = ups
    s.write_config("dev-1")
    s.start()
    s.must_be_exact(s.wait_settled())
