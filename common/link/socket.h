/* socket.h - inside common/link: sockets with every limit set, endpoints in numbers, ZeroMQ's errors as ours.
 *
 * Threads: as ZeroMQ sockets, one owner each. */
#ifndef FOGLINE_LINK_SOCKET_H
#define FOGLINE_LINK_SOCKET_H

#include "base/err.h"
#include "link/keys.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    LINK_ENDPOINT_CHARS = 128,
    LINK_ADDRESS_CHARS = 64,
    LINK_SMALL_INBOUND_BYTES = 512, /* for sockets that only send; a CURVE handshake needs 277 */
};

/* -errno of the last call into ZeroMQ, its own codes mapped to those of the system. */
int link_zmq_error(void);

/* A socket with all limits set and no security yet. */
must_check int link_socket_new(void **ret_socket, void *zmq_ctx, int type, int64_t max_inbound_bytes);
must_check int link_socket_curve_server(void *socket, const uint8_t secret[KEY_BYTES]);
must_check int link_socket_curve_client(void *socket, const uint8_t own_public[KEY_BYTES],
                                        const uint8_t own_secret[KEY_BYTES],
                                        const uint8_t server_public[KEY_BYTES]);
must_check int link_socket_set_int(void *socket, int option, int value);
/* Port the socket was bound to; 0 when none. */
uint16_t link_socket_bound_port(void *socket);
void link_socket_close(void **socket); /* accepts NULL inside; leaves NULL */

/* The address of an IPv4 peer of an IPv6 socket ("::ffff:192.0.2.1") without its prefix; borrowed from
 * `address`. */
const char *link_plain_address(const char *address);

/* Resolves `host` ("name", "192.0.2.1", "::1", "[::1]") to the address number `pick` modulo how many there
 * are, those of IPv4 first, and sets ret_host to "192.0.2.1" or "[::1]". Asks DNS and may block for it.
 * -EHOSTUNREACH when the name has no address now. */
must_check int link_resolve(const char *host, bool for_bind, unsigned pick,
                            char ret_host[LINK_ADDRESS_CHARS]);

#endif
