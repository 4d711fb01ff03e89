#include "device/sources/sysfs_private.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* Between two looks for devices that are not there yet. */
#define SCAN_NS (5 * NS_PER_S)

static void release(struct sysfs_source *s)
{
    if (atomic_fetch_sub(&s->references, 1) != 1)
        return;
    pthread_mutex_destroy(&s->lock);
    close_fd(&s->poll_fd);
    free(s);
}

/* ---- reading it ---- */

static void lose(struct unit *u, struct source_reader *r, const struct source_now *tick)
{
    pthread_mutex_lock(&u->source->lock);
    u->is_lost = true;
    pthread_mutex_unlock(&u->source->lock);
    for (uint32_t i = 0; i < u->n; i++) {
        u->last[i] = NAN;
        u->troubles[i].wait_ns = u->troubles[i].next_try_ns = 0;
    }
    unit_look_again(u, r, tick);
}

/* false: the whole device is gone. */
static bool read_channel(struct unit *u, uint32_t no, struct source_reader *r, const struct source_now *tick)
{
    const struct sysfs_class *class = u->source->class;
    struct trouble *t = &u->troubles[no];
    struct errmsg why = {""};
    double value;

    if (tick->mono_ns < t->next_try_ns)
        return true;
    atomic_store(&u->doing, no);
    if ((class->value != NULL ? class->value : sysfs_value)(u->device.path, &u->files[no], &value, &why) !=
        0) {
        if (!sysfs_is_still(&u->device))
            return false;
        trouble_failed(t, r, tick, u->source->interval_ns, u->names[no], why.text);
        return true;
    }
    trouble_is_over(t, r, u->names[no], "can be read again");
    u->cells[no] = (struct cell){.f64 = value};
    if (class->quality != NULL)
        u->cells[no].quality = class->quality(value, u->last[no]);
    if (u->cells[no].quality == QUALITY_GOOD)
        u->last[no] = value;
    return true;
}

static void all_bad(struct unit *u)
{
    for (uint32_t i = 0; i < u->n; i++)
        u->cells[i] = (struct cell){.f64 = NAN, .quality = QUALITY_BAD};
}

static bool hire(struct sysfs_source *s);

static void read_unit(void *ctx, struct source_reader *r, const struct source_now *tick)
{
    struct unit *u = ctx;

    if (!atomic_load(&u->is_known) && !unit_adopt(u, r)) {
        source_reader_rest(r, tick->mono_ns + SCAN_NS);
        return;
    }
    if (!u->has_hired) {
        source_reader_wake(r); /* to be declared, should the first read hang */
        u->has_hired = hire(u->source);
    }
    all_bad(u);
    if (u->is_lost)
        unit_look_again(u, r, tick);
    else if (!sysfs_is_still(&u->device))
        lose(u, r, tick);
    for (uint32_t i = 0; i < u->n && !u->is_lost && !source_reader_is_stopping(r); i++)
        if (!read_channel(u, i, r, tick)) {
            all_bad(u);
            lose(u, r, tick);
        }
    source_reader_row(r, 0, u->cells);
}

/* ---- the source ---- */

static void unit_shape(const void *ctx, uint32_t group, struct source_group *ret_group)
{
    const struct unit *u = ctx;

    (void)group;
    *ret_group = (struct source_group){u->channels, u->n};
}

static void unit_describe(void *ctx, char *out, size_t out_bytes)
{
    struct unit *u = ctx;

    if (!atomic_load(&u->is_known))
        return;
    pthread_mutex_lock(&u->source->lock);
    snprintf(out, out_bytes, "%s %s (%s/%s)", u->source->class->noun, u->label, u->device.path,
             u->files[atomic_load(&u->doing)].file);
    pthread_mutex_unlock(&u->source->lock);
}

static void unit_free(void *ctx)
{
    struct unit *u = ctx;

    release(u->source);
    free(u);
}

/* Takes u in any case. */
static int add_unit(struct sysfs_source *s, struct unit *u)
{
    char what[READER_WHAT_BYTES];
    struct source_reader_options o = {.what = what,
                                      .interval_ns = s->interval_ns,
                                      .n_groups = 1,
                                      .cells_max = SYSFS_CHANNELS_MAX,
                                      .ctx = u,
                                      .read = read_unit,
                                      .shape = unit_shape,
                                      .describe = unit_describe,
                                      .free = unit_free};
    struct epoll_event event = {.events = EPOLLIN};
    unsigned n = atomic_load(&s->n_units);
    int rc;

    snprintf(what, sizeof what, "the search for a %s", s->class->noun);
    u->source = s;
    rc = source_reader_new(&u->reader, &o);
    if (rc != 0) {
        free(u);
        return rc;
    }
    atomic_fetch_add(&s->references, 1);
    if (epoll_ctl(s->poll_fd, EPOLL_CTL_ADD, source_reader_fd(u->reader), &event) == 0) {
        s->units[n] = u;
        rc = source_reader_start(u->reader);
    } else {
        rc = -errno;
    }
    if (rc == 0)
        atomic_store(&s->n_units, n + 1);
    else
        source_reader_close(u->reader); /* frees the unit */
    return rc;
}

