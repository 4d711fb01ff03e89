#include "link/monitor.h"

#include "link/socket.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* ACCEPT_FAILED is left out on purpose: out of descriptors it comes 400 000 times a second. */
enum {
    EVENTS = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_CLOSED |
             ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
             ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
};

int link_monitor_open(void **ret_monitor, void *zmq_ctx, void *socket)
{
    /* A random name: a closed monitor's name is given back at some later time. */
    char endpoint[LINK_ENDPOINT_CHARS], hex[33];
    uint8_t random[16];
    randombytes_buf(random, sizeof random);
    snprintf(endpoint, sizeof endpoint, "inproc://link-monitor-%s",
             sodium_bin2hex(hex, sizeof hex, random, sizeof random));
    if (zmq_socket_monitor(socket, endpoint, EVENTS) != 0)
        return link_zmq_error();
    void *pair = NULL;
    int r = link_socket_new(&pair, zmq_ctx, ZMQ_PAIR, -1);
    /* No limit: ZeroMQ reports from its I/O thread and waits for a full queue, which would stop every
     * connection. A link that is watched makes new sockets before much can gather. */
    if (r == 0)
        r = link_socket_set_int(pair, ZMQ_RCVHWM, 0);
    if (r == 0 && zmq_connect(pair, endpoint) != 0)
        r = link_zmq_error();
    if (r < 0) {
        link_monitor_close(&pair, socket);
        return r;
    }
    *ret_monitor = pair;
    return 0;
}

void link_monitor_close(void **monitor, void *socket)
{
    if (socket != NULL)
        zmq_socket_monitor(socket, NULL, 0);
    link_socket_close(monitor);
}

bool link_monitor_next(void *monitor, uint16_t *ret_event)
{
    uint8_t head[6], address[LINK_ENDPOINT_CHARS];
    for (;;) {
        int n = zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT);
        if (n < 0 && zmq_errno() == EINTR)
            continue;
        if (n < 0)
            return false;
        int more = 0;
        size_t len = sizeof more;
        while (zmq_getsockopt(monitor, ZMQ_RCVMORE, &more, &len) == 0 && more != 0)
            if (zmq_recv(monitor, address, sizeof address, ZMQ_DONTWAIT) < 0)
                break;
        if (n == (int)sizeof head) {
            memcpy(ret_event, head, sizeof *ret_event);
            return true;
        }
    }
}
