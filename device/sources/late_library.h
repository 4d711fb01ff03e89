/* late_library.h - a foreign library that is loaded when a source of its kind is configured, and not before.
 *
 * What most devices never use costs them neither memory nor time at the start, nor the package. A library's
 * own file (mqtt_lib.c, modbus_lib.c) names its functions; their types are those of its header. Once loaded
 * it stays for the life of the process. Threads: the main thread; the functions themselves anywhere. */
#ifndef FOGLINE_DEVICE_LATE_LIBRARY_H
#define FOGLINE_DEVICE_LATE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

struct late_function {
    const char *name; /* NULL: the end */
    size_t offset;    /* of its pointer in the table */
};

struct late_library {
    const char *file;    /* "libx.so.1": looked for where the system has its libraries */
    const char *package; /* that brings it, in Debian */
    const struct late_function *functions;
    void *table; /* filled when all of them are there */
    bool is_loaded;
    char why[256];
};

/* NULL: it is there, *table can be used; or what is wrong and the remedy, borrowed from l. What failed is
 * tried again with the next call: a package may be installed while a daemon runs. */
const char *late_library_load(struct late_library *l);

#endif
