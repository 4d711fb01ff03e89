/* recorder.h - a sink that remembers what sources say. */
#ifndef FOGLINE_TESTS_DEVICE_RECORDER_H
#define FOGLINE_TESTS_DEVICE_RECORDER_H

#include "device/source.h"

enum { RECORDER_ROWS = 4096, RECORDER_CELLS = 96 };

struct recorded_row {
    uint32_t group, n_cells;
    int64_t time_ns;
    struct cell cells[RECORDER_CELLS]; /* texts are not kept */
    bool has_position;
    struct source_position position;
};

struct recorder {
    struct source_sink sink;
    uint32_t n_groups, n_rows, n_receipts, room;   /* room: rows that are taken before SINK_FULL */
    char names[RECORDER_CELLS][SOURCE_NAME_BYTES]; /* of the last group */
    enum column_type types[RECORDER_CELLS];
    uint32_t n_channels;
    char first_names[SOURCE_GROUPS_MAX][SOURCE_NAME_BYTES]; /* the first channel of each group */
    enum column_type first_types[SOURCE_GROUPS_MAX];
    char text[256];                     /* of the last text cell */
    uint32_t n_events, n_events_of[16]; /* of each type */
    struct source_event event;          /* the last one; channel and text point to the two below */
    char event_channel[SOURCE_NAME_BYTES], event_text[256];
    struct recorded_row *rows;
};

void recorder_init(struct recorder *r);
void recorder_deinit(struct recorder *r);

/* Configuration of a kind: its defaults, then the values set in the YAML text. Free with
 * recorder_config_free. */
void *recorder_config(const struct source_kind *kind, const char *yaml);
void recorder_config_free(const struct source_kind *kind, void *config);

#endif
