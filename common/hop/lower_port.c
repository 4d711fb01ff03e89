#include "hop/lower_port.h"

#include "base/cleanup.h"
#include "hop/choice.h"

#include <errno.h>
#include <stdio.h>

enum { FAILOVER_MS = 3000, RENEWED_GRACE_MS = 2000, DOWN_ROUND_MAX = 64 };

struct lower_port {
    struct lower_port_options options;
    struct link_lower *link, *probe; /* probe: to an upstream preferred to this one, and silent; or NULL */
    struct outbox *outbox;
    struct loop_watch *sub_watch, *push_watch, *monitor_watch;
    struct loop_timer *timer;
    struct choice choice;
    unsigned probe_try; /* of choice, for which probe was opened */
    enum lower_port_link state;
    int64_t state_since_ms, renewed_ms;
    bool reset_wanted, writable_wanted;
    char fingerprint[KEY_FINGERPRINT_CHARS + 1];
};

static void on_event(void *ctx);

static void failed(struct lower_port *p, int error)
{
    if (p->options.failed != NULL)
        p->options.failed(p->options.outbox.ops.ctx, error);
}

static int port_send(void *ctx, struct span up)
{
    struct lower_port *p = ctx;
    int rc = link_lower_send(p->link, up);

    if (rc == LINK_BLOCKED) {
        p->writable_wanted = true;
        return OUTBOX_BLOCKED;
    }
    return rc;
}

/* Sockets are made anew after the outbox has finished with this event. */
static void port_reset_link(void *ctx)
{
    struct lower_port *p = ctx;

    p->reset_wanted = true;
}

/* The other ops belong to the host and get its ctx. */
static void port_clocks(void *ctx, Fogline__V1__Clocks *ret)
{
    struct lower_port *p = ctx;
    p->options.outbox.ops.clocks(p->options.outbox.ops.ctx, ret);
}

static size_t port_asks(void *ctx, struct wire_arena *a, Fogline__V1__EpochReport **out, size_t max)
{
    struct lower_port *p = ctx;
    return p->options.outbox.ops.asks(p->options.outbox.ops.ctx, a, out, max);
}

static size_t port_documents_held(void *ctx, struct wire_arena *a, Fogline__V1__DocumentVersion **out,
                                  size_t max)
{
    struct lower_port *p = ctx;
    return p->options.outbox.ops.documents_held(p->options.outbox.ops.ctx, a, out, max);
}

static void port_document(void *ctx, const Fogline__V1__Document *d)
{
    struct lower_port *p = ctx;
    p->options.outbox.ops.document(p->options.outbox.ops.ctx, d);
}

static void port_mark(void *ctx, const Fogline__V1__MarkBody *body, const Fogline__V1__Mark *mark)
{
    struct lower_port *p = ctx;
    p->options.outbox.ops.mark(p->options.outbox.ops.ctx, body, mark);
}

static int port_archive_changes(void *ctx)
{
    struct lower_port *p = ctx;
    return p->options.outbox.ops.archive_changes(p->options.outbox.ops.ctx);
}

static int port_relay_damaged(void *ctx)
{
    struct lower_port *p = ctx;
    return p->options.outbox.ops.relay_damaged(p->options.outbox.ops.ctx);
}

static uint64_t port_allowed(void *ctx, unsigned class)
{
    struct lower_port *p = ctx;
    return p->options.outbox.ops.allowed(p->options.outbox.ops.ctx, class);
}

static void port_moved(void *ctx, uint64_t up_bytes, const uint64_t class_bytes[OUTBOX_CLASSES_MAX],
                       uint64_t down_bytes)
{
    struct lower_port *p = ctx;
    p->options.outbox.ops.moved(p->options.outbox.ops.ctx, up_bytes, class_bytes, down_bytes);
}

static void unwatch(struct lower_port *p)
{
    loop_unwatch(p->sub_watch);
    loop_unwatch(p->push_watch);
    loop_unwatch(p->monitor_watch);
    p->sub_watch = p->push_watch = p->monitor_watch = NULL;
}

static int watch(struct lower_port *p)
{
    int rc = loop_watch_zmq(p->options.loop, link_lower_sub(p->link), on_event, p, &p->sub_watch);

    if (rc == 0)
        rc = loop_watch_zmq(p->options.loop, link_lower_monitor(p->link), on_event, p, &p->monitor_watch);
    if (rc == 0)
        rc = loop_watch_zmq(p->options.loop, link_lower_push(p->link), on_event, p, &p->push_watch);
    return rc;
}

