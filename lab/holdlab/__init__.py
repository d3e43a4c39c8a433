"""Several KVM hosts and control nodes on one machine, each in namespaces of its own. See lab/README.md."""
