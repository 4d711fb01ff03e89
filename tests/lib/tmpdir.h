/* tmpdir.h - a temporary folder for one test case, under $TMPDIR or /tmp; removed with everything in it.
 *
 *     struct tmpdir dir;
 *     tmpdir_init(&dir);
 *     ... tmpdir_path(&dir, "store") ...
 *     tmpdir_deinit(&dir);
 */
#ifndef FOGLINE_TESTS_TMPDIR_H
#define FOGLINE_TESTS_TMPDIR_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct tmpdir {
    char path[PATH_MAX / 4];
    char joined[PATH_MAX];
};

/* Aborts when no folder can be made: no test says anything useful without it. */
static inline void tmpdir_init(struct tmpdir *d)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(d->path, sizeof d->path, "%s/fogline-test-XXXXXX",
                     base != NULL && *base != '\0' ? base : "/tmp");

    if (n < 0 || (size_t)n >= sizeof d->path || mkdtemp(d->path) == NULL) {
        perror("mkdtemp");
        abort();
    }
}

/* "<folder>/<name>"; borrowed until the next call. */
static inline const char *tmpdir_path(struct tmpdir *d, const char *name)
{
    snprintf(d->joined, sizeof d->joined, "%s/%s", d->path, name);
    return d->joined;
}

static inline int tmpdir_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void tmpdir_deinit(struct tmpdir *d)
{
    nftw(d->path, tmpdir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
