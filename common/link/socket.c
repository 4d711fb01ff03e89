#include "link/socket.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

/* Why each value: README.md, "Limits". */
enum {
    HIGH_WATER_MARK = 256,
    HANDSHAKE_IVL_MS = 3000,
    HEARTBEAT_IVL_MS = 5000,
    HEARTBEAT_TIMEOUT_MS = 15000,
    CONNECT_TIMEOUT_MS = 5000,
    RECONNECT_IVL_MS = 500,
    RECONNECT_IVL_MAX_MS = 5000,
    BACKLOG = 1024,
};

int link_zmq_error(void)
{
    int e = zmq_errno();
    if (e == ETERM)
        return -ESHUTDOWN;
    return e <= 0 || e >= ZMQ_HAUSNUMERO ? -EIO : -e;
}

int link_socket_set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) != 0 ? link_zmq_error() : 0;
}

int link_socket_new(void **ret_socket, void *zmq_ctx, int type, int64_t max_inbound_bytes)
{
    static const struct {
        int option, value;
    } settings[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_IMMEDIATE, 1},
        {ZMQ_SNDHWM, HIGH_WATER_MARK},
        {ZMQ_RCVHWM, HIGH_WATER_MARK},
        {ZMQ_HANDSHAKE_IVL, HANDSHAKE_IVL_MS},
        {ZMQ_HEARTBEAT_IVL, HEARTBEAT_IVL_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS},
        {ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS},
        {ZMQ_RECONNECT_IVL, RECONNECT_IVL_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_IVL_MAX_MS},
        {ZMQ_BACKLOG, BACKLOG},
    };
    void *socket = zmq_socket(zmq_ctx, type);
    if (socket == NULL)
        return link_zmq_error();
    int r = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_inbound_bytes, sizeof max_inbound_bytes) != 0
                ? link_zmq_error()
                : 0;
    for (size_t i = 0; r == 0 && i < sizeof settings / sizeof settings[0]; i++)
        r = link_socket_set_int(socket, settings[i].option, settings[i].value);
    if (r < 0) {
        zmq_close(socket);
        return r;
    }
    *ret_socket = socket;
    return 0;
}

int link_socket_curve_server(void *socket, const uint8_t secret[KEY_BYTES])
{
    static const char domain[] = "fogline";
    int r = link_socket_set_int(socket, ZMQ_CURVE_SERVER, 1);
    if (r == 0 && (zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, KEY_BYTES) != 0 ||
                   zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, sizeof domain - 1) != 0))
        r = link_zmq_error();
    return r;
}

int link_socket_curve_client(void *socket, const uint8_t own_public[KEY_BYTES],
                             const uint8_t own_secret[KEY_BYTES], const uint8_t server_public[KEY_BYTES])
{
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_public, KEY_BYTES) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own_public, KEY_BYTES) != 0 ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own_secret, KEY_BYTES) != 0)
        return link_zmq_error();
    return 0;
}

uint16_t link_socket_bound_port(void *socket)
{
    char endpoint[LINK_ENDPOINT_CHARS] = "";
    size_t len = sizeof endpoint;
    if (zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &len) != 0)
        return 0;
    const char *colon = strrchr(endpoint, ':');
    return colon == NULL ? 0 : (uint16_t)strtoul(colon + 1, NULL, 10);
}

void link_socket_close(void **socket)
{
    if (*socket != NULL) {
        int r = zmq_close(*socket);
        assert(r == 0); /* fails only for what is no socket */
        (void)r;
    }
    *socket = NULL;
}

const char *link_plain_address(const char *address)
{
    static const char mapped[] = "::ffff:";
    size_t n = sizeof mapped - 1;
    return strncmp(address, mapped, n) == 0 && strchr(address, '.') != NULL ? address + n : address;
}

/* Number `pick` of the list, those of IPv4 before those of IPv6. */
static const struct addrinfo *pick_address(const struct addrinfo *list, unsigned pick)
{
    unsigned n = 0;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
        n++;
    pick %= n;
    for (int v6 = 0; v6 < 2; v6++) {
        for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
            if ((a->ai_family == AF_INET6) == (v6 == 1) && pick-- == 0)
                return a;
        }
    }
    return list;
}

int link_resolve(const char *host, bool for_bind, unsigned pick, char ret_host[LINK_ADDRESS_CHARS])
{
    char bare[256];
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof bare)
        return -EINVAL;
    memcpy(bare, host, len);
    bare[len] = '\0';

    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = for_bind ? AI_PASSIVE : 0}, *list = NULL;
    if (getaddrinfo(bare, NULL, &hints, &list) != 0 || list == NULL)
        return -EHOSTUNREACH;
    const struct addrinfo *chosen = pick_address(list, pick);
    char numeric[LINK_ADDRESS_CHARS - 2];
    int r =
        getnameinfo(chosen->ai_addr, chosen->ai_addrlen, numeric, sizeof numeric, NULL, 0, NI_NUMERICHOST);
    bool v6 = chosen->ai_family == AF_INET6;
    freeaddrinfo(list);
    if (r != 0)
        return -EHOSTUNREACH;
    snprintf(ret_host, LINK_ADDRESS_CHARS, v6 ? "[%s]" : "%s", numeric);
    return 0;
}
