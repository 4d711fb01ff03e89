/* keeper_private.h - what the files of the keeper share. */
#ifndef FOGLINE_DEVICE_KEEPER_PRIVATE_H
#define FOGLINE_DEVICE_KEEPER_PRIVATE_H

#include "base/clock.h"
#include "device/keep/keeper.h"

enum { KEEPER_LOST = 2 };

struct keeper_channel {
    char name[SOURCE_NAME_BYTES];
    struct keep_rule rule;
    bool does_anything;
    struct keep_channel state;
    struct keep_window window;
    uint32_t first_derived;         /* column of its count; 0: no windows */
    int64_t around_ns;              /* of an alarm */
    int64_t raw_from_ns, raw_to_ns; /* all is sent from here to here; from > to: never */
};

struct keeper_group {
    struct keeper_input *in;
    uint32_t n, n_out, n_windows;    /* channels of the source's group, of the feed's; with windows */
    struct keeper_channel *channels; /* n, or NULL: passed through */
};

struct keeper_input {
    struct keeper *keeper;
    bool replayable, rows_are_partial, has_position, has_wanted, is_refusal_told;
    const struct config_list *config;
    const struct source_sink *out;
    struct source_sink sink;
    struct keep_counts counts; /* not told yet */
    uint64_t told_mono_ns, last_mono_ns;
    struct source_position position; /* behind the last row that the feed took */
};

struct keeper {
    struct feed *feed;
    struct keeper_input *inputs;
    struct keeper_group *groups; /* SOURCE_GROUPS_MAX */
    /* KEEPER_CHANNELS_MAX, taken from the front; behind them those of the group being declared. */
    struct keeper_channel *channels;
    uint8_t *texts; /* KEEP_TEXT_BYTES for each of these */
    uint32_t n_channels;
    struct history *history; /* NULL: none */
    struct keeper_counters counters;
    struct cell cells[BLOCK_COLUMNS_MAX]; /* of the row under way */
    uint8_t verdicts[BLOCK_COLUMNS_MAX];  /* enum keep_verdict */
    struct source_channel declared[BLOCK_COLUMNS_MAX];
    char names[BLOCK_COLUMNS_MAX][SOURCE_NAME_BYTES]; /* of derived channels */
};

/* keeper.c */
/* Everything that goes to the feed passes here: r has the cells of the feed's group, more: what was left out
 * of it. Counts that the feed did not take wait for the next row. SINK_FULL: a replayed row, to be given
 * again; KEEPER_LOST: a live one, which the feed has counted. */
must_check int keeper_put(struct keeper_input *in, struct source_row *r, const struct keep_counts *more);
/* A row between those of the source: its position is that of the row before. */
void keeper_begin_row(const struct keeper_input *in, uint32_t group, int64_t time_ns, uint64_t mono_ns,
                      struct source_row *ret_row);

/* keeper_alarm.c */
/* Sends what an alarm asked for of this source. SINK_FULL: a replay goes on with it before its next row. */
must_check int keeper_release(struct keeper_input *in, uint64_t mono_ns);

/* keeper_group.c */
int keeper_take_group(void *ctx, const struct source_group *g, uint32_t *ret_group);

#endif
