/* Preloaded into User Mode Linux. Its kernel 6.1 saves the processor's extended state in an area of fixed
 * size; where the real area is larger (AMX), the machine's kernel refuses to set registers from it and UML
 * panics at its first process. So the rest of the area is taken from the process itself. Upstream: fixed in
 * Linux 6.13 by asking for the size.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PTRACE_PEEK_FIRST 1
#define PTRACE_PEEK_LAST  3
#define PTRACE_GETREGSET  0x4204
#define PTRACE_SETREGSET  0x4205
#define NT_X86_XSTATE     0x202
#define AREA_BYTES_MAX    65536
#define HEADER_AT         512 /* XSTATE_BV: which states the area holds */
#define HEADER_END        576
#define STATES_UNKNOWN    (UINT64_C(3) << 17) /* AMX: what UML neither saves nor restores */

long ptrace(int request, ...);

static long call(long request, long pid, long addr, void *data)
{
    return syscall(SYS_ptrace, request, pid, addr, data);
}

static long set_xstate(long pid, const struct iovec *given)
{
    static unsigned char area[AREA_BYTES_MAX] __attribute__((aligned(64)));
    struct iovec whole = {area, sizeof area};
    if (call(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) != 0 || whole.iov_len <= given->iov_len)
        return call(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (void *)given);
    memcpy(area, given->iov_base, given->iov_len);
    if (given->iov_len >= HEADER_END) {
        uint64_t states;
        memcpy(&states, area + HEADER_AT, sizeof states);
        states &= ~STATES_UNKNOWN;
        memcpy(area + HEADER_AT, &states, sizeof states);
    }
    return call(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

/* In place of libc's, with the same answers. */
long ptrace(int request, ...)
{
    va_list words;
    va_start(words, request);
    long pid = va_arg(words, int);
    long addr = va_arg(words, long);
    void *data = va_arg(words, void *);
    va_end(words);

    if (request >= PTRACE_PEEK_FIRST && request <= PTRACE_PEEK_LAST) {
        long word;
        return call(request, pid, addr, &word) < 0 ? -1 : (errno = 0, word);
    }
    if (request == PTRACE_SETREGSET && addr == NT_X86_XSTATE)
        return set_xstate(pid, data);
    return call(request, pid, addr, data);
}
