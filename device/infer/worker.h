/* worker.h - one thread for what takes too long for the act thread.
 *
 * A job is one piece of work at a time, handed to and fro by its state: its owner may touch what it works on
 * while it is free or done, the worker in between. Nobody waits: a job is submitted, and its descriptor
 * becomes readable when it is done. Jobs take turns. Threads: worker_new, worker_add and worker_free on the
 * main thread, before and after the others; submit by the owner of the job. */
#ifndef FOGLINE_DEVICE_INFER_WORKER_H
#define FOGLINE_DEVICE_INFER_WORKER_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { WORKER_FREE, WORKER_READY, WORKER_DONE };

struct worker_job {
    /* On the worker; returns early when *stops becomes true. */
    void (*run)(struct worker_job *job, const atomic_bool *stops);
    int done_fd; /* an eventfd of the owner */
    _Atomic int state;
    struct worker_job *next; /* the worker's */
};

struct worker;

must_check int worker_new(struct worker **ret_w);
struct worker *worker_free(struct worker *w); /* accepts NULL; waits until a run has returned */
/* Zeroed but for run and done_fd. Borrowed until worker_free. The thread starts with the first. */
must_check int worker_add(struct worker *w, struct worker_job *job);
void worker_submit(struct worker *w, struct worker_job *job); /* of a free job */

#endif
