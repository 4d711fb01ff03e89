/* world.h - what the files of the simulator share. */
#ifndef FOGLINE_TESTS_SIM_WORLD_H
#define FOGLINE_TESTS_SIM_WORLD_H

#include "base/rng.h"
#include "cloud/intake.h"
#include "cloud/marks.h"
#include "fog/marks.h"
#include "hop/inbox.h"
#include "hop/maker.h"
#include "hop/outbox.h"
#include "sim.h"

#include <limits.h>
#include <stdlib.h>

enum {
    DEVICES_MAX = 3,
    FOGS_MAX = 4,
    PLAN_FOGS_MAX = 2, /* that a seed makes */
    NODES_MAX = DEVICES_MAX + FOGS_MAX + 1,
    FAULTS_MAX = 64,
    FOLD_MAX = 24, /* readings in an open window: they have to fit into one fact */
    QUIET_MS_MAX = 30 * 60 * 1000,
    LINKED_MS = 60 * 1000, /* of quiet, and every link stands for good */
    QUIET_MESSAGES_MAX = 60000,
    PATH_BYTES = 256,
};

enum role { ROLE_DEVICE, ROLE_FOG, ROLE_CLOUD };
enum stage { STAGE_RELAY, STAGE_FOLD, STAGE_FILTER };

/* Where a node can die, beside anywhere between two events. */
enum point { POINT_BEFORE_COMMIT, POINT_AFTER_COMMIT, POINT_SESSION, POINT_AFTER_DOWN, POINTS };

enum fault_kind {
    FAULT_CRASH,  /* the process: its proof of continuity is there */
    FAULT_REBOOT, /* the proof is gone */
    FAULT_STORE_LOST,
    FAULT_COPY,    /* a copy of the store is laid aside */
    FAULT_RESTORE, /* and put back; the proof is missing or stale */
    FAULT_FAILOVER,
    FAULT_PARTITION,
    FAULT_DEAD, /* never comes back */
    FAULT_KINDS
};

struct fault {
    enum fault_kind kind;
    unsigned node;
    int64_t at_ms, lasts_ms;
};

/* All that a seed decides before time begins. */
struct plan {
    unsigned n_devices, n_fogs;
    enum stage stage;
    bool fog_makes; /* fogs have records of their own */
    bool backup; /* the cloud counts a record as safe only when its backup has it, and is put back from it */
    int64_t noisy_ms; /* faults and new readings end here */
    int64_t calm_ms;  /* quiet lasts at least so long */
    double loss, doubled, late, to_next_life, blocked;
    int64_t delay_ms, late_ms;
    double crash[POINTS], reboot, commit_fails;
    unsigned crashes_max;
    int64_t down_ms;
    int64_t make_every_ms;
    unsigned make_batch;
    uint32_t small_bytes, large_bytes;
    double large, urgent;
    uint64_t device_map_bytes, fog_map_bytes, device_quota_bytes, fog_quota_bytes;
    uint64_t cloud_map_bytes;
    uint64_t memory_bytes, window_max_bytes;
    uint64_t events_max;
    unsigned fold_rows;
    struct fault fault[FAULTS_MAX];
    size_t n_faults;
};
void plan_make(struct plan *p, struct rng *rng, uint32_t aimed_at);

/* ---- the oracle ---- */

struct reading {
    uint64_t value;
    bool made, held, archived, filtered, evicted, evicted_archived, merged_claimed, lost, sums;
    uint8_t aggregates;
};

struct book {
    struct id128 epoch;
    unsigned node;
    struct reading *at[LANE_COUNT]; /* index = count */
    size_t n[LANE_COUNT];
};

/* What a copy of a store knew. */
struct copy_mark {
    bool there;
    size_t n_books;
    uint64_t next[64][LANE_COUNT];
    struct id128 epoch[64];
};

struct oracle {
    struct book *books;
    size_t n_books, alloc;
    uint64_t n_made, n_archived, n_aggregates, n_evicted, n_lost;
};

/* ---- nodes ---- */

struct fold_item {
    unsigned device;
    struct id128 epoch;
    unsigned lane;
    uint64_t count, value;
};

struct held_copy {
    char origin[SPOOL_NAME_BYTES];
    struct id128 epoch;
    struct interval_set held[LANE_COUNT], seen[LANE_COUNT];
    uint64_t next[LANE_COUNT];
};

struct pending {
    unsigned node; /* origin */
    struct id128 epoch;
    uint64_t seq, value;
    uint32_t kind;
    struct buf payload;
};

struct granted {
    uint64_t bytes;
    int64_t until_ms;
};

struct node {
    struct world *w;
    enum role role;
    unsigned index; /* of its role */
    unsigned no;    /* in the world */
    char name[16], dir[PATH_BYTES], copy[PATH_BYTES], proof[PATH_BYTES];
    const struct node_keys *keys;
    struct end_keys end;
    struct id128 boot;
    bool up, dead, put_back;
    unsigned upstream;   /* number of the node above */
    uint64_t link, life; /* of the sockets; of the process */
    int64_t wake_at_ms;
    uint64_t wake_token;
    bool commit_planned;
    int64_t blocked_until_ms, cut_off_until_ms;
    int64_t travel_ms; /* of each message on the link upwards; 0: by chance, as planned */
    unsigned weight;   /* of its backlog above */

    struct spool *sp;
    struct outbox *ob;
    struct inbox *ib;
    struct archive *archive;
    struct intake *intake;
    struct clock clock;
    struct clock_fake fake;

