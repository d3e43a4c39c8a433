#include <stdio.h>

#include "net/host_net.h"

char *hf_bridge_name(const char *nic, char out[HF_IFNAME_MAX])
{
    snprintf(out, HF_IFNAME_MAX, "br_%.12s", nic);
    return out;
}
