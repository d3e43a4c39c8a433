#include "storage/test_http.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"

struct test_http {
    const char *file;
    size_t len;
    int fd;
    unsigned port;
    atomic_uint served;
    pthread_t thread;
};

static void put(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

static void put_head(int fd, const char *status, const char *fields)
{
    char head[512];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\n%s\r\n", status, fields);
    put(fd, head, (size_t)n);
}

static void endless(int fd)
{
    static const char zeros[65536];
    put_head(fd, "200 OK", "");
    while (send(fd, zeros, sizeof zeros, MSG_NOSIGNAL) > 0)
        ;
}

static void answer(struct test_http *h, int fd, const char *path)
{
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", h->len);
    if (strcmp(path, "/file") == 0) {
        atomic_fetch_add(&h->served, 1);
        put_head(fd, "200 OK", length);
        put(fd, h->file, h->len);
    } else if (strcmp(path, "/chunk") == 0) {
        put_head(fd, "200 OK", "");
        put(fd, h->file, h->len);
    } else if (strcmp(path, "/endless") == 0) {
        endless(fd);
    } else if (strcmp(path, "/to-file") == 0) {
        put_head(fd, "302 Found", "Location: file:///etc/passwd\r\nContent-Length: 0\r\n");
    } else if (strcmp(path, "/moved") == 0) {
        put_head(fd, "302 Found", "Location: /file\r\nContent-Length: 0\r\n");
    } else {
        put_head(fd, "404 Not Found", "Content-Length: 0\r\n");
    }
}

static void *serve(void *arg)
{
    struct test_http *h = arg;
    int fd;
    while ((fd = accept(h->fd, NULL, NULL)) >= 0) {
        char request[2048], path[256] = "";
        size_t got = 0;
        ssize_t n;
        request[0] = '\0';
        while (!strstr(request, "\r\n\r\n") &&
               (n = recv(fd, request + got, sizeof request - 1 - got, 0)) > 0) {
            got += (size_t)n;
            request[got] = '\0';
        }
        if (sscanf(request, "GET %255s", path) == 1)
            answer(h, fd, path);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

struct test_http *test_http_start(const void *file, size_t len)
{
    struct test_http *h = HF_NEW(struct test_http);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t a_len = sizeof a;
    h->file = file;
    h->len = len;
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HF_ASSERT(h->fd >= 0 && bind(h->fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(h->fd, 16) == 0);
    HF_ASSERT(getsockname(h->fd, (struct sockaddr *)&a, &a_len) == 0);
    h->port = ntohs(a.sin_port);
    HF_ASSERT(pthread_create(&h->thread, NULL, serve, h) == 0);
    return h;
}

unsigned test_http_port(const struct test_http *h)
{
    return h->port;
}

unsigned test_http_served(struct test_http *h)
{
    return atomic_load(&h->served);
}

void test_http_stop(struct test_http *h)
{
    shutdown(h->fd, SHUT_RDWR);
    pthread_join(h->thread, NULL);
    close(h->fd);
    free(h);
}
