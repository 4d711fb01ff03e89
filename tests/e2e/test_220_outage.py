"""A site that is cut off, and many devices that come back at once. outage.py and herd.py do the same for longer and with more."""
import herd
import outage


def test_what_a_site_made_alone_drains_while_it_goes_on(tmp_path):
    result = outage.run(hours=0.5, keep=str(tmp_path))
    print(result)
    assert outage.campaign.is_clean(result), result
    assert result["explained"] == 0 and result["records_held"] > 2000
    assert result["drain_ratio"] >= outage.GOAL_RATIO
    assert result["live_lag_s_median"] <= outage.GOAL_LAG_S, result


def test_devices_come_back_at_once_when_their_fog_does(tmp_path):
    result = herd.run(devices=24, rounds=1, keep=str(tmp_path))
    print(result)
    assert herd.campaign.is_clean(result), result
    assert result["explained"] == 0 and result["back_s"] <= herd.GOAL_S
