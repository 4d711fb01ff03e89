/* Models (common/infer/model.h) on readings of other sources, as a source. */

#include "device/infer/derived.h"
#include "device/infer/worker.h"

#include "base/cleanup.h"
#include "score/model_use.h"
#include "wire/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct model_config {
    struct derived_config derived;
    char file[512];
    struct config_strings keys;
    bool allow_unsigned;
    int64_t arena_bytes;
};

#define AT(member) CONFIG_AT(struct model_config, member)

static const struct config_row rows[] = {
    DERIVED_ROWS,
    {"file", CONFIG_PATH, AT(file), .required = true, .help = "Model file, as fogline-model writes it."},
    {"keys", CONFIG_STRINGS, AT(keys), .max = "8",
     .help = "Public keys (Ed25519, 64 hexadecimal digits) one of which must have signed the file."},
    {"allow_unsigned", CONFIG_BOOL, AT(allow_unsigned), .def = "false",
     .help = "Files that nobody signed are taken, too."},
    {"arena_bytes", CONFIG_BYTES, AT(arena_bytes), .min = "4 KiB", .max = "256 MiB", .def = "1 MiB",
     .help = "Memory that its computed values may take; a model that needs more is refused."},
    {0},
};

static void model_source_check(const void *config, const char *field, struct config_check *c)
{
    const struct model_config *m = config;

    derived_config_check(&m->derived, field, c);
    model_keys_check(&m->keys, m->allow_unsigned, field, c);
}

/* The main thread reads model files and offers what it made of them; the act thread takes it over between two
 * runs and gives back what ran before. */
struct model_source {
    struct derived derived;
    struct model_settings settings;
    struct model_use *now; /* the act thread's; NULL: none yet */
    _Atomic(struct model_use *) offered, retired;
    const struct model_use *accepted; /* the main thread's: the last one it offered */
    struct stat tried;                /* the file when it was last read */
    bool is_refused;
    struct worker *worker; /* NULL: nothing runs aside */
    struct worker_job job;
    int64_t run_time_ns, run_took_ns, next_time_ns; /* of the run aside, of the input that waits */
    uint64_t run_mono_ns, next_mono_ns;
    bool has_next; /* now->values waits for the run under way */
};

static size_t save(const void *ctx, uint8_t *out, size_t room)
{
    const struct model_source *s = ctx;
    struct span image =
        s->now != NULL && s->now->features != NULL ? feature_image(s->now->features) : span_of(NULL, 0);

    if (image.len > 0 && image.len <= room)
        memcpy(out, image.data, image.len);
    return image.len;
}

static int restore(void *ctx, struct span image, struct errmsg *err)
{
    struct model_source *s = ctx;

    return s->now->features != NULL ? feature_restore(s->now->features, image, err) : 0;
}

/* ---- runs ---- */

static void give(struct model_source *s)
{
    memcpy(infer_model_input(s->now->model, 0), s->now->values, s->now->n_in * sizeof *s->now->values);
}

static enum derived_said collect(struct model_source *s, struct cell *cells)
{
    uint32_t odd = 0;

    if (model_use_cells(s->now, cells, &odd) == MODEL_ROW)
        return DERIVED_ROW;
    snprintf(s->derived.trouble, sizeof s->derived.trouble, "the model gives no number for %s",
             s->now->outputs[odd].name);
    return DERIVED_ODD;
}

static void run_aside(struct worker_job *job, const atomic_bool *stops)
{
    struct model_source *s = (struct model_source *)((char *)job - offsetof(struct model_source, job));
    size_t n = infer_model_graph(s->now->model)->n_nodes;
    int64_t began_ns = clock_mono_ns(&clock_real);

    for (size_t i = 0; i < n && !atomic_load_explicit(stops, memory_order_relaxed); i++)
        infer_model_run_node(s->now->model, i);
    s->run_took_ns = clock_mono_ns(&clock_real) - began_ns;
}

static int job_state(struct model_source *s)
{
    return atomic_load_explicit(&s->job.state, memory_order_acquire);
}

static void submit(struct model_source *s)
{
    if (!s->has_next || job_state(s) != WORKER_FREE)
        return;
    give(s);
    s->has_next = false;
    s->run_time_ns = s->next_time_ns;
    s->run_mono_ns = s->next_mono_ns;
    worker_submit(s->worker, &s->job);
}

static void forget_next(struct model_source *s)
{
    if (s->has_next)
        atomic_fetch_add_explicit(&s->derived.skipped, 1, memory_order_relaxed);
    s->has_next = false;
}

