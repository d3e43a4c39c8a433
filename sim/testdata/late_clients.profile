# Killed guests of hosts that are cut off from the control nodes and, for longer, from their Ceph cluster: what they had sent arrives when
# the host is back. Some hosts have addresses of their own, some share theirs.
nodes = 3
hosts = 4..6
instances = 12..24
clients = 1
seconds = 240
settle_seconds = 120
timing = fast
local = 0%
ceph = 100%
write_fenced = 50%
shared_address = 60%
at_once = 3
net-cut = 80 per hour for 5..40 in 100%
net-partition = off
storage-hang = 150 per hour for 5..60 in 100%
storage-late = off
storage-out = off
ceph-mons = 40 per hour for 1..20 in 50%
