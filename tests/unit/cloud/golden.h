/* golden.h - what stands in tests/golden/v1/archive. */
#ifndef FOGLINE_TESTS_CLOUD_GOLDEN_H
#define FOGLINE_TESTS_CLOUD_GOLDEN_H

#include "fixture.h"

enum {
    GOLDEN_BLOCKS = 5, /* of device 0, 4 rows each */
    GOLDEN_ROWS = 4,
    GOLDEN_UNKNOWN_KIND = 4711,
};
#define GOLDEN_FIRST_NS (INT64_C(1700000000) * NS_PER_S)

static inline void golden_row(struct fixture_row *row, unsigned block, unsigned r)
{
    *row = (struct fixture_row){.time_ns = GOLDEN_FIRST_NS + (int64_t)(block * 10 + r) * NS_PER_S};
    row->cells[0].f64 = 20.1 + block + r / 8.0;
    row->cells[0].quality = r == 3 ? QUALITY_UNCERTAIN : QUALITY_GOOD;
    row->cells[1].i64 = (int64_t)block * 1000000007 - r;
    row->cells[2].i64 = r % 2;
    row->cells[3].text = span_str(block % 2 == 0 ? "ok" : "a,b \"c\"");
    row->cells[3].absent = r == 2;
}

#endif
