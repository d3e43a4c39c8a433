/* A TCP port of the loopback address that nobody uses. */
#ifndef HF_CONSENSUS_PORT_TESTING_H
#define HF_CONSENSUS_PORT_TESTING_H

#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "consensus/testing.h"

/* Below those that the kernel gives to connections: one of the test's own could take it before it is listened
 * on. */
#define PORT_FIRST 20000
#define PORTS      12000
#define PORT_TRIES 100

static inline int free_port(void)
{
    for (int i = 0; i < PORT_TRIES; i++) {
        uint16_t drawn;
        assert_int_equal(getrandom(&drawn, sizeof drawn, 0), sizeof drawn);
        struct sockaddr_in a = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)(PORT_FIRST + drawn % PORTS))};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        int rc = bind(fd, (struct sockaddr *)&a, sizeof a);
        close(fd);
        if (rc == 0)
            return ntohs(a.sin_port);
    }
    fail_msg("no port is free");
    return 0;
}

#endif
