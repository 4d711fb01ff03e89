/* frames.h - how the fast encoding packs the integers of a column: FRAME of them with one width, those that
 * are wider patched. The format stands in README.md, "The fast encoding". Private to common/codec.
 *
 * After Zukowski, Heman, Nes and Boncz, "Super-scalar RAM-CPU cache compression" (2006): PFOR. Threads: pure.
 */
#ifndef FOGLINE_CODEC_FRAMES_H
#define FOGLINE_CODEC_FRAMES_H

#include "base/bytes.h"
#include "codec/kernels.h"

/* z: room for n rounded up to whole frames, where zeros are written. A failure sticks in `out`. */
void frames_put(struct buf *out, uint64_t *z, size_t n);
/* z: room for n rounded up to whole frames; what stands behind the n-th is of no meaning. False when they are
 * damaged or the reader ends before them; it reads nothing past its end. */
bool frames_get(struct reader *r, size_t n, uint64_t *z);

#endif
