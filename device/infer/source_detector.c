/* Detectors of anomalies that learn from the first rows (common/infer/detector.h), as a source. */

#include "device/infer/derived.h"

#include "score/detector_config.h"

#include <stdlib.h>
#include <string.h>

struct detector_config {
    struct derived_config derived;
    struct detector_settings settings;
};

static const struct config_row rows[] = {
    DERIVED_ROWS,
    DETECTOR_ROWS(struct detector_config, settings),
    {0},
};

static void detector_source_check(const void *config, const char *field, struct config_check *c)
{
    const struct detector_config *d = config;

    derived_config_check(&d->derived, field, c);
    detector_settings_check(&d->settings, d->derived.inputs.n, field, "devicectl config doc", c);
}

struct detector_source {
    struct derived derived;
    struct detector_spec spec;
    struct detector_state *state;
};

static enum derived_said compute(void *ctx, const struct source_row *cause, const double *values,
                                 const bool *present, struct cell *cells)
{
    struct detector_source *s = ctx;
    struct detector_verdict v;

    detector_step(s->state, cause->time_ns, values, present, &v);
    detector_cells(&v, v.channel < s->derived.n_inputs ? s->derived.inputs[v.channel].channel : "", cells);
    return DERIVED_ROW;
}

static size_t save(const void *ctx, uint8_t *out, size_t room)
{
    const struct detector_source *s = ctx;
    size_t n = detector_state_bytes(&s->spec);

    if (n <= room)
        detector_save(s->state, out);
    return n;
}

static int restore(void *ctx, struct span image, struct errmsg *err)
{
    struct detector_source *s = ctx;

    return detector_restore(s->state, &s->spec, image, err);
}

static void detector_source_close(void *self)
{
    struct detector_source *s = self;

    if (s == NULL)
        return;
    free(s->state);
    free(s);
}

static int detector_source_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    struct detector_source *s = calloc(1, sizeof *s);
    int rc = s == NULL ? errmsg_set(err, -ENOMEM, "no memory") : derived_open(&s->derived, o, err);

    if (rc == 0)
        rc = detector_settings_spec(&((const struct detector_config *)o->config)->settings,
                                    s->derived.n_inputs, &s->spec, err);
    if (rc == 0 && (s->state = calloc(1, detector_state_bytes(&s->spec))) == NULL)
        rc = errmsg_set(err, -ENOMEM, "no memory");
    if (rc != 0) {
        detector_source_close(s);
        return rc;
    }
    detector_init(s->state, &s->spec);
    for (size_t i = 0; i < DETECTOR_OUTPUTS; i++)
        derived_add_output(&s->derived, detector_outputs[i].name, detector_outputs[i].unit,
                           detector_outputs[i].type);
    s->derived.ctx = s;
    s->derived.compute = compute;
    s->derived.save = save;
    s->derived.restore = restore;
    derived_recall(&s->derived, o->memory);
    *ret_self = s;
    return 0;
}

const struct source_kind source_detector = {
    .name = "detector",
    .help = "Finds anomalies in readings of other sources without a model: it learns from the first rows. "
            "Channels: score (1: the "
            "alarm limit), alarm, changepoint, learning, cause.",
    .rows = rows,
    .config_bytes = sizeof(struct detector_config),
    .check = detector_source_check,
    .open = detector_source_open,
    .close = detector_source_close,
    .declare = derived_declare,
    .replayable = derived_replayable,
    .step = derived_step,
    .listen = derived_listen,
    .hear_group = derived_hear_group,
    .hear_row = derived_hear_row,
    .hear_ring_bytes = derived_hear_ring_bytes,
    .work = derived_work,
    .remember = derived_remember,
};
