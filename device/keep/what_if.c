#include "device/keep/what_if_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/wire.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void note_column(struct what_if *w, uint32_t no)
{
    const struct column *c = &w->table->columns[no];
    double min = INFINITY, max = -INFINITY;

    if ((c->type != COLUMN_DOUBLE && c->type != COLUMN_INT64) || w->n == BLOCK_COLUMNS_MAX)
        return;
    for (uint64_t row = 0; row < w->table->n_rows; row++) {
        if (what_if_is_absent(c, row))
            continue;
        w->about.samples++;
        if (isfinite(what_if_value(c, row))) {
            min = fmin(min, what_if_value(c, row));
            max = fmax(max, what_if_value(c, row));
        }
    }
    w->range[w->n] = max > min && isfinite(max - min) ? max - min : 0;
    w->column[w->n++] = no;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Times may lie further apart than the type holds. */
static int64_t difference_ns(int64_t from, int64_t to)
{
    int64_t d;

    return !__builtin_sub_overflow(to, from, &d) ? d : to > from ? INT64_MAX : INT64_MIN;
}

static int measure_times(struct what_if *w)
{
    uint64_t n = w->table->n_rows - 1;
    owned(free_ptr) int64_t *steps = calloc(n, sizeof *steps);
    int64_t span = difference_ns(w->table->time_ns[0], w->table->time_ns[n]);

    if (steps == NULL)
        return -ENOMEM;
    for (uint64_t i = 0; i < n; i++)
        steps[i] = difference_ns(w->table->time_ns[i], w->table->time_ns[i + 1]);
    qsort(steps, n, sizeof *steps, by_value);
    w->about.interval_ns = steps[n / 2] > 0 ? steps[n / 2] : 1;
    if (w->about.max_silence_ns == 0)
        w->about.max_silence_ns = w->about.interval_ns < NS_PER_S ? 60 * NS_PER_S
                                  : w->about.interval_ns < INT64_MAX / WHAT_IF_SILENCE_READINGS
                                      ? WHAT_IF_SILENCE_READINGS * w->about.interval_ns
                                      : INT64_MAX;
    w->about.days = ((double)span + (double)w->about.interval_ns) / (86400.0 * (double)NS_PER_S);
    return span > 0 ? 0 : -ENODATA;
}

/* Room for every policy: KEEP_WINDOW_CELLS columns for each, as long as the recording. */
static int make_sent(struct what_if *w)
{
    struct codec_table *t = calloc(1, sizeof *t);
    uint32_t n = w->n <= WHAT_IF_WINDOW_COLUMNS_MAX ? KEEP_WINDOW_CELLS * w->n : w->n;

    w->sent = t;
    w->source = calloc(w->table->n_rows + 1, sizeof *w->source);
    if (t == NULL || w->source == NULL)
        return -ENOMEM;
    t->types = calloc(n, sizeof *t->types);
    t->about = calloc(n, sizeof *t->about);
    t->columns = calloc(n, sizeof *t->columns);
    t->time_ns = calloc(w->table->n_rows + 1, sizeof *t->time_ns);
    if (t->types == NULL || t->about == NULL || t->columns == NULL || t->time_ns == NULL)
        return -ENOMEM;
    t->n_columns = n;
    for (uint32_t i = 0; i < n; i++) {
        t->columns[i].i64 = calloc(w->table->n_rows + 1, sizeof *t->columns[i].i64);
        t->columns[i].absent = calloc(w->table->n_rows + 1, 1);
        if (t->columns[i].i64 == NULL || t->columns[i].absent == NULL)
            return -ENOMEM;
        snprintf(t->about[i].header, sizeof t->about[i].header, "%u", i);
    }
    return 0;
}

int what_if_new(struct what_if **ret_w, const struct what_if_options *options)
{
    owned(what_if_freep) struct what_if *w = calloc(1, sizeof *w);
    int rc;

    if (w == NULL)
        return -ENOMEM;
    w->table = options->table;
    w->block_rows = options->block_rows;
    w->pack_ns = options->pack_ns;
    w->about.max_silence_ns = options->max_silence_ns;
    w->about.rows = w->table->n_rows;
    if (w->table->n_rows < 2)
        return -ENODATA;
    for (uint32_t i = 0; i < w->table->n_columns; i++)
        if (options->only_column < 0 || options->only_column == (int)i)
            note_column(w, i);
    w->about.n_columns = w->n;
    w->about.range = w->n == 1 ? w->range[0] : 0;
    if (w->n == 0 || w->about.samples == 0)
        return -ENODATA;
    rc = measure_times(w);
    if (rc == 0)
        rc = make_sent(w);
    if (rc == 0)
        rc = block_coder_new(&w->coder);
    if (rc == 0)
        rc = block_store_new(&w->store);
    if (rc == 0)
        *ret_w = TAKE(w);
    return rc;
}

struct what_if *what_if_free(struct what_if *w)
{
    if (w == NULL)
        return NULL;
    if (w->sent != NULL && w->sent->columns != NULL && w->n > 0) /* its columns may have been made fewer */
        w->sent->n_columns = w->n <= WHAT_IF_WINDOW_COLUMNS_MAX ? KEEP_WINDOW_CELLS * w->n : w->n;
    codec_table_free(w->sent);
    free(w->source);
    block_coder_free(w->coder);
    block_store_free(w->store);
    free(w);
    return NULL;
}

void what_if_freep(struct what_if **w)
{
    what_if_free(*w);
}

const struct what_if_recording *what_if_recording(const struct what_if *w)
{
    return &w->about;
}

/* ---- the ladder ---- */

static void add(struct what_if_policy *all, unsigned *n, struct what_if_policy p, const char *name)
{
    snprintf(p.name, sizeof p.name, "%s", name);
    all[(*n)++] = p;
}

unsigned what_if_ladder(const struct what_if *w, struct what_if_policy out[WHAT_IF_POLICIES_MAX])
{
    static const double bounds[] = {0.05, 0.1, 0.5, 1}, deadbands[] = {0, 0.1, 0.5, 1, 5};
    static const struct {
        int64_t s;
        const char *name;
    } windows[] = {{10, "10 s"}, {60, "1 min"}, {600, "10 min"}, {3600, "1 h"}, {86400, "1 d"}};
    char name[WHAT_IF_NAME_CHARS];
    unsigned n = 0, n_windows = 0;

    add(out, &n, (struct what_if_policy){.policy = KEEP_RAW}, "raw");
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        snprintf(name, sizeof name, "bound %g %%", bounds[i]);
        add(out, &n, (struct what_if_policy){.policy = KEEP_BOUND, .percent = bounds[i]}, name);
    }
    for (size_t i = 0; i < sizeof deadbands / sizeof deadbands[0]; i++) {
        snprintf(name, sizeof name, "change %g %%", deadbands[i]);
        add(out, &n,
            (struct what_if_policy){
                .policy = KEEP_CHANGE, .percent = deadbands[i], .span_ns = w->about.max_silence_ns},
            name);
    }
    for (size_t i = 0; i < sizeof windows / sizeof windows[0] && w->n <= WHAT_IF_WINDOW_COLUMNS_MAX; i++) {
        if (windows[i].s * NS_PER_S / 5 < w->about.interval_ns || n_windows == WHAT_IF_AGGREGATES_MAX)
            continue;
        n_windows++;
        snprintf(name, sizeof name, "aggregate %s", windows[i].name);
        add(out, &n, (struct what_if_policy){.policy = KEEP_AGGREGATE, .span_ns = windows[i].s * NS_PER_S},
            name);
    }
    return n;
}

