/* gate.h - the ZAP gate: who may connect at all.
 *
 * One thread answers ZAP requests (inproc://zeromq.zap.01) from an allow-list. libzmq lets everybody in when
 * no handler is bound, so gate_new returns only when the gate stands, it is made before the first bind, its
 * thread's death aborts the process, and gate_self_test proves that a random key is refused. Unknown keys get
 * 300 (the client keeps trying, so it comes in by itself once accepted), revoked keys 400 (its socket falls
 * silent until it is made anew). A passed peer's User-Id is its node id. The times of refusals are those of
 * the system's clock. Threads: gate_set and the queries may be called from any thread. */
#ifndef FOGLINE_LINK_GATE_H
#define FOGLINE_LINK_GATE_H

#include "link/keys.h"

#include <stddef.h>

enum { GATE_REFUSED_MAX = 64, GATE_NAME_BYTES = 65 };

struct gate;

struct gate_node {
    char id[GATE_NAME_BYTES];
    uint8_t transport[KEY_BYTES];
    bool revoked;
};

/* A key that was turned away. */
struct gate_refusal {
    uint8_t transport[KEY_BYTES];
    char address[64];
    uint64_t count;
    int64_t first_unix_ns, last_unix_ns;
    bool revoked;
};

struct gate_counters {
    uint64_t accepted, refused_unknown, refused_revoked, refused_malformed;
};

must_check int gate_new(struct gate **ret_g, void *zmq_ctx); /* refuses everybody until gate_set */
struct gate *gate_free(struct gate *g); /* accepts NULL; after all sockets of the context are closed */
/* Replaces the list; copies. An id may have several keys. -EINVAL, the list unchanged: a key twice, an empty
 * id. */
must_check int gate_set(struct gate *g, const struct gate_node *nodes, size_t n);
/* Is this node id (still) allowed: the per-message check after a revocation. */
bool gate_allows(struct gate *g, const char *id);
/* Newest first; returns how many. The ring keeps the newest GATE_REFUSED_MAX keys. */
size_t gate_refused(struct gate *g, struct gate_refusal *out, size_t max);
void gate_counters_get(struct gate *g, struct gate_counters *ret_c);
/* Connects to the bound endpoint of a PULL ("tcp://127.0.0.1:5570") with a key made for this and waits for
 * its refusal, which is neither counted nor kept. 0 when this gate refused it; -EACCES when it got in or
 * nothing answered within timeout_ms; -EBUSY while another self-test runs. Blocks. */
must_check int gate_self_test(struct gate *g, void *zmq_ctx, const char *endpoint,
                              const uint8_t server_public[KEY_BYTES], int timeout_ms);

#endif
