#include "device/infer/worker.h"

#include "device/sources/quiet_thread.h"

#include <errno.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NICE = 10 };

struct worker {
    sem_t ready;
    atomic_bool stops;
    struct worker_job *jobs; /* a ring; changed while none was submitted */
    pthread_t thread;
};

int worker_new(struct worker **ret_w)
{
    struct worker *w = calloc(1, sizeof *w);

    if (w == NULL)
        return -ENOMEM;
    sem_init(&w->ready, 0, 0);
    *ret_w = w;
    return 0;
}

static void *work(void *ctx)
{
    struct worker *w = ctx;
    const uint64_t one = 1;

    /* Whoever reads sensors and stores goes first; not allowed to: as they are. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    for (;;) {
        while (sem_wait(&w->ready) != 0)
            continue;
        if (atomic_load_explicit(&w->stops, memory_order_relaxed))
            return NULL;
        do
            w->jobs = w->jobs->next;
        while (atomic_load_explicit(&w->jobs->state, memory_order_acquire) != WORKER_READY);
        w->jobs->run(w->jobs, &w->stops);
        atomic_store_explicit(&w->jobs->state, WORKER_DONE, memory_order_release);
        if (write(w->jobs->done_fd, &one, sizeof one) < 0)
            return NULL; /* an eventfd takes it */
    }
}

int worker_add(struct worker *w, struct worker_job *job)
{
    int rc = w->jobs != NULL ? 0 : quiet_thread(&w->thread, "worker", work, w);

    if (rc != 0)
        return rc;
    job->next = w->jobs != NULL ? w->jobs->next : job;
    if (w->jobs != NULL)
        w->jobs->next = job;
    else
        w->jobs = job;
    return 0;
}

void worker_submit(struct worker *w, struct worker_job *job)
{
    atomic_store_explicit(&job->state, WORKER_READY, memory_order_release);
    sem_post(&w->ready);
}

struct worker *worker_free(struct worker *w)
{
    if (w == NULL)
        return NULL;
    atomic_store_explicit(&w->stops, true, memory_order_relaxed);
    sem_post(&w->ready);
    if (w->jobs != NULL)
        pthread_join(w->thread, NULL);
    sem_destroy(&w->ready);
    free(w);
    return NULL;
}
