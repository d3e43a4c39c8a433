/* The echo service as a program, for tests with foreign clients: echo_server ADDRESS [CERT KEY [CA]]. Says
 * its port on standard output, ends on SIGTERM and then says how many calls were cancelled.
 */
#include <signal.h>
#include <stdio.h>

#include "rpc/descriptor_set.h"
#include "rpc/echo_service.h"

static struct hf_grpc_server *server;
static struct hf_echo *echo;
static uv_signal_t term;

static void on_closed(void *arg)
{
    (void)arg;
    printf("cancelled %llu\n", (unsigned long long)hf_echo_cancelled(echo));
    hf_echo_free(echo);
}

static void on_term(uv_signal_t *s, int signum)
{
    (void)signum;
    uv_close((uv_handle_t *)s, NULL);
    hf_grpc_server_close(server, 500, on_closed, NULL);
}

int main(int argc, char **argv)
{
    struct hf_grpc_server_options o = {.address = argc > 1 ? argv[1] : "127.0.0.1:0"};
    if (argc > 3)
        o.tls = (struct hf_tls_files){.cert = argv[2], .key = argv[3], .ca = argc > 4 ? argv[4] : NULL};
    signal(SIGPIPE, SIG_IGN);
    uv_loop_t *loop = uv_default_loop();
    hf_status st = hf_grpc_server_create(loop, &o, &server);
    if (hf_ok(st)) {
        echo = hf_echo_create(loop, server);
        hf_grpc_server_add_health(server);
        hf_grpc_server_set_health(server, "holdfast.rpctest.Echo", true);
        hf_grpc_server_set_health(server, "holdfast.rpctest.Asleep", false);
        hf_grpc_server_add_reflection(server, hf_descriptor_set, hf_descriptor_set_len);
        st = hf_grpc_server_listen(server);
    }
    if (!hf_ok(st)) {
        fprintf(stderr, "echo_server: %s\n", hf_status_message(st));
        hf_status_drop(st);
        return 1;
    }
    uv_signal_init(loop, &term);
    uv_signal_start(&term, on_term, SIGTERM);
    printf("port %d\n", hf_grpc_server_port(server));
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    return uv_loop_close(loop) != 0;
}
