"""Devices leave a fog that dies or stops, and go back to the one they prefer. failover.py does the same for longer."""
import failover


def test_devices_leave_a_fog_that_makes_no_progress_and_come_back(tmp_path):
    result = failover.run(rounds=2, devices=2, keep=str(tmp_path))
    print(result)
    assert failover.campaign.is_clean(result), result
    assert 0 < result["kill_first_row_s_max"] < 12 and 0 < result["stop_first_row_s_max"] < 20
    assert result["explained"] == 0
