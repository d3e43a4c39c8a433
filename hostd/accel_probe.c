#include "hostd/accel_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

#define GUEST_BYTES   4096
#define CODE_ADDRESS  0
#define TSS_ADDRESS   0xfffbd000u /* Intel before unrestricted guests needs three pages for real mode */
#define RUNS_MAX      64          /* exits to us that a few instructions may take */
#define ERROR_MAX     200
#define KILL_GRACE_MS 500
#define PORT          0x3f8

/* From real mode into protected mode as firmware goes there, through an IRET, then the sum of 1 to 1000: 16
 * bits of it to a port, low half first, and a halt. A KVM without the processor's help (nested by software,
 * such as PVM) emulates these modes, and not all of them: it runs a plain loop and then hangs or fails in the
 * first firmware. */
/* clang-format off */
static const uint8_t code[] = {
    /* 00 */ 0xfa,                               /* cli */
    /* 01 */ 0x31, 0xc0,                         /* xor ax, ax */
    /* 03 */ 0x8e, 0xd8,                         /* mov ds, ax */
    /* 05 */ 0x0f, 0x01, 0x16, 0x60, 0x00,       /* lgdt [0x60] */
    /* 0a */ 0x0f, 0x20, 0xc0,                   /* mov eax, cr0 */
    /* 0d */ 0x0c, 0x01,                         /* or al, 1 */
    /* 0f */ 0x0f, 0x22, 0xc0,                   /* mov cr0, eax */
    /* 12 */ 0xea, 0x17, 0x00, 0x08, 0x00,       /* jmp 8:0x17, 32 bits from here on */
    /* 17 */ 0x66, 0xb8, 0x10, 0x00,             /* mov ax, 16 */
    /* 1b */ 0x8e, 0xd8,                         /* mov ds, ax */
    /* 1d */ 0x8e, 0xc0,                         /* mov es, ax */
    /* 1f */ 0x8e, 0xd0,                         /* mov ss, ax */
    /* 21 */ 0xbc, 0xf0, 0x0f, 0x00, 0x00,       /* mov esp, 0xff0 */
    /* 26 */ 0x9c,                               /* pushf */
    /* 27 */ 0x6a, 0x08,                         /* push 8 */
    /* 29 */ 0x68, 0x2f, 0x00, 0x00, 0x00,       /* push 0x2f */
    /* 2e */ 0xcf,                               /* iret */
    /* 2f */ 0x31, 0xc0,                         /* xor eax, eax */
    /* 31 */ 0xb9, 0xe8, 0x03, 0x00, 0x00,       /* mov ecx, 1000 */
    /* 36 */ 0x01, 0xc8,                         /* add eax, ecx */
    /* 38 */ 0xe2, 0xfc,                         /* loop 0x36 */
    /* 3a */ 0x66, 0xba, 0xf8, 0x03,             /* mov dx, 0x3f8 */
    /* 3e */ 0xee,                               /* out dx, al */
    /* 3f */ 0x88, 0xe0,                         /* mov al, ah */
    /* 41 */ 0xee,                               /* out dx, al */
    /* 42 */ 0xf4,                               /* hlt */
    /* 43 */ 0x90, 0x90, 0x90, 0x90, 0x90,
    /* 48: the descriptor table: none, flat code, flat data */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xff, 0xff, 0x00, 0x00, 0x00, 0x9a, 0xcf, 0x00,
    0xff, 0xff, 0x00, 0x00, 0x00, 0x92, 0xcf, 0x00,
    /* 60: its length less one and its address */
    0x17, 0x00, 0x48, 0x00, 0x00, 0x00,
};
/* clang-format on */
static const uint8_t expected[] = {0x14, 0xa3}; /* 500500 mod 65536 */

static bool failed(char *error, size_t error_len, const char *what)
{
    snprintf(error, error_len, "%s: %s", what, strerror(errno));
    return false;
}

static bool set_registers(int vcpu)
{
    struct kvm_sregs s;
    struct kvm_regs r = {.rip = CODE_ADDRESS, .rflags = 2};
    if (ioctl(vcpu, KVM_GET_SREGS, &s) != 0)
        return false;
    s.cs.base = 0;
    s.cs.selector = 0;
    return ioctl(vcpu, KVM_SET_SREGS, &s) == 0 && ioctl(vcpu, KVM_SET_REGS, &r) == 0;
}

