/* soak_codec: seeded round trips and hostile bodies for as long as one likes. */
#include "round_trip.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char usage[] =
    "usage: soak_codec (--seed N | --seeds A..B) [--json] [--keep-going]\n"
    "  --seed N      one block, written and read in every way, and its mutants\n"
    "  --seeds A..B  a range of them; stops at the first that fails unless --keep-going\n"
    "  --json        one object with the totals\n"
    "Exit status: 0 all hold, 1 one does not, 2 usage.\n";

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
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

static void print_totals(const struct round_trip *rt, uint64_t n_seeds, uint64_t n_failed,
                         uint64_t first_failed, double took_s, bool json)
{
    if (json)
        printf("{\"seeds\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"first_failed\":%" PRIu64
               ",\"seconds\":%.1f,\"blocks\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"samples\":%" PRIu64
               ",\"raw_bytes\":%" PRIu64 ",\"fast_bytes\":%" PRIu64 ",\"small_bytes\":%" PRIu64
               ",\"hostile_bodies\":%" PRIu64 ",\"hostile_rows\":%" PRIu64 "}\n",
               n_seeds, n_failed, first_failed, took_s, rt->n_blocks, rt->n_rows, rt->n_samples,
               rt->raw_bytes, rt->fast_bytes, rt->small_bytes, rt->n_hostile, rt->n_hostile_rows);
    else
        printf("%" PRIu64 " seeds, %" PRIu64 " failed (first %" PRIu64 "), %.1f s; %" PRIu64
               " blocks, %" PRIu64 " rows, %" PRIu64 " samples; hostile: %" PRIu64 " bodies, %" PRIu64
               " rows read\n",
               n_seeds, n_failed, first_failed, took_s, rt->n_blocks, rt->n_rows, rt->n_samples,
               rt->n_hostile, rt->n_hostile_rows);
}

static int run(uint64_t from, uint64_t to, bool json, bool keep_going)
{
    uint64_t n_seeds = 0, n_failed = 0, first_failed = 0, seed;
    double began_s = seconds();
    struct round_trip rt;

    round_trip_init(&rt);
    for (seed = from; seed <= to && (n_failed == 0 || keep_going); seed++) {
        const char *what = round_trip_seed(&rt, seed);

        if (what == NULL)
            what = round_trip_hostile(&rt, seed);
        if (what != NULL) {
            fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, what);
            first_failed = n_failed++ == 0 ? seed : first_failed;
        }
        n_seeds++;
    }
    print_totals(&rt, n_seeds, n_failed, first_failed, seconds() - began_s, json);
    round_trip_deinit(&rt);
    return n_failed > 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'}, {"seeds", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},       {"keep-going", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    bool json = false, keep_going = false, have = false;
    uint64_t from = 0, to = 0;

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (c == 's')
            have = parse_range(optarg, &from, &to);
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
    return run(from, to, json, keep_going);
}
