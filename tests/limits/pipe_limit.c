/* pipe_limit.c - the bare pipeline: the least work that keeps the contract. Three processes, device -> fog ->
 * cloud, CURVE on every link, one LMDB commit (fsync) before every acknowledgement at both upper tiers,
 * duplicates refused by sequence. No features: what it prints is the ceiling that the product is measured
 * against.
 *
 * Usage: pipe_limit DIR ROWS_PER_MESSAGE ROWS [RATE] [SOURCES] [PORT]
 * RATE in rows/s bounds the load (0: as fast as it goes). Four ports from PORT on, or any free ones. One JSON
 * line. */
#include "limit.pb-c.h"
#include "trace.h"

#include <errno.h>
#include <lmdb.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define DIE(what)                                                                                            \
    do {                                                                                                     \
        fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, (what), strerror(errno));                     \
        exit(1);                                                                                             \
    } while (0)

static inline double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double cpu_s(int who)
{
    struct rusage r;
    getrusage(who, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

static inline int cmp_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts v in place; q in 0..1. */
static inline double quantile(double *v, size_t n, double q)
{
    if (n == 0)
        return 0;
    qsort(v, n, sizeof *v, cmp_double);
    return v[(size_t)(q * (double)(n - 1) + 0.5)];
}

/* A field of /proc/self/status in KiB: "VmRSS:", or "RssAnon:" for what is not
 * a mapped file (LMDB's pages count as RSS, but the kernel may drop them). */
static inline long status_kib(const char *field)
{
    char line[256];
    long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, field, strlen(field)) == 0)
            kib = atol(line + strlen(field));
    if (f != NULL)
        fclose(f);
    return kib;
}

enum { COMMIT_BYTES = 1 << 20, MAX_PER = 4000 };
static char pub[3][41], sec[3][41]; /* device, fog, cloud */
static struct ends {
    char up[64], down[64];
} fog_ep, cloud_ep;
static char dir[400];
static long per, total, rate, sources = 50, port;
static struct shared {
    double lat[1 << 20], cpu[3];
    long n_lat, rss[3], anon[3]; /* KiB: peak; at the end, not mapped */
    double disk, wire[2], seconds;
    uint64_t archived; /* messages */
} * sh;

static void *sock(void *ctx, int type, int self, int server, const char *to, char *bound)
{
    void *s = zmq_socket(ctx, type);
    int one = 1, hwm = 100000;
    size_t n = 64;
    zmq_setsockopt(s, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt(s, ZMQ_RCVHWM, &hwm, sizeof hwm);
    zmq_setsockopt(s, ZMQ_LINGER, &(int){500}, sizeof(int));
    zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, sec[self], 40);
    zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, pub[self], 40);
    if (server >= 0)
        zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, pub[server], 40);
    else
        zmq_setsockopt(s, ZMQ_CURVE_SERVER, &one, sizeof one);
    if (type == ZMQ_SUB)
        zmq_setsockopt(s, ZMQ_SUBSCRIBE, "", 0);
    if (to != NULL) {
        if (zmq_connect(s, to) != 0)
            DIE("connect");
    } else {
        char any[64] = "tcp://127.0.0.1:*";
        if (port > 0)
            snprintf(any, sizeof any, "tcp://127.0.0.1:%ld", port + self * 2 + (type == ZMQ_PUB));
        if (zmq_bind(s, any) != 0)
            DIE("bind");
        zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, bound, &n);
    }
    return s;
}

static MDB_env *db_open(const char *name, MDB_dbi *dbi)
{
    char path[500], file[600];
    MDB_env *env;
    MDB_txn *txn;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    mkdir(path, 0755);
    snprintf(file, sizeof file, "%s/data.mdb", path);
    unlink(file);
    mdb_env_create(&env);
    mdb_env_set_mapsize(env, (size_t)16 << 30);
    if (mdb_env_open(env, path, 0, 0644) != 0)
        DIE("mdb_env_open");
    mdb_txn_begin(env, NULL, 0, &txn);
    mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, dbi);
    mdb_txn_commit(txn);
    return env;
}

static double db_bytes(const char *name)
{
    char file[600];
    struct stat st;
    snprintf(file, sizeof file, "%s/%s/data.mdb", dir, name);
    return stat(file, &st) == 0 ? (double)st.st_blocks * 512 : 0;
}

