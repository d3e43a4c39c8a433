#include "cli/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/mem.h"
#include "cli/cli.h"

#define PART ((size_t)1 << 20)

static bool shown;

static bool is_watched(void)
{
    return cli_options.format == CLI_TABLE && isatty(STDERR_FILENO);
}

void cli_show_progress(const char *what, uint64_t done_bytes, uint64_t total_bytes)
{
    if (!is_watched())
        return;
    shown = true;
    fprintf(stderr, "\r\033[K%s: %.0f %% of %" PRIu64 " MiB …", what,
            (double)done_bytes * 100 / (double)total_bytes, (total_bytes + (1 << 20) - 1) >> 20);
    fflush(stderr);
}

void cli_end_progress(void)
{
    if (shown)
        fprintf(stderr, "\r\033[K");
    shown = false;
}

hf_status cli_image_file_read(const struct cli_image_file *f, uint64_t offset, void *buf, size_t len)
{
    char *at = buf;
    while (len > 0) {
        ssize_t n = pread(f->fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hf_errno(errno, _("read '%s'"), f->path);
        if (n == 0)
            return hf_error(HF_INVALID, _("read '%s': it has become shorter"), f->path);
        at += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return HF_STATUS_OK;
}

static hf_status hash_all(const struct cli_image_file *f, EVP_MD_CTX *hash)
{
    char *buf = hf_alloc(PART);
    hf_status st = HF_STATUS_OK;
    for (uint64_t at = 0; hf_ok(st) && at < f->bytes; at += PART) {
        size_t len = f->bytes - at < PART ? (size_t)(f->bytes - at) : PART;
        st = cli_image_file_read(f, at, buf, len);
        if (hf_ok(st))
            HF_ASSERT(EVP_DigestUpdate(hash, buf, len) == 1);
        if (at % (64 * PART) == 0)
            cli_show_progress(_("computes the checksum"), at, f->bytes);
    }
    free(buf);
    return st;
}

static hf_status find_sha256(struct cli_image_file *f)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    HF_ASSERT(hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1);
    hf_status st = hash_all(f, hash);
    HF_ASSERT(EVP_DigestFinal_ex(hash, digest, &n) == 1 && 2 * n < sizeof f->sha256);
    for (unsigned i = 0; i < n; i++)
        snprintf(f->sha256 + 2 * i, 3, "%02x", digest[i]);
    EVP_MD_CTX_free(hash);
    cli_end_progress();
    return st;
}

hf_status cli_image_file_open(struct cli_image_file *f, const char *path)
{
    struct stat s;
    *f = (struct cli_image_file){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (f->fd < 0)
        return hf_errno(errno, _("open '%s'"), path);
    hf_status st = HF_STATUS_OK;
    if (fstat(f->fd, &s) != 0)
        st = hf_errno(errno, _("look at '%s'"), path);
    else if (!S_ISREG(s.st_mode) || s.st_size == 0)
        st = hf_error(HF_INVALID, _("'%s' is not a file with something in it"), path);
    if (hf_ok(st)) {
        f->bytes = (uint64_t)s.st_size;
        st = find_sha256(f);
    }
    if (!hf_ok(st))
        cli_image_file_close(f);
    return st;
}

void cli_image_file_close(struct cli_image_file *f)
{
    close(f->fd);
    f->fd = -1;
}
