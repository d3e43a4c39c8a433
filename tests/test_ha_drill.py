"""A failover on purpose, and what HA tells of it afterwards."""

import json

from test_failures import wait_connected


def test_drill_fails_a_connected_host_over_and_reports(cloud):
    victim = cloud.lab.hosts[0]
    name = cloud.host_name(victim)
    epoch = int(cloud.cli.get("host", name)["status"]["epoch"])
    before = cloud.create("drill-1", "--ha", "NeverStop", "--host", name)
    cloud.create("drill-2", "--host", name)
    run = cloud.run_of("drill-1")
    assert "yes" in cloud.refused("ha", "drill", name)

    drill = json.loads(cloud.cli.run("-o", "json", "ha", "drill", name, "--yes"))
    assert drill["state"] == "DONE" and "1 of 2 instances run again elsewhere" in drill["outcome"], drill
    rows = {r["instanceName"]: r for r in drill["instances"]}
    assert rows["drill-1"]["outcome"] == "restarted" and int(rows["drill-1"]["runningMs"]) > 0
    assert rows["drill-2"]["outcome"] == "stopped with its host"
    after = cloud.wait_new_boot("drill-1", before)
    assert cloud.host_of("drill-1") is not victim and after["counter"] >= before["counter"]
    assert cloud.run_of("drill-1") == run + 1 and cloud.copies("drill-1") == 1
    assert int(cloud.cli.get("host", name)["status"]["epoch"]) > epoch
    assert any(d["hostName"] == name for d in cloud.cli.json("ha", "drills"))

    events = cloud.cli.json("ha", "timeline", "--instance", "drill-1")
    story = [f"{e['source']}: {e['what']}" for e in events]
    wanted = ("operator: fenced epoch", f"{name}'s keeper: proof of closed and killed", "looks for a host", "is placed on host-",
              f"run {run + 1} runs")
    places = [next(i for i, text in enumerate(story) if part in text) for part in wanted]
    assert places == sorted(places), story
    assert [int(e["atMs"]) for e in events] == sorted(int(e["atMs"]) for e in events)
    times = [t for t in cloud.cli.json("ha", "times") if t["evidence"] == "closed and killed"]
    assert times and times[0]["profile"] == "fast" and int(times[0]["n"]) >= 1
    cloud.delete("drill-1", "drill-2")


def test_a_host_that_is_gone_is_not_drilled(cloud):
    victim = cloud.lab.hosts[1]
    name = cloud.host_name(victim)
    epoch = int(cloud.cli.get("host", name)["status"]["epoch"])
    victim.power_off()
    try:
        cloud.cli.wait("the loss of its contact", lambda: cloud.cli.get("host", name)["status"]["state"] != "CONNECTED", 60)
        assert "no contact" in cloud.refused("ha", "drill", name, "--yes", "--force")
    finally:
        victim.power_on()
    wait_connected(cloud, victim, epoch)


def test_an_instance_that_was_never_lost_has_no_timeline(cloud):
    cloud.create("calm-1")
    assert "never been lost" in cloud.refused("ha", "timeline", "--instance", "calm-1")
    cloud.delete("calm-1")
