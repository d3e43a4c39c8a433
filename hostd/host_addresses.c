#include "hostd/host_addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

size_t hf_host_addresses(struct hf_host_address *out, size_t max)
{
    struct ifaddrs *all = NULL;
    size_t n = 0;
    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *i = all; i && n < max; i = i->ifa_next) {
        struct sockaddr_in address, mask;
        if (!i->ifa_addr || !i->ifa_netmask || i->ifa_addr->sa_family != AF_INET ||
            (i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP))
            continue;
        memcpy(&address, i->ifa_addr, sizeof address);
        memcpy(&mask, i->ifa_netmask, sizeof mask);
        out[n++] = (struct hf_host_address){.ip = ntohl(address.sin_addr.s_addr),
                                            .prefix = (unsigned)__builtin_popcount(mask.sin_addr.s_addr)};
    }
    freeifaddrs(all);
    return n;
}
