#include "hop/upper_port.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>

enum { ROUND_FRAMES_MAX = 4096, ROUND_MS_MAX = 20, TABLE_MIN = 64 };

struct upper_port {
    struct upper_port_options options;
    struct gate *gate;
    struct link_upper *link;
    struct inbox *inbox;
    struct loop_watch *pull_watch, *xpub_watch;
    struct loop_timer *timer;
    struct upper_port_node *nodes;
    size_t n_nodes;
    uint32_t *slots; /* open addressing over nodes by id: index + 1 */
    size_t n_slots;
};

static uint32_t hash_id(const char *id)
{
    uint32_t h = 2166136261u;

    for (; *id != '\0'; id++)
        h = (h ^ (uint8_t)*id) * 16777619u;
    return h;
}

const struct upper_port_node *upper_port_find(const struct upper_port *p, const char *id)
{
    if (p->n_slots == 0)
        return NULL;
    for (size_t i = hash_id(id) % p->n_slots; p->slots[i] != 0; i = (i + 1) % p->n_slots) {
        const struct upper_port_node *n = &p->nodes[p->slots[i] - 1];
        if (strcmp(n->id, id) == 0)
            return n;
    }
    return NULL;
}

static void port_send(void *ctx, const char *node, struct span down)
{
    struct upper_port *p = ctx;
    const struct upper_port_node *n = upper_port_find(p, node);

    if (n != NULL && !n->revoked)
        link_upper_send(p->link, n->transport, down);
}

static bool port_may_carry(void *ctx, const char *peer, const char *origin)
{
    struct upper_port *p = ctx;
    return p->options.inbox.ops.may_carry(p->options.inbox.ops.ctx, peer, origin);
}

static int port_record(void *ctx, struct spool_stream *s, const struct record *r)
{
    struct upper_port *p = ctx;
    return p->options.inbox.ops.record(p->options.inbox.ops.ctx, s, r);
}

static int port_reported(void *ctx, const char *peer, struct spool_stream *s,
                         const Fogline__V1__LaneReport *r)
{
    struct upper_port *p = ctx;
    return p->options.inbox.ops.reported(p->options.inbox.ops.ctx, peer, s, r);
}

static size_t port_marks(void *ctx, struct wire_arena *a, struct spool_stream *s, unsigned lane,
                         struct interval range, Fogline__V1__Mark **out, size_t max)
{
    struct upper_port *p = ctx;
    return p->options.inbox.ops.marks(p->options.inbox.ops.ctx, a, s, lane, range, out, max);
}

static size_t port_documents(void *ctx, struct wire_arena *a, const char *peer,
                             const Fogline__V1__Hello *hello, Fogline__V1__Document **out, size_t max)
{
    struct upper_port *p = ctx;
    return p->options.inbox.ops.documents(p->options.inbox.ops.ctx, a, peer, hello, out, max);
}

static unsigned port_fill(void *ctx)
{
    struct upper_port *p = ctx;
    return p->options.inbox.ops.fill(p->options.inbox.ops.ctx);
}

static unsigned port_weight(void *ctx, const char *node)
{
    struct upper_port *p = ctx;
    return p->options.inbox.ops.weight(p->options.inbox.ops.ctx, node);
}

static void port_hello(void *ctx, const char *peer, const Fogline__V1__Hello *hello)
{
    struct upper_port *p = ctx;
    p->options.inbox.ops.hello(p->options.inbox.ops.ctx, peer, hello);
}

static void port_forgetting(void *ctx, struct spool_stream *s)
{
    struct upper_port *p = ctx;
    p->options.inbox.ops.forgetting(p->options.inbox.ops.ctx, s);
}

static struct inbox_ops ops_through(struct upper_port *p, const struct inbox_ops *host)
{
    return (struct inbox_ops){
        .ctx = p,
        .send = port_send,
        .may_carry = port_may_carry,
        .record = port_record,
        .reported = host->reported != NULL ? port_reported : NULL,
        .marks = host->marks != NULL ? port_marks : NULL,
        .documents = host->documents != NULL ? port_documents : NULL,
        .fill = host->fill != NULL ? port_fill : NULL,
        .weight = host->weight != NULL ? port_weight : NULL,
        .hello = host->hello != NULL ? port_hello : NULL,
        .forgetting = host->forgetting != NULL ? port_forgetting : NULL,
    };
}

/* One round: what has arrived, up to one batch. The next round comes after the host's commit. */
static void on_pull(void *ctx)
{
    struct upper_port *p = ctx;
    int64_t began_ms = loop_now_ms(p->options.loop), now_ms = began_ms;

    for (int i = 0; i < ROUND_FRAMES_MAX && inbox_batch_bytes(p->inbox) < HOP_BATCH_BYTES; i++) {
        struct link_message m;
        int rc = link_upper_recv(p->link, &m);

        if (rc == LINK_EMPTY)
            return;
        /* A key revoked a moment ago may still have frames in the pipe. */
        if (rc == 0 && gate_allows(p->gate, m.user_id))
            rc = inbox_on_up(p->inbox, m.user_id, m.bytes, now_ms);
        if (rc < 0) {
            if (p->options.failed != NULL)
                p->options.failed(p->options.inbox.ops.ctx, rc);
            return;
        }
        if (i % 16 == 15) {
            now_ms = loop_now_ms(p->options.loop);
            if (now_ms - began_ms > ROUND_MS_MAX)
                return;
        }
    }
}

