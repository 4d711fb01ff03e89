/* block_head.h - reads the header of a Block without unpacking it: what ingest and scans need of each block.
 *
 * A plain walk over the protobuf fields of proto/record.proto, Block; the body stays where it is. Unknown
 * fields are skipped, repeated scalars: the last one counts, as in protobuf. Fields of the wrong wire type,
 * cut lengths and rows out of range are refused. The full, validated form (covers) is wire_block_unpack's.
 * Pure; bounded by the payload. */
#ifndef FOGLINE_ARCHIVE_BLOCK_HEAD_H
#define FOGLINE_ARCHIVE_BLOCK_HEAD_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct block_head {
    uint64_t set_id, time_span_ns, mono_first_ns;
    int64_t time_first_ns;
    uint32_t format, rows, samples, encoding, clock_state, clock_error_us;
    bool has_covers;
    struct span body; /* borrows the payload */
};

bool block_head_read(struct span payload, struct block_head *ret_h);

#endif
