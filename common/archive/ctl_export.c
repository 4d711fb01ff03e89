/* export, tail: samples as text. */
#include "archive/ctl_reading.h"

#include "archive/export.h"
#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>

enum { TAIL_POLL_MS = 300, TAIL_SETS_MAX = 65536 };

static int format_option(struct ctl *ctl, enum export_format *ret_format)
{
    const char *text = ctl_option(ctl, "format");

    if (text == NULL)
        *ret_format = ctl->json ? EXPORT_JSONL : EXPORT_CSV;
    else if (strcmp(text, "csv") == 0)
        *ret_format = EXPORT_CSV;
    else if (strcmp(text, "jsonl") == 0)
        *ret_format = EXPORT_JSONL;
    else
        return ctl_fail(ctl, CTL_USAGE, "--format: `%s` is none of csv, jsonl", text);
    return CTL_OK;
}

static int time_option(struct ctl *ctl, bool *ret_unix_ns)
{
    const char *text = ctl_option(ctl, "time");

    *ret_unix_ns = text != NULL && strcmp(text, "unix_ns") == 0;
    if (text == NULL || *ret_unix_ns || strcmp(text, "rfc3339") == 0)
        return CTL_OK;
    return ctl_fail(ctl, CTL_USAGE, "--time: `%s` is none of rfc3339, unix_ns", text);
}

static int read_options(struct ctl *ctl, struct export_options *o)
{
    int code = format_option(ctl, &o->format);

    if (code == CTL_OK)
        code = time_option(ctl, &o->unix_ns);
    if (code == CTL_OK)
        code = ctl_pattern(ctl, &o->pattern);
    o->out = ctl->out;
    return code;
}

/* A device, a pipe: a file under its name would take its place. */
static bool is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* A file of one's own is written whole or not at all: under another name, then renamed. */
static int export_to_file(struct ctl *ctl, struct reading *rd, struct export_options *o, const char *path,
                          struct export_counts *counts)
{
    owned(close_file) FILE *f = NULL;
    char part[CTL_FILE_CHARS + 16];
    bool special = is_special(path);
    int r, n = snprintf(part, sizeof part, "%s%s", path, special ? "" : ".part");

    if (n < 0 || (size_t)n >= sizeof part)
        return ctl_fail(ctl, CTL_USAGE, "-o: too long a name");
    f = fopen(part, "we");
    if (f == NULL)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", part, strerror(errno));
    o->out = f;
    r = export_run(rd->view, o, counts);
    if (r == 0 && fclose(TAKE(f)) != 0)
        r = -errno;
    if (r == 0 && !special && rename(part, path) < 0)
        r = -errno;
    if (r < 0) {
        if (!special)
            remove(part);
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", path, strerror(-r));
    }
    return CTL_OK;
}

int verb_export(struct ctl *ctl)
{
    owned(reading_close) struct reading rd = {0};
    struct export_options o = {.no_header = ctl_option(ctl, "no-header") != NULL};
    struct export_counts counts = {0};
    const char *path = ctl_option(ctl, "output");
    int code = read_options(ctl, &o), r;

    if (code == CTL_OK)
        code = ctl_range(ctl, &o.range);
    if (code == CTL_OK)
        code = reading_open(ctl, &rd);
    if (code != CTL_OK)
        return code;
    reading_matches(&rd, o.pattern);
    if (path != NULL) {
        code = export_to_file(ctl, &rd, &o, path, &counts);
        if (code == CTL_OK)
            ctl_note(ctl, "%" PRIu64 " samples in %" PRIu64 " rows written to %s", counts.samples,
                     counts.rows, path);
    } else {
        r = export_run(rd.view, &o, &counts);
        code = r < 0 ? reading_failed(ctl, r) : CTL_OK;
    }
    code = reading_begins(&rd, o.pattern, o.range.from_ns, code);
    return reading_verdict(ctl, &rd, code);
}

/* ---- tail ---- */

struct tail_set {
    uint32_t device, set;
    bool any;
    struct sample_key last; /* shown */
};

struct tail {
    struct view *view;
    struct export_options options;
    struct export_counts counts;
    struct tail_set *sets;
    size_t n_sets, alloc_sets;
    struct tail_set *now; /* of the walk under way */
    bool show;
};

