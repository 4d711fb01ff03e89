/* power - records the pipeline's writes, makes the disks that a power cut could leave, and opens them.
 *
 *   power [--tier device|fog|cloud] [--states N] [--seed N] [--steps N] [--without-sync] [--ack-early]
 * [--json]
 *
 * For each tier N states. A failure says its seed and state; the same command makes it again. --without-sync
 * forgets every sync of a file, --ack-early takes every word as given when its commit began: both have to be
 * noticed. Exit 0: nothing acknowledged was lost, every state opened. */
#include "check.h"
#include "disk.h"

#include "base/cleanup.h"
#include "lib/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHILD_TIMEOUT_S = 60,
    REPORTED_MAX = 10,
    VERDICT_CRASHED = CHECK_VERDICTS,
    VERDICTS,
    EXIT_BROKEN = 99
};

struct arguments {
    int tier; /* -1: all */
    uint64_t states, seed, steps;
    bool without_sync, ack_early, json;
    char program_folder[PATH_MAX / 2];
};

struct ack {
    size_t point, commit;
};

/* One tier of one run. Point 2 i: event i has begun; 2 i + 1: it has finished. */
struct trial {
    const struct arguments *a;
    const struct disk_run *run;
    enum store_tier tier;
    char folder[PATH_MAX / 2]; /* the recorded one */
    char scratch[PATH_MAX / 2];
    struct check_commit *commits;
    size_t *commit_points; /* when each had begun */
    size_t n_commits;
    struct ack *acks;
    size_t n_acks;
    uint64_t verdicts[VERDICTS], by_mode[DISK_MODES], n_reported;
};

static void die(const char *what, int r)
{
    fprintf(stderr, "power: %s: %s\n", what, r < 0 ? strerror(-r) : "failed");
    exit(EXIT_BROKEN);
}

static void *must_alloc(size_t n, size_t each)
{
    void *p = calloc(n + 1, each);

    if (p == NULL)
        die("memory", -ENOMEM);
    return p;
}

/* ---- recording ---- */

static void record(const struct arguments *a, const char *folder, const char *log)
{
    char program[PATH_MAX], recorder[PATH_MAX], seed[32], steps[32];
    int status;
    pid_t pid;

    snprintf(program, sizeof program, "%s/pipeline", a->program_folder);
    snprintf(recorder, sizeof recorder, "%s/librecorder.so", a->program_folder);
    snprintf(seed, sizeof seed, "%" PRIu64, a->seed);
    snprintf(steps, sizeof steps, "%" PRIu64, a->steps);
    if (mkdir(folder, 0700) < 0)
        die(folder, -errno);
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        die("fork", -errno);
    if (pid == 0) {
        setenv("LD_PRELOAD", recorder, 1);
        setenv("ASAN_OPTIONS", "verify_asan_link_order=0",
               1); /* a sanitizer wants to come first, and need not */
        setenv(LOG_ENV_FOLDER, folder, 1);
        setenv(LOG_ENV_FILE, log, 1);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execl(program, program, folder, seed, steps, (char *)NULL);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        die("the pipeline did not come to a good end", 0);
}

/* ---- in a child, because a broken store may end the process ---- */

static void empty_scratch(const struct trial *t)
{
    nftw(t->scratch, tmpdir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (mkdir(t->scratch, 0700) < 0)
        die(t->scratch, -errno);
}

static int child_make(const struct trial *t, const struct disk *d, enum disk_mode mode, struct rng *rng,
                      char *out)
{
    snprintf(out, PATH_MAX, "%s/%s", t->scratch, store_name[t->tier]);
    alarm(CHILD_TIMEOUT_S);
    return disk_make(d, store_name[t->tier], out, mode, rng);
}

/* What the whole disk holds now, as a store. Not readable when it does not open. */
static void digest_now(const struct trial *t, const struct disk *d, struct check_commit *ret_c)
{
    char out[PATH_MAX];
    struct rng rng = {0};
    int ends[2];
    pid_t pid;

    *ret_c = (struct check_commit){0};
    empty_scratch(t);
    if (pipe2(ends, O_CLOEXEC) < 0)
        die("pipe", -errno);
    pid = fork();
    if (pid < 0)
        die("fork", -errno);
    if (pid == 0) {
        struct check_commit c = {0};

        if (child_make(t, d, DISK_ALL, &rng, out) == 0 && check_digest(t->tier, out, &c) == 0 &&
            write(ends[1], &c, sizeof c) != (ssize_t)sizeof c)
            _exit(1);
        _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], ret_c, sizeof *ret_c) != (ssize_t)sizeof *ret_c)
        *ret_c = (struct check_commit){0};
    close(ends[0]);
    waitpid(pid, NULL, 0);
}

