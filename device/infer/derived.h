/* derived.h - a source whose rows are computed from rows of others: detectors and models.
 *
 * It hears the rows of the sources that its inputs name, after scale, offset and valid range, and says its
 * own at the same times, before the row that led to it: so rules on it are decided in the same round. A step
 * is a row of the group that holds the first input, or with an interval the first such row in each multiple
 * of it since 1970; of the other inputs the latest reading counts. Inputs come from live sources or from
 * replayed ones, not from both. What it knows outlives the process (derived_remember); of replayed inputs it
 * is durable together with the rows it knows and those it said (memory.h), so that after any crash it goes on
 * as if nothing had been. Threads: as source.h says; counters are atomic. All memory is taken in open. */
#ifndef FOGLINE_DEVICE_INFER_DERIVED_H
#define FOGLINE_DEVICE_INFER_DERIVED_H

#include "base/clock.h"
#include "base/histogram.h"
#include "device/source.h"

enum { DERIVED_INPUTS_MAX = 64, DERIVED_OUTPUTS_MAX = 64, DERIVED_STATE_NAME_CHARS = 32 };

/* First member of the configuration of each such kind. */
struct derived_config {
    struct source_config source;
    struct config_strings inputs; /* "source/channel" */
    int64_t interval_ms, stale_ms, budget_us;
};
/* Rows of the kinds' tables. */
#define DERIVED_AT(member) CONFIG_AT(struct derived_config, member)
#define DERIVED_ROWS                                                                                         \
    {"inputs",                                                                                               \
     CONFIG_STRINGS,                                                                                         \
     DERIVED_AT(inputs),                                                                                     \
     .min = "1",                                                                                             \
     .max = "64",                                                                                            \
     .required = true,                                                                                       \
     .help = "SOURCE/CHANNEL of sources that stand before this one. A row of the group that holds the "      \
             "first one is a "                                                                               \
             "step; of the others the latest reading counts."},                                              \
        {"interval_ms",                                                                                      \
         CONFIG_MS,                                                                                          \
         DERIVED_AT(interval_ms),                                                                            \
         .max = "30 d",                                                                                      \
         .def = "0",                                                                                         \
         .help =                                                                                             \
             "A step is the first row in each multiple of this, by the times of the rows; 0: each row."},    \
        {"stale_ms",                                                                                         \
         CONFIG_MS,                                                                                          \
         DERIVED_AT(stale_ms),                                                                               \
         .max = "30 d",                                                                                      \
         .def = "0",                                                                                         \
         .help = "A reading of another group that is older than this counts as absent; 0: however old."},    \
    {                                                                                                        \
        "budget_us", CONFIG_I64, DERIVED_AT(budget_us),                                                      \
            .max = "10000000", .def = "0", .unit = "us",                                                     \
            .help = "Time that a step may take on the thread that reads sensors; 0: act.budget_us. Longer "  \
                    "ones are "                                                                              \
                    "counted; a model of live inputs then runs aside."                                       \
    }
/* Complains of inputs that are no names. */
void derived_config_check(const struct derived_config *config, const char *field, struct config_check *c);

struct derived_output {
    char name[SOURCE_NAME_BYTES], unit[SOURCE_NAME_BYTES];
    enum column_type type;
};

/* What a step came to. */
enum derived_said {
    DERIVED_NOTHING, /* not yet */
    DERIVED_LATER,   /* it runs aside */
    DERIVED_ROW,
    DERIVED_ODD,   /* a row, but with cells of bad quality */
    DERIVED_FAILED /* it could not be computed */
};

struct derived_input {
    char source_name[SOURCE_NAME_BYTES], channel[SOURCE_NAME_BYTES];
    unsigned source;
    bool is_bound;
    uint32_t group, column;
    enum column_type type;
    double value;
    bool is_present;
    int64_t time_ns;
};

struct derived {
    char name[SOURCE_NAME_BYTES];
    struct derived_input inputs[DERIVED_INPUTS_MAX];
    unsigned n_inputs;
    struct derived_output outputs[DERIVED_OUTPUTS_MAX];
    uint32_t n_outputs; /* 0: it failed and says nothing */
    int64_t interval_ns, stale_ns, budget_ns;
    bool replayable, is_declared, has_step, is_slow_told;
    int64_t step_no; /* time over interval */
    uint32_t group;
    const struct source_sink *sink;
    char failure[200]; /* why it says nothing; empty: it works */
    char note[200];    /* to be told once; empty: nothing */
    bool is_failure_told;
    unsigned n_failing;                /* steps in succession that came to nothing good */
    char trouble[120];                 /* why, for the event: set by compute */
    int64_t last[DERIVED_OUTPUTS_MAX]; /* values of outputs that are no doubles, said last */
    bool has_said;
    struct clock clock;
    struct histogram time_ns; /* of computing */
    _Atomic uint64_t runs, overruns, skipped, failures;
    atomic_bool is_aside; /* steps run on the worker */
    void *ctx;
    /* One step, led to by that row. cells: n_outputs, absent before. Texts are borrowed until the next. */
    enum derived_said (*compute)(void *ctx, const struct source_row *cause, const double *values,
                                 const bool *present, struct cell *cells);
    /* Steps take longer than the budget: false: nothing can be done. NULL: neither. */
    bool (*step_aside)(void *ctx);
    /* What it knows itself, as source.h says of remember; restore: -EINVAL with a sentence, and it is as new.
     * NULL: nothing. */
    size_t (*save)(const void *ctx, uint8_t *out, size_t room);
    int (*restore)(void *ctx, struct span image, struct errmsg *err);
};

/* Fills d (zeroed) but for outputs, ctx and compute. -EINVAL with a sentence: an input of an unknown source,
 * one that stands behind, live and replayed ones together. */
must_check int derived_open(struct derived *d, const struct source_open *o, struct errmsg *err);
/* Its channel is NAME_OF_THE_SOURCE.name: channels of a device have one name space above. */
void derived_add_output(struct derived *d, const char *name, const char *unit, enum column_type type);

/* How long a step took, wherever. */
void derived_note_time(struct derived *d, int64_t took_ns);
/* What a step came to, with the times of what led to it. */
void derived_say(struct derived *d, int64_t time_ns, uint64_t mono_ns, enum derived_said said,
                 struct cell *cells);
void derived_tell(struct derived *d, uint32_t type, const char *text);
/* Takes up what was kept, at the end of open; what does not fit is told. */
void derived_recall(struct derived *d, struct span kept);

/* Members of the kind. `self` is a struct that begins with a struct derived. */
bool derived_replayable(const void *self);
int derived_declare(void *self, const struct source_sink *sink);
int derived_step(void *self, const struct source_sink *sink, const struct source_now *now,
                 int64_t *ret_next_ns);
void derived_listen(void *self, const struct source_sink *sink);
int derived_hear_group(void *self, unsigned source, uint32_t group, const struct source_group *g);
void derived_hear_row(void *self, unsigned source, const struct source_row *r);
size_t derived_hear_ring_bytes(void *self, unsigned source);
size_t derived_remember(const void *self, uint8_t *out, size_t room);
void derived_work(const void *self, struct source_work *ret);

#endif
