#include "link/peers.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { FD_MAX = 1 << 20 };

static uint16_t port_of(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)a)->sin_port);
    if (a->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)a)->sin6_port);
    return 0;
}

/* The port of the other end; 0 when fd is not the connection described. */
static uint16_t remote_port(int fd, const char *address, uint16_t local_port)
{
    struct sockaddr_storage own, other;
    socklen_t own_len = sizeof own, other_len = sizeof other;
    char host[LINK_ADDRESS_CHARS];
    if (fd < 0 || address == NULL || getsockname(fd, (struct sockaddr *)&own, &own_len) != 0 ||
        port_of(&own) != local_port || getpeername(fd, (struct sockaddr *)&other, &other_len) != 0 ||
        getnameinfo((struct sockaddr *)&other, other_len, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0)
        return 0;
    return strcmp(host, address) == 0 ? port_of(&other) : 0;
}

bool link_peer_shut(int fd, const char *address, uint16_t local_port)
{
    return remote_port(fd, address, local_port) != 0 && shutdown(fd, SHUT_RDWR) == 0;
}

void link_peers_deinit(struct link_peers *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->at[i]);
    free(p->at);
    *p = (struct link_peers){0};
}

static bool make_room(struct link_peers *p, size_t fd)
{
    if (fd >= p->n) {
        size_t n = p->n == 0 ? 64 : p->n;
        while (n <= fd)
            n *= 2;
        struct link_peer **at = realloc(p->at, n * sizeof *at);
        if (at == NULL)
            return false;
        memset(at + p->n, 0, (n - p->n) * sizeof *at);
        p->at = at;
        p->n = n;
    }
    if (p->at[fd] == NULL)
        p->at[fd] = calloc(1, sizeof *p->at[fd]);
    return p->at[fd] != NULL;
}

struct link_peer *link_peers_note(struct link_peers *p, int fd, const char *user_id, const char *address,
                                  uint16_t local_port)
{
    if (fd < 0 || fd >= FD_MAX || address == NULL || !make_room(p, (size_t)fd))
        return NULL;
    struct link_peer *peer = p->at[fd];
    if (peer->local_port != local_port || strcmp(peer->user_id, user_id) != 0 ||
        strcmp(peer->address, address) != 0) {
        *peer = (struct link_peer){.local_port = local_port};
        snprintf(peer->user_id, sizeof peer->user_id, "%s", user_id);
        snprintf(peer->address, sizeof peer->address, "%s", address);
    }
    return peer;
}

struct link_peer *link_peers_note_exact(struct link_peers *p, int fd, const char *user_id,
                                        const char *address, uint16_t local_port)
{
    uint16_t port = remote_port(fd, address, local_port);
    struct link_peer *peer = port == 0 ? NULL : link_peers_note(p, fd, user_id, address, local_port);
    if (peer != NULL && peer->remote_port != port) {
        peer->remote_port = port;
        peer->n_topics = 0;
    }
    return peer;
}

unsigned link_peers_shut_user(struct link_peers *p, const char *user_id)
{
    unsigned n_shut = 0;
    for (size_t fd = 0; fd < p->n; fd++) {
        struct link_peer *peer = p->at[fd];
        if (peer == NULL || strcmp(peer->user_id, user_id) != 0)
            continue;
        if (link_peer_shut((int)fd, peer->address, peer->local_port))
            n_shut++;
        *peer = (struct link_peer){0};
    }
    return n_shut;
}
