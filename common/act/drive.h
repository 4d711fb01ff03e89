/* drive.h - outputs follow what rules say of them: which one counts, and when a level changes by itself.
 *
 * On an output the raised rule of the highest severity counts; among equals set, blink, pulse, and of two
 * that count alike the active one; else it is inactive, or at on_start until a rule on it has heard anything.
 * An output that cannot be set is told once and tried again. Times are of a monotonic clock and passed in.
 * Threads: drive_open and drive_close on the main thread, drive_run on one thread, which neither allocates
 * nor blocks beyond what the driver of a line does. Crash: as output.h. */
#ifndef FOGLINE_ACT_DRIVE_H
#define FOGLINE_ACT_DRIVE_H

#include "act/act_config.h"
#include "act/output.h"

enum { DRIVE_RETRY_MS = 1000, DRIVE_TEXT_BYTES = 240 };

/* An action on an output; one of another kind is passed over. */
struct drive_action {
    int kind; /* enum action_kind */
    unsigned output;
    const struct action_config *config;
};

/* A rule on a channel, as outputs see it. */
struct drive_view {
    const struct drive_action *actions;
    unsigned n_actions;
    int severity;
    bool raised;
    bool has_heard;         /* something good, or it was raised before */
    bool pulses;            /* it was raised in this life of the process: pulses count from there */
    bool may_be_stale;      /* it goes by readings of now */
    int64_t good_mono_ns;   /* its last good reading, or when it began */
    int64_t turned_mono_ns; /* raised, as far as it was in this life; blinking counts from here */
    bool *is_stale;         /* set when an output finds it so */
};

struct drive_options {
    const struct config_list *outputs; /* borrowed for life */
    /* Told when an output fails and when it is back. */
    void (*note)(void *ctx, unsigned severity, const char *text);
    void *ctx;
};

struct drive;
/* Opens all of them at their on_start. 0 or negative errno with *err. */
must_check int drive_open(struct drive **ret_d, const struct drive_options *options, struct errmsg *err);
/* Each goes to its on_exit. Accepts NULL. */
struct drive *drive_close(struct drive *d);
unsigned drive_output(const struct drive *d, const char *name); /* its number; there is one of that name */

/* Levels by what is raised now. view: of rule times channel i, below n. */
struct drive_rules {
    unsigned n;
    void (*view)(void *ctx, unsigned i, struct drive_view *ret_v);
    void *ctx;
};
struct drive_done {
    unsigned n_set, n_failed;
    int64_t next_ns; /* when a level changes by itself; INT64_MAX: never */
};
void drive_run(struct drive *d, const struct drive_rules *rules, int64_t now_ns, struct drive_done *ret);

#endif
