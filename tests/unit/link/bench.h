/* bench.h - what the tests of common/link share: an upper side with its gate and some known nodes, driven by
 * polling with deadlines. */
#ifndef FOGLINE_TEST_LINK_BENCH_H
#define FOGLINE_TEST_LINK_BENCH_H

#include "link/gate.h"
#include "link/link.h"

#include <stdbool.h>
#include <stdint.h>

enum { BENCH_NODES = 3, BENCH_WAIT_MS = 10000 };

struct bench {
    void *ctx;
    struct gate *gate;
    struct link_upper *upper;
    struct node_keys upper_keys, node_keys[BENCH_NODES]; /* of node-0, node-1, node-2 */
    uint16_t port;
    size_t n_up; /* messages received */
    char last_user[GATE_NAME_BYTES], last_address[64];
    struct buf last_up;
};

int64_t bench_now_ms(void);
/* A context, a gate that knows all nodes, an upper side at 127.0.0.1. */
void bench_init(struct bench *b);
void bench_deinit(struct bench *b);
void bench_allow(struct bench *b, unsigned revoked_mask);
void bench_start_upper(struct bench *b, uint16_t port);
/* Takes what is there on the upper side, its subscriptions too. */
void bench_pump(struct bench *b);
struct link_lower *bench_lower(struct bench *b, int node);
/* For raw sockets of ZeroMQ. */
void *bench_raw_client(void *ctx, int type, const struct node_keys *keys, const uint8_t *server_public,
                       uint16_t port);
/* Free ports p and p + 1, below the range that outgoing connections are given. */
uint16_t bench_port_pair(void);

/* Pumps until `done` says yes; false when BENCH_WAIT_MS went by. */
bool bench_until(struct bench *b, bool (*done)(void *ctx), void *ctx);
/* Each is true when it happened in time. */
bool bench_up_arrives(struct bench *b, struct link_lower *l, const char *text); /* sends until received */
bool bench_down_arrives(struct bench *b, struct link_lower *l, int node,
                        const char *text); /* sends until opened */

#endif