static bool run_to_halt(int vcpu, struct kvm_run *run, char *error, size_t error_len)
{
    uint8_t got[sizeof expected];
    size_t n = 0;
    for (int i = 0; i < RUNS_MAX; i++) {
        if (ioctl(vcpu, KVM_RUN, 0) != 0)
            return failed(error, error_len, "run the guest");
        if (run->exit_reason == KVM_EXIT_HLT && n == sizeof expected && memcmp(got, expected, n) == 0)
            return true;
        if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT || n == sizeof expected)
            break;
        got[n++] = *((uint8_t *)run + run->io.data_offset);
    }
    snprintf(error, error_len, "the guest went wrong, exit reason %u", run->exit_reason);
    return false;
}

/* In the child: what it opens ends with it. */
static bool run_guest(const char *device, char *error, size_t error_len)
{
    int kvm = open(device, O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        return failed(error, error_len, "open it");
    if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return failed(error, error_len, "ask for its version");
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    int run_bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (vm < 0 || run_bytes < (int)sizeof(struct kvm_run))
        return failed(error, error_len, "make a virtual machine");
    (void)ioctl(vm, KVM_SET_TSS_ADDR, TSS_ADDRESS); /* AMD needs none */
    void *memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return failed(error, error_len, "get memory");
    memcpy((uint8_t *)memory + CODE_ADDRESS, code, sizeof code);
    struct kvm_userspace_memory_region region = {.memory_size = GUEST_BYTES,
                                                 .userspace_addr = (uintptr_t)memory};
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) != 0)
        return failed(error, error_len, "give the guest memory");
    int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    if (vcpu < 0)
        return failed(error, error_len, "make a virtual CPU");
    struct kvm_run *run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED || !set_registers(vcpu))
        return failed(error, error_len, "set up the virtual CPU");
    return run_to_halt(vcpu, run, error, error_len);
}

/* A child that sits in the kernel may not go at once; then init reaps it when we have ended. */
static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    for (int i = 0; i < KILL_GRACE_MS / 10 && waitpid(pid, NULL, WNOHANG) == 0; i++)
        usleep(10000);
}

/* The child's error, "" for success; false at the deadline. */
static bool hear(int fd, unsigned deadline_ms, char error[ERROR_MAX])
{
    struct pollfd p = {fd, POLLIN, 0};
    int rc;
    while ((rc = poll(&p, 1, (int)deadline_ms)) < 0 && errno == EINTR)
        ;
    if (rc != 1)
        return false;
    ssize_t n = read(fd, error, ERROR_MAX);
    if (n <= 0)
        snprintf(error, ERROR_MAX, "the trial crashed");
    error[ERROR_MAX - 1] = '\0';
    return true;
}

static const char *decide(bool heard, const char *error, const char *device, unsigned deadline_ms, char *why,
                          size_t why_len)
{
    if (!why)
        why_len = 0;
    if (!heard)
        snprintf(why, why_len, "a guest at %s did not run a few instructions in %u ms: guests are emulated",
                 device, deadline_ms);
    else if (error[0])
        snprintf(why, why_len, "%s cannot run guests (%s): guests are emulated", device, error);
    else
        snprintf(why, why_len, "a guest ran at %s", device);
    return heard && !error[0] ? "kvm" : "tcg";
}

const char *hf_accel_probe_with(const char *device,
                                bool (*trial)(const char *device, char *error, size_t error_len),
                                unsigned deadline_ms, char *why, size_t why_len)
{
    char error[ERROR_MAX] = "";
    int fds[2];
    HF_ASSERT(pipe2(fds, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        if (trial(device, error, sizeof error))
            error[0] = '\0';
        _exit(write(fds[1], error, sizeof error) == (ssize_t)sizeof error ? 0 : 1);
    }
    close(fds[1]);
    bool heard = true;
    if (pid < 0)
        snprintf(error, sizeof error, "no process for the trial: %s", strerror(errno));
    else
        heard = hear(fds[0], deadline_ms, error);
    if (pid > 0)
        end_child(pid);
    close(fds[0]);
    return decide(heard, error, device, deadline_ms, why, why_len);
}

const char *hf_accel_probe(unsigned deadline_ms, char *why, size_t why_len)
{
    return hf_accel_probe_with("/dev/kvm", run_guest, deadline_ms, why, why_len);
}