static void topic_of(void *ctx, const char *user_id, uint8_t ret_topic[KEY_TOPIC_BYTES])
{
    struct upper_port *p = ctx;
    const struct upper_port_node *n = upper_port_find(p, user_id);

    memset(ret_topic, 0, KEY_TOPIC_BYTES);
    if (n != NULL)
        key_topic(n->transport, ret_topic);
}

static void on_xpub(void *ctx)
{
    struct upper_port *p = ctx;

    link_upper_drain_subscriptions(p->link, topic_of, p);
}

static void on_timer(void *ctx)
{
    struct upper_port *p = ctx;
    int64_t next_ms;

    inbox_tick(p->inbox, loop_now_ms(p->options.loop), &next_ms);
    loop_timer_set(p->timer, next_ms);
}

int upper_port_new(struct upper_port **ret_p, const struct upper_port_options *options, struct errmsg *err)
{
    struct upper_port *p = calloc(1, sizeof *p);
    struct inbox_options io = options->inbox;
    struct link_upper_options lo = {.zmq_ctx = options->zmq_ctx,
                                    .keys = options->keys,
                                    .bind_host = options->bind_host,
                                    .port = options->port};
    int rc;

    if (p == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for the listener");
    p->options = *options;
    io.ops = ops_through(p, &options->inbox.ops);
    rc = inbox_new(&p->inbox, &io);
    if (rc == 0)
        rc = gate_new(&p->gate, options->zmq_ctx);
    if (rc != 0)
        errmsg_set(err, rc, "cannot make the gate: %s", strerror(-rc));
    lo.gate = p->gate;
    if (rc == 0)
        rc = link_upper_new(&p->link, &lo, err);
    if (rc == 0)
        rc = loop_watch_zmq(options->loop, link_upper_pull(p->link), on_pull, p, &p->pull_watch);
    if (rc == 0)
        rc = loop_watch_zmq(options->loop, link_upper_xpub(p->link), on_xpub, p, &p->xpub_watch);
    if (rc == 0)
        rc = loop_timer_new(options->loop, on_timer, p, &p->timer);
    if (rc != 0) {
        upper_port_free(p);
        return rc;
    }
    *ret_p = p;
    return 0;
}

struct upper_port *upper_port_free(struct upper_port *p)
{
    if (p == NULL)
        return NULL;
    loop_unwatch(p->pull_watch);
    loop_unwatch(p->xpub_watch);
    loop_timer_free(p->timer);
    link_upper_free(p->link);
    gate_free(p->gate);
    inbox_free(p->inbox);
    free(p->nodes);
    free(p->slots);
    free(p);
    return NULL;
}

struct inbox *upper_port_inbox(struct upper_port *p)
{
    return p->inbox;
}

uint16_t upper_port_port(const struct upper_port *p)
{
    return link_upper_port(p->link);
}

static int set_gate(struct upper_port *p, const struct upper_port_node *nodes, size_t n)
{
    owned(free_ptr) struct gate_node *list = calloc(n > 0 ? n : 1, sizeof *list);

    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        memcpy(list[i].id, nodes[i].id, sizeof list[i].id);
        memcpy(list[i].transport, nodes[i].transport, KEY_BYTES);
        list[i].revoked = nodes[i].revoked;
    }
    return gate_set(p->gate, list, n);
}

int upper_port_set_nodes(struct upper_port *p, const struct upper_port_node *nodes, size_t n)
{
    size_t n_slots = TABLE_MIN;
    owned(free_ptr) struct upper_port_node *copy = malloc((n > 0 ? n : 1) * sizeof *copy);
    owned(free_ptr) uint32_t *slots = NULL;
    int rc;

    while (n_slots < 2 * n)
        n_slots *= 2;
    slots = calloc(n_slots, sizeof *slots);
    if (copy == NULL || slots == NULL)
        return -ENOMEM;
    if (n > 0)
        memcpy(copy, nodes, n * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        size_t at = hash_id(copy[i].id) % n_slots;
        while (slots[at] != 0)
            at = (at + 1) % n_slots;
        slots[at] = (uint32_t)i + 1;
    }
    rc = set_gate(p, nodes, n);
    if (rc != 0)
        return rc;
    /* The gate refuses the key from now on; what it has open is shut here. */
    for (size_t i = 0; i < n; i++)
        if (nodes[i].revoked)
            link_upper_kick(p->link, nodes[i].id);
    free(p->nodes);
    free(p->slots);
    p->nodes = TAKE(copy);
    p->slots = TAKE(slots);
    p->n_nodes = n;
    p->n_slots = n_slots;
    return 0;
}

bool upper_port_wants_commit(const struct upper_port *p)
{
    return inbox_wants_commit(p->inbox);
}

void upper_port_committed(struct upper_port *p)
{
    inbox_committed(p->inbox, loop_now_ms(p->options.loop));
    on_timer(p);
}

size_t upper_port_refused(struct upper_port *p, struct gate_refusal *out, size_t max)
{
    return gate_refused(p->gate, out, max);
}

const uint64_t *upper_port_link_counters(const struct upper_port *p)
{
    return link_upper_counters(p->link);
}

void upper_port_gate_counters(struct upper_port *p, struct gate_counters *ret_c)
{
    gate_counters_get(p->gate, ret_c);
}
