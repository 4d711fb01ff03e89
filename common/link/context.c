#include "link/link.h"
#include "link/socket.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <zmq.h>

/* Slots for sockets, not connections. One link takes at most three; a simulator puts hundreds of them in one
 * context. */
enum { MAX_SOCKETS = 4096, IO_THREADS = 1 };

/* zmq.h lists the number among its drafts, yet stable builds take it. */
enum { CTX_ZERO_COPY_RECV = 10 };

const struct counter_info link_counter_info[LINK_COUNTERS] = {
    [LINK_FRAMES_IN] = {"frames_in_total", COUNTER_TOTAL, "frames", "Messages received and handed on"},
    [LINK_FRAMES_OUT] = {"frames_out_total", COUNTER_TOTAL, "frames", "Messages given to the socket"},
    [LINK_BYTES_IN] = {"in_bytes", COUNTER_TOTAL, "bytes", "Bytes of the messages received, without sealing"},
    [LINK_BYTES_OUT] = {"out_bytes", COUNTER_TOTAL, "bytes", "Bytes of the messages sent, without sealing"},
    [LINK_DROPPED_NO_USER] = {"dropped_no_user_total", COUNTER_TOTAL, "frames",
                              "Messages dropped: no User-Id of the gate, or its node was revoked"},
    [LINK_DROPPED_SEAL] = {"dropped_seal_total", COUNTER_TOTAL, "frames",
                           "Messages dropped: not sealed to us by our upper side"},
    [LINK_DROPPED_FULL] = {"dropped_full_total", COUNTER_TOTAL, "frames",
                           "Messages down dropped: the node's pipe was full"},
    [LINK_DROPPED_SIZE] = {"dropped_size_total", COUNTER_TOTAL, "frames",
                           "Messages dropped: too big or of several parts"},
    [LINK_KICKED_SUBSCRIPTION] = {"kicked_subscription_total", COUNTER_TOTAL, "1",
                                  "Connections shut: foreign, malformed or too many subscriptions"},
    [LINK_RESETS] = {"resets_total", COUNTER_TOTAL, "1", "Times the sockets were made anew"},
};

int link_context_new(void **ret_ctx)
{
    void *ctx = zmq_ctx_new();
    if (ctx == NULL)
        return link_zmq_error();
    if (zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, MAX_SOCKETS) != 0 ||
        zmq_ctx_set(ctx, ZMQ_IO_THREADS, IO_THREADS) != 0 || zmq_ctx_set(ctx, ZMQ_BLOCKY, 0) != 0) {
        int r = link_zmq_error();
        zmq_ctx_term(ctx);
        return r;
    }
    /* Messages that lie in the receive buffer need a page of reference counts per connection and gain
     * nothing: CURVE copies each one anyway. A library that refuses costs memory, no more. */
    (void)zmq_ctx_set(ctx, CTX_ZERO_COPY_RECV, 0);
    /* ZeroMQ takes its reconnect jitter from rand() and never seeds it: all nodes would come back in step. */
    srand(randombytes_random());
    *ret_ctx = ctx;
    return 0;
}

void link_context_free(void *ctx)
{
    if (ctx == NULL)
        return;
    while (zmq_ctx_term(ctx) != 0 && zmq_errno() == EINTR)
        ;
}