static enum derived_said compute(void *ctx, const struct source_row *cause, const double *values,
                                 const bool *present, struct cell *cells)
{
    struct model_source *s = ctx;
    unsigned missing = 0;
    bool has_next = s->has_next;
    enum model_said said = model_use_prepare(s->now, values, present, &missing);

    if (said == MODEL_MISSING)
        snprintf(s->derived.trouble, sizeof s->derived.trouble, "no good reading of %.50s/%.50s",
                 s->derived.inputs[missing].source_name, s->derived.inputs[missing].channel);
    if (said == MODEL_MISSING && has_next)
        forget_next(s); /* it was written over */
    if (said != MODEL_ROW)
        return said == MODEL_MISSING ? DERIVED_FAILED : DERIVED_NOTHING;
    if (!atomic_load_explicit(&s->derived.is_aside, memory_order_relaxed)) {
        give(s);
        infer_model_run(s->now->model);
        return collect(s, cells);
    }
    forget_next(s);
    s->has_next = true;
    s->next_time_ns = cause->time_ns;
    s->next_mono_ns = cause->mono_ns;
    submit(s);
    return DERIVED_LATER;
}

static bool step_aside(void *ctx)
{
    struct model_source *s = ctx;

    if (s->worker != NULL)
        atomic_store_explicit(&s->derived.is_aside, true, memory_order_relaxed);
    return s->worker != NULL;
}

/* ---- another model ---- */

static void adopt(struct model_source *s, struct model_use *use)
{
    struct errmsg other_recipe;

    if (s->now != NULL && s->now->features != NULL && use->features != NULL &&
        feature_restore(use->features, feature_image(s->now->features), &other_recipe) != 0)
        feature_reset(use->features);
    for (uint32_t i = 0; s->now == NULL && i < use->n_outputs; i++)
        derived_add_output(&s->derived, use->outputs[i].name, "", use->outputs[i].type);
    s->now = use;
    s->derived.is_slow_told = false;
    histogram_clear(&s->derived.time_ns);
    atomic_store_explicit(&s->derived.is_aside,
                          s->worker != NULL && use->operations / 1000 > (uint64_t)s->derived.budget_ns / 1000,
                          memory_order_relaxed);
}

static void take_over(struct model_source *s)
{
    struct model_use *before = s->now, *use;
    char text[200];

    /* There is one place to give back to: the main thread empties it. */
    if (atomic_load_explicit(&s->offered, memory_order_relaxed) == NULL ||
        atomic_load_explicit(&s->retired, memory_order_relaxed) != NULL || job_state(s) != WORKER_FREE)
        return;
    use = atomic_exchange_explicit(&s->offered, NULL, memory_order_acq_rel);
    if (use == NULL)
        return;
    forget_next(s);
    adopt(s, use);
    atomic_store_explicit(&s->retired, before, memory_order_release);
    snprintf(text, sizeof text, "model %s runs, before it %s", use->id,
             before != NULL ? before->id : "none did");
    derived_tell(&s->derived,
                 before != NULL ? FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE
                                : FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED,
                 text);
}

static void hear_row(void *self, unsigned source, const struct source_row *r)
{
    take_over(self);
    derived_hear_row(self, source, r);
}

static int model_source_step(void *self, const struct source_sink *sink, const struct source_now *now,
                             int64_t *ret_next_ns)
{
    struct model_source *s = self;
    struct cell cells[DERIVED_OUTPUTS_MAX];
    enum derived_said said;
    uint64_t n;

    if (s->job.done_fd >= 0 && read(s->job.done_fd, &n, sizeof n) > 0 && job_state(s) == WORKER_DONE) {
        said = collect(s, cells);
        derived_note_time(&s->derived, s->run_took_ns);
        derived_say(&s->derived, s->run_time_ns, s->run_mono_ns, said, cells);
        atomic_store_explicit(&s->job.state, WORKER_FREE, memory_order_relaxed);
    }
    take_over(s);
    submit(s);
    return derived_step(self, sink, now, ret_next_ns);
}

static int model_source_fd(const void *self)
{
    return ((const struct model_source *)self)->job.done_fd;
}

/* ---- the main thread's side ---- */

