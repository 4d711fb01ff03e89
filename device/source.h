/* source.h - where readings come from: one table of functions per kind of source.
 *
 * A source declares groups (channels sampled together) and emits rows into a sink. A *live* source is read at
 * its interval, or when its descriptor is readable, and what finds no room is dropped and counted. A
 * *replayable* source waits for room; each row names the read position behind it, which is made durable in
 * the transaction of the row, so that a restart goes on exactly there. Threads: open and close run on the
 * main thread, everything else on the act thread, which neither writes a disk nor allocates: a source gets
 * its memory in open. (A replayed file is read on that thread, that is its nature.) A new kind is one file
 * with a `struct source_kind` and one line in sources.c.
 *
 * A sensor that cannot be read costs a cell, not its source: NaN (of a channel that is no double: the last
 * value, absent before the first) with QUALITY_BAD, one event when it begins to fail and one when it is back.
 */
#ifndef FOGLINE_DEVICE_SOURCE_H
#define FOGLINE_DEVICE_SOURCE_H

#include "base/err.h"
#include "base/name.h"
#include "codec/block.h"
#include "config/config.h"
#include "device/channel.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SOURCE_NAME_BYTES = NAME_PART_CHARS + 1,
    SOURCE_POSITION_WORDS = 5,
    SOURCE_GROUPS_MAX = 128, /* of a device */
    SOURCES_MAX = 32,
    SOURCE_STEP_ROWS = 512, /* a replayable source gives at most so many rows in one step */
};

struct source_channel {
    const char *name; /* a name part */
    const char *unit; /* UCUM, "" when unknown */
    enum column_type type;
};

/* Borrowed by the sink until the call returns. */
struct source_group {
    const struct source_channel *channels;
    uint32_t n_channels; /* 1 .. BLOCK_COLUMNS_MAX */
};

/* Opaque to everybody but the source that made it. */
struct source_position {
    uint64_t word[SOURCE_POSITION_WORDS];
};

struct source_row {
    uint32_t group;
    int64_t time_ns;          /* since 1970 UTC */
    uint64_t mono_ns;         /* when it was read; 0: replayed */
    const struct cell *cells; /* one per channel of the group */
    uint32_t n_cells;
    const struct source_position *position; /* behind this row; NULL for a live source */
    /* Of the keeper alone: what was left out of this row and of rows before it; NULL: nothing. */
    const struct keep_counts *reduced;
    bool is_account; /* nothing is left of it but its position and `reduced`: not a row */
};

/* The sender of a reading waits for it to be durable: "ok N" or "error ..." is sent to it after the commit.
 */
struct source_receipt {
    int fd;              /* datagram socket of the source; stays open until close */
    const void *address; /* sockaddr_un of the sender */
    uint32_t address_bytes;
    uint32_t samples;
};

/* Takes what a source says. Each returns 0, or SINK_FULL when there is no room: a live source goes on (the
 * loss is counted and reported by the sink), a replayable one keeps its row and returns SOURCE_WAIT. */
enum { SINK_FULL = 1 };

/* What happened to one sensor of a source, for the record and for people: made durable at once. */
struct source_event {
    uint32_t type;       /* proto EventType: SOURCE_FAILED, SOURCE_RECOVERED or NOTE */
    uint32_t severity;   /* 0 info, 1 warning, 2 error */
    const char *channel; /* whose; NULL: the source as a whole */
    int64_t time_ns;     /* since 1970 UTC */
    const char *text;    /* one sentence */
};

struct source_sink {
    void *ctx;
    /* A source with positions declares exactly one group. *ret_group is the number to use in rows. Negative
     * errno: it cannot be recorded, source_refusal says why. */
    int (*group)(void *ctx, const struct source_group *g, uint32_t *ret_group);
    int (*row)(void *ctx, const struct source_row *r);
    int (*receipt)(void *ctx, const struct source_receipt *r); /* right after its row */
    /* With no room now it is held until there is some. SINK_FULL: too many are; lost and counted, say it
     * again when it still matters. */
    int (*event)(void *ctx, const struct source_event *e);
};

/* Why a sink took no group, by what it returned: "the device has ..."; with the remedy. */
const char *source_refusal(int error);

struct source_now {
    int64_t wall_unix_ns, mono_ns;
};

/* A source that stands before the one to be opened. */
struct source_other {
    const char *name;
    bool replayable;
};

