/* hf-lab-storage DIRECTORY SOCKET LOG MOUNT_POINT: one host's own way to the shared storage, and the faults
 * on that way. A FUSE file system that passes everything on to DIRECTORY, through the gate (storage_gate.h),
 * whose orders come as lines to the unix socket SOCKET, each answered by a line. One more order: "cut" ends
 * the mount, as a power cut does: whoever waits in it gets an error at once, while what the gate holds is
 * held further and lands when it is released. The program ends when it is unmounted or cut and holds nothing
 * any more.
 *
 * It runs outside the host, within the host's mount namespace. Locks are not passed on, so that the kernel
 * keeps them within this mount: QEMU's image lock does not reach the other hosts, and an instance that runs
 * twice shows itself. O_DIRECT is dropped below (libfuse's buffers are not aligned), O_SYNC and O_DSYNC are
 * kept; all hosts share the machine's one page cache, so what one has written the next one reads.
 *
 * LOG gets a line for each record of a canary guest (guest/canary.h) that reached the storage:
 *   <ns when its write began> <ns when it had ended> <file> <held 0|1> <the record's first bytes, hex>
 */
#define FUSE_USE_VERSION 312
#include <fuse3/fuse.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lab/guest/canary.h"
#include "lab/storage_gate.h"

#define THREADS_MAX    "128" /* a held request holds a thread */
#define BACKGROUND_MAX 1000  /* the kernel's default of 12 would let a dozen hung writes block every read */
#define ORDER_MAX      256
#define NAME_SHOWN_MAX 128

static int base_fd, socket_fd, log_fd;
static const char *mount_point;
static struct hf_gate gate;

struct file {
    int fd;
    char name[NAME_SHOWN_MAX]; /* for the log: its last path component, spaces replaced */
};

static bool interrupted(void)
{
    return fuse_interrupted();
}

static int pass(enum hf_gate_class c)
{
    int rc = hf_gate_pass(&gate, c, interrupted, NULL);
    return rc == HF_GATE_LET_GO ? -EINTR : rc;
}

static int result(int rc)
{
    return rc < 0 ? -errno : 0;
}

static const char *below(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static struct file *file_of(const struct fuse_file_info *fi)
{
    return (struct file *)(uintptr_t)fi->fh;
}

/* --- the log --- */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void log_canary(const struct file *f, const char *bytes, int64_t began_ns, bool held)
{
    static const char digits[] = "0123456789abcdef";
    char line[NAME_SHOWN_MAX + 2 * CANARY_RECORD_LEN + 80];
    int n = snprintf(line, sizeof line, "%lld %lld %s %d ", (long long)began_ns, (long long)now_ns(), f->name,
                     held);
    for (size_t i = 0; i < CANARY_RECORD_LEN; i++) {
        line[n++] = digits[(unsigned char)bytes[i] >> 4];
        line[n++] = digits[(unsigned char)bytes[i] & 15];
    }
    line[n++] = '\n';
    if (write(log_fd, line, (size_t)n) != n) /* the log is opened to append: a line is one write */
        perror("hf-lab-storage: write to the log");
}

/* --- files --- */

static int put(const struct file *f, const char *bytes, size_t len, off_t offset, bool held)
{
    int64_t began_ns = now_ns();
    ssize_t n = pwrite(f->fd, bytes, len, offset);
    if (n < 0)
        return -errno;
    for (size_t at = 0; at + CANARY_RECORD_LEN <= (size_t)n; at += CANARY_BLOCK)
        if (memcmp(bytes + at, CANARY_MAGIC, CANARY_MAGIC_LEN) == 0)
            log_canary(f, bytes + at, began_ns, held);
    return (int)n;
}

/* A write whose caller was let go: it waits with the storage. */
struct orphan {
    struct file file;
    off_t offset;
    size_t len;
    char bytes[];
};

static void *land_orphan(void *arg)
{
    struct orphan *o = arg;
    if (hf_gate_pass(&gate, HF_GATE_WRITE, NULL, NULL) == 0 &&
        put(&o->file, o->bytes, o->len, o->offset, true) < 0)
        perror("hf-lab-storage: a late write");
    close(o->file.fd);
    free(o);
    return NULL;
}

static void keep_orphan(const struct file *f, const char *bytes, size_t len, off_t offset)
{
    struct orphan *o = malloc(sizeof *o + len);
    pthread_t thread;
    if (!o)
        abort();
    o->file = *f;
    o->file.fd = dup(f->fd);
    o->offset = offset;
    o->len = len;
    memcpy(o->bytes, bytes, len);
    if (o->file.fd < 0 || pthread_create(&thread, NULL, land_orphan, o) != 0)
        abort();
    pthread_detach(thread);
}

static int fs_write(const char *path, const char *bytes, size_t len, off_t offset, struct fuse_file_info *fi)
{
    (void)path;
    bool held = false;
    int rc = hf_gate_pass(&gate, HF_GATE_WRITE, interrupted, &held);
    if (rc == HF_GATE_LET_GO) {
        keep_orphan(file_of(fi), bytes, len, offset);
        return -EINTR;
    }
    return rc ? rc : put(file_of(fi), bytes, len, offset, held);
}

static int fs_read(const char *path, char *bytes, size_t len, off_t offset, struct fuse_file_info *fi)
{
    (void)path;
    int rc = pass(HF_GATE_READ);
    if (rc)
        return rc;
    ssize_t n = pread(file_of(fi)->fd, bytes, len, offset);
    return n < 0 ? -errno : (int)n;
}

static int fs_fsync(const char *path, int data_only, struct fuse_file_info *fi)
{
    (void)path;
    int rc = pass(HF_GATE_SYNC);
    return rc ? rc : result(data_only ? fdatasync(file_of(fi)->fd) : fsync(file_of(fi)->fd));
}

static int fs_fallocate(const char *path, int mode, off_t offset, off_t len, struct fuse_file_info *fi)
{
    (void)path;
    int rc = pass(HF_GATE_WRITE);
    return rc ? rc : result(fallocate(file_of(fi)->fd, mode, offset, len));
}

static off_t fs_lseek(const char *path, off_t offset, int whence, struct fuse_file_info *fi)
{
    (void)path;
    int rc = pass(HF_GATE_READ);
    if (rc)
        return rc;
    off_t at = lseek(file_of(fi)->fd, offset, whence);
    return at < 0 ? -errno : at;
}

static int open_file(const char *path, int flags, mode_t mode, struct fuse_file_info *fi)
{
    struct file *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->fd = openat(base_fd, below(path), (flags & ~(O_DIRECT | O_NOFOLLOW)) | O_CLOEXEC, mode);
    if (f->fd < 0) {
        int rc = -errno;
        free(f);
        return rc;
    }
    const char *last = strrchr(path, '/');
    snprintf(f->name, sizeof f->name, "%s", last ? last + 1 : path);
    for (char *c = f->name; *c; c++)
        if (*c == ' ' || *c == '\n')
            *c = '_';
    fi->fh = (uintptr_t)f;
    fi->direct_io = 1;
    return 0;
}

static int fs_open(const char *path, struct fuse_file_info *fi)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : open_file(path, fi->flags, 0, fi);
}

