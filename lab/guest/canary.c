/* canary DEVICE ADDRESS PORT: shows from inside a guest that it lives. Every 50 ms it writes a record
 * (canary.h) past all caches to its disk; a record that is on the disk is then sent to its peer by UDP: so
 * whoever received it knows that the disk has it. At boot it draws a token and finds the highest counter on
 * the disk. It goes on CANARY_GAP above it: an earlier run that is not over would count on in between, and
 * what it writes stands on the disk until the ring has gone round.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "canary.h"

#define PERIOD_MS    50
#define ADDRESS_FILE "/sys/class/net/eth0/address"

static uint64_t check_of(const struct canary_record *r)
{
    uint64_t h = 0xcbf29ce484222325u;
    const uint8_t *bytes = (const uint8_t *)r;
    for (size_t i = 0; i < sizeof *r - sizeof r->check; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

static uint64_t highest_counter(int fd, void *block)
{
    uint64_t highest = 0;
    for (int slot = 0; slot < CANARY_SLOTS; slot++) {
        const struct canary_record *r = block;
        if (pread(fd, block, CANARY_BLOCK, (off_t)slot * CANARY_BLOCK) == CANARY_BLOCK &&
            memcmp(r->magic, CANARY_MAGIC, CANARY_MAGIC_LEN) == 0 && r->check == check_of(r) &&
            r->counter > highest)
            highest = r->counter;
    }
    return highest;
}

/* A disk that was never used gets its blocks now: later beats are writes and no growth of the image file. */
static void allocate_ring(int fd, void *block)
{
    memset(block, 0, CANARY_BLOCK);
    for (int slot = 0; slot < CANARY_SLOTS; slot++)
        if (pwrite(fd, block, CANARY_BLOCK, (off_t)slot * CANARY_BLOCK) != CANARY_BLOCK)
            perror("canary: prepare the disk");
}

static void read_mac(uint8_t mac[6])
{
    unsigned b[6] = {0};
    FILE *f = fopen(ADDRESS_FILE, "re");
    if (!f || fscanf(f, "%x:%x:%x:%x:%x:%x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6) {
        perror("canary: " ADDRESS_FILE);
        exit(1);
    }
    fclose(f);
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)b[i];
}

static void beat(int fd, void *block, int peer, const struct sockaddr_in *to, struct canary_record *r)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    r->counter++;
    r->boot_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    r->check = check_of(r);
    memset(block, 0, CANARY_BLOCK);
    memcpy(block, r, sizeof *r);
    off_t at = (off_t)(r->counter % CANARY_SLOTS) * CANARY_BLOCK;
    if (pwrite(fd, block, CANARY_BLOCK, at) == CANARY_BLOCK)
        sendto(peer, r, sizeof *r, MSG_DONTWAIT, (const struct sockaddr *)to,
               sizeof *to); /* may have no address yet */
}

int main(int argc, char **argv)
{
    struct canary_record r = {.magic = CANARY_MAGIC};
    struct sockaddr_in to = {.sin_family = AF_INET};
    void *block;
    if (argc != 4 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
        return 2;
    to.sin_port = htons((uint16_t)atoi(argv[3]));
    int fd = open(argv[1], O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
    int peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || peer < 0 || posix_memalign(&block, CANARY_BLOCK, CANARY_BLOCK) != 0) {
        perror("canary");
        return 1;
    }
    read_mac(r.mac);
    if (getrandom(r.token, sizeof r.token, 0) != sizeof r.token)
        return 1;
    r.resumed = highest_counter(fd, block);
    if (r.resumed == 0)
        allocate_ring(fd, block);
    r.counter = r.resumed + CANARY_GAP;
    for (;;) {
        beat(fd, block, peer, &to, &r);
        nanosleep(&(struct timespec){.tv_nsec = PERIOD_MS * 1000000L}, NULL);
    }
}