struct source_open {
    const struct source_other *others; /* by source number; borrowed until open returns */
    unsigned n_others;
    const char *name;                     /* of the configuration; borrowed for the life of the source */
    const void *config;                   /* struct of the kind; borrowed until open returns */
    const char *run_dir;                  /* borrowed likewise */
    const struct source_position *resume; /* NULL: from the beginning */
    int64_t budget_us;                    /* what computing a row may take on the act thread */
    struct worker *worker;                /* for what takes longer; borrowed for the life of the source */
    struct span memory; /* what `remember` gave last, of all rows up to the start; empty: nothing */
};

/* What computing cost since the start, and how it went. */
struct source_work {
    uint64_t runs, overruns, skipped, failures; /* overruns: longer than allowed; skipped: by newer ones */
    uint64_t p50_ns, p99_ns, max_ns;            /* of a run */
    bool is_aside;                              /* on the worker */
};

enum { SOURCE_END = 1, SOURCE_WAIT = 2 };

struct source_kind {
    const char *name; /* "csv": `type` in the configuration */
    const char *help;
    const struct config_row *rows; /* of a struct that begins with struct source_config */
    size_t config_bytes;
    /* Complains of what single values cannot show, also that this build lacks the kind. field: "sources[2]".
     * May be NULL. */
    void (*check)(const void *config, const char *field, struct config_check *c);

    /* 0 or negative errno with *err. */
    int (*open)(const struct source_open *o, void **ret_self, struct errmsg *err);
    void (*close)(void *self);
    /* Says its groups; called until it returns 0, before the first step. May be NULL. */
    int (*declare)(void *self, const struct source_sink *sink);
    /* Is it replayable: does it wait for room and say positions? NULL: live. */
    bool (*replayable)(const void *self);
    /* Interval of a live source in ms: step is called on ticks of the monotonic clock that are multiples of
     * it. 0 or NULL: the source says itself when it is due. */
    int64_t (*interval_ms)(const void *self);
    /* Emits what is due. *ret_next_ns: when to call again, monotonic; INT64_MAX: when fd is readable; ignored
     * with an interval. 0; SOURCE_WAIT (no room); SOURCE_END (never call again); negative errno (reported,
     * tried again later). */
    int (*step)(void *self, const struct source_sink *sink, const struct source_now *now,
                int64_t *ret_next_ns);
    /* ---- a kind that computes its rows from those of others (infer/derived.h); all NULL for the rest ----
     */
    /* Its sink, which it may use whenever it hears something. */
    void (*listen)(void *self, const struct source_sink *sink);
    /* As struct sampler_listener. */
    int (*hear_group)(void *self, unsigned source, uint32_t group, const struct source_group *g);
    void (*hear_row)(void *self, unsigned source, const struct source_row *r);
    size_t (*hear_ring_bytes)(void *self, unsigned source);
    void (*work)(const void *self, struct source_work *ret); /* by any thread */
    /* What it has to know after a restart, between two rows: writes it when it is at most `room` bytes, and
     * gives its length; 0: what was kept last is still right. */
    size_t (*remember)(const void *self, uint8_t *out, size_t room);
    /* On the main thread, each second, and when the operator asks to look at files again. false: what is
     * wrong is in *err, once for each time that it was tried. May be NULL, as all of these. */
    bool (*tend)(void *self, bool is_asked, struct errmsg *err);
    /* Do its rows hold only what was just said, so that an absent cell means nothing? */
    bool rows_are_partial;
    /* To be polled for reading; NULL or -1: none. */
    int (*fd)(const void *self);
    /* One line about how it ended, for the event. May be NULL. */
    void (*describe_end)(const void *self, char *out, size_t out_bytes);
};

/* First member of every kind's configuration. What stands in it besides the name is about the blocks of the
 * source's groups, not about the source. */
struct source_config {
    char name[SOURCE_NAME_BYTES];
    int encoding;                /* index in source_encodings */
    struct config_list channels; /* items: struct channel_config */
};
extern const char *const source_encodings[]; /* "small", "fast", "raw" */
enum block_encoding source_encoding(const struct source_config *c);
/* Complains in `field`, "sources[2].restart_max_ms", of waits that double from first_ms to max_ms, which is
 * less. */
void source_waits_check(int64_t first_ms, int64_t max_ms, const char *field, struct config_check *c);
extern const struct config_row source_config_rows[];

/* Every kind that is built in, NULL at the end. */
extern const struct source_kind *const source_kinds[];

extern const struct source_kind source_csv, source_detector, source_exec, source_gpio, source_host,
    source_hwmon, source_iio, source_modbus, source_model, source_mqtt, source_onewire, source_plant,
    source_socket;

#endif
