#include "infer/detector.h"

#include "infer/detector_private.h"

enum { MAGIC = 0x54444c46, VERSION = 1 }; /* "FLDT" */

_Static_assert(sizeof(struct detector_spec) == 8 * 4 + 14 * 8, "no padding: specs are compared byte by byte");
_Static_assert(sizeof(struct channel_state) == 12 * 8 + 4 * 4, "no padding in an image");
_Static_assert(sizeof(struct detector_state) % 8 == 0, "no padding before the channels");

const struct detector_ops *detector_ops_of(const struct detector_spec *spec)
{
    static const struct detector_ops *const ops[] = {
        [DETECTOR_EWMA] = &detector_ewma_ops,         [DETECTOR_MEWMA] = &detector_mewma_ops,
        [DETECTOR_CUSUM] = &detector_cusum_ops,       [DETECTOR_PAGE_HINKLEY] = &detector_page_hinkley_ops,
        [DETECTOR_HAMPEL] = &detector_hampel_ops,     [DETECTOR_PCA] = &detector_pca_ops,
        [DETECTOR_SURPRISE] = &detector_surprise_ops,
    };

    return ops[spec->kind];
}

static size_t n_doubles(const struct detector_spec *spec)
{
    return detector_ops_of(spec)->n_doubles != NULL ? detector_ops_of(spec)->n_doubles(spec) : 0;
}

size_t detector_state_bytes(const struct detector_spec *spec)
{
    return sizeof(struct detector_state) + spec->n_channels * sizeof(struct channel_state) +
           n_doubles(spec) * sizeof(double);
}

void detector_init(struct detector_state *s, const struct detector_spec *spec)
{
    size_t bytes = detector_state_bytes(spec);
    struct detector_spec copy = *spec; /* may lie in *s */

    memset(s, 0, bytes);
    s->magic = MAGIC;
    s->version = VERSION;
    s->bytes = bytes;
    s->spec = copy;
}

/* ---- a row ---- */

static void take_row(struct detector_state *s, const double *values, const bool *present,
                     struct detector_row *row, bool *ret_any)
{
    *ret_any = false;
    row->is_complete = true;
    for (uint32_t i = 0; i < s->spec.n_channels; i++) {
        row->usable[i] = (present == NULL || present[i]) && isfinite(values[i]);
        row->values[i] = row->usable[i] ? clamped(values[i], -DETECTOR_VALUE_MAX, DETECTOR_VALUE_MAX) : 0;
        *ret_any = *ret_any || row->usable[i];
        row->is_complete = row->is_complete && row->usable[i];
    }
}

/* The weight of a new value: first as in a plain mean, then constant. */
static double weight_of(double weight, uint32_t n_seen)
{
    double plain = 1.0 / (n_seen + 1.0);

    return plain > weight ? plain : weight;
}

static void sum_up(struct channel_state *c, double x, bool has_last)
{
    double d = x - c->mean, fast_d = c->fast - c->fast_mean;

    c->n++;
    c->mean += d / c->n;
    c->square_sum += d * (x - c->mean);
    c->fast_mean += fast_d / c->n;
    c->fast_sum += fast_d * (c->fast - c->fast_mean);
    c->lag_sum += square(c->fast - c->slow);
    if (has_last) {
        c->step_sum += square(x - c->last);
        c->n_steps++;
    }
}

static void take_value(const struct detector_spec *spec, struct channel_state *c, double x, bool is_counted)
{
    bool has_last = c->n_seen > 0;

    c->fast += weight_of(spec->weight, c->n_seen) * (x - c->fast);
    c->slow += weight_of(spec->change_weight, c->n_seen) * (x - c->slow);
    if (is_counted)
        sum_up(c, x, has_last && c->n > 0);
    c->last = x;
    c->n_seen += c->n_seen < UINT32_MAX;
}

/* After a gap nothing smoothed is of use. */
static void forget_recent(struct detector_state *s)
{
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        s->channels[i].n_seen = 0;
    if (detector_ops_of(&s->spec)->after_gap != NULL)
        detector_ops_of(&s->spec)->after_gap(s);
}

static void take_time(struct detector_state *s, int64_t time_ns)
{
    int64_t d;

    if (s->is_begun && s->spec.gap_ms > 0 &&
        (__builtin_sub_overflow(time_ns, s->last_ns, &d) || d / 1000000 > (int64_t)s->spec.gap_ms))
        forget_recent(s);
    s->is_begun = 1;
    s->last_ns = time_ns;
}

/* ---- commissioning ---- */

static void fit(struct detector_state *s)
{
    uint32_t enough = (s->spec.commission_rows - s->spec.settle_rows) / 4;

    for (uint32_t i = 0; i < s->spec.n_channels; i++) {
        struct channel_state *c = &s->channels[i];

        c->centre = c->mean;
        c->is_judged = c->n >= enough && c->n_steps > 0 && c->step_sum > 0 && c->square_sum > 0;
        c->change_scale = c->is_judged ? sqrt(c->lag_sum / c->n) : 0;
        c->scale = c->is_judged ? sqrt(c->square_sum / c->n) : 0;
    }
    if (detector_ops_of(&s->spec)->fit != NULL)
        detector_ops_of(&s->spec)->fit(s);
    s->is_fitted = 1;
}

static void learn(struct detector_state *s, const struct detector_row *row, bool any)
{
    if (detector_ops_of(&s->spec)->learn != NULL)
        detector_ops_of(&s->spec)->learn(s, row);
    s->n_rows += any;
    if (s->n_rows >= s->spec.commission_rows)
        fit(s);
}