static size_t pack(struct trace *t, uint64_t seq, long n, uint8_t *out)
{
    static int64_t td[MAX_PER], dl[TRACE_CHANNELS][MAX_PER];
    static double v[MAX_PER][TRACE_CHANNELS];
    static const double p10[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    uint32_t dev = (uint32_t)(seq % (uint64_t)sources);
    uint64_t i0 = seq / (uint64_t)sources * (uint64_t)n;
    int64_t ms = 0;
    Fogline__Limit__Batch b = FOGLINE__LIMIT__BATCH__INIT;
    Fogline__Limit__Column col[TRACE_CHANNELS], *ptr[TRACE_CHANNELS];
    for (long i = 0; i < n; i++) {
        int64_t m = trace_row(t, dev, i0 + (uint64_t)i, v[i]);
        td[i] = i ? m - ms : 0;
        if (i == 0)
            b.time_ms = (uint64_t)m;
        ms = m;
    }
    for (int c = 0; c < TRACE_CHANNELS; c++) {
        int e = 0;
        int64_t last = 0;
        ptr[c] = &col[c];
        fogline__limit__column__init(&col[c]);
        for (long i = 0; i < n; i++)
            while (e < 9 && fabs(v[i][c] * p10[e] - nearbyint(v[i][c] * p10[e])) > 1e-5)
                e++;
        for (long i = 0; i < n; i++) {
            int64_t q = (int64_t)nearbyint(v[i][c] * p10[e]);
            dl[c][i] = q - last;
            last = q;
        }
        col[c].exponent = e;
        col[c].n_delta = (size_t)n;
        col[c].delta = dl[c];
    }
    b.device = dev;
    b.sequence = seq;
    b.n_time_delta = n > 1 ? (size_t)n : 0;
    b.time_delta = td;
    b.n_column = TRACE_CHANNELS;
    b.column = ptr;
    return fogline__limit__batch__pack(&b, out);
}

static void leave(int tier)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    sh->cpu[tier] = cpu_s(RUSAGE_SELF);
    sh->rss[tier] = r.ru_maxrss;
    sh->anon[tier] = status_kib("RssAnon:");
    _exit(0);
}

/* A tier that stores: takes what has arrived (up to COMMIT_BYTES), commits,
 * then acknowledges the last sequence; the fog also passes the message on and
 * drops what the cloud acknowledged. */
