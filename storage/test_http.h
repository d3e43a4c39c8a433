/* A web server for tests: one thread, loopback, a fixed set of paths.
 *   /file  the file, with its length      /endless  bytes without length or end
 *   /chunk the file, without its length   /to-file  a redirect to file:///etc/passwd
 *   /moved a redirect to /file            other     404
 */
#ifndef HF_STORAGE_TEST_HTTP_H
#define HF_STORAGE_TEST_HTTP_H

#include <stddef.h>

struct test_http;

struct test_http *test_http_start(const void *file, size_t len);
unsigned test_http_port(const struct test_http *h);
unsigned test_http_served(struct test_http *h); /* how often /file was asked for */
void test_http_stop(struct test_http *h);

#endif
