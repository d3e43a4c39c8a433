/* Puts and linearizable reads into a cluster of three processes on this machine, submitted inside the leader:
 * what the replicated store does without the API on top.
 *
 * hf_bench_replica [--dir DIR] [--seconds N] [--objects N] [IN_FLIGHT …]     (0 in flight: what it costs when
 * idle)
 */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/env.h"
#include "base/mem.h"
#include "consensus/raft_uv.h"

#define MEMBERS     3
#define BASE_PORT   17500
#define VALUE_BYTES 250
#define ROUNDS_MAX  16
#define SAMPLES_MAX 4000000
#define SETTLE_MS   1000

struct bench {
    uv_loop_t loop;
    struct hf_env *env;
    struct hf_replica *replica;
    struct hf_raft_uv *raft;
    struct hf_timer timer;
    struct hf_bytes *value;
    int in_flight[ROUNDS_MAX];
    int n_rounds, round, seconds;
    uint64_t objects;
    bool reading, running;
    uint64_t counter, finished, failed;
    int64_t began_ns, cpu_began_us;
    uint32_t *samples_us;
    size_t n_samples;
    int ready_pipe; /* a byte for each time that a member becomes the leader */
};

struct request {
    struct bench *b;
    int64_t began_ns;
};

static int64_t cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000L + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static long rss_mib(void)
{
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (f != NULL)
        fclose(f);
    return resident * sysconf(_SC_PAGESIZE) >> 20;
}

static void next_request(struct request *q);

static void finish_request(struct request *q, bool ok)
{
    struct bench *b = q->b;
    if (!b->running) {
        free(q);
        return;
    }
    b->finished++;
    b->failed += !ok;
    if (b->n_samples < SAMPLES_MAX)
        b->samples_us[b->n_samples++] = (uint32_t)((hf_env_now_ns(b->env) - q->began_ns) / 1000);
    next_request(q);
}

static void on_put(void *arg, hf_status st, const struct hf_txn_result *res)
{
    finish_request(arg, hf_ok(st) && res->code == HF_OK);
}

static void on_read(void *arg, hf_status st)
{
    finish_request(arg, hf_ok(st));
}

static void next_request(struct request *q)
{
    struct bench *b = q->b;
    q->began_ns = hf_env_now_ns(b->env);
    if (b->reading) {
        hf_replica_barrier(b->replica, on_read, q);
        return;
    }
    char name[32], id[32];
    uint64_t n = b->counter++;
    snprintf(name, sizeof name, "object-%llu", (unsigned long long)(n % b->objects));
    snprintf(id, sizeof id, "request-%llu", (unsigned long long)n);
    struct hf_uuid uuid = {{1}};
    uint64_t number = n % b->objects;
    memcpy(uuid.b + 8, &number, sizeof number);
    struct hf_txn *t = hf_txn_create(id, n);
    hf_txn_put_bytes(t, 1, &uuid, name, b->value);
    hf_txn_answer_last_put(t);
    hf_replica_submit(b->replica, t, on_put, q);
}

static void begin_round(void *arg);

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(struct bench *b)
{
    double seconds = (double)(hf_env_now_ns(b->env) - b->began_ns) / 1e9;
    qsort(b->samples_us, b->n_samples, sizeof *b->samples_us, by_value);
    size_t n = b->n_samples == 0 ? 1 : b->n_samples;
    printf(
        "%-4s in flight %5d: %8.0f/s  p50 %6u us  p99 %6u us  max %7u us  failed %llu  leader's CPU %5.1f%% "
        "%3ld MiB\n",
        b->reading ? "read" : "put", b->in_flight[b->round], (double)b->finished / seconds,
        b->samples_us[n / 2], b->samples_us[n * 99 / 100], b->samples_us[n - 1],
        (unsigned long long)b->failed, (double)(cpu_us() - b->cpu_began_us) / 1e4 / seconds, rss_mib());
    fflush(stdout);
}

static void end_round(void *arg)
{
    struct bench *b = arg;
    b->running = false;
    report(b);
    b->reading = !b->reading;
    if (!b->reading)
        b->round++;
    if (b->round == b->n_rounds)
        _exit(0); /* as if it were killed */
    hf_timer_start(b->env, &b->timer, SETTLE_MS, begin_round, b);
}

static void begin_round(void *arg)
{
    struct bench *b = arg;
    b->running = true;
    b->finished = b->failed = b->n_samples = 0;
    b->began_ns = hf_env_now_ns(b->env);
    b->cpu_began_us = cpu_us();
    for (int i = 0; i < b->in_flight[b->round]; i++) {
        struct request *q = HF_NEW(struct request);
        q->b = b;
        next_request(q);
    }
    hf_timer_start(b->env, &b->timer, b->seconds * 1000, end_round, b);
}