static unsigned judge(const struct trial *t, const struct disk *d, enum disk_mode mode, struct rng *rng,
                      const struct check_allowed *allowed, bool report)
{
    char out[PATH_MAX];
    struct errmsg err = {""};
    int status = 0;
    pid_t pid;

    empty_scratch(t);
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        die("fork", -errno);
    if (pid == 0) {
        enum check_verdict v;
        int r = child_make(t, d, mode, rng, out);

        if (r != 0)
            die("making a state", r);
        if (!report)
            (void)!freopen("/dev/null", "w", stderr);
        v = check_state(t->tier, t->scratch, allowed, &err);
        if (v != CHECK_GOOD)
            fprintf(stderr, "  %s: %s\n", check_verdict_name[v], err.text);
        fflush(NULL);
        _exit((int)v);
    }
    if (waitpid(pid, &status, 0) != pid)
        die("waitpid", -errno);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_BROKEN)
        die("a state could not be made", 0);
    return WIFEXITED(status) && WEXITSTATUS(status) < CHECK_VERDICTS ? (unsigned)WEXITSTATUS(status)
                                                                     : VERDICT_CRASHED;
}

/* ---- the two walks over the run ---- */

/* A commit ends with a write of one of the two meta pages; a new store appears by its name, with a commit in
 * it. */
static bool is_commit(const struct disk *d, const struct trial *t, const struct disk_event *e)
{
    return (e->head.op == LOG_RENAME || (e->head.op == LOG_WRITE && e->head.offset < 2 * 4096)) &&
           disk_is(d, e->head.inode, store_name[t->tier], "data.mdb");
}

static struct disk *fresh_disk(const struct trial *t)
{
    struct disk *d;
    int r = disk_new(&d, t->folder);

    if (r != 0)
        die("disk", r);
    return d;
}

/* First walk: which states the commits made, and which of them was the last when the program spoke. */
static void find_commits(struct trial *t)
{
    struct disk *d = fresh_disk(t);

    t->commits = must_alloc(t->run->n, sizeof t->commits[0]);
    t->commit_points = must_alloc(t->run->n, sizeof t->commit_points[0]);
    t->acks = must_alloc(t->run->n, sizeof t->acks[0]);
    for (size_t i = 0; i < t->run->n; i++) {
        const struct disk_event *e = &t->run->at[i];
        const struct store_ack *a = (const struct store_ack *)e->data;
        size_t c;

        disk_begin(d, e);
        disk_finish(d, e, false);
        if (is_commit(d, t, e)) {
            digest_now(t, d, &t->commits[t->n_commits]);
            t->commit_points[t->n_commits++] = 2 * i;
        }
        if (e->head.op != LOG_ACK || e->head.data_bytes != sizeof *a || a->tier != t->tier)
            continue;
        for (c = t->n_commits; c-- > 0;)
            if (t->commits[c].readable && memcmp(t->commits[c].digest, a->digest, STORE_DIGEST_BYTES) == 0)
                break;
        if (c == SIZE_MAX)
            die("the recorded writes do not make the store that the program had", 0);
        t->acks[t->n_acks++] =
            (struct ack){t->a->ack_early && c > 0 ? t->commit_points[c - 1] + 1 : 2 * i, c};
    }
    disk_free(d);
}

static struct check_allowed allowed_at(const struct trial *t, size_t point)
{
    struct check_allowed a = {.commits = t->commits};

    for (size_t i = 0; i < t->n_acks && t->acks[i].point <= point; i++) {
        a.any = true;
        a.acknowledged = t->acks[i].commit;
    }
    while (a.n_commits < t->n_commits && t->commit_points[a.n_commits] <= point)
        a.n_commits++;
    return a;
}

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return x < y ? -1 : x > y;
}