    struct fold_item fold[FOLD_MAX];
    unsigned n_fold;
    int64_t fold_since_ms;
    bool fold_dirty;
    struct marks *marks;      /* fog: of its devices */
    struct held_copy *mirror; /* as of the last commit */
    size_t n_mirror;
    size_t mirror_account;
    bool mirror_valid;
    struct pending *pending;
    size_t n_pending, alloc_pending;
    struct granted granted[NODES_MAX];
    struct copy_mark copied;
    struct oracle *backup;  /* cloud: what the copy held */
    struct held_copy *safe; /* cloud: what the copy holds, per stream */
    size_t n_safe;
    int64_t backup_at_ms;
};

enum event_kind { EVENT_UP, EVENT_DOWN, EVENT_WAKE, EVENT_COMMIT, EVENT_MAKE, EVENT_FAULT, EVENT_START };

struct event {
    int64_t at_ms;
    uint64_t order;
    enum event_kind kind;
    unsigned node, from;
    uint64_t token; /* wake: its number; messages: link of the lower side; commit: life */
    struct buf bytes;
};

struct world {
    const struct sim_options *options;
    struct plan plan;
    struct rng rng;
    int64_t now_ms;
    char dir[PATH_BYTES];
    struct node node[NODES_MAX];
    unsigned n_nodes;
    struct event *heap;
    size_t n_heap, alloc_heap;
    uint64_t order, events, quiet_messages;
    bool quiet;
    unsigned crashes;
    struct oracle oracle;
    struct id128 archive_id;
    bool archive_renewed;
    struct wire_arena *arena;
    struct sim_result *result;
    bool stopped; /* a violation */
};

static inline bool rule_on(const struct world *w, uint32_t rule)
{
    return (w->options->rules_off & rule) == 0;
}

static inline bool chance(struct world *w, double p)
{
    return p > 0 && rng_unit(&w->rng) < p;
}

/* world.c */
/* The folder, the arena and chance; NULL: no memory, or no folder. The caller fills w->plan. */
struct world *world_new(const struct sim_options *options, struct sim_result *ret);
void world_begin(struct world *w); /* nodes open, faults and readings to come */
void world_free(struct world *w);

/* run.c */
void world_event(struct world *w, struct event *e); /* takes what it carries */
void world_make_later(struct world *w, unsigned node);

/* net.c */
void world_push(struct world *w, struct event *e); /* takes e->bytes */
bool world_pop(struct world *w, struct event *ret_e);
void net_up(struct node *from, struct span bytes);
void net_down(struct node *from, struct node *to, struct span bytes);
void net_again(struct world *w, struct event *e); /* for a later life of the receiver; takes */

/* oracle.c */
void violate(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void note(struct world *w, const struct node *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
struct book *oracle_book(struct world *w, unsigned node, const struct id128 *epoch, bool make);
struct reading *oracle_reading(struct world *w, unsigned node, const struct id128 *epoch, unsigned lane,
                               uint64_t count, bool make);
void oracle_pend(struct node *n, unsigned origin, const struct id128 *epoch, uint64_t seq, uint32_t kind,
                 uint64_t value, struct span payload);
void oracle_drop_pending(struct node *n);
void oracle_committed(struct node *n); /* what was pending is durable; looks at what was let go */
void oracle_opened(struct node *n);    /* mirrors against what the last commit left */
void oracle_mirror_forget(struct node *n);
void oracle_copied(struct node *n);
void oracle_restored(struct node *n);
void oracle_store_lost(struct node *n);
void oracle_end(struct world *w);
void oracle_deinit(struct oracle *o);

/* balance.c */
void balance_check(struct world *w);

/* node.c */
void node_init(struct world *w, unsigned no, enum role role, unsigned index);
void node_deinit(struct node *n);
void node_open(struct node *n);
void node_die(struct node *n, int64_t for_ms); /* < 0: for good */
bool node_dies(struct node *n, enum point at); /* asked at a named point */
enum commit { COMMIT_DONE, COMMIT_FAILED, COMMIT_DIED };
enum commit node_commit(struct node *n);
void node_wake_at(struct node *n, int64_t at_ms);
void node_fault(struct node *n, const struct fault *f);
struct node *world_find(struct world *w, const char *name);
void fatal(struct node *n, const char *what, int rc);

/* tiers.c, fog.c, cloud.c: what each role does with an event */
must_check int device_open(struct node *n);
must_check int fog_open(struct node *n);
must_check int cloud_open(struct node *n);
void lower_down(struct node *n, struct span bytes);
void lower_tick(struct node *n);
void device_make(struct node *n);
void device_round(struct node *n);
void fog_round(struct node *n);
void fog_make(struct node *n);
void fog_fold_load(struct node *n);
void cloud_round(struct node *n);
void cloud_backup(struct node *n);
void upper_up(struct node *n, const char *from, struct span bytes);
must_check int outbox_make(struct node *n);
void upper_send(void *ctx, const char *node, struct span down);
bool node_settled(const struct node *n);

/* payloads.c */
void payload_reading(struct buf *b, uint64_t value, size_t pad_bytes);
void payload_aggregate(struct buf *b, const struct fold_item *items, unsigned n, struct world *w,
                       bool covers);
void payload_covers(struct buf *b, const struct fold_item *items, unsigned n, struct world *w);
bool payload_value(struct wire_arena *a, struct span payload, uint64_t *ret_value);
bool payload_items(struct wire_arena *a, struct span payload, struct fold_item *out, unsigned *ret_n);

#endif
