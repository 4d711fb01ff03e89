/* io_work.c - what sources that are computed from others cost: in the status, and in Health as counters and
 * measures "infer.NAME.WHAT". */
#include "device/io.h"

#include <stdio.h>

static bool work_of(const struct io *io, unsigned source, struct source_work *ret)
{
    const struct io_source *s = &io->sources[source];

    if (s->kind->work == NULL)
        return false;
    s->kind->work(s->self, ret);
    return true;
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
        json_ku64(j, "runs", w.runs);
        json_ku64(j, "overruns", w.overruns);
        json_ku64(j, "skipped", w.skipped);
        json_ku64(j, "failures", w.failures);
        json_ku64(j, "p50_us", w.p50_us);
        json_ku64(j, "p99_us", w.p99_us);
        json_ku64(j, "max_us", w.max_us);
        json_kbool(j, "aside", w.is_aside);
        json_object_end(j);
    }
    json_array_end(j);
}

static char *name_of(const struct io *io, unsigned source, const char *what, char name[IO_HEALTH_NAME_BYTES])
{
    snprintf(name, IO_HEALTH_NAME_BYTES, "infer.%s.%s", io->sources[source].name, what);
    return name;
}

size_t io_work_counters(const struct io *io, Fogline__V1__Counter *ret, char (*names)[IO_HEALTH_NAME_BYTES])
{
    static const char *const what[IO_WORK_COUNTERS] = {"runs", "overruns", "skipped", "failures"};
    struct source_work w;
    size_t n = 0;

    for (unsigned i = 0; i < io->n_sources; i++) {
        if (!work_of(io, i, &w))
            continue;
        const uint64_t value[IO_WORK_COUNTERS] = {w.runs, w.overruns, w.skipped, w.failures};

        for (unsigned k = 0; k < IO_WORK_COUNTERS; k++, n++) {
            fogline__v1__counter__init(&ret[n]);
            ret[n].name = name_of(io, i, what[k], names[n]);
            ret[n].value = value[k];
        }
    }
    return n;
}

size_t io_work_measures(const struct io *io, Fogline__V1__Measure *ret, char (*names)[IO_HEALTH_NAME_BYTES])
{
    static const char *const what[IO_WORK_MEASURES] = {"p50_us", "p99_us", "max_us"};
    struct source_work w;
    size_t n = 0;

    for (unsigned i = 0; i < io->n_sources; i++) {
        if (!work_of(io, i, &w) || w.runs == 0)
            continue;
        const uint64_t value[IO_WORK_MEASURES] = {w.p50_us, w.p99_us, w.max_us};

        for (unsigned k = 0; k < IO_WORK_MEASURES; k++, n++) {
            fogline__v1__measure__init(&ret[n]);
            ret[n].name = name_of(io, i, what[k], names[n]);
            ret[n].value = (double)value[k];
        }
    }
    return n;
}
