/* peers.h - inside common/link: the accepted connections of a bound side by their descriptor, to shut one of
 * them.
 *
 * ZeroMQ owns the descriptors and re-uses them at any time, so a descriptor is shut only when it is a socket
 * of our bound port whose other end has the address the message came from. At worst another connection of the
 * same address is shut, and comes back by itself. Threads: the owner of the link. */
#ifndef FOGLINE_LINK_PEERS_H
#define FOGLINE_LINK_PEERS_H

#include "link/gate.h"
#include "link/socket.h"

#include <stddef.h>

struct link_peer {
    char user_id[GATE_NAME_BYTES];
    char address[LINK_ADDRESS_CHARS];
    uint16_t local_port, remote_port;
    unsigned n_topics;
};

/* Indexed by descriptor; as long as the highest one seen. Zero-initialised is empty. */
struct link_peers {
    struct link_peer **at;
    size_t n;
};

void link_peers_deinit(struct link_peers *p);
/* The row of the connection, emptied when another one had the descriptor before. NULL without memory. */
struct link_peer *link_peers_note(struct link_peers *p, int fd, const char *user_id, const char *address,
                                  uint16_t local_port);
/* The same for a connection whose other end's port is looked at too; NULL also when it is gone already. */
struct link_peer *link_peers_note_exact(struct link_peers *p, int fd, const char *user_id,
                                        const char *address, uint16_t local_port);
/* Shuts every known connection of the user. Returns how many. */
unsigned link_peers_shut_user(struct link_peers *p, const char *user_id);
/* Shuts the connection when it is the one described. */
bool link_peer_shut(int fd, const char *address, uint16_t local_port);

#endif
