/* Which device a unit is: the next that is new, or the one it lost, wherever that is now. */
#include "device/sources/sysfs_private.h"

#include "base/clock.h"
#include "wire/wire.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FAILED FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED
#define RECOVERED FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED

#define RETRY_MAX_NS (60 * NS_PER_S)

/* ---- what is said ---- */

void trouble_failed(struct trouble *t, struct source_reader *r, const struct source_now *tick,
                    int64_t interval_ns, const char *channel, const char *why)
{
    t->wait_ns = t->wait_ns == 0 ? interval_ns : 2 * t->wait_ns;
    if (t->wait_ns > RETRY_MAX_NS)
        t->wait_ns = interval_ns > RETRY_MAX_NS ? interval_ns : RETRY_MAX_NS;
    t->next_try_ns = tick->mono_ns + t->wait_ns - interval_ns / 2; /* ticks are never quite exact */
    if (!t->is_told)
        t->is_told = source_reader_event(r, FAILED, 2, channel, "%s", why);
}

void trouble_is_over(struct trouble *t, struct source_reader *r, const char *channel, const char *what)
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

bool unit_adopt(struct unit *u, struct source_reader *r)
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

void unit_look_again(struct unit *u, struct source_reader *r, const struct source_now *tick)
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
        trouble_is_over(&u->loss, r, NULL, text);
        return;
    }
    snprintf(text, sizeof text, "%s %s is gone from %s", s->class->noun, u->label, u->device.path);
    trouble_failed(&u->loss, r, tick, s->interval_ns, NULL, text);
}