static int link_to(const struct lower_port *p, unsigned upstream, struct link_lower **ret_l,
                   struct errmsg *err)
{
    const struct lower_port_upstream *u = &p->options.upstreams[upstream];
    struct link_lower_options o = {
        .zmq_ctx = p->options.zmq_ctx, .keys = p->options.keys, .host = u->host, .port = u->port};

    memcpy(o.upper_transport, u->transport, KEY_BYTES);
    return link_lower_new(ret_l, &o, err);
}

static int open_link(struct lower_port *p, struct errmsg *err)
{
    int rc;

    unwatch(p);
    p->link = link_lower_free(p->link);
    rc = link_to(p, p->choice.at, &p->link, err);
    return rc == 0 ? watch(p) : rc;
}

static int renew_link(struct lower_port *p)
{
    int rc;

    p->reset_wanted = false;
    p->renewed_ms = loop_now_ms(p->options.loop);
    unwatch(p);
    rc = link_lower_reset(p->link);
    return rc == 0 ? watch(p) : rc;
}

/* The link over which an upstream is looked at follows what is wanted. That it cannot be made says as much as
 * that nobody answers. */
static void follow_probe(struct lower_port *p)
{
    struct errmsg err;

    if (p->choice.probe == CHOICE_NO_PROBE || p->choice.probe_try != p->probe_try)
        p->probe = link_lower_free(p->probe);
    if (p->choice.probe == CHOICE_NO_PROBE || p->choice.probe_try == p->probe_try)
        return;
    p->probe_try = p->choice.probe_try;
    if (link_to(p, (unsigned)p->choice.probe, &p->probe, &err) != 0)
        p->probe = NULL;
}

static struct choice_seen seen(struct lower_port *p, int64_t now_ms)
{
    struct choice_seen s = {.open = p->state == LOWER_PORT_OPEN,
                            .probe_reached = p->probe != NULL && link_lower_phase(p->probe) == LINK_UP};

    s.unanswered_ms = outbox_unanswered_ms(p->outbox, now_ms, &s.slowest_ms);
    return s;
}

/* Another upstream, when this one is silent or one before it is back. */
static int choose(struct lower_port *p, int64_t now_ms)
{
    struct choice_seen s = seen(p, now_ms);
    bool moved = choice_step(&p->choice, &s, now_ms);
    struct errmsg err;
    int rc;

    follow_probe(p);
    if (!moved)
        return 0;
    rc = open_link(p, &err);
    return rc == 0 ? outbox_new_session(p->outbox, now_ms) : rc;
}

static void note_state(struct lower_port *p, int64_t now_ms)
{
    enum link_phase phase = link_lower_phase(p->link);
    enum lower_port_link state = LOWER_PORT_HELLO;

    if (phase == LINK_UNREACHABLE)
        state = LOWER_PORT_UNREACHABLE;
    else if (phase == LINK_REACHED)
        state = LOWER_PORT_REACHED;
    else if (outbox_phase(p->outbox) == OUTBOX_OPEN)
        state = LOWER_PORT_OPEN;
    /* Sockets that the watchdog made anew a moment ago say nothing new about the other side. */
    if (state == LOWER_PORT_UNREACHABLE && p->state != LOWER_PORT_ALONE &&
        now_ms - p->renewed_ms < RENEWED_GRACE_MS)
        return;
    if (state == p->state)
        return;
    p->state = state;
    p->state_since_ms = now_ms;
}