static int load(struct model_source *s, struct model_use **ret, struct errmsg *err)
{
    struct model_use *use;
    int rc;

    if (stat(s->settings.file, &s->tried) != 0)
        s->tried = (struct stat){0};
    rc = model_use_load(&s->settings, &use, err);
    if (rc == 0 && s->accepted != NULL && !model_use_is_like(use, s->accepted)) {
        model_use_free(use);
        rc = errmsg_set(err, -EINVAL, "%s gives other channels: restart the device to take it",
                        s->settings.file);
    }
    s->is_refused = rc != 0;
    if (rc == 0)
        *ret = use;
    return rc;
}

static bool has_changed(const struct model_source *s)
{
    struct stat now = {0};

    if (stat(s->settings.file, &now) != 0)
        return false;
    return now.st_ino != s->tried.st_ino || now.st_size != s->tried.st_size ||
           now.st_mtim.tv_sec != s->tried.st_mtim.tv_sec || now.st_mtim.tv_nsec != s->tried.st_mtim.tv_nsec;
}

static bool tend(void *self, bool is_asked, struct errmsg *err)
{
    struct model_source *s = self;
    struct model_use *use;
    struct errmsg why;

    model_use_free(atomic_exchange(&s->retired, NULL));
    if (!is_asked && !(s->is_refused && has_changed(s)))
        return true;
    if (load(s, &use, &why) != 0) {
        errmsg_set(err, 0, "not taken%s: %.180s", s->accepted != NULL ? ", the model before it runs on" : "",
                   why.text);
        return false;
    }
    if (s->accepted != NULL &&
        memcmp(infer_model_hash(use->model), infer_model_hash(s->accepted->model), 32) == 0) {
        model_use_free(use);
        return true;
    }
    model_use_free(atomic_exchange(&s->offered, NULL));
    s->accepted = use;
    atomic_store(&s->offered, use);
    return true;
}

static void model_source_close(void *self)
{
    struct model_source *s = self;

    if (s == NULL)
        return;
    model_use_free(s->now);
    model_use_free(s->offered);
    model_use_free(s->retired);
    close_fd(&s->job.done_fd);
    free(s);
}

static void take_settings(struct model_source *s, const struct model_config *c)
{
    s->settings = (struct model_settings){.allow_unsigned = c->allow_unsigned,
                                          .arena_bytes = (size_t)c->arena_bytes,
                                          .n_inputs = s->derived.n_inputs};
    snprintf(s->settings.file, sizeof s->settings.file, "%s", c->file);
    model_keys_take(&s->settings, &c->keys);
}

static int open_aside(struct model_source *s, struct worker *worker, struct errmsg *err)
{
    int rc;

    s->job.run = run_aside;
    s->job.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = s->job.done_fd < 0 ? -errno : worker_add(worker, &s->job);
    if (rc != 0)
        return errmsg_set(err, rc, "no thread for models: %s", strerror(-rc));
    s->worker = worker;
    return 0;
}

/* A model that cannot be used does not stop the device: it says why, gives nothing, and is tried again when
 * the file changes. */
static int model_source_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct model_source *s = calloc(1, sizeof *s);
    struct model_use *use;
    struct errmsg why;
    int rc;

    if (s == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    s->job.done_fd = -1;
    rc = derived_open(&s->derived, o, err);
    /* Of a replay each step counts, so none may be skipped. */
    if (rc == 0 && o->worker != NULL && !s->derived.replayable)
        rc = open_aside(s, o->worker, err);
    if (rc != 0) {
        model_source_close(s);
        return rc;
    }
    take_settings(s, o->config);
    s->derived.ctx = s;
    s->derived.compute = compute;
    s->derived.step_aside = step_aside;
    s->derived.save = save;
    s->derived.restore = restore;
    if (load(s, &use, &why) == 0) {
        adopt(s, use);
        s->accepted = use;
    } else {
        snprintf(s->derived.failure, sizeof s->derived.failure, "the model gives nothing: %.170s", why.text);
    }
    derived_recall(&s->derived, o->memory);
    *ret_self = s;
    return 0;
}

const struct source_kind source_model = {
    .name = "model",
    .help = "Runs a model file on readings of other sources; its outputs are channels.",
    .rows = rows,
    .config_bytes = sizeof(struct model_config),
    .check = model_source_check,
    .open = model_source_open,
    .close = model_source_close,
    .declare = derived_declare,
    .replayable = derived_replayable,
    .step = model_source_step,
    .listen = derived_listen,
    .hear_group = derived_hear_group,
    .hear_row = hear_row,
    .hear_ring_bytes = derived_hear_ring_bytes,
    .work = derived_work,
    .remember = derived_remember,
    .tend = tend,
    .fd = model_source_fd,
};