static struct tail_set *tail_set_of(struct tail *t, const struct view_set *set)
{
    for (size_t i = 0; i < t->n_sets; i++)
        if (t->sets[i].device == set->device->no && t->sets[i].set == set->no)
            return &t->sets[i];
    if (t->n_sets == t->alloc_sets) {
        size_t n = t->alloc_sets == 0 ? 64 : t->alloc_sets * 2;
        struct tail_set *at = n <= TAIL_SETS_MAX ? reallocarray(t->sets, n, sizeof *at) : NULL;

        if (at == NULL)
            return NULL;
        t->sets = at;
        t->alloc_sets = n;
    }
    t->sets[t->n_sets] = (struct tail_set){.device = set->device->no, .set = set->no};
    return &t->sets[t->n_sets++];
}

static bool after(const struct sample_key *a, const struct sample_key *b)
{
    struct row_key ka, kb;

    sample_key_put(&ka, a);
    sample_key_put(&kb, b);
    return memcmp(ka.bytes, kb.bytes, ROWS_SAMPLE_KEY_BYTES) > 0;
}

static int on_new_block(void *ctx, const struct view_block *vb)
{
    struct tail *t = ctx;

    if (t->now->any && !after(&vb->key, &t->now->last))
        return 0;
    t->now->any = true;
    t->now->last = vb->key;
    return t->show ? export_block(t->view, &t->options, vb, &t->counts) : 0;
}

enum { STOP = 1 };

static int on_newest_block(void *ctx, const struct view_block *vb)
{
    int r = on_new_block(ctx, vb);

    return r != 0 ? r : STOP;
}

/* A device that learns better starts goes on with another set of the same channels. */
static bool is_superseded(const struct view_set *set)
{
    const struct view_device *d = set->device;

    for (size_t k = 0; k < d->n_sets; k++) {
        const struct view_set *other = &d->sets[k];
        uint32_t same = 0;

        if (other->no <= set->no || other->n_channels != set->n_channels ||
            strcmp(other->group, set->group) != 0)
            continue;
        while (same < set->n_channels && strcmp(other->channels[same].name, set->channels[same].name) == 0)
            same++;
        if (same == set->n_channels)
            return true;
    }
    return false;
}

static int tail_set_step(struct tail *t, const struct view_set *set, bool first)
{
    struct view_range range = {INT64_MIN, INT64_MAX};
    int r;

    t->now = tail_set_of(t, set);
    if (t->now == NULL)
        return -ENOMEM;
    if (first) {
        t->show = !is_superseded(set);
        r = view_scan_back(t->view, set, on_newest_block, t);
        t->show = true;
        return r == STOP ? 0 : r;
    }
    if (t->now->any)
        range.from_ns = t->now->last.time_first_ns;
    return view_scan(t->view, set, &range, on_new_block, t);
}

static int tail_step(struct tail *t, bool first)
{
    int r = view_reload(t->view);

    for (size_t i = 0; i < view_n_devices(t->view) && r == 0; i++) {
        const struct view_device *d = view_device_at(t->view, i);

        for (size_t k = 0; k < d->n_sets && r == 0; k++)
            if (view_select(&d->sets[k], t->options.pattern, NULL) > 0)
                r = tail_set_step(t, &d->sets[k], first);
    }
    return r;
}

int verb_archive_tail(struct ctl *ctl)
{
    static const struct timespec pause = {0, TAIL_POLL_MS * 1000000L};
    owned(reading_close) struct reading rd = {0};
    struct tail t = {.options = {.range = {INT64_MIN, INT64_MAX}, .no_header = true}, .show = true};
    int64_t rows;
    int code = read_options(ctl, &t.options), r;

    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "rows", 1, INT64_MAX, INT64_MAX, &rows);
    if (code == CTL_OK)
        code = reading_open(ctl, &rd);
    if (code != CTL_OK)
        return code;
    t.view = rd.view;
    for (r = tail_step(&t, true); r == 0 && t.counts.rows < (uint64_t)rows; r = tail_step(&t, false))
        nanosleep(&pause, NULL);
    free(t.sets);
    return r < 0 ? reading_failed(ctl, r) : reading_verdict(ctl, &rd, CTL_OK);
}