/* Points where a cut makes a difference: something of the tier is on its way. A tenth of the states lie
 * anywhere. */
static size_t *choose_points(const struct trial *t, struct rng *rng)
{
    size_t *points = must_alloc(t->a->states, sizeof points[0]),
           *open = must_alloc(2 * t->run->n, sizeof open[0]);
    struct disk *d = fresh_disk(t);
    size_t n_open = 0;

    for (size_t i = 0; i < t->run->n; i++) {
        disk_begin(d, &t->run->at[i]);
        if (disk_pending(d, store_name[t->tier]) > 0)
            open[n_open++] = 2 * i;
        disk_finish(d, &t->run->at[i], t->a->without_sync);
        if (disk_pending(d, store_name[t->tier]) > 0)
            open[n_open++] = 2 * i + 1;
    }
    disk_free(d);
    for (uint64_t s = 0; s < t->a->states; s++)
        points[s] = n_open == 0 || rng_below(rng, 10) == 0 ? rng_below(rng, 2 * t->run->n)
                                                           : open[rng_below(rng, n_open)];
    free(open);
    qsort(points, t->a->states, sizeof points[0], by_size);
    return points;
}

static void one_state(struct trial *t, const struct disk *d, size_t point, uint64_t state)
{
    struct rng rng = {t->a->seed * UINT64_C(1000003) + state * 7 + t->tier};
    enum disk_mode mode = (enum disk_mode)rng_below(&rng, DISK_MODES);
    struct check_allowed allowed = allowed_at(t, point);
    struct rng again = rng;
    unsigned v = judge(t, d, mode, &rng, &allowed, false);

    t->verdicts[v]++;
    t->by_mode[mode]++;
    if (v == CHECK_GOOD || t->a->without_sync || t->a->ack_early || t->n_reported++ >= REPORTED_MAX)
        return;
    fprintf(stderr,
            "%s, seed %" PRIu64 ", steps %" PRIu64 ", states %" PRIu64 ": state %" PRIu64
            " at point %zu, mode %d:\n",
            store_name[t->tier], t->a->seed, t->a->steps, t->a->states, state, point, mode);
    if (judge(t, d, mode, &again, &allowed, true) == VERDICT_CRASHED)
        fprintf(stderr, "  the process that opened it died\n");
}

/* Second walk: the states. */
static void try_states(struct trial *t)
{
    struct rng rng = {t->a->seed ^ (UINT64_C(0x5bd1e995) << t->tier)};
    size_t *points = choose_points(t, &rng);
    struct disk *d = fresh_disk(t);
    uint64_t s = 0;

    for (size_t i = 0; i < t->run->n && s < t->a->states; i++) {
        disk_begin(d, &t->run->at[i]);
        for (; s < t->a->states && points[s] == 2 * i; s++)
            one_state(t, d, points[s], s);
        disk_finish(d, &t->run->at[i], t->a->without_sync);
        for (; s < t->a->states && points[s] == 2 * i + 1; s++)
            one_state(t, d, points[s], s);
    }
    disk_free(d);
    free(points);
}

/* ---- the whole ---- */

static void print_tier(const struct trial *t, bool json, bool first)
{
    if (!json) {
        printf("%-7s %6" PRIu64 " states of %zu events, %zu commits, %zu acknowledgements: lost %" PRIu64
               ", half %" PRIu64 ", unopened %" PRIu64 ", worse %" PRIu64 "\n",
               store_name[t->tier], t->a->states, t->run->n, t->n_commits, t->n_acks, t->verdicts[CHECK_LOST],
               t->verdicts[CHECK_HALF], t->verdicts[CHECK_UNOPENED] + t->verdicts[VERDICT_CRASHED],
               t->verdicts[CHECK_WORSE]);
        return;
    }
    printf("%s\"%s\":{\"states\":%" PRIu64
           ",\"events\":%zu,\"commits\":%zu,\"acknowledgements\":%zu,\"acknowledged_lost\":%" PRIu64
           ",\"half\":%" PRIu64 ",\"unopened\":%" PRIu64 ",\"worse\":%" PRIu64 "}",
           first ? "" : ",", store_name[t->tier], t->a->states, t->run->n, t->n_commits, t->n_acks,
           t->verdicts[CHECK_LOST], t->verdicts[CHECK_HALF],
           t->verdicts[CHECK_UNOPENED] + t->verdicts[VERDICT_CRASHED], t->verdicts[CHECK_WORSE]);
}

