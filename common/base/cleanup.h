/* cleanup.h - owned locals. `owned(close_fd) int fd = -1;` runs close_fd(&fd) when the scope ends. Hand a
 * value over with TAKE(p), which yields it and leaves NULL behind. There is no `goto` clean-up beside it. */
#ifndef FOGLINE_BASE_CLEANUP_H
#define FOGLINE_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define owned(fn) __attribute__((cleanup(fn)))

#define TAKE(p)                                                                                              \
    ({                                                                                                       \
        __typeof__(p) take_value_ = (p);                                                                     \
        (p) = NULL;                                                                                          \
        take_value_;                                                                                         \
    })

/* For owned(): each accepts the "nothing" value of its type. */
static inline void free_ptr(void *p)
{
    free(*(void **)p);
}

static inline void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void close_file(FILE **f)
{
    if (*f != NULL)
        fclose(*f);
}

#endif
