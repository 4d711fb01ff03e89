#include "recorder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int take_group(void *ctx, const struct source_group *g, uint32_t *ret_group)
{
    struct recorder *r = ctx;

    r->n_channels = g->n_channels;
    for (uint32_t i = 0; i < g->n_channels && i < RECORDER_CELLS; i++) {
        strcpy(r->names[i], g->channels[i].name);
        r->types[i] = g->channels[i].type;
    }
    if (r->n_groups < SOURCE_GROUPS_MAX) {
        strcpy(r->first_names[r->n_groups], g->channels[0].name);
        r->first_types[r->n_groups] = g->channels[0].type;
    }
    *ret_group = r->n_groups++;
    return 0;
}

static int take_row(void *ctx, const struct source_row *row)
{
    struct recorder *r = ctx;
    struct recorded_row *to = &r->rows[r->n_rows];

    if (r->n_rows >= r->room)
        return SINK_FULL;
    to->group = row->group;
    to->n_cells = row->n_cells;
    to->time_ns = row->time_ns;
    to->has_position = row->position != NULL;
    if (row->position != NULL)
        to->position = *row->position;
    for (uint32_t i = 0; i < row->n_cells && i < RECORDER_CELLS; i++) {
        to->cells[i] = row->cells[i];
        if ((i == 0 ? r->first_types[row->group] : r->types[i]) == COLUMN_TEXT && !row->cells[i].absent) {
            memcpy(r->text, row->cells[i].text.data, row->cells[i].text.len);
            r->text[row->cells[i].text.len] = '\0';
        }
    }
    r->n_rows++;
    return 0;
}

static int take_receipt(void *ctx, const struct source_receipt *receipt)
{
    struct recorder *r = ctx;

    (void)receipt;
    r->n_receipts++;
    return 0;
}

static int take_event(void *ctx, const struct source_event *e)
{
    struct recorder *r = ctx;

    r->event = *e;
    strcpy(r->event_channel, e->channel != NULL ? e->channel : "");
    strcpy(r->event_text, e->text);
    r->event.channel = r->event_channel;
    r->event.text = r->event_text;
    r->n_events++;
    r->n_events_of[e->type % 16]++;
    return 0;
}

void recorder_init(struct recorder *r)
{
    *r = (struct recorder){.room = RECORDER_ROWS};
    r->sink = (struct source_sink){r, take_group, take_row, take_receipt, take_event};
    r->rows = calloc(RECORDER_ROWS, sizeof *r->rows);
    assert(r->rows != NULL);
}

void recorder_deinit(struct recorder *r)
{
    free(r->rows);
}

void *recorder_config(const struct source_kind *kind, const char *yaml)
{
    struct config_schema schema = {.name = kind->name, .rows = kind->rows, .size = kind->config_bytes};
    struct config_text text = {.name = "test", .text = span_str(yaml)};
    struct config_problems problems = {0};
    void *config = calloc(1, kind->config_bytes);
    int rc = config_load_text(&schema, &text, config, &problems);

    config_problems_print(&problems, stderr);
    config_problems_deinit(&problems);
    assert(rc == 0);
    return config;
}

void recorder_config_free(const struct source_kind *kind, void *config)
{
    struct config_schema schema = {.name = kind->name, .rows = kind->rows, .size = kind->config_bytes};

    config_free_values(&schema, config);
    free(config);
}
