/* A world from its plan to its end: keys, nodes, folders. */
#include "world.h"

#include "base/id.h"

#include <ftw.h>
#include <sodium.h>
#include <sys/stat.h>

/* ---- chance for libsodium: identities and keys follow from the seed ---- */

static struct rng sodium_rng; /* libsodium's interface leaves no other place for it */

static const char *seeded_name(void)
{
    return "sim";
}

static uint32_t seeded_u32(void)
{
    return (uint32_t)rng_u64(&sodium_rng);
}

static void seeded_buf(void *const out, const size_t n)
{
    uint8_t *at = out;

    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(rng_u64(&sodium_rng) >> 24);
}

static struct randombytes_implementation seeded = {
    .implementation_name = seeded_name,
    .random = seeded_u32,
    .buf = seeded_buf,
};

/* ---- keys: the same in all runs, deriving them costs more than a schedule ---- */

struct fixture {
    bool ready;
    struct node_keys keys[NODES_MAX];
    struct end_keys end[NODES_MAX];
};

static struct fixture *fixture_of_process(void)
{
    static struct fixture f;
    struct node_keys *cloud = &f.keys[NODES_MAX - 1];

    if (f.ready)
        return &f;
    randombytes_set_implementation(&seeded);
    if (keys_init() != 0)
        return NULL;
    sodium_rng.state = 1;
    for (unsigned i = 0; i < NODES_MAX; i++)
        node_keys_generate(&f.keys[i]);
    for (unsigned i = 0; i + 1 < NODES_MAX; i++)
        if (end_keys_derive(f.keys[i].end_secret, f.keys[i].end_public, cloud->end_public, true, &f.end[i]) !=
            0)
            return NULL;
    f.ready = true;
    return &f;
}

/* ---- nodes ---- */

void world_begin(struct world *w)
{
    const struct fixture *f = fixture_of_process();
    const struct plan *p = &w->plan;
    unsigned no = 0;

    w->n_nodes = p->n_devices + p->n_fogs + 1;
    for (unsigned i = 0; i < p->n_devices; i++)
        node_init(w, no++, ROLE_DEVICE, i);
    for (unsigned i = 0; i < p->n_fogs; i++)
        node_init(w, no++, ROLE_FOG, i);
    node_init(w, no, ROLE_CLOUD, 0);
    for (unsigned i = 0; i < w->n_nodes; i++) {
        w->node[i].keys = i == no ? &f->keys[NODES_MAX - 1] : &f->keys[i];
        if (i != no)
            w->node[i].end = f->end[i];
    }
    for (unsigned i = w->n_nodes; i > 0 && !w->stopped; i--)
        node_open(&w->node[i - 1]);
    for (unsigned i = 0; i < p->n_devices + (p->fog_makes ? p->n_fogs : 0); i++)
        world_make_later(w, i);
    for (size_t i = 0; i < p->n_faults; i++) {
        struct event e = {
            .kind = EVENT_FAULT, .node = p->fault[i].node, .at_ms = p->fault[i].at_ms, .token = i};
        world_push(w, &e);
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Commits on a memory file system cost no fsync. */
static int make_dir(char out[PATH_BYTES])
{
    const char *base = getenv("FOGLINE_SIM_DIR");
    struct stat st;

    if (base == NULL)
        base = stat("/dev/shm", &st) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(out, PATH_BYTES, "%s/fogline-sim-XXXXXX", base != NULL ? base : "/tmp");
    return mkdtemp(out) != NULL ? 0 : -errno;
}

struct world *world_new(const struct sim_options *options, struct sim_result *ret)
{
    struct world *w = calloc(1, sizeof *w);

    *ret = (struct sim_result){.ok = true};
    if (w == NULL || fixture_of_process() == NULL || wire_arena_new(&w->arena, 2 * WIRE_ARENA_BYTES) != 0 ||
        make_dir(w->dir) != 0) {
        if (w != NULL)
            wire_arena_free(w->arena);
        free(w);
        return NULL;
    }
    w->options = options;
    w->result = ret;
    /* Mixed first: the states of neighbours are one step of the generator apart. */
    w->rng.state = options->seed;
    w->rng.state = rng_u64(&w->rng);
    sodium_rng.state = rng_u64(&w->rng);
    return w;
}

void world_free(struct world *w)
{
    struct event e;

    for (unsigned i = 0; i < w->n_nodes; i++)
        node_deinit(&w->node[i]);
    while (world_pop(w, &e))
        buf_deinit(&e.bytes);
    free(w->heap);
    oracle_deinit(&w->oracle);
    wire_arena_free(w->arena);
    nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
}
