/* reader_private.h - a reader and the slots between its two threads, for reader.c (life, and what the
 * reader's thread says) and reader_step.c (what the act thread makes of it) only. */
#ifndef FOGLINE_DEVICE_READER_PRIVATE_H
#define FOGLINE_DEVICE_READER_PRIVATE_H

#include "device/sources/reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

struct reader_slot {
    bool is_event;
    uint32_t group;
    int64_t wall_unix_ns, mono_ns;
    uint32_t type, severity;
    char channel[SOURCE_NAME_BYTES], text[READER_TEXT_BYTES];
    struct cell *cells; /* cells_max */
};

struct reader_group {
    bool is_declared, is_refused;
    uint32_t number, n;      /* of the sink; channels */
    enum column_type *types; /* cells_max */
    struct cell *last;       /* cells_max: what was given last, for bad rows */
};

struct source_reader {
    char what[READER_WHAT_BYTES];
    struct source_reader_options options;
    pthread_t thread;
    bool is_started;
    int64_t stop_mono_ns; /* when source_reader_stop was called; 0: not yet */
    int stop_fd, wake_fd;
    atomic_int state; /* of the thread, see reader.c */
    atomic_bool stopping;

    /* One producer, one consumer: slot i % n_slots is the producer's from taken + n_slots on. */
    struct reader_slot *slots;
    uint32_t n_slots;
    _Atomic uint32_t given, taken;
    _Atomic uint64_t lost;
    _Atomic int64_t answer_mono_ns; /* when a read ended last; 0: none yet */

    /* Of the reader's thread. */
    struct source_now tick;
    int64_t rest_mono_ns;
    bool has_given;

    /* Of the act thread. */
    struct reader_group *groups;
    struct cell *bad;                   /* cells_max */
    int64_t first_mono_ns, bad_mono_ns; /* of the first step; of the bad row that was given last */
    bool is_hung;
    uint64_t lost_told;
};

static inline void reader_clear_fd(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof count) < 0)
        return;
}

#endif
