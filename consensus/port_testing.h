/* A TCP port of the loopback address that nobody uses. */
#ifndef HF_CONSENSUS_PORT_TESTING_H
#define HF_CONSENSUS_PORT_TESTING_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "consensus/testing.h"

static inline int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

#endif
