#include "hostd/keeper_watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

/* 'V' would disarm. */
#define PET_BYTE    "\0"
#define DISARM_BYTE "V"

/* With a holder if there is none (any more). */
static void keep_open(struct hf_keeper_watchdog *w)
{
    if (w->holder.fd < 0) {
        hf_status st = hf_keeper_holder_renew(&w->holder);
        if (!hf_ok(st))
            hf_err("%s: the death of this keeper would pet the watchdog", hf_status_message(st));
        hf_status_drop(st);
    }
    hf_keeper_holder_keep(&w->holder, w->fd);
}

static bool file_says_one(const char *path)
{
    char value = '0';
    FILE *f = fopen(path, "re");
    bool ok = f && fread(&value, 1, 1, f) == 1 && value == '1';
    if (f)
        fclose(f);
    return ok;
}

/* By sysfs: closing does not stop it, whatever is written. The old name /dev/watchdog is another node of the
 * first device. */
static bool has_nowayout(int fd)
{
    struct stat s;
    char path[80];
    if (fstat(fd, &s) != 0)
        return false;
    snprintf(path, sizeof path, "/sys/dev/char/%u:%u/nowayout", major(s.st_rdev), minor(s.st_rdev));
    bool old_name = major(s.st_rdev) == 10 && minor(s.st_rdev) == 130;
    return file_says_one(old_name ? "/sys/class/watchdog/watchdog0/nowayout" : path);
}

static hf_status set_timeout(struct hf_keeper_watchdog *w)
{
    int want = (int)(w->timing->watchdog_timeout_ms / 1000), got = want;
    if (ioctl(w->fd, WDIOC_SETTIMEOUT, &got) != 0)
        return hf_errno(errno, "set the time-out of %s to %d s", w->device, want);
    if (ioctl(w->fd, WDIOC_GETTIMEOUT, &got) != 0 || got > want)
        return hf_error(HF_PRECONDITION, "%s counts %d s, profile %s needs %d s", w->device, got,
                        w->timing->profile, want);
    return HF_STATUS_OK;
}

/* What the device is, and why it does not count as hardware, or NULL. */
static const char *device_problem(struct hf_keeper_watchdog *w)
{
    struct watchdog_info info;
    int pretimeout = 0;
    memset(&info, 0, sizeof info);
    if (ioctl(w->fd, WDIOC_GETSUPPORT, &info) != 0)
        return "it does not tell what it is";
    if (strstr((const char *)info.identity, "Software") != NULL) {
        w->kind = "software";
        return "it is a software watchdog, which stands still with the host";
    }
    if (!has_nowayout(w->fd))
        return "it can be stopped by closing it: load its driver with nowayout=1";
    (void)ioctl(w->fd, WDIOC_SETPRETIMEOUT, &pretimeout); /* many devices have none */
    if (ioctl(w->fd, WDIOC_GETPRETIMEOUT, &pretimeout) == 0 && pretimeout > 0)
        return "its pre-timeout cannot be switched off";
    w->kind = "hardware";
    return NULL;
}

static hf_status prepare_device(struct hf_keeper_watchdog *w)
{
    w->kind = "none";
    w->problem[0] = '\0';
    HF_TRY(set_timeout(w));
    const char *problem = device_problem(w);
    if (problem)
        snprintf(w->problem, sizeof w->problem, "watchdog %s proves nothing: %s", w->device, problem);
    if (problem)
        hf_warn("%s", w->problem);
    else
        hf_info("watchdog %s is armed", w->device);
    return HF_STATUS_OK;
}

/* A device that counts longer than the profile allows would make silence a lie: it is not used. Where guests
 * run it stays armed all the same, and the host is reset: that is the safe side of a wrong configuration. */
static void open_device(struct hf_keeper_watchdog *w, bool guests)
{
    if (w->fd < 0) {
        w->fd = open(w->device, O_WRONLY | O_CLOEXEC);
        if (w->fd >= 0)
            keep_open(w);
    }
    hf_status st = w->fd >= 0 ? prepare_device(w) : hf_errno(errno, "open watchdog %s", w->device);
    if (!hf_ok(st)) {
        snprintf(w->problem, sizeof w->problem, "%s: no watchdog guards this host", hf_status_message(st));
        hf_err("%s%s", w->problem,
               w->fd >= 0 && guests ? ", and the one that was armed goes on counting" : "");
        hf_keeper_watchdog_close(w, !guests);
    }
    hf_status_drop(st);
}

