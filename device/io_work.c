/* io_work.c - what sources that are computed from others cost: in the status, and in Health as counters and
 * measures "infer.NAME.WHAT". */
#include "device/io.h"

#include <stddef.h>
#include <stdio.h>

/* What is said of each: counters first, then measures. */
static const struct {
    const char *name;
    size_t offset; /* in struct source_work */
} numbers[IO_WORK_COUNTERS + IO_WORK_MEASURES] = {
    {"runs", offsetof(struct source_work, runs)},       {"overruns", offsetof(struct source_work, overruns)},
    {"skipped", offsetof(struct source_work, skipped)}, {"failures", offsetof(struct source_work, failures)},
    {"p50_ns", offsetof(struct source_work, p50_ns)},   {"p99_ns", offsetof(struct source_work, p99_ns)},
    {"max_ns", offsetof(struct source_work, max_ns)},
};

static bool work_of(const struct io *io, unsigned source, struct source_work *ret)
{
    const struct io_source *s = &io->sources[source];

    if (s->kind->work == NULL)
        return false;
    s->kind->work(s->self, ret);
    return true;
}

static uint64_t number(const struct source_work *w, unsigned no)
{
    return *(const uint64_t *)(const void *)((const char *)w + numbers[no].offset);
}

void io_tend(struct io *io, bool is_asked)
{
    for (unsigned i = 0; i < io->n_sources; i++) {
        struct io_source *s = &io->sources[i];
        struct feed_event e = {.type = FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_NOTE,
                               .severity = 2,
                               .time_ns = clock_wall_unix_ns(&io->daemon->clock)};
        struct errmsg why;

        if (s->kind->tend == NULL || s->kind->tend(s->self, is_asked, &why))
            continue;
        snprintf(e.text, sizeof e.text, "%s", why.text);
        log_warn("not_taken", "source=%s msg=%s", s->name, log_quote(e.text));
        io_event(io, &e, s->name);
    }
}

void io_work_facts(const struct io *io, struct json *j)
{
    struct source_work w;

    json_key(j, "inference");
    json_array(j);
    for (unsigned i = 0; i < io->n_sources; i++) {
        if (!work_of(io, i, &w))
            continue;
        json_object(j);
        json_kstr(j, "name", io->sources[i].name);
        json_kstr(j, "kind", io->sources[i].kind->name);
        for (unsigned k = 0; k < IO_WORK_COUNTERS + IO_WORK_MEASURES; k++)
            json_ku64(j, numbers[k].name, number(&w, k));
        json_kbool(j, "aside", w.is_aside);
        json_object_end(j);
    }
    json_array_end(j);
}

size_t io_work_numbers(const struct io *io, bool measures, struct io_number *ret)
{
    unsigned first = measures ? IO_WORK_COUNTERS : 0,
             end = measures ? IO_WORK_COUNTERS + IO_WORK_MEASURES : IO_WORK_COUNTERS;
    struct source_work w;
    size_t n = 0;

    for (unsigned i = 0; i < io->n_sources; i++) {
        if (!work_of(io, i, &w) || (measures && w.runs == 0))
            continue;
        for (unsigned k = first; k < end; k++, n++) {
            snprintf(ret[n].name, sizeof ret[n].name, "infer.%s.%s", io->sources[i].name, numbers[k].name);
            ret[n].value = number(&w, k);
        }
    }
    return n;
}