/* Lost, all faults, states: summed up. */
static void try_tier(const struct arguments *a, const struct disk_run *run, const char *top,
                     enum store_tier tier, uint64_t sum[3], bool first)
{
    struct trial t = {.a = a, .run = run, .tier = tier};

    snprintf(t.folder, sizeof t.folder, "%s/run", top);
    snprintf(t.scratch, sizeof t.scratch, "%s/state", top);
    find_commits(&t);
    try_states(&t);
    print_tier(&t, a->json, first);
    sum[0] += t.verdicts[CHECK_LOST];
    for (unsigned v = CHECK_GOOD + 1; v < VERDICTS; v++)
        sum[1] += t.verdicts[v];
    sum[2] += a->states;
    free(t.commits);
    free(t.commit_points);
    free(t.acks);
}

static int run_all(const struct arguments *a)
{
    struct disk_run run = {0};
    struct tmpdir dir;
    char path[PATH_MAX], log[PATH_MAX];
    struct timespec began, ended;
    uint64_t sum[3] = {0};
    bool first = true;
    int r;

    clock_gettime(CLOCK_MONOTONIC, &began);
    tmpdir_init(&dir);
    snprintf(path, sizeof path, "%s", tmpdir_path(&dir, "run"));
    snprintf(log, sizeof log, "%s", tmpdir_path(&dir, "log"));
    record(a, path, log);
    r = disk_run_read(&run, log);
    if (r != 0)
        die(log, r);
    if (a->json)
        printf("{");
    for (int t = 0; t < STORE_TIERS; t++)
        if (a->tier < 0 || a->tier == t) {
            try_tier(a, &run, dir.path, (enum store_tier)t, sum, first);
            first = false;
        }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    if (a->json)
        printf(",\"seed\":%" PRIu64 ",\"states\":%" PRIu64 ",\"acknowledged_lost\":%" PRIu64
               ",\"failures\":%" PRIu64 ",\"always_opens\":%s,\"seconds\":%.1f}\n",
               a->seed, sum[2], sum[0], sum[1], sum[1] == 0 ? "true" : "false",
               (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9);
    disk_run_deinit(&run);
    tmpdir_deinit(&dir);
    return sum[1] == 0 ? 0 : 1;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: power [--tier device|fog|cloud] [--states N] [--seed N] [--steps N] [--without-sync]\n"
            "             [--ack-early] [--json]\n");
    return 2;
}

static void find_programs(struct arguments *a)
{
    ssize_t n = readlink("/proc/self/exe", a->program_folder, sizeof a->program_folder - 1);
    char *slash;

    if (n < 0)
        die("/proc/self/exe", -errno);
    a->program_folder[n] = '\0';
    slash = strrchr(a->program_folder, '/');
    if (slash != NULL)
        *slash = '\0';
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"tier", required_argument, NULL, 't'},   {"states", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},   {"steps", required_argument, NULL, 'p'},
        {"without-sync", no_argument, NULL, 'w'}, {"ack-early", no_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'},         {0}};
    struct arguments a = {.tier = -1, .states = 200, .seed = 1, .steps = 120};
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 't':
            for (a.tier = STORE_TIERS - 1; a.tier >= 0 && strcmp(store_name[a.tier], optarg) != 0;)
                a.tier--;
            if (a.tier < 0)
                return usage();
            break;
        case 'n':
            a.states = strtoull(optarg, NULL, 10);
            break;
        case 's':
            a.seed = strtoull(optarg, NULL, 10);
            break;
        case 'p':
            a.steps = strtoull(optarg, NULL, 10);
            break;
        case 'w':
            a.without_sync = true;
            break;
        case 'e':
            a.ack_early = true;
            break;
        case 'j':
            a.json = true;
            break;
        default:
            return usage();
        }
    }
    if (optind != argc || a.states == 0 || a.steps == 0)
        return usage();
    /* Thousands of small stores: a disk that forgets is modelled here, the real one only has to hold them. */
    if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    if (sodium_init() < 0)
        die("libsodium", 0);
    find_programs(&a);
    return run_all(&a);
}
