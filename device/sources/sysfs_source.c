#include "device/sources/sysfs_source.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "device/sources/reader.h"
#include "wire/wire.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define FAILED FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED
#define RECOVERED FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED

/* Between two looks for devices that are not there yet. */
#define SCAN_NS (5 * NS_PER_S)
#define RETRY_MAX_NS (60 * NS_PER_S)

struct sysfs_source;

/* Something that may fail for long: told once, tried again after waits that double. */
struct trouble {
    bool is_told;
    int64_t wait_ns, next_try_ns;
};

/* A device, or the one that is looked for: the last of the source's units. */
struct unit {
    struct sysfs_source *source;
    struct source_reader *reader;
    /* Set once, after all that the act thread reads below. */
    atomic_bool is_known;
    struct sysfs_device device; /* path, folder, number: written by the unit's thread with the lock held */
    bool is_lost;               /* likewise */
    bool has_hired;             /* the next one to look is at work */
    struct trouble loss;
    char label[NAME_PART_CHARS + 1];
    uint32_t n;
    struct sysfs_channel files[SYSFS_CHANNELS_MAX];
    struct source_channel channels[SYSFS_CHANNELS_MAX];
    char names[SYSFS_CHANNELS_MAX][NAME_PART_CHARS + 1];
    struct trouble troubles[SYSFS_CHANNELS_MAX];
    double last[SYSFS_CHANNELS_MAX]; /* the last good value, or NaN */
    struct cell cells[SYSFS_CHANNELS_MAX];
    atomic_uint doing; /* the channel being read */
};

struct entries {
    char at[SYSFS_ENTRIES_MAX][SYSFS_ENTRY_CHARS + 1];
    unsigned n;
};

/* Lives until the last thread is out of it: one that is stuck keeps it. */
struct sysfs_source {
    const struct sysfs_class *class;
    int64_t interval_ns;
    char root[SYSFS_ROOT_BYTES], name[SOURCE_NAME_BYTES];
    struct entries devices, select;
    int poll_fd; /* readable when a unit's reader is */
    atomic_uint references;
    pthread_mutex_t lock;
    bool is_closing; /* with the lock */
    struct unit *units[SYSFS_UNITS_MAX];
    atomic_uint n_units;
    /* Of the unit that looks for devices. */
    bool is_found[SYSFS_ENTRIES_MAX], is_missing_told[SYSFS_ENTRIES_MAX];
    bool is_nothing_told;
};

static void release(struct sysfs_source *s)
{
    if (atomic_fetch_sub(&s->references, 1) != 1)
        return;
    pthread_mutex_destroy(&s->lock);
    close_fd(&s->poll_fd);
    free(s);
}

/* ---- what is said ---- */

static void failed(struct trouble *t, struct source_reader *r, const struct source_now *tick,
                   int64_t interval_ns, const char *channel, const char *why)
{
    t->wait_ns = t->wait_ns == 0 ? interval_ns : 2 * t->wait_ns;
    if (t->wait_ns > RETRY_MAX_NS)
        t->wait_ns = interval_ns > RETRY_MAX_NS ? interval_ns : RETRY_MAX_NS;
    t->next_try_ns = tick->mono_ns + t->wait_ns - interval_ns / 2; /* ticks are never quite exact */
    if (!t->is_told)
        t->is_told = source_reader_event(r, FAILED, 2, channel, "%s", why);
}

static void succeeded(struct trouble *t, struct source_reader *r, const char *channel, const char *what)
{
    t->wait_ns = t->next_try_ns = 0;
    if (t->is_told)
        t->is_told = !source_reader_event(r, RECOVERED, 0, channel, "%s", what);
}

/* ---- finding a device ---- */

static bool is_wanted(const struct sysfs_source *s, const struct sysfs_device *d)
{
    for (unsigned i = 0; i < s->devices.n; i++)
        if (sysfs_is_called(d, s->devices.at[i]))
            return true;
    return s->devices.n == 0;
}

static bool is_selected(const struct sysfs_source *s, const char *channel)
{
    for (unsigned i = 0; i < s->select.n; i++)
        if (sysfs_name_matches(s->select.at[i], channel))
            return true;
    return s->select.n == 0;
}

static bool same_name(const struct sysfs_device *a, const struct sysfs_device *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0;
}

static bool same_device(const struct sysfs_device *a, const struct sysfs_device *b)
{
    return same_name(a, b) && strcmp(a->folder, b->folder) == 0;
}

