/* Reads that are proven fresh by asking the other members, without a log entry. */
#include <stdlib.h>

#include "base/buggify.h"
#include "consensus/replica_private.h"

#define QUESTION_MS 50   /* without an answer reads take barriers … */
#define DOUBT_MS    1000 /* … for so long */

void hf_replica_on_confirm(struct hf_replica *r, void (*confirm)(void *arg, uint64_t question), void *arg)
{
    r->confirm = confirm;
    r->confirm_arg = arg;
}

bool hf_questions_may_ask(const struct hf_replica *r)
{
    return r->confirm != NULL && raft_state(r->raft) == RAFT_LEADER &&
           r->ready_term == raft_current_term(r->raft) && hf_env_now_ms(r->env) >= r->doubt_until_ms;
}

void hf_questions_ask(struct hf_replica *r)
{
    struct proposal *p = hf_replica_proposal_create(r);
    p->asked_ms = hf_env_now_ms(r->env);
    QUEUE_APPEND(&p->readers, &r->reads);
    QUEUE_PUSH(&r->questions, p);
    r->n_questions++;
    r->confirm(r->confirm_arg, p->sequence);
}

void hf_replica_confirmed(struct hf_replica *r, uint64_t term, uint64_t question)
{
    while (r->questions.first != NULL && r->questions.first->sequence <= question &&
           r->questions.first->term == term) {
        struct proposal *p = r->questions.first;
        QUEUE_POP(&r->questions);
        QUEUE_PUSH(&r->done, p);
        r->n_questions--;
        hf_replica_become_dirty(r);
    }
}

void hf_questions_check(struct hf_replica *r)
{
    struct proposal *first = r->questions.first;
    int64_t now = hf_env_now_ms(r->env);
    if (first == NULL || (now < first->asked_ms + QUESTION_MS && !HF_BUGGIFY(READ_BY_BARRIER)))
        return;
    r->doubt_until_ms = now + DOUBT_MS;
    struct readers again;
    QUEUE_INIT(&again);
    while (r->questions.first != NULL) {
        struct proposal *p = r->questions.first;
        QUEUE_POP(&r->questions);
        QUEUE_APPEND(&again, &p->readers);
        free(p);
    }
    r->n_questions = 0;
    QUEUE_APPEND(&again, &r->reads);
    QUEUE_APPEND(&r->reads, &again);
}

void hf_questions_drop(struct hf_replica *r)
{
    for (struct proposal *p = r->questions.first; p != NULL; p = p->next)
        p->status = RAFT_LEADERSHIPLOST;
    QUEUE_APPEND(&r->done, &r->questions);
    r->n_questions = 0;
}
