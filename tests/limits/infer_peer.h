/* infer_peer.h - ONNX Runtime by its C interface, from a shared library that is there or not. One thread. */
#ifndef FOGLINE_TESTS_INFER_PEER_H
#define FOGLINE_TESTS_INFER_PEER_H

#include "base/bytes.h"
#include "base/err.h"

struct peer;
struct peer_session;

/* -ENOENT: no such library, or one without the interface; the sentence says which. Stays loaded. */
must_check int peer_open(const char *path, struct peer **ret, struct errmsg *err);
const char *peer_version(const struct peer *p);
/* One float32 input "x" of this shape at `x`, one float32 output "y" of n_y elements in `y`; all borrowed. */
must_check int peer_session_new(struct peer *p, struct span model, size_t rank, const int64_t *shape,
                                float *x, size_t n_y, const int64_t y_shape[], size_t y_rank, float *y,
                                struct peer_session **ret, struct errmsg *err);
must_check int peer_run(struct peer_session *s, struct errmsg *err);

#endif