static int fs_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : open_file(path, fi->flags | O_CREAT, mode, fi);
}

static int fs_release(const char *path, struct fuse_file_info *fi)
{
    (void)path;
    struct file *f = file_of(fi);
    close(f->fd);
    free(f);
    return 0;
}

static int fs_truncate(const char *path, off_t len, struct fuse_file_info *fi)
{
    int rc = pass(HF_GATE_WRITE);
    if (rc)
        return rc;
    if (fi)
        return result(ftruncate(file_of(fi)->fd, len));
    int fd = openat(base_fd, below(path), O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    rc = result(ftruncate(fd, len));
    close(fd);
    return rc;
}

/* --- names --- */

static int fs_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
    int rc = pass(HF_GATE_META);
    if (rc)
        return rc;
    return result(fi ? fstat(file_of(fi)->fd, st) : fstatat(base_fd, below(path), st, AT_SYMLINK_NOFOLLOW));
}

static int fs_opendir(const char *path, struct fuse_file_info *fi)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : open_file(path, O_RDONLY | O_DIRECTORY, 0, fi);
}

static int fs_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
    (void)path, (void)offset, (void)flags;
    int rc = pass(HF_GATE_META);
    if (rc)
        return rc;
    int fd = openat(file_of(fi)->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return -errno;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        fill(buf, e->d_name, NULL, 0, (enum fuse_fill_dir_flags)0);
    closedir(d);
    return 0;
}

static int fs_unlink(const char *path)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : result(unlinkat(base_fd, below(path), 0));
}

static int fs_mkdir(const char *path, mode_t mode)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : result(mkdirat(base_fd, below(path), mode));
}

static int fs_rmdir(const char *path)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : result(unlinkat(base_fd, below(path), AT_REMOVEDIR));
}

static int fs_rename(const char *from, const char *to, unsigned flags)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : result(renameat2(base_fd, below(from), base_fd, below(to), flags));
}

static int fs_link(const char *from, const char *to)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : result(linkat(base_fd, below(from), base_fd, below(to), 0));
}

static int fs_symlink(const char *target, const char *path)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : result(symlinkat(target, base_fd, below(path)));
}

static int fs_readlink(const char *path, char *buf, size_t len)
{
    int rc = pass(HF_GATE_META);
    ssize_t n = rc ? 0 : readlinkat(base_fd, below(path), buf, len - 1);
    if (rc || n < 0)
        return rc ? rc : -errno;
    buf[n] = '\0';
    return 0;
}