/* ---- through the codec ---- */

static size_t payload_bytes(const struct block *b, size_t body_bytes)
{
    Fogline__V1__Block m = FOGLINE__V1__BLOCK__INIT;

    m.format = WIRE_FORMAT;
    m.set_id = UINT64_MAX;
    m.rows = m.samples = b->n_rows;
    m.encoding = BLOCK_ENCODING_SMALL;
    m.time_first_ns = b->time_ns[0];
    m.time_span_ns = (uint64_t)b->time_ns[b->n_rows - 1] - (uint64_t)b->time_ns[0];
    m.mono_first_ns = 1;
    m.clock_state = 2;
    m.clock_error_us = 1000;
    return fogline__v1__block__get_packed_size(&m) + 3 + body_bytes;
}

static void take_back(struct what_if *w, uint64_t from, const struct block *b)
{
    for (uint32_t i = 0; i < b->n_columns; i++)
        memcpy(w->sent->columns[i].i64 + from, b->columns[i].i64, b->n_rows * sizeof *b->columns[i].i64);
}

static int64_t lowest_time(const struct block *b)
{
    int64_t lowest = b->time_ns[0];

    for (uint32_t i = 1; i < b->n_rows; i++)
        lowest = b->time_ns[i] < lowest ? b->time_ns[i] : lowest;
    return lowest;
}

/* Rows of the block that begins at this one. */
static uint32_t rows_of_block(const struct what_if *w, uint64_t from)
{
    const int64_t *time_ns = w->sent->time_ns;
    uint32_t n = 1;

    while (n < w->block_rows && from + n < w->sent->n_rows &&
           (w->pack_ns == 0 || (uint64_t)time_ns[from + n] - (uint64_t)time_ns[from] < (uint64_t)w->pack_ns))
        n++;
    return n;
}