/* Opens for writing only when somebody reads: without a reader there is no watchdog. */
static void open_stand_in(struct hf_keeper_watchdog *w)
{
    struct stat s;
    int fd = open(w->stand_in, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &s) == 0 && S_ISFIFO(s.st_mode)) {
        w->fd = fd;
        w->said = false;
        keep_open(w);
        hf_info("watchdog stand-in %s is there", w->stand_in);
        return;
    }
    if (!w->said)
        hf_warn("watchdog stand-in %s cannot be used: %s", w->stand_in,
                fd < 0 ? strerror(errno) : "it is not a FIFO");
    w->said = true;
    if (fd >= 0)
        close(fd);
}

hf_status hf_keeper_watchdog_init(struct hf_keeper_watchdog *w, const char *device, const char *stand_in,
                                  const char *holder)
{
    struct stat s;
    HF_ASSERT(!device || !stand_in);
    *w = (struct hf_keeper_watchdog){
        .device = device, .stand_in = stand_in, .fd = -1, .holder.fd = -1, .kind = "none"};
    if (device && stat(device, &s) != 0)
        return hf_errno(errno, "find watchdog %s", device);
    if (device && !S_ISCHR(s.st_mode))
        return hf_error(HF_INVALID, "%s is not a device", device);
    if (device || stand_in)
        HF_TRY(hf_keeper_holder_open(&w->holder, holder, &w->fd));
    if (stand_in && w->fd < 0)
        open_stand_in(w); /* opening it is no pet */
    return HF_STATUS_OK;
}

const char *hf_keeper_watchdog_kind(const struct hf_keeper_watchdog *w)
{
    if (w->fd < 0)
        return "none";
    return w->stand_in ? "stand-in" : w->kind;
}

const char *hf_keeper_watchdog_problem(const struct hf_keeper_watchdog *w)
{
    if (!w->device && !w->stand_in)
        return "the keeper was given no watchdog (--watchdog DEVICE)";
    return w->problem;
}

void hf_keeper_watchdog_pet(struct hf_keeper_watchdog *w, const struct hf_ha_timing *timing, bool guests)
{
    bool changed = w->timing != timing;
    if (w->fd < 0 && w->stand_in)
        open_stand_in(w);
    w->timing = timing;
    if (w->device && changed)
        open_device(w, guests);
    if (w->fd < 0 || write(w->fd, PET_BYTE, 1) == 1 || errno == EAGAIN)
        return;
    if (!w->said)
        hf_err("pet the watchdog: %s", strerror(errno));
    w->said = true;
    if (w->stand_in) { /* its reader has gone */
        close(w->fd);
        w->fd = -1;
    }
}

void hf_keeper_watchdog_holder_ended(struct hf_keeper_watchdog *w)
{
    hf_warn("the watchdog's holder has ended: another one takes its place");
    close(w->holder.fd);
    w->holder.fd = -1;
    if (w->fd >= 0)
        keep_open(w);
}

/* The kernel is asked to stop it, and says no if its driver runs with nowayout: a magic close would be
 * ignored without a word. Where there is nothing to ask, the magic close has to do. */
static hf_status disarm(const struct hf_keeper_watchdog *w, const char *name)
{
    int stop = WDIOS_DISABLECARD;
    if (w->device && ioctl(w->fd, WDIOC_SETOPTIONS, &stop) == 0)
        return HF_STATUS_OK;
    if (w->device && errno == EBUSY)
        return hf_error(HF_PRECONDITION,
                        "watchdog %s cannot be disarmed (nowayout): this machine is reset unless it is off "
                        "within %lld s",
                        name, (long long)(w->timing->watchdog_timeout_ms / 1000));
    return write(w->fd, DISARM_BYTE, 1) == 1 ? HF_STATUS_OK : hf_errno(errno, "disarm watchdog %s", name);
}

/* The device is closed when its last descriptor is, so the holder's goes first. */
void hf_keeper_watchdog_close(struct hf_keeper_watchdog *w, bool want_disarm)
{
    if (want_disarm)
        hf_keeper_holder_let_go(&w->holder);
    if (w->fd < 0)
        return;
    const char *name = w->device ? w->device : w->stand_in;
    hf_status st = want_disarm ? disarm(w, name) : HF_STATUS_OK;
    if (!hf_ok(st))
        hf_warn("%s", hf_status_message(st));
    else
        hf_info("watchdog %s %s", name, want_disarm ? "is disarmed" : "goes on counting");
    hf_status_drop(st);
    close(w->fd);
    w->fd = -1;
}