static int receive(struct lower_port *p)
{
    for (int i = 0; i < DOWN_ROUND_MAX; i++) {
        struct span plain;
        int rc = link_lower_recv(p->link, &plain);

        if (rc == LINK_EMPTY)
            return 0;
        if (rc == 0)
            rc = outbox_on_down(p->outbox, plain, loop_now_ms(p->options.loop));
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int pump(struct lower_port *p)
{
    int64_t now_ms = loop_now_ms(p->options.loop), next_ms = INT64_MAX, look_ms;
    struct choice_seen s;
    int rc = receive(p);

    note_state(p, now_ms);
    if (rc == 0)
        rc = outbox_tick(p->outbox, now_ms, &next_ms);
    if (rc == 0 && p->reset_wanted)
        rc = renew_link(p);
    note_state(p, now_ms);
    if (rc == 0)
        rc = choose(p, now_ms);
    if (rc != 0)
        return rc;
    /* POLLOUT only while something was refused, or the loop would spin. */
    loop_watch_writable(p->push_watch, p->writable_wanted ? on_event : NULL);
    s = seen(p, now_ms);
    look_ms = choice_next_ms(&p->choice, &s, now_ms);
    loop_timer_set(p->timer, look_ms < next_ms ? look_ms : next_ms);
    return 0;
}

static void on_event(void *ctx)
{
    struct lower_port *p = ctx;

    if (spool_txn_open(p->options.outbox.spool))
        return; /* the host commits at the end of its round and pumps then */
    lower_port_pump(p);
    if (p->options.wake != NULL && outbox_wants_apply(p->outbox))
        p->options.wake(p->options.outbox.ops.ctx);
}

void lower_port_pump(struct lower_port *p)
{
    int rc;

    if (p->options.n_upstreams == 0)
        return;
    p->writable_wanted = false;
    rc = pump(p);
    if (rc != 0)
        failed(p, rc);
}

int lower_port_new(struct lower_port **ret_p, const struct lower_port_options *options, struct errmsg *err)
{
    struct lower_port *p = calloc(1, sizeof *p);
    struct outbox_options oo = options->outbox;
    int64_t now_ms = loop_now_ms(options->loop);
    int rc;

    if (p == NULL)
        return errmsg_set(err, -ENOMEM, "no memory for the link");
    p->options = *options;
    p->state = options->n_upstreams == 0 ? LOWER_PORT_ALONE : LOWER_PORT_UNREACHABLE;
    p->state_since_ms = now_ms;
    choice_init(&p->choice, options->n_upstreams,
                options->failover_ms != 0 ? options->failover_ms : FAILOVER_MS, options->return_ms, now_ms);
    p->renewed_ms = INT64_MIN / 2;
    key_fingerprint(options->keys->transport_public, p->fingerprint);
    oo.ops = (struct outbox_ops){
        .ctx = p,
        .send = port_send,
        .reset_link = port_reset_link,
        .clocks = options->outbox.ops.clocks != NULL ? port_clocks : NULL,
        .asks = options->outbox.ops.asks != NULL ? port_asks : NULL,
        .documents_held = options->outbox.ops.documents_held != NULL ? port_documents_held : NULL,
        .document = options->outbox.ops.document != NULL ? port_document : NULL,
        .mark = options->outbox.ops.mark != NULL ? port_mark : NULL,
        .archive_changes = options->outbox.ops.archive_changes != NULL ? port_archive_changes : NULL,
        .allowed = options->outbox.ops.allowed != NULL ? port_allowed : NULL,
        .moved = options->outbox.ops.moved != NULL ? port_moved : NULL,
        .relay_damaged = options->outbox.ops.relay_damaged != NULL ? port_relay_damaged : NULL,
    };
    rc = outbox_new(&p->outbox, &oo, now_ms);
    if (rc != 0)
        errmsg_set(err, rc, "cannot read the spool's link state: %s", strerror(-rc));
    if (rc == 0)
        rc = loop_timer_new(options->loop, on_event, p, &p->timer);
    if (rc == 0 && options->n_upstreams > 0)
        rc = open_link(p, err);
    if (rc != 0) {
        lower_port_free(p);
        return rc;
    }
    if (options->n_upstreams > 0)
        loop_timer_set(p->timer, now_ms);
    *ret_p = p;
    return 0;
}

struct lower_port *lower_port_free(struct lower_port *p)
{
    if (p == NULL)
        return NULL;
    unwatch(p);
    loop_timer_free(p->timer);
    link_lower_free(p->link);
    link_lower_free(p->probe);
    outbox_free(p->outbox);
    free(p);
    return NULL;
}

struct outbox *lower_port_outbox(struct lower_port *p)
{
    return p->outbox;
}

const char *lower_port_link_name(enum lower_port_link l)
{
    static const char *const name[] = {[LOWER_PORT_ALONE] = "alone",
                                       [LOWER_PORT_UNREACHABLE] = "unreachable",
                                       [LOWER_PORT_REACHED] = "not accepted",
                                       [LOWER_PORT_HELLO] = "hello",
                                       [LOWER_PORT_OPEN] = "open"};
    return name[l];
}

void lower_port_status(const struct lower_port *p, struct lower_port_status *ret_s)
{
    const struct lower_port_upstream *u = &p->options.upstreams[p->choice.at];

    *ret_s = (struct lower_port_status){.link = p->state, .since_mono_ms = p->state_since_ms};
    if (p->options.n_upstreams > 0)
        snprintf(ret_s->upstream, sizeof ret_s->upstream, "%s:%u", u->host, u->port);
    memcpy(ret_s->fingerprint, p->fingerprint, sizeof p->fingerprint);
}

const uint64_t *lower_port_link_counters(const struct lower_port *p)
{
    static const uint64_t none[LINK_COUNTERS];

    return p->link != NULL ? link_lower_counters(p->link) : none;
}
