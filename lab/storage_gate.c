#include "lab/storage_gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 20 /* between two looks at whether a held caller has a signal */

static const char CLASSES[] = "rwsm";
static const char *const ACTIONS[HF_GATE_ACTIONS] = {"ok", "hang", "eio", "enospc", "erofs", "delay"};
static const int ERRORS[HF_GATE_ACTIONS] = {0, 0, EIO, ENOSPC, EROFS, 0};

void hf_gate_init(struct hf_gate *g)
{
    *g = (struct hf_gate){.killable = false};
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->changed, NULL);
}

static void wait_a_moment(struct hf_gate *g)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += LOOK_MS * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000L;
    }
    pthread_cond_timedwait(&g->changed, &g->mutex, &t);
}

/* Waits while the class hangs; false: the caller is let go. */
static bool hold(struct hf_gate *g, enum hf_gate_class c, bool (*interrupted)(void))
{
    bool stays = true;
    g->held[c]++;
    while (g->action[c] == HF_GATE_HANG && stays) {
        wait_a_moment(g);
        stays = !(g->killable && interrupted && interrupted());
    }
    g->held[c]--;
    return stays;
}

int hf_gate_pass(struct hf_gate *g, enum hf_gate_class c, bool (*interrupted)(void), bool *ret_held)
{
    pthread_mutex_lock(&g->mutex);
    bool held = g->action[c] == HF_GATE_HANG;
    if (held && !hold(g, c, interrupted)) {
        pthread_mutex_unlock(&g->mutex);
        return HF_GATE_LET_GO;
    }
    enum hf_gate_action action = g->action[c];
    unsigned delay_ms = action == HF_GATE_DELAY ? g->delay_ms[c] : 0;
    if (ERRORS[action] == 0) {
        g->passed[c]++;
        g->landed_late += held && c == HF_GATE_WRITE;
    }
    pthread_mutex_unlock(&g->mutex);
    if (delay_ms > 0)
        nanosleep(&(struct timespec){.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1000000L}, NULL);
    if (ret_held)
        *ret_held = held;
    return -ERRORS[action];
}

static int action_of(const char *word)
{
    for (int i = 0; i < HF_GATE_ACTIONS; i++)
        if (strcmp(word, ACTIONS[i]) == 0)
            return i;
    return -1;
}

static bool is_classes(const char *word)
{
    return word[0] != '\0' && strspn(word, CLASSES) == strlen(word);
}

static bool take(struct hf_gate *g, const char *line)
{
    char first[16] = "", second[16] = "", more = '\0';
    unsigned ms = 0;
    int words = sscanf(line, "%15s %15s %u %c", first, second, &ms, &more);
    if (words == 1 && strcmp(first, "stat") == 0)
        return true;
    if (words == 1 && strcmp(first, "ok") == 0) {
        memset(g->action, 0, sizeof g->action); /* HF_GATE_OK */
        return true;
    }
    if (words == 2 && strcmp(first, "killable") == 0 &&
        (strcmp(second, "yes") == 0 || strcmp(second, "no") == 0)) {
        g->killable = strcmp(second, "yes") == 0;
        return true;
    }
    int action = action_of(second);
    if (words < 2 || action < 0 || !is_classes(first) || (action == HF_GATE_DELAY) != (words == 3) ||
        ms > HF_GATE_DELAY_MS_MAX)
        return false;
    for (const char *c = first; *c; c++) {
        size_t class = (size_t)(strchr(CLASSES, *c) - CLASSES);
        g->action[class] = (enum hf_gate_action)action;
        g->delay_ms[class] = ms;
    }
    return true;
}

bool hf_gate_order(struct hf_gate *g, const char *line, char *answer, size_t len)
{
    pthread_mutex_lock(&g->mutex);
    bool taken = take(g, line);
    pthread_cond_broadcast(&g->changed);
    const char *a[HF_GATE_CLASSES];
    for (int i = 0; i < HF_GATE_CLASSES; i++)
        a[i] = ACTIONS[g->action[i]];
    if (taken)
        snprintf(
            answer, len,
            "{\"rules\": {\"r\": \"%s\", \"w\": \"%s\", \"s\": \"%s\", \"m\": \"%s\"}, \"killable\": %s, "
            "\"reads\": %lu, \"writes\": %lu, \"syncs\": %lu, \"held\": %u, \"held_writes\": %u, "
            "\"landed_late\": %lu}\n",
            a[0], a[1], a[2], a[3], g->killable ? "true" : "false", g->passed[HF_GATE_READ],
            g->passed[HF_GATE_WRITE], g->passed[HF_GATE_SYNC],
            g->held[0] + g->held[1] + g->held[2] + g->held[3], g->held[HF_GATE_WRITE], g->landed_late);
    else
        snprintf(answer, len,
                 "{\"error\": \"the orders are: stat | ok | killable yes|no | CLASSES ACTION [MS]\"}\n");
    pthread_mutex_unlock(&g->mutex);
    return taken;
}