/* Starts the next unit, which looks for the next device; on the thread of the last one, so that the act
 * thread never waits for memory. false: try it again. */
static bool hire(struct sysfs_source *s)
{
    struct unit *u;
    bool is_done;

    pthread_mutex_lock(&s->lock);
    is_done = s->is_closing || atomic_load(&s->n_units) == SYSFS_UNITS_MAX;
    if (!is_done) {
        u = calloc(1, sizeof *u);
        is_done = u != NULL && add_unit(s, u) == 0;
    }
    pthread_mutex_unlock(&s->lock);
    return is_done;
}

static int copy_entries(const struct config_strings *from, const char *key, struct entries *to,
                        struct errmsg *err)
{
    struct errmsg why = {""};

    for (size_t i = 0; i < from->n && i < SYSFS_ENTRIES_MAX; i++) {
        char whole[SYSFS_ENTRY_CHARS + 8];

        if (strlen(from->at[i]) > SYSFS_ENTRY_CHARS)
            return errmsg_set(err, -EINVAL, "%s: %.40s...: longer than %d characters", key, from->at[i],
                              SYSFS_ENTRY_CHARS);
        snprintf(whole, sizeof whole, "*/*/%s", from->at[i]);
        if (pattern_check(whole, &why) != 0)
            return errmsg_set(err, -EINVAL, "%s: %s: %s", key, from->at[i], why.text);
        snprintf(to->at[to->n++], sizeof to->at[0], "%s", from->at[i]);
    }
    return 0;
}

int sysfs_source_open(const struct sysfs_class *class, const struct source_open *o, void **ret_self,
                      struct errmsg *err)
{
    const struct sysfs_config *config = o->config;
    struct sysfs_source *s = calloc(1, sizeof *s);
    int rc;

    if (s == NULL)
        return -ENOMEM;
    s->class = class;
    s->interval_ns = config->interval_ms * NS_PER_MS;
    snprintf(s->root, sizeof s->root, "%s", config->root);
    pthread_mutex_init(&s->lock, NULL);
    atomic_store(&s->references, 1);
    s->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    rc = s->poll_fd < 0 ? -errno : 0;
    if (rc != 0)
        errmsg_set(err, rc, "%s: %s", o->name, strerror(-rc));
    if (rc == 0)
        rc = copy_entries(&config->devices, "devices", &s->devices, err);
    if (rc == 0)
        rc = copy_entries(&config->select, "select", &s->select, err);
    if (rc == 0 && !hire(s))
        rc = errmsg_set(err, -EAGAIN, "%s: no thread or memory for it", o->name);
    if (rc != 0) {
        sysfs_source_close(s);
        return rc;
    }
    *ret_self = s;
    return 0;
}

void sysfs_source_close(void *self)
{
    struct sysfs_source *s = self;
    unsigned n;

    pthread_mutex_lock(&s->lock);
    s->is_closing = true;
    pthread_mutex_unlock(&s->lock);
    n = atomic_load(&s->n_units); /* final from here on */
    for (unsigned i = 0; i < n; i++)
        source_reader_stop(s->units[i]->reader);
    for (unsigned i = 0; i < n; i++)
        source_reader_close(s->units[i]->reader);
    release(s);
}

/* As soon as it is known. One that the sink has no room for is tried in the next step, and at its first row,
 * which tells when there is none for good. */
static void declare(struct unit *u, const struct source_sink *sink)
{
    if (atomic_load(&u->is_known) && source_reader_declare(u->reader, 0, sink) != 0)
        return;
}

int sysfs_source_step(void *self, const struct source_sink *sink, const struct source_now *now,
                      int64_t *ret_next_ns)
{
    struct sysfs_source *s = self;
    unsigned n = atomic_load(&s->n_units);

    *ret_next_ns = INT64_MAX;
    for (unsigned i = 0; i < n; i++) {
        struct unit *u = s->units[i];
        int64_t next_ns;

        declare(u, sink);
        source_reader_step(u->reader, sink, now, &next_ns);
        if (next_ns < *ret_next_ns)
            *ret_next_ns = next_ns;
    }
    return 0;
}

int sysfs_source_fd(const void *self)
{
    const struct sysfs_source *s = self;

    return s->poll_fd;
}
