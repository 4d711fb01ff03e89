/* what_if_send.c - what a policy leaves of a recording: its cells, or its windows. */
#include "device/keep/what_if_private.h"

static void put(struct codec_table *t, uint32_t column, uint64_t row, const struct cell *cell)
{
    t->columns[column].absent[row] = cell->absent;
    t->columns[column].i64[row] = cell->absent ? 0 : cell->i64;
    t->n_samples += !cell->absent;
}

static struct cell cell_at(const struct what_if *w, uint32_t i, uint64_t row)
{
    const struct column *c = &w->table->columns[w->column[i]];

    return (struct cell){.absent = what_if_is_absent(c, row), .i64 = c->i64[row]};
}

static void end_row(struct what_if *w, int64_t time_ns, uint64_t source)
{
    w->sent->time_ns[w->sent->n_rows] = time_ns;
    w->source[w->sent->n_rows++] = source;
}

static void send_cells(struct what_if *w)
{
    for (uint64_t row = 0; row < w->table->n_rows; row++) {
        bool any = false;

        for (uint32_t i = 0; i < w->n; i++) {
            struct cell cell = cell_at(w, i, row);
            bool sent;

            if (cell.absent) {
                keep_was_absent(&w->rule[i], &w->state[i]);
                put(w->sent, i, w->sent->n_rows, &cell);
                continue;
            }
            sent = keep_judge(&w->rule[i], &w->state[i], w->table->time_ns[row], &cell) == KEEP_SEND;
            keep_took(&w->rule[i], &w->state[i], w->table->time_ns[row], &cell, sent);
            cell.absent = !sent;
            any |= sent;
            put(w->sent, i, w->sent->n_rows, &cell);
        }
        if (any)
            end_row(w, w->table->time_ns[row], row);
    }
}

static void send_window(struct what_if *w, uint64_t source)
{
    int64_t start_ns = INT64_MAX;

    for (uint32_t i = 0; i < w->n; i++) {
        struct cell cells[KEEP_WINDOW_CELLS];

        for (unsigned k = 0; k < KEEP_WINDOW_CELLS; k++)
            cells[k] = (struct cell){.absent = true};
        if (w->window[i].n_seen > 0) {
            start_ns = w->window[i].start_ns;
            keep_window_cells(&w->window[i], cells);
        }
        for (unsigned k = 0; k < KEEP_WINDOW_CELLS; k++)
            put(w->sent, KEEP_WINDOW_CELLS * i + k, w->sent->n_rows, &cells[k]);
        w->window[i] = (struct keep_window){0};
    }
    if (start_ns != INT64_MAX)
        end_row(w, start_ns, source);
}

static void send_windows(struct what_if *w, int64_t length_ns)
{
    uint64_t first = 0;

    for (uint64_t row = 0; row < w->table->n_rows; row++) {
        int64_t start_ns = keep_window_start(w->table->time_ns[row], length_ns);

        if (row > 0 && start_ns != keep_window_start(w->table->time_ns[row - 1], length_ns)) {
            send_window(w, first);
            first = row;
        }
        for (uint32_t i = 0; i < w->n; i++) {
            struct cell cell = cell_at(w, i, row);

            if (!cell.absent)
                keep_window_add(&w->window[i], &w->rule[i], w->table->time_ns[row], &cell);
        }
    }
    send_window(w, first);
}

static void begin(struct what_if *w, const struct what_if_policy *p)
{
    bool windows = p->policy == KEEP_AGGREGATE;

    w->sent->n_columns = windows ? KEEP_WINDOW_CELLS * w->n : w->n;
    w->sent->n_rows = w->sent->n_samples = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        enum column_type type = w->table->types[w->column[i]];

        w->state[i] = (struct keep_channel){0};
        w->window[i] = (struct keep_window){0};
        w->rule[i] = (struct keep_rule){.policy = p->policy,
                                        .type = type,
                                        .deadband = w->range[i] * p->percent / 100,
                                        .max_silence_ns = p->policy == KEEP_CHANGE ? p->span_ns : 0,
                                        .aggregate_ns = windows ? p->span_ns : 0};
        if (!windows)
            w->sent->types[i] = w->sent->columns[i].type = type;
        for (unsigned k = 0; windows && k < KEEP_WINDOW_CELLS; k++)
            w->sent->types[KEEP_WINDOW_CELLS * i + k] = w->sent->columns[KEEP_WINDOW_CELLS * i + k].type =
                k == KEEP_COUNT ? COLUMN_INT64 : COLUMN_DOUBLE;
    }
}

void what_if_send(struct what_if *w, const struct what_if_policy *policy)
{
    begin(w, policy);
    if (policy->policy == KEEP_AGGREGATE)
        send_windows(w, policy->span_ns);
    else
        send_cells(w);
}
