/* Cuts the zeros off open segments before libraft loads them. A member that was killed leaves its newest segment at its
 * full prepared size; libraft reads the whole file into memory and keeps it for as long as one of its entries is in the
 * log: 64 MiB for some kilobytes of entries.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "consensus/raft_private.h"

#define CHUNK ((off_t)1 << 20)
#define BLOCK ((off_t)4096)

static off_t last_byte_in(const unsigned char *chunk, off_t n)
{
    while (n > 0 && chunk[n - 1] == 0)
        n--;
    return n;
}

/* Length up to the last byte that is not zero; size when it cannot be read. */
static off_t data_end(int fd, off_t size)
{
    unsigned char *chunk = hf_alloc((size_t)CHUNK);
    off_t end = size;
    while (end > 0) {
        off_t start = end > CHUNK ? end - CHUNK : 0;
        if (pread(fd, chunk, (size_t)(end - start), start) != end - start) {
            end = size;
            break;
        }
        off_t n = last_byte_in(chunk, end - start);
        end = start + n;
        if (n > 0)
            break;
    }
    free(chunk);
    return end;
}

static void trim(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    off_t end = data_end(fd, st.st_size);
    off_t wanted = (end + BLOCK - 1) / BLOCK * BLOCK + BLOCK; /* a block of zeros is how libraft knows the end */
    if (end == 0 || wanted >= st.st_size)                     /* prepared and never written, or full */
        return;
    if (ftruncate(fd, wanted) == 0)
        fsync(fd);
}

void hf_raft_dir_trim(const struct hf_raft_dir *d)
{
    DIR *dir = opendir(d->path);
    if (dir == NULL)
        return; /* libraft will say what is wrong with it */
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (strncmp(e->d_name, "open-", 5) != 0)
            continue;
        int fd = openat(dirfd(dir), e->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            continue;
        trim(fd);
        close(fd);
    }
    closedir(dir);
}