static int fs_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc : result(fi ? fchmod(file_of(fi)->fd, mode) : fchmodat(base_fd, below(path), mode, 0));
}

static int fs_chown(const char *path, uid_t u, gid_t g, struct fuse_file_info *fi)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc
              : result(fi ? fchown(file_of(fi)->fd, u, g)
                          : fchownat(base_fd, below(path), u, g, AT_SYMLINK_NOFOLLOW));
}

static int fs_utimens(const char *path, const struct timespec t[2], struct fuse_file_info *fi)
{
    int rc = pass(HF_GATE_META);
    return rc ? rc
              : result(fi ? futimens(file_of(fi)->fd, t)
                          : utimensat(base_fd, below(path), t, AT_SYMLINK_NOFOLLOW));
}

static int fs_statfs(const char *path, struct statvfs *st)
{
    (void)path;
    int rc = pass(HF_GATE_META);
    return rc ? rc : result(fstatvfs(base_fd, st));
}

/* --- orders --- */

static void serve(int fd)
{
    char line[ORDER_MAX], answer[1024];
    ssize_t n = read(fd, line, sizeof line - 1);
    if (n <= 0)
        return;
    line[n] = '\0';
    if (strncmp(line, "cut", 3) == 0) {
        int rc =
            umount2(mount_point, MNT_FORCE); /* ends every request; that the mount is busy is no matter */
        snprintf(answer, sizeof answer, "{\"cut\": \"%s\"}\n", rc == 0 ? "unmounted" : strerror(errno));
    } else {
        hf_gate_order(&gate, line, answer, sizeof answer);
    }
    if (write(fd, answer, strlen(answer)) < 0)
        perror("hf-lab-storage: answer an order");
}

static void *take_orders(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = accept4(socket_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        serve(fd);
        close(fd);
    }
    return NULL;
}

static void *fs_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
    pthread_t thread;
    config->use_ino = config->nullpath_ok = config->hard_remove = 1;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    conn->max_background = conn->congestion_threshold = BACKGROUND_MAX;
    if (pthread_create(&thread, NULL, take_orders, NULL) != 0)
        abort();
    return NULL;
}

static const struct fuse_operations operations = {
    .init = fs_init,
    .getattr = fs_getattr,
    .opendir = fs_opendir,
    .readdir = fs_readdir,
    .releasedir = fs_release,
    .open = fs_open,
    .create = fs_create,
    .read = fs_read,
    .write = fs_write,
    .fsync = fs_fsync,
    .release = fs_release,
    .truncate = fs_truncate,
    .fallocate = fs_fallocate,
    .lseek = fs_lseek,
    .unlink = fs_unlink,
    .mkdir = fs_mkdir,
    .rmdir = fs_rmdir,
    .rename = fs_rename,
    .link = fs_link,
    .symlink = fs_symlink,
    .readlink = fs_readlink,
    .chmod = fs_chmod,
    .chown = fs_chown,
    .utimens = fs_utimens,
    .statfs = fs_statfs,
};

static int listen_at(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(to.sun_path, path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) != 0 || listen(fd, 8) != 0 ? -1 : fd;
}

/* Held writes whose callers are gone have threads of their own, which the end of the mount does not wait for.
 */
static void wait_for_orphans(void)
{
    unsigned held;
    do {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        pthread_mutex_lock(&gate.mutex);
        held = gate.held[HF_GATE_WRITE];
        pthread_mutex_unlock(&gate.mutex);
    } while (held > 0);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL); /* the last one has left the gate and lands */
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "Usage: hf-lab-storage DIRECTORY SOCKET LOG MOUNT_POINT\n");
        return 2;
    }
    base_fd = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
    log_fd = open(argv[3], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    socket_fd = listen_at(argv[2]);
    mount_point = argv[4];
    if (base_fd < 0 || log_fd < 0 || socket_fd < 0) {
        fprintf(stderr, "hf-lab-storage: %s: %s\n",
                base_fd < 0  ? argv[1]
                : log_fd < 0 ? argv[3]
                             : argv[2],
                strerror(errno));
        return 1;
    }
    hf_gate_init(&gate);
    umask(0);
    /* As the cluster file system it stands for: libvirt asks for no --unsafe, and keeps a disk's owner. */
    char *fuse_argv[] = {argv[0],
                         argv[4],
                         "-f",
                         "-o",
                         "max_threads=" THREADS_MAX ",max_idle_threads=" THREADS_MAX
                         ",allow_other,fsname=shared,subtype=glusterfs",
                         NULL};
    int rc = fuse_main(5, fuse_argv, &operations, NULL);
    wait_for_orphans();
    return rc;
}
