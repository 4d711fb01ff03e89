/* helper.h - one side of a hop with a real spool; the other side is played by the test, message by message.
 */
#ifndef FOGLINE_TESTS_HOP_HELPER_H
#define FOGLINE_TESTS_HOP_HELPER_H

#include "../../lib/tmpdir.h"
#include "hop/inbox.h"
#include "hop/maker.h"
#include "hop/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CAUGHT_MAX = 512, LISTS_MAX = 8, RUN = 7, STORE = 's', ARCHIVE = 'a' };

struct side {
    struct tmpdir dir;
    const char *node;
    struct spool *sp;
    struct outbox *ob;
    struct inbox *ib;
    struct end_keys keys;
    struct wire_arena *arena;
    int64_t now_ms;
    struct buf caught[CAUGHT_MAX]; /* what it sent, oldest first */
    char to[CAUGHT_MAX][16];       /* upper side: to whom */
    size_t n_caught, n_marks;
    unsigned resets, fill, forgotten;
    bool blocked, has_proof, relays;
    uint64_t map_bytes, quota_bytes, memory_bytes;
    uint64_t hello_waiting; /* what the next Hello from below says ... */
    uint32_t hello_fill;
    const char *heavy; /* upper side: this peer has weight 3 */
    const struct id128 *archive;
    const uint8_t *operator_public; /* lower side */
    unsigned archive_changes;       /* lower side: calls of the op */
    int archive_changes_result;
    unsigned damaged; /* lower side of a relay: calls of the op */
    bool is_metered;  /* lower side: `allowed` limits, and what moved is counted */
    uint64_t allowed[OUTBOX_CLASSES_MAX], moved[OUTBOX_CLASSES_MAX], up_bytes, down_bytes;
};

void side_init(struct side *s, const char *node);
void side_deinit(struct side *s);
void side_open_lower(struct side *s);
void side_open_upper(struct side *s);
void side_close(struct side *s); /* as a death does: without clean-up */

struct id128 id_of(char c);
void forget_caught(struct side *s);
/* The i-th message caught; lives until the next one is read. */
const Fogline__V1__Up *up_at(struct side *s, size_t i);
const Fogline__V1__State *state_at(struct side *s, size_t i);
const Fogline__V1__State *last_state(struct side *s);
/* Records in all Data caught, and whether the one named was among them. */
size_t records_caught(struct side *s);
unsigned times_sent(struct side *s, uint64_t seq, bool *ret_again);

/* ---- the lower side's acts ---- */
uint64_t make(struct side *s, unsigned lane, size_t bytes); /* commits */
void relay(struct side *s, const char *origin, char epoch, uint64_t from, uint64_t to);
void tick(struct side *s); /* at now_ms */
void tick_until(struct side *s, int64_t to_ms, bool answer_polls);
void apply(struct side *s);       /* and commit */
uint64_t session(struct side *s); /* of the last Hello */

/* A State under construction. */
struct state {
    Fogline__V1__State s;
    Fogline__V1__Windows w;
    Fogline__V1__LaneState lane[LISTS_MAX], *lanes[LISTS_MAX];
    Fogline__V1__Mark mark[LISTS_MAX], *marks[LISTS_MAX];
    struct id128 store, epoch[LISTS_MAX];
    uint64_t bounds[LISTS_MAX][2];
    Fogline__V1__Document *documents[LISTS_MAX]; /* s.n_documents of them; the test's own */
    struct buf body[LISTS_MAX];
    uint8_t mac[LISTS_MAX][KEY_MAC_BYTES];
};
void state_init(struct state *st, uint64_t session, uint64_t run, char store);
void state_windows(struct state *st, uint64_t urgent, uint64_t live, uint64_t backlog);
void state_stored(struct state *st, const struct spool_stream *stream, unsigned lane, uint64_t from,
                  uint64_t to);
void state_mark(struct state *st, struct side *s, const struct spool_stream *stream, unsigned lane,
                bool archived, uint64_t from, uint64_t to, char archive);
void state_give(struct state *st, struct side *s);
void open_link(struct side *s, uint64_t live, uint64_t backlog); /* Hello and its answer */

/* ---- the upper side's acts ---- */
struct report {
    char epoch;
    uint64_t next, lowest;
};
void give_hello(struct side *s, const char *node, uint64_t session, const struct report *r, size_t n);
void give_data(struct side *s, const char *node, uint64_t session, uint64_t run, char epoch, uint64_t from,
               uint64_t to);
void commit(struct side *s);

#endif
