/* coded.h - rows, and a Data that carries them: a descriptor set with starts and a bound, then the same rows
 * as a fast block and as a small one. */
#ifndef FOGLINE_TESTS_WIRE_CODED_H
#define FOGLINE_TESTS_WIRE_CODED_H

#include "codec/block.h"
#include "wire/wire.h"

enum { CODED_ROWS = 80, CODED_COLUMNS = 5, CODED_BLOCKS = 2 };

/* temperature: tenths, some absent; level: within 0.25; strokes: int64, some uncertain; door; program. */
struct coded_rows {
    int64_t time_ns[CODED_ROWS], strokes[CODED_ROWS], door[CODED_ROWS];
    double temperature[CODED_ROWS], level[CODED_ROWS];
    uint8_t absent[CODED_ROWS], quality[CODED_ROWS];
    struct span program[CODED_ROWS];
    struct column columns[CODED_COLUMNS];
    struct block block;
};

extern const enum column_type coded_types[CODED_COLUMNS];
extern const double coded_bounds[CODED_COLUMNS];

void coded_rows_init(struct coded_rows *r);
/* The packed Up. Aborts when it cannot. */
void coded_up(const struct coded_rows *r, struct buf *out);

#endif
