/* covers_site.h - a store with a cover account, and what the tests of it know about each record. */
#ifndef FOGLINE_TESTS_COVERS_SITE_H
#define FOGLINE_TESTS_COVERS_SITE_H

#include "base/rng.h"
#include "fog/covers.h"
#include "tests/lib/tmpdir.h"

enum { DEVICES = 3, RECORDS = 200, NEEDS = 160 };

enum what { NONE, WAITING, COVERED, SAID, SETTLED };

struct known {
    enum what what;
    uint8_t reason;
    bool accepted; /* its ledger record is archived, and the cloud counted it */
    uint32_t samples, parts;
    uint64_t ledger;
    uint64_t needs[NEEDS];
    unsigned n_needs;
};

/* The simple model: an entry per record, without runs. */
struct model {
    struct known at[DEVICES][SPOOL_LANES][RECORDS + 1];
};

struct site {
    struct tmpdir dir;
    char path[300], proof[300];
    struct spool *spool;
    struct covers *covers;
    struct wire_arena *arena;
    struct clock_fake clock;
    struct model now, committed;
    int64_t now_ms;
    bool is_full;             /* no ledger record fits */
    uint64_t settled_by_room; /* own record that goes when room is made for the next ledger record; 0: none */
    unsigned n_ledgers;
};

void site_open(struct site *k);
void site_close(struct site *k); /* what is not committed is lost, as with kill -9 */
int site_setup(void **state);
int site_teardown(void **state);
struct spool_stream *site_stream(struct site *k, unsigned device);
uint64_t site_derived(struct site *k);                               /* an own record; its number */
void site_settle(struct site *k, uint64_t own_seq, bool is_allowed); /* the cloud took it */
bool site_is_held(const struct site *k, uint64_t own_seq);
/* The cloud counts the record as explained: what covers it and all that needs is there. */
bool site_is_explained(const struct site *k, const struct known *r);
void site_mark(struct site *k, unsigned device, unsigned lane); /* what the cloud says now, and a flush */
void site_flush(struct site *k, bool force);
void site_commit(struct site *k);
void site_rollback(struct site *k);
uint64_t site_count(const struct site *k, enum what what);

#endif
