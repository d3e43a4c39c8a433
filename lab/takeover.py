"""What the control plane keeps of one takeover, as the demo's report and its stories have it."""


def of(cli, failover):
    """A Failover's evidence, and of a host on Ceph when the cluster had it on its blocklist: in which map, how long after the fence
    was committed, and what is listed."""
    told = {"evidence": failover["evidence"]}
    fence = next((f for f in cli.json("ha", "fences") if f["meta"]["uuid"] == failover.get("fenceUuid")), None)
    added = [b for b in (fence or {}).get("blocklists", []) if int(b.get("addedAtMs", 0))]
    if added:
        told["osdmap_epoch"] = max(int(b["osdmapEpoch"]) for b in added)
        told["fencing_ms"] = max(int(b["addedAtMs"]) for b in added) - int(fence["meta"]["createdAtMs"])
        told["blocklist"] = sorted(e for b in added for e in b["entries"])
    return told


def blocklists(cli, host_uuid):
    """States of all blocklist entries of a host: "ADDED", "REMOVED", …"""
    return [b["state"] for f in cli.json("ha", "fences") if f["hostUuid"] == host_uuid for b in f.get("blocklists", [])]
