/* hf-qemu, the gate: what libvirt starts in QEMU's place (the domain's <emulator>). When the arguments are
 * those of one of our guests it asks the keeper at this very moment whether the run may be born, and becomes
 * QEMU only on a yes; else it says why on standard error, which libvirt shows, and ends. All other calls,
 * libvirt's questions about what QEMU can do among them, go straight through.
 *
 * It keeps its process number, its descriptors and its user: for libvirt it is QEMU.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ha/keeper_wire.h"
#include "hostd/guest_args.h"

#ifndef HF_QEMU_PATH
#define HF_QEMU_PATH "/usr/bin/qemu-system-x86_64"
#endif
#ifndef HF_QEMU_GATE
#define HF_QEMU_GATE HF_KEEPER_GATE_SOCKET
#endif

#define ANSWER_S 10

/* All arguments, each ended by zero; from malloc. */
static char *joined(int argc, char **argv, size_t *ret_len)
{
    size_t len = 0;
    for (int i = 0; i < argc; i++)
        len += strlen(argv[i]) + 1;
    char *args = malloc(len + 1), *at = args;
    for (int i = 0; args && i < argc; i++) {
        size_t n = strlen(argv[i]) + 1;
        memcpy(at, argv[i], n);
        at += n;
    }
    *ret_len = len;
    return args;
}

/* A connection to the keeper, or -1. */
static int dial(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = HF_QEMU_GATE};
    struct timeval wait = {.tv_sec = ANSWER_S};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) == 0 &&
        connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
        return fd;
    int err = errno;
    close(fd);
    errno = err;
    return -1;
}

/* true: yes. Else why is a sentence. A keeper that does not answer has not said yes. */
static bool ask(const struct hf_uuid *instance, uint64_t run, bool incoming, char *why, size_t len)
{
    struct hf_keeper_request q = {
        .head = {.magic = HF_KEEPER_MAGIC, .version = HF_KEEPER_WIRE_VERSION, .op = HF_KEEPER_GATE, .id = 1},
        .subject = *instance,
        .number = run,
        .incoming = incoming};
    struct hf_keeper_reply r;
    int fd = dial();
    if (fd < 0) {
        snprintf(why, len, "start refused: the keeper (hf-lease) cannot be asked at %s: %s", HF_QEMU_GATE,
                 strerror(errno));
        return false;
    }
    ssize_t n = send(fd, &q, sizeof q, MSG_NOSIGNAL) == (ssize_t)sizeof q ? recv(fd, &r, sizeof r, 0) : -1;
    int err = errno;
    close(fd);
    if (n < 0)
        snprintf(why, len, "start refused: the keeper (hf-lease) does not answer: %s", strerror(err));
    else if (n != (ssize_t)sizeof r || r.head.magic != HF_KEEPER_MAGIC ||
             r.head.version != HF_KEEPER_WIRE_VERSION || r.head.op != HF_KEEPER_REPLY)
        snprintf(why, len, "start refused: the keeper (hf-lease) is of another release than this gate");
    else if (r.code == 0)
        return true;
    else
        snprintf(why, len, "%.*s", (int)sizeof r.text, r.text);
    return false;
}

int main(int argc, char **argv)
{
    static char path[] = HF_QEMU_PATH;
    char why[HF_KEEPER_TEXT_MAX + 128];
    struct hf_uuid instance;
    size_t len;
    char *args = joined(argc, argv, &len);
    if (!args || argc == 0) {
        fprintf(stderr, "holdfast: start refused: no memory or no arguments\n");
        return 1;
    }
    if (hf_guest_args_match(args, len, &instance) &&
        !ask(&instance, hf_guest_args_run(args, len), hf_guest_args_incoming(args, len), why, sizeof why)) {
        fprintf(stderr, "holdfast: %s\n", why);
        return 1;
    }
    free(args);
    argv[0] = path;
    execv(HF_QEMU_PATH, argv);
    fprintf(stderr, "holdfast: %s cannot be started: %s\n", HF_QEMU_PATH, strerror(errno));
    return 1;
}