/* Every block there and back: what w->sent holds then is what a reader has. */
static int code(struct what_if *w, const struct block_starts *starts, struct what_if_result *r)
{
    owned(buf_deinit) struct buf body = {0};
    struct column columns[BLOCK_COLUMNS_MAX];
    const struct block *back;
    struct block b;
    int rc = 0;

    for (uint64_t row = 0; row < w->sent->n_rows && rc == 0; row += b.n_rows) {
        struct block_shape shape = {.encoding = BLOCK_ENCODING_SMALL,
                                    .types = w->sent->types,
                                    .n_columns = w->sent->n_columns,
                                    .only_column = -1,
                                    .starts = starts};

        codec_table_block(w->sent, row, rows_of_block(w, row), columns, &b);
        buf_reset(&body);
        rc = block_encode(w->coder, BLOCK_ENCODING_SMALL, starts, &b, &body);
        r->blocks++;
        r->bytes += payload_bytes(&b, body.len);
        shape.n_rows = b.n_rows;
        shape.time_first_ns = lowest_time(&b);
        if (rc == 0)
            rc = block_decode(&shape, span_of(body.data, body.len), w->store, &back);
        if (rc == 0)
            take_back(w, row, back);
    }
    return rc > 0 ? -EBADMSG : rc;
}

/* ---- what stands for it ---- */

struct errors {
    double sum_squares;
    uint64_t n;
    struct what_if_result *result;
};

static void judge(struct errors *e, double range, uint32_t column, double read, double stands)
{
    double off = fabs(read - stands), part;

    if (memcmp(&read, &stands, sizeof read) == 0 || read == stands)
        off = 0;
    else if (!isfinite(off))
        off = INFINITY;
    part = off == 0 ? 0 : range > 0 ? off / range : INFINITY;
    if (part > e->result->worst) {
        e->result->worst = part;
        e->result->worst_absolute = off;
        e->result->worst_column = column;
    }
    e->sum_squares += part * part;
    e->n++;
}

static void compare(struct what_if *w, const struct what_if_policy *p, struct what_if_result *r)
{
    struct errors e = {.result = r};
    bool windows = p->policy == KEEP_AGGREGATE;

    for (uint32_t i = 0; i < w->n; i++) {
        const struct column *read = &w->table->columns[w->column[i]];
        const struct column *sent = &w->sent->columns[windows ? KEEP_WINDOW_CELLS * i + KEEP_MEAN : i];
        double stands = NAN;
        uint64_t next = 0;

        for (uint64_t row = 0; row < w->table->n_rows; row++) {
            while (next < w->sent->n_rows && w->source[next] <= row) {
                if (!what_if_is_absent(sent, next))
                    stands = what_if_value(sent, next);
                next++;
            }
            /* A window says nothing of what it could not count. */
            if (!what_if_is_absent(read, row) && !(windows && !isfinite(what_if_value(read, row))))
                judge(&e, w->range[i], w->column[i], what_if_value(read, row), stands);
        }
    }
    r->rms = e.n > 0 ? sqrt(e.sum_squares / (double)e.n) : 0;
}

static int make_starts(const struct what_if *w, const struct what_if_policy *p,
                       struct block_starts **ret_starts)
{
    struct column columns[BLOCK_COLUMNS_MAX];
    struct span learned[BLOCK_COLUMNS_MAX] = {{0}}, time = {0};
    double bounds[BLOCK_COLUMNS_MAX] = {0};
    owned(buf_deinit) struct buf bytes = {0};
    struct block b;
    int rc = 0;

    for (uint32_t i = 0; p->policy == KEEP_BOUND && i < w->n; i++)
        if (w->sent->types[i] == COLUMN_DOUBLE)
            bounds[i] = fmin(w->range[i] * p->percent / 100, BLOCK_ERROR_BOUND_MAX);
    if (w->sent->n_rows > 0) {
        codec_table_block(w->sent, 0, BLOCK_ROWS_MAX, columns, &b);
        rc = block_learn(w->coder, &b, bounds, &bytes, learned, &time);
    }
    if (rc == 0)
        rc = block_starts_new(ret_starts, w->sent->types, w->sent->n_columns,
                              &(struct block_start_bytes){bounds, learned, time});
    return rc;
}

int what_if_run(struct what_if *w, const struct what_if_policy *policy, struct what_if_result *ret)
{
    struct block_starts *starts = NULL;
    int rc;

    *ret = (struct what_if_result){.worst_column = w->column[0]};
    what_if_send(w, policy);
    ret->rows = w->sent->n_rows;
    ret->samples = w->sent->n_samples;
    rc = make_starts(w, policy, &starts);
    if (rc == 0)
        rc = code(w, starts, ret);
    if (rc == 0)
        compare(w, policy, ret);
    block_starts_free(starts);
    return rc;
}
