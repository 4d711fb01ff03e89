#include "device/sources/late_library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static bool find_all(struct late_library *l, void *handle)
{
    for (const struct late_function *f = l->functions; f->name != NULL; f++) {
        void *at = dlsym(handle, f->name);

        if (at == NULL) {
            snprintf(l->why, sizeof l->why, "%s has no %s; install a newer %s", l->file, f->name, l->package);
            return false;
        }
        memcpy((char *)l->table + f->offset, &at, sizeof at);
    }
    return true;
}

const char *late_library_load(struct late_library *l)
{
    void *handle;

    if (l->is_loaded)
        return NULL;
    handle = dlopen(l->file, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        snprintf(l->why, sizeof l->why, "needs %s; install %s (%.150s)", l->file, l->package, dlerror());
        return l->why;
    }
    l->is_loaded = find_all(l, handle);
    if (!l->is_loaded)
        dlclose(handle);
    return l->is_loaded ? NULL : l->why;
}