/* ---- verdict ---- */

/* A slow reference is what the smoothed value was; once they part it begins anew at the new level. */
static bool is_changepoint(struct detector_state *s)
{
    double most = 0;

    if (s->change_quiet_left > 0) {
        s->change_quiet_left--;
        return false;
    }
    if (s->spec.change_limit <= 0)
        return false;
    for (uint32_t i = 0; i < s->spec.n_channels; i++) {
        const struct channel_state *c = &s->channels[i];
        double part = fabs(c->fast - c->slow) / (c->change_scale * s->spec.change_limit);

        if (c->is_judged && part > most)
            most = part;
    }
    if (most <= 1)
        return false;
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        s->channels[i].slow = s->channels[i].fast;
    s->change_quiet_left = s->spec.change_quiet_rows;
    return true;
}

static void judge(struct detector_state *s, const struct detector_row *row, struct detector_verdict *v)
{
    struct detector_judgement j = {0};

    detector_ops_of(&s->spec)->judge(s, row, &j);
    v->score = clamped(j.score, 0, DETECTOR_SCORE_MAX);
    v->channel = j.channel;
    s->is_alarm = detector_is_up(s, v->score);
    v->is_alarm = s->is_alarm;
    v->is_changepoint = is_changepoint(s);
}

void detector_step(struct detector_state *s, int64_t time_ns, const double *values, const bool *present,
                   struct detector_verdict *ret_verdict)
{
    struct detector_row row;
    bool any;

    *ret_verdict = (struct detector_verdict){0};
    take_time(s, time_ns);
    take_row(s, values, present, &row, &any);
    row.is_counted = !s->is_fitted && s->n_rows >= s->spec.settle_rows;
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        if (row.usable[i])
            take_value(&s->spec, &s->channels[i], row.values[i], row.is_counted);
    if (s->is_fitted)
        judge(s, &row, ret_verdict);
    else
        learn(s, &row, any);
    ret_verdict->is_commissioning = !s->is_fitted;
    ret_verdict->progress = s->is_fitted ? 1 : (double)s->n_rows / s->spec.commission_rows;
    for (uint32_t i = 0; i < s->spec.n_channels; i++)
        ret_verdict->n_blind += s->is_fitted && !s->channels[i].is_judged;
}

/* ---- images ---- */

/* FNV-1a of the image with `sum` 0. */
static uint64_t sum_of(const uint8_t *image, size_t n)
{
    const size_t at = offsetof(struct detector_state, sum);
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < n; i++)
        h = (h ^ (i >= at && i < at + 8 ? 0 : image[i])) * UINT64_C(0x100000001b3);
    return h;
}

void detector_save(const struct detector_state *s, uint8_t *ret_image)
{
    uint64_t sum;

    memcpy(ret_image, s, s->bytes);
    sum = sum_of(ret_image, s->bytes);
    memcpy(ret_image + offsetof(struct detector_state, sum), &sum, sizeof sum);
}

static bool are_finite(const double *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

/* No count is an index; those that end loops or choose paths are in range, and all numbers are numbers. */
static bool is_sane(struct detector_state *s)
{
    const struct detector_spec *spec = &s->spec;

    if (s->is_begun > 1 || s->is_fitted > 1 || s->is_alarm > 1 || s->n_kept > spec->n_channels ||
        s->n_rows > spec->commission_rows || s->quiet_left > spec->quiet_rows ||
        s->change_quiet_left > spec->change_quiet_rows || !isfinite(s->peak) ||
        (s->n_rows == spec->commission_rows) != (s->is_fitted == 1))
        return false;
    for (uint32_t i = 0; i < spec->n_channels; i++)
        if (s->channels[i].is_judged > 1 || !are_finite(&s->channels[i].last, 12))
            return false;
    return are_finite(detector_doubles(s), n_doubles(spec));
}

int detector_restore(struct detector_state *s, const struct detector_spec *spec, struct span image,
                     struct errmsg *err)
{
    const char *name = detector_kind_name(spec->kind);
    struct detector_spec own = *spec; /* may lie in *s */
    size_t bytes = detector_state_bytes(&own);
    uint64_t sum;

    detector_init(s, &own);
    if (image.len < sizeof *s || load_le32(image.data) != MAGIC)
        return errmsg_set(err, -EINVAL, "%s: these %zu bytes are no state of a detector; let it learn anew",
                          name, image.len);
    if (load_le32(image.data + offsetof(struct detector_state, version)) != VERSION)
        return errmsg_set(err, -EINVAL,
                          "%s: the saved state has version %u, this program reads %d; let it learn anew",
                          name, load_le32(image.data + offsetof(struct detector_state, version)), VERSION);
    if (image.len != bytes ||
        memcmp(image.data + offsetof(struct detector_state, spec), &own, sizeof own) != 0)
        return errmsg_set(err, -EINVAL, "%s: the saved state is of other settings; let it learn anew", name);
    sum = load_le64(image.data + offsetof(struct detector_state, sum));
    memcpy(s, image.data, bytes);
    s->sum = 0;
    if (s->bytes == bytes && sum == sum_of(image.data, bytes) && is_sane(s))
        return 0;
    detector_init(s, &own);
    return errmsg_set(err, -EINVAL, "%s: the saved state is damaged; let it learn anew", name);
}
