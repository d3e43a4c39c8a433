# Ceph clusters alone: hosts that are lost, stand still or are cut off, control nodes that change in the middle, MONs that do
# not answer, or too late.
nodes = 3..5
hosts = 3..8
instances = 6..24
clients = 1..2
seconds = 240
settle_seconds = 120
timing = fast
local = 0%
ceph = 100%
shared_address = 40%
at_once = 4
host-power = 100 per hour for 1..90 in 100%
host-pause = 80 per hour for 1..150 in 100%
keeper-pause = 30 per hour for 1..30 in 50%
node-crash = 60 per hour in 100%
node-pause = 40 per hour for 1..30 in 100%
leader-change = 60 per hour in 100%
net-cut = 60 per hour for 1..40 in 100%
net-partition = off
storage-hang = 40 per hour for 1..40 in 100%
storage-late = 40 per hour for 1..60 in 100%
storage-out = 20 per hour for 1..20 in 50%
at-act = 120 per hour for 1..30 in 100%
ceph-mons = 120 per hour for 1..40 in 100%
ceph-asker = 120 per hour for 5..40 in 100%
client-refused = 60 per hour for 20..180 in 50%
