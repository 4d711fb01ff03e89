/* sim.h - the pipeline's cores in one process: real spools, a fake clock, and a network and disks that fail
 * by seed.
 *
 * One run is one schedule: devices (outbox, spool), fogs (inbox, outbox, spool; relay, fold or filter), a
 * cloud (inbox over the archive). While faults last, messages are lost, doubled, reordered and late, nodes
 * die at named points, stores are lost or put back from copies, disks are full. Then comes quiet, and
 * everything has to settle. All of it follows from the seed, the rules taken away and the profile. README.md
 * says what is checked. Threads: one run at a time in a process (the random source of libsodium is replaced
 * while it lasts). */
#ifndef FOGLINE_TESTS_SIM_SIM_H
#define FOGLINE_TESTS_SIM_SIM_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct sim_options {
    uint64_t seed;
    uint32_t rules_off; /* enum hop_rule */
    uint32_t aimed_at;  /* rules whose faults are made likelier, taken away or not; rules_off always are */
    FILE *trace;        /* NULL: silent */
};

struct sim_result {
    bool ok;
    char violation[512]; /* what went wrong first; empty when ok */
    int64_t at_ms;       /* when, on the fake clock */
    int64_t settled_ms;  /* how long quiet had lasted when all was settled */
    uint64_t messages, commits, crashes, records, archived, aggregates, evicted, lost_with_spool;
};

/* 0 (look at ret->ok), or a negative errno when the world could not be made. */
must_check int sim_run(const struct sim_options *options, struct sim_result *ret);

/* Nodes below one cloud that all have more than they can give in the time; only windows and round trips limit
 * them. */
enum { SIM_DRAINS_MAX = 4 };
struct sim_drain {
    uint64_t seed;
    unsigned n; /* nodes, up to SIM_DRAINS_MAX */
    unsigned weight[SIM_DRAINS_MAX];
    int64_t round_trip_ms[SIM_DRAINS_MAX];
    uint64_t memory_bytes, window_max_bytes;
    uint64_t backlog_bytes; /* of each */
    int64_t for_ms;
};
/* As sim_run; ret_bytes: payload that the cloud has taken of each. */
must_check int sim_drain_run(const struct sim_drain *d, struct sim_result *ret,
                             uint64_t ret_bytes[SIM_DRAINS_MAX]);

struct sim_rule {
    const char *name; /* of README.md and --rules-off */
    uint32_t bit;
    unsigned seeds; /* within so many it must be found */
};
extern const struct sim_rule sim_rules[];
extern const unsigned sim_n_rules;
const struct sim_rule *sim_rule_find(const char *name); /* NULL: unknown */
/* The command that replays one run with its trace. */
char *sim_replay(char *out, size_t out_bytes, const struct sim_options *options);

#endif
