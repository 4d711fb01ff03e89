/* models_private.h - the inside of the fog's models, for models*.c only. */
#ifndef FOGLINE_FOG_MODELS_PRIVATE_H
#define FOGLINE_FOG_MODELS_PRIVATE_H

#include "fog/models.h"
#include "fog/record_at.h"
#include "score/model_use.h"

#include <sys/stat.h>

/* An entry of the configuration. */
struct models_def {
    const struct models_config *c;
    int kind; /* enum models_kind */
    struct detector_spec spec;
    struct model_use
        *use;             /* MODEL; NULL: it cannot be used. Its features are those of the instance at work */
    struct features *own; /* the features it was loaded with: a pattern for those of instances */
    struct model_settings settings;
    struct stat tried; /* the file when it was last read */
    uint32_t n_outputs;
};

struct models_input {
    bool is_present;
    double value;
    int64_t time_ns;
};

/* A device of an entry. On disk, models_rows.c: what stands above the line. */
struct models_instance {
    bool has_at; /* then: the newest record looked at */
    struct record_at at;
    bool has_step;
    int64_t step_no; /* time over interval */
    struct models_input inputs[MODELS_INPUTS_MAX];
    /* One of these; NULL: it has none. */
    struct detector_state *detector;
    struct features *features;
    /* ---- */
    unsigned def;
    uint64_t hash; /* its key */
    char device[SPOOL_NAME_BYTES];
    bool is_dirty;
};

/* What an instance looks at in a descriptor set. */
struct models_watch {
    unsigned instance;
    bool is_first;                      /* it holds the first input: its rows are steps */
    uint16_t column[MODELS_INPUTS_MAX]; /* NO_COLUMN: not in this set */
};
enum { MODELS_NO_COLUMN = UINT16_MAX };

struct models_plan {
    uint32_t n_watches;
    struct models_watch watches[];
};

/* Rows of an instance on their way to a record. */
struct models_rows {
    unsigned n;
    struct pack_row row[DERIVED_ROWS];
    struct cell *cells;              /* DERIVED_ROWS times MODEL_OUTPUTS_MAX */
    char (*texts)[INFER_TEXT_BYTES]; /* as many: texts of a model are its own until it runs again */
};

struct models {
    struct models_options o;
    struct models_def defs[MODELS_MAX];
    unsigned n_defs;
    struct models_instance **instances;
    unsigned n_instances, alloc_instances;
    struct models_rows rows;
    struct buf scratch;
    uint8_t image[MODELS_STATE_MAX_BYTES];
    bool is_dirty, is_refusal_told;
    uint64_t counters[MODELS_COUNTERS];
};

/* models_make.c */
must_check int models_define(struct models *m, struct errmsg *err);
void models_undefine(struct models *m);
/* Reads the file, tells what is wrong with it. 0; negative errno. */
must_check int models_load(struct models *m, struct models_def *d);
/* 0; DB_FULL; negative errno. */
must_check int models_plan_of(struct models *m, struct db_txn *txn, struct stage_set *set,
                              const struct models_plan **ret_p);

/* models_step.c: a block of the set. 0; DB_FULL; negative errno. */
must_check int models_hear(struct models *m, const struct models_watch *w, const struct block *b);

/* models_rows.c */
uint64_t models_hash(const char *name, const char *device);
/* As on disk, or as new. 0; DB_FULL; negative errno. */
must_check int models_recall(struct models *m, struct db_txn *txn, struct models_instance *in);
must_check int models_forget_others(struct models *m, struct db_txn *txn); /* of entries that are no more */

#endif