struct found {
    struct sysfs_device at[SYSFS_DEVICES_MAX];
    uint32_t n;
};

static bool is_among(const struct found *found, const struct sysfs_device *d)
{
    for (uint32_t i = 0; i < found->n; i++)
        if (same_device(&found->at[i], d))
            return true;
    return false;
}

/* Units that may be looked at, with the lock held: while the source closes none, some are freed by then. */
static unsigned units_of(const struct sysfs_source *s)
{
    return s->is_closing ? 0 : atomic_load(&s->n_units);
}

/* Does it belong to a unit, or may it be the one that a unit has lost? With the lock held. */
static bool is_taken(const struct sysfs_source *s, const struct found *found, const struct sysfs_device *d)
{
    unsigned n = units_of(s);

    for (unsigned i = 0; i < n; i++) {
        const struct unit *u = s->units[i];

        if (atomic_load(&u->is_known) && same_name(&u->device, d) &&
            (same_device(&u->device, d) || u->is_lost || !is_among(found, &u->device)))
            return true;
    }
    return false;
}

static bool is_label_free(const struct sysfs_source *s, const char *label)
{
    unsigned n = units_of(s);

    for (unsigned i = 0; i < n; i++)
        if (atomic_load(&s->units[i]->is_known) && strcmp(s->units[i]->label, label) == 0)
            return false;
    return true;
}

/* Its name; where several have that, name-place, so that it is the same at each start; else counted. With the
 * lock held. */
static void choose_label(struct unit *u, const struct found *found)
{
    const struct sysfs_device *d = &u->device;
    char raw[2 * sizeof u->label + 16];
    unsigned same = 0;

    for (uint32_t i = 0; i < found->n; i++)
        same += strcmp(found->at[i].name, d->name) == 0;
    snprintf(u->label, sizeof u->label, "%s", d->name);
    if (same > 1 && d->place[0] != '\0') {
        snprintf(raw, sizeof raw, "%.40s-%s", d->name, d->place);
        name_part_mend(raw, strlen(raw), u->label);
    }
    for (unsigned k = 2; !is_label_free(u->source, u->label); k++)
        snprintf(u->label, sizeof u->label, "%.48s-%u", d->name, k);
}

static bool is_channel_free(const struct unit *u, const char *name)
{
    for (uint32_t i = 0; i < u->n; i++)
        if (strcmp(u->names[i], name) == 0)
            return false;
    return true;
}

/* Takes the channels that are selected. */
static void choose_channels(struct unit *u, uint32_t n_files)
{
    u->n = 0;
    for (uint32_t i = 0; i < n_files; i++) {
        struct sysfs_channel *c = &u->files[i];
        char raw[3 * NAME_PART_CHARS], *name = u->names[u->n];

        snprintf(raw, sizeof raw, "%s%s%s", u->label, c->name[0] != '\0' ? "." : "", c->name);
        name_part_mend(raw, strlen(raw), name);
        for (unsigned k = 2; !is_channel_free(u, name); k++) {
            snprintf(raw, sizeof raw, "%.29s.%.29s-%u", u->label, c->name, k);
            name_part_mend(raw, strlen(raw), name);
        }
        if (!is_selected(u->source, name))
            continue;
        u->channels[u->n] = (struct source_channel){name, c->unit, COLUMN_DOUBLE};
        u->last[u->n] = NAN;
        u->files[u->n++] = *c;
    }
}

/* Says once of each device that the configuration names, and of none at all, that it is not there. */
static void tell_missing(struct sysfs_source *s, struct source_reader *r, bool has_any)
{
    const char *noun = s->class->noun;

    for (unsigned i = 0; i < s->devices.n; i++)
        if (!s->is_found[i] && !s->is_missing_told[i])
            s->is_missing_told[i] = source_reader_event(r, FAILED, 2, NULL, "%s %s is not in %s%s", noun,
                                                        s->devices.at[i], s->root, s->class->folders[0].path);
    if (s->devices.n == 0 && !has_any && !s->is_nothing_told)
        s->is_nothing_told = source_reader_event(r, FAILED, 2, NULL, "no %s is in %s%s", noun, s->root,
                                                 s->class->folders[0].path);
}

