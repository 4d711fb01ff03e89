/* sim: runs seeded schedules from the command line; --help says how. */
#include "sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: sim (--seed N | --seeds A..B) [--rules-off NAME]... [--aim-at NAME]... [--trace] [--json] "
    "[--keep-going]\n"
    "  --seed N          one schedule\n"
    "  --seeds A..B      a range of them; stops at the first that fails unless --keep-going\n"
    "  --rules-off NAME  takes a rule of the hop protocol away; `list` names them\n"
    "  --aim-at NAME     makes the faults likelier that the rule is there for, and keeps the rule\n"
    "  --trace           what happens, line by line, to standard output\n"
    "  --json            one object with the totals\n"
    "Exit status: 0 all schedules hold, 1 a violation, 2 usage.\n";

struct totals {
    uint64_t seeds, failed, messages, commits, crashes, records, archived, aggregates, evicted, lost;
    uint64_t first_failed, slowest;
    int64_t settled_max_ms;
};

static void add(struct totals *t, const struct sim_result *r, uint64_t seed)
{
    t->seeds++;
    if (!r->ok && t->failed++ == 0)
        t->first_failed = seed;
    t->messages += r->messages;
    t->commits += r->commits;
    t->crashes += r->crashes;
    t->records += r->records;
    t->archived += r->archived;
    t->aggregates += r->aggregates;
    t->evicted += r->evicted;
    t->lost += r->lost_with_spool;
    if (r->ok && r->settled_ms > t->settled_max_ms) {
        t->settled_max_ms = r->settled_ms;
        t->slowest = seed;
    }
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_totals(const struct totals *t, double took_s, bool json)
{
    const char *form =
        json ? "{\"seeds\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"first_failed\":%" PRIu64
               ",\"seeds_per_s\":%.1f,\"seconds\":%.1f,\"messages\":%" PRIu64 ",\"commits\":%" PRIu64
               ",\"crashes\":%" PRIu64 ",\"records\":%" PRIu64 ",\"archived\":%" PRIu64
               ",\"aggregates\":%" PRIu64 ",\"evicted\":%" PRIu64 ",\"lost_with_spool\":%" PRIu64
               ",\"settled_max_s\":%.1f,\"slowest\":%" PRIu64 "}\n"
             : "%" PRIu64 " schedules, %" PRIu64 " failed (first %" PRIu64 "), %.1f/s, %.1f s; %" PRIu64
               " messages, %" PRIu64 " commits, %" PRIu64 " deaths; records: %" PRIu64 " made, %" PRIu64
               " archived, %" PRIu64 " aggregates, %" PRIu64 " evicted, %" PRIu64
               " lost with a spool; settled within %.1f s (seed %" PRIu64 ")\n";

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    printf(form, t->seeds, t->failed, t->first_failed, (double)t->seeds / (took_s > 0 ? took_s : 1), took_s,
           t->messages, t->commits, t->crashes, t->records, t->archived, t->aggregates, t->evicted, t->lost,
           (double)t->settled_max_ms / 1000, t->slowest);
#pragma GCC diagnostic pop
}

static bool parse_range(const char *text, uint64_t *ret_from, uint64_t *ret_to)
{
    char *end;

    *ret_from = *ret_to = strtoull(text, &end, 10);
    if (end != text && strncmp(end, "..", 2) == 0) {
        const char *second = end + 2;
        *ret_to = strtoull(second, &end, 10);
        if (end == second)
            return false;
    }
    return end != text && *end == '\0' && *ret_from <= *ret_to;
}

static int run_range(uint64_t from, uint64_t to, struct sim_options o, bool json, bool keep_going)
{
    struct totals t = {0};
    double began_s = seconds();
    char replay[200];

    for (uint64_t seed = from; seed <= to && (t.failed == 0 || keep_going); seed++) {
        struct sim_result r;
        int rc;

        o.seed = seed;
        rc = sim_run(&o, &r);
        if (rc != 0) {
            fprintf(stderr, "sim: seed %" PRIu64 " cannot run: %s\n", seed, strerror(-rc));
            return 1;
        }
        add(&t, &r, seed);
        if (!r.ok)
            fprintf(stderr, "seed %" PRIu64 " at %" PRId64 " ms: %s\n  replay: %s\n", seed, r.at_ms,
                    r.violation, sim_replay(replay, sizeof replay, &o));
    }
    print_totals(&t, seconds() - began_s, json);
    return t.failed > 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 's'},
        {"rules-off", required_argument, NULL, 'r'},
        {"aim-at", required_argument, NULL, 'a'},
        {"trace", no_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"keep-going", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct sim_options o = {0};
    bool json = false, keep_going = false, have = false;
    uint64_t from = 0, to = 0;

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const struct sim_rule *rule = c == 'r' || c == 'a' ? sim_rule_find(optarg) : NULL;

        if (c == 'r' && strcmp(optarg, "list") == 0) {
            for (unsigned i = 0; i < sim_n_rules; i++)
                puts(sim_rules[i].name);
            return 0;
        }
        if (c == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (c == 's')
            have = parse_range(optarg, &from, &to);
        else if (rule != NULL)
            *(c == 'r' ? &o.rules_off : &o.aimed_at) |= rule->bit;
        else if (c == 't')
            o.trace = stdout;
        else if (c == 'j')
            json = true;
        else if (c == 'k')
            keep_going = true;
        else
            have = false, optind = argc;
    }
    if (!have || optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    return run_range(from, to, o, json, keep_going);
}