static void store(int tier, void *up, void *down, void *next, void *next_ack)
{
    MDB_dbi dbi;
    const char *name = tier == 1 ? "fog" : "cloud";
    MDB_env *env = db_open(name, &dbi);
    MDB_txn *txn;
    uint64_t want = 0, acked = 0, dropped = 0, end = (uint64_t)((total + per - 1) / per);
    zmq_msg_t *hold = calloc(65536, sizeof *hold);
    while (want < end || (next != NULL && acked < end)) {
        zmq_pollitem_t it[2] = {{up, 0, ZMQ_POLLIN, 0}, {next_ack, 0, ZMQ_POLLIN, 0}};
        size_t n = 0, bytes = 0;
        if (zmq_poll(it, next_ack != NULL ? 2 : 1, 10000) <= 0)
            break;
        mdb_txn_begin(env, NULL, 0, &txn);
        while (n < 65536 && bytes < COMMIT_BYTES) {
            zmq_msg_init(&hold[n]);
            if (zmq_msg_recv(&hold[n], up, ZMQ_DONTWAIT) < 0)
                break;
            Fogline__Limit__Batch *b =
                fogline__limit__batch__unpack(NULL, zmq_msg_size(&hold[n]), zmq_msg_data(&hold[n]));
            if (b != NULL && b->sequence == want) {
                MDB_val k = {sizeof want, &want}, v = {zmq_msg_size(&hold[n]), zmq_msg_data(&hold[n])};
                if (mdb_put(txn, dbi, &k, &v, MDB_APPEND) != 0)
                    DIE("mdb_put");
                bytes += v.mv_size;
                want++;
                n++;
            }
            fogline__limit__batch__free_unpacked(b, NULL);
        }
        while (next_ack != NULL && zmq_recv(next_ack, &acked, sizeof acked, ZMQ_DONTWAIT) > 0)
            ;
        for (; dropped < acked; dropped++) {
            MDB_val k = {sizeof dropped, &dropped};
            mdb_del(txn, dbi, &k, NULL);
        }
        if (mdb_txn_commit(txn) != 0)
            DIE("commit");
        sh->wire[tier - 1] += (double)bytes;
        if (n > 0)
            zmq_send(down, &want, sizeof want, 0);
        for (size_t i = 0; i < n; i++)
            if (next == NULL || zmq_msg_send(&hold[i], next, 0) < 0)
                zmq_msg_close(&hold[i]);
    }
    if (tier == 2)
        sh->disk = db_bytes(name);
    usleep(300000);
    leave(tier);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return fprintf(stderr, "usage: pipe_limit DIR ROWS_PER_MESSAGE ROWS [RATE] [SOURCES]\n"), 2;
    int p[4];
    snprintf(dir, sizeof dir, "%s", argv[1]);
    mkdir(dir, 0755);
    per = atol(argv[2]) < MAX_PER ? atol(argv[2]) : MAX_PER;
    total = atol(argv[3]);
    rate = argc > 4 ? atol(argv[4]) : 0;
    sources = argc > 5 ? atol(argv[5]) : 50;
    port = argc > 6 ? atol(argv[6]) : 0;
    sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 3; i++)
        zmq_curve_keypair(pub[i], sec[i]);
    if (pipe(p) != 0 || pipe(p + 2) != 0)
        DIE("pipe");
    pid_t cloud = fork();
    if (cloud == 0) {
        void *ctx = zmq_ctx_new();
        void *up = sock(ctx, ZMQ_PULL, 2, -1, NULL, cloud_ep.up),
             *down = sock(ctx, ZMQ_PUB, 2, -1, NULL, cloud_ep.down);
        if (write(p[1], &cloud_ep, sizeof cloud_ep) != (ssize_t)sizeof cloud_ep)
            _exit(1);
        store(2, up, down, NULL, NULL);
    }
    if (read(p[0], &cloud_ep, sizeof cloud_ep) != (ssize_t)sizeof cloud_ep)
        DIE("read");
    pid_t fog = fork();
    if (fog == 0) {
        void *ctx = zmq_ctx_new();
        void *up = sock(ctx, ZMQ_PULL, 1, -1, NULL, fog_ep.up),
             *down = sock(ctx, ZMQ_PUB, 1, -1, NULL, fog_ep.down);
        void *next = sock(ctx, ZMQ_PUSH, 1, 2, cloud_ep.up, NULL),
             *ack = sock(ctx, ZMQ_SUB, 1, 2, cloud_ep.down, NULL);
        if (write(p[3], &fog_ep, sizeof fog_ep) != (ssize_t)sizeof fog_ep)
            _exit(1);
        store(1, up, down, next, ack);
    }
    if (read(p[2], &fog_ep, sizeof fog_ep) != (ssize_t)sizeof fog_ep)
        DIE("read");
    pid_t device = fork();
    double t0 = now_s();
    if (device == 0) {
        struct trace tr = trace_load();
        void *ctx = zmq_ctx_new();
        /* It hears the cloud too, so that the latency is end to end. */
        void *push = sock(ctx, ZMQ_PUSH, 0, 1, fog_ep.up, NULL),
             *ack = sock(ctx, ZMQ_SUB, 0, 1, fog_ep.down, NULL);
        void *done = sock(ctx, ZMQ_SUB, 0, 2, cloud_ep.down, NULL);
        uint64_t end = (uint64_t)((total + per - 1) / per), acked = 0, seen = 0, last = 0;
        uint64_t window = (uint64_t)(per >= 100 ? 4000 : 50000);
        double *sent = calloc(end + 1, sizeof *sent);
        uint8_t *buf = malloc(1 << 20);
        usleep(500000);
        t0 = now_s();
        for (uint64_t s = 0; s < end || last < end;) {
            zmq_pollitem_t it[2] = {{ack, 0, ZMQ_POLLIN, 0}, {done, 0, ZMQ_POLLIN, 0}};
            if (s < end && s - acked < window) {
                double due = rate ? t0 + (double)s * (double)per / (double)rate : 0;
                double left = due - now_s();
                if (left <= 0) {
                    size_t n = pack(&tr, s, per, buf);
                    sent[s++] = now_s();
                    zmq_send(push, buf, n, 0);
                } else if (left < 0.002) {
                    usleep((useconds_t)(left * 1e6 > 200 ? 200 : left * 1e6));
                } else {
                    zmq_poll(it, 2, (long)(left * 1e3));
                }
            } else {
                if (zmq_poll(it, 2, 10000) <= 0)
                    break;
            }
            while (zmq_recv(ack, &acked, sizeof acked, ZMQ_DONTWAIT) > 0)
                ;
            while (zmq_recv(done, &last, sizeof last, ZMQ_DONTWAIT) > 0) {
                double t = now_s();
                for (; seen < last; seen++)
                    if (sh->n_lat < 1 << 20)
                        sh->lat[sh->n_lat++] = (t - sent[seen]) * 1e3;
            }
        }
        double dt = now_s() - t0;
        sh->seconds = dt;
        sh->archived = last;
        leave(0);
    }
    waitpid(device, NULL, 0);
    waitpid(fog, NULL, 0);
    waitpid(cloud, NULL, 0);
    size_t n = (size_t)sh->n_lat;
    double p50 = quantile(sh->lat, n, 0.5), p99 = quantile(sh->lat, n, 0.99), rows = (double)total;
    printf(
        "{\"rows_per_message\":%ld,\"rows\":%ld,\"archived_messages\":%llu,\"seconds\":%.3f,\"rows_s\":%.0f,"
        "\"cpu\":{\"device\":%.2f,\"fog\":%.2f,\"cloud\":%.2f},\"rss_mib\":{\"device\":%ld,\"fog\":%ld,"
        "\"cloud\":%ld},"
        "\"anon_mib\":{\"device\":%.1f,\"fog\":%.1f,\"cloud\":%.1f},"
        "\"payload_b_row\":%.1f,\"disk_b_row\":%.1f,\"p50\":%.3f,\"p99\":%.3f}\n",
        per, total, (unsigned long long)sh->archived, sh->seconds, rows / sh->seconds, sh->cpu[0], sh->cpu[1],
        sh->cpu[2], sh->rss[0] / 1024, sh->rss[1] / 1024, sh->rss[2] / 1024, (double)sh->anon[0] / 1024,
        (double)sh->anon[1] / 1024, (double)sh->anon[2] / 1024, sh->wire[0] / rows, sh->disk / rows, p50,
        p99);
    return 0;
}