static void tell_found(struct unit *u, struct source_reader *r)
{
    struct sysfs_source *s = u->source;
    bool is_told = s->is_nothing_told;

    s->is_nothing_told = false;
    for (unsigned i = 0; i < s->devices.n; i++)
        if (sysfs_is_called(&u->device, s->devices.at[i])) {
            is_told |= s->is_missing_told[i];
            s->is_missing_told[i] = false;
            s->is_found[i] = true;
        }
    /* Without room the rows that come say it as well. */
    if (is_told)
        source_reader_event(r, RECOVERED, 0, NULL, "%s %s is there: %s", s->class->noun, u->label,
                            u->device.path);
}

/* Looks for a device that no unit has. */
static bool adopt(struct unit *u, struct source_reader *r)
{
    struct sysfs_source *s = u->source;
    struct found found;
    bool has_any = false;

    found.n = sysfs_scan(s->class, s->root, found.at);
    for (uint32_t i = 0; i < found.n; i++) {
        bool is_free;

        if (!is_wanted(s, &found.at[i]))
            continue;
        pthread_mutex_lock(&s->lock);
        is_free = !is_taken(s, &found, &found.at[i]);
        pthread_mutex_unlock(&s->lock);
        has_any |= !is_free;
        if (!is_free)
            continue;
        u->device = found.at[i];
        pthread_mutex_lock(&s->lock);
        choose_label(u, &found);
        pthread_mutex_unlock(&s->lock);
        choose_channels(u, s->class->list(&u->device, u->files));
        if (u->n == 0)
            continue;
        pthread_mutex_lock(&s->lock);
        atomic_store(&u->is_known, true);
        pthread_mutex_unlock(&s->lock);
        tell_found(u, r);
        return true;
    }
    tell_missing(s, r, has_any);
    return false;
}

/* The device of a unit that lost it, wherever it is now: at its place, or the only one of its name that is
 * free. With the lock held. NULL: none. */
static const struct sysfs_device *find_again(const struct unit *u, const struct found *found)
{
    const struct sysfs_source *s = u->source;
    const struct sysfs_device *best = NULL;
    unsigned n = units_of(s), n_free = 0;

    for (uint32_t i = 0; i < found->n; i++) {
        const struct sysfs_device *d = &found->at[i];
        bool is_held = false;

        for (unsigned k = 0; k < n; k++)
            is_held |= s->units[k] != u && atomic_load(&s->units[k]->is_known) && !s->units[k]->is_lost &&
                       same_device(&s->units[k]->device, d);
        if (is_held || !same_name(&u->device, d))
            continue;
        if (strcmp(u->device.place, d->place) == 0)
            return d;
        best = d;
        n_free++;
    }
    return n_free == 1 ? best : NULL;
}

static void look_again(struct unit *u, struct source_reader *r, const struct source_now *tick)
{
    struct sysfs_source *s = u->source;
    const struct sysfs_device *d;
    struct found found;
    char text[READER_TEXT_BYTES];

    if (tick->mono_ns < u->loss.next_try_ns)
        return;
    found.n = sysfs_scan(s->class, s->root, found.at);
    pthread_mutex_lock(&s->lock);
    d = find_again(u, &found);
    if (d != NULL) {
        u->device = *d;
        u->is_lost = false;
    }
    pthread_mutex_unlock(&s->lock);
    if (d != NULL) {
        snprintf(text, sizeof text, "%s %s is there again: %s", s->class->noun, u->label, d->path);
        succeeded(&u->loss, r, NULL, text);
        return;
    }
    snprintf(text, sizeof text, "%s %s is gone from %s", s->class->noun, u->label, u->device.path);
    failed(&u->loss, r, tick, s->interval_ns, NULL, text);
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
    look_again(u, r, tick);
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
        failed(t, r, tick, u->source->interval_ns, u->names[no], why.text);
        return true;
    }
    succeeded(t, r, u->names[no], "can be read again");
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

    if (!atomic_load(&u->is_known) && !adopt(u, r)) {
        source_reader_rest(r, tick->mono_ns + SCAN_NS);
        return;
    }
    if (!u->has_hired)
        u->has_hired = hire(u->source);
    all_bad(u);
    if (u->is_lost)
        look_again(u, r, tick);
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

int sysfs_source_step(void *self, const struct source_sink *sink, const struct source_now *now,
                      int64_t *ret_next_ns)
{
    struct sysfs_source *s = self;
    unsigned n = atomic_load(&s->n_units);

    *ret_next_ns = INT64_MAX;
    for (unsigned i = 0; i < n; i++) {
        int64_t next_ns;

        source_reader_step(s->units[i]->reader, sink, now, &next_ns);
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
