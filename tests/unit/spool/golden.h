/* golden.h - the content of the stores under tests/golden, written once and read by every later version. */
#ifndef FOGLINE_TESTS_SPOOL_GOLDEN_H
#define FOGLINE_TESTS_SPOOL_GOLDEN_H

#include "helper.h"

#define GOLDEN_RELAYED_ORIGIN "dev-2"
enum { GOLDEN_MAP_BYTES = 256 * 1024, GOLDEN_ORDINARY = 12, GOLDEN_URGENT = 2, GOLDEN_SESSION = 41 };
static const struct id128 golden_relayed_epoch = {
    {0xaa, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}};

static inline struct spool_options golden_options(const char *path)
{
    struct spool_options o = helper_spool(path);

    o.db.map_bytes = GOLDEN_MAP_BYTES;
    return o;
}

#endif