static void on_role(void *arg, const struct hf_replica_state *st)
{
    struct bench *b = arg;
    if (st->ready && write(b->ready_pipe, "x", 1) != 1)
        exit(1);
    if (st->ready && !hf_timer_running(&b->timer) && !b->running)
        hf_timer_start(b->env, &b->timer, SETTLE_MS, begin_round, b);
}

static void run_member(struct bench *b, const char *dir, int number)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char path[256], addresses[MEMBERS][32];
    struct hf_raft_member members[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) {
        snprintf(addresses[i], sizeof addresses[i], "127.0.0.1:%d", BASE_PORT + i);
        members[i] = (struct hf_raft_member){.id = (uint64_t)i + 1, .address = addresses[i]};
    }
    snprintf(path, sizeof path, "%s/member-%d", dir, number + 1);
    uv_loop_init(&b->loop);
    b->env = hf_env_uv_create(&b->loop);
    b->replica = hf_replica_create(b->env, NULL, 0);
    b->samples_us = hf_alloc_array(SAMPLES_MAX, sizeof *b->samples_us);
    b->value = hf_bytes_new(VALUE_BYTES);
    hf_replica_on_role(b->replica, on_role, b);
    struct hf_raft_options o = {.id = (uint64_t)number + 1,
                                .address = addresses[number],
                                .dir = path,
                                .members = members,
                                .n_members = MEMBERS};
    hf_status st = hf_raft_uv_start(&b->loop, b->replica, &o, &b->raft);
    if (!hf_ok(st)) {
        fprintf(stderr, "hf_bench_replica: %s\n", hf_status_message(st));
        exit(1);
    }
    uv_run(&b->loop, UV_RUN_DEFAULT);
}

static void parse(struct bench *b, int argc, char **argv, const char **dir)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"objects", required_argument, NULL, 'o'},
                                            {0}};
    b->seconds = 3;
    b->objects = 100000;
    for (int c; (c = getopt_long(argc, argv, "d:s:o:", options, NULL)) != -1;) {
        if (c == 'd')
            *dir = optarg;
        else if (c == 's')
            b->seconds = atoi(optarg);
        else if (c == 'o')
            b->objects = strtoull(optarg, NULL, 10);
        else
            exit(2);
    }
    for (; optind < argc && b->n_rounds < ROUNDS_MAX; optind++)
        b->in_flight[b->n_rounds++] = atoi(argv[optind]);
    if (b->n_rounds == 0) {
        b->n_rounds = 3;
        memcpy(b->in_flight, (int[]){1, 64, 1024}, 3 * sizeof(int));
    }
}

/* Waits for a byte; the time it took, or -1. */
static int await_ready(int fd, int timeout_ms)
{
    char byte;
    struct timespec began, ended;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    clock_gettime(CLOCK_MONOTONIC, &began);
    if (poll(&p, 1, timeout_ms) != 1 || read(fd, &byte, 1) != 1)
        return -1;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    return (int)((ended.tv_sec - began.tv_sec) * 1000 + (ended.tv_nsec - began.tv_nsec) / 1000000);
}

/* The leader measures and ends; then the next one is waited for. */
static int watch_members(pid_t pids[MEMBERS], int ready)
{
    int status = 1;
    if (await_ready(ready, 30000) < 0)
        fprintf(stderr, "hf_bench_replica: no leader was elected\n");
    pid_t first = wait(&status);
    int failover_ms = await_ready(ready, 30000);
    printf("the leader ended: another was ready after %d ms\n", failover_ms);
    for (int i = 0; i < MEMBERS; i++)
        if (pids[i] != first)
            kill(pids[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    return WIFEXITED(status) && failover_ms >= 0 ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    char scratch[] = "/tmp/hf_bench_replica.XXXXXX";
    const char *dir = NULL;
    int ready[2];
    parse(&bench, argc, argv, &dir);
    if ((dir == NULL && (dir = mkdtemp(scratch)) == NULL) || pipe(ready) != 0) {
        perror("hf_bench_replica: make a directory in /tmp");
        return 1;
    }
    bench.ready_pipe = ready[1];
    pid_t pids[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            run_member(&bench, dir, i);
    }
    int rv = watch_members(pids, ready[0]);
    if (dir == scratch) {
        char *command = hf_printf("rm -rf '%s'", scratch);
        if (system(command) != 0)
            fprintf(stderr, "hf_bench_replica: remove '%s' failed\n", scratch);
        free(command);
    }
    return rv;
}
