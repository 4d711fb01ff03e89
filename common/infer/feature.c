#include "infer/feature.h"
#include "infer/feature_fft.h"

#include "base/cleanup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x3146454e474f46ULL /* "FOGNEF1" */

/* The image: this head; a track for each channel; a smooth for each feature; the rings of values (double) of
 * the channels one after the other; the rings of marks (one byte: a reading was there). */
struct head {
    uint64_t magic, recipe_hash, steps;
};

struct track {
    uint64_t count; /* values that came into the ring, ever; the next goes to count % ring */
    uint64_t has_last;
    double last;
};

struct smooth {
    uint64_t count;
    double mean, variance, z;
};

struct ring {
    uint32_t n; /* values, and marks, it holds; 1 at least */
    size_t values_at, marks_at;
};

struct features {
    struct recipe recipe;
    uint64_t recipe_hash;
    struct ring rings[RECIPE_CHANNELS_MAX];
    size_t image_bytes, fft_n;
    uint8_t *image;
    double *window; /* the largest window, in time order */
    double *fft;
};

static struct head *head_of(const struct features *f)
{
    return (struct head *)f->image;
}

static struct track *track_of(const struct features *f, size_t channel)
{
    return (struct track *)(f->image + sizeof(struct head)) + channel;
}

static struct smooth *smooth_of(const struct features *f, size_t feature)
{
    return (struct smooth *)(f->image + sizeof(struct head) + f->recipe.n_channels * sizeof(struct track)) +
           feature;
}

static double *values_of(const struct features *f, size_t channel)
{
    return (double *)(f->image + f->rings[channel].values_at);
}

static uint8_t *marks_of(const struct features *f, size_t channel)
{
    return f->image + f->rings[channel].marks_at;
}

/* How many steps back a feature looks, this one included. */
static uint32_t reach(const struct feature *f)
{
    if (f->kind == FEATURE_LAG || f->kind == FEATURE_DIFFERENCE)
        return f->n + 1;
    return feature_kind_has_n(f->kind) ? f->n : 1;
}

static uint64_t fnv1a(struct span s)
{
    uint64_t h = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ s.data[i]) * 0x100000001b3ULL;
    return h;
}

static void place(struct features *f)
{
    const struct recipe *r = &f->recipe;
    for (size_t i = 0; i < r->n_channels; i++)
        f->rings[i].n = 1;
    for (size_t i = 0; i < r->n_features; i++) {
        const struct feature *feature = &r->features[i];
        struct ring *ring = &f->rings[feature->channel];
        if (reach(feature) > ring->n)
            ring->n = reach(feature);
        if (feature->kind == FEATURE_BAND && feature->n > f->fft_n)
            f->fft_n = feature->n;
    }
    size_t at =
        sizeof(struct head) + r->n_channels * sizeof(struct track) + r->n_features * sizeof(struct smooth);
    for (size_t i = 0; i < r->n_channels; i++) {
        f->rings[i].values_at = at;
        at += f->rings[i].n * sizeof(double);
    }
    for (size_t i = 0; i < r->n_channels; i++) {
        f->rings[i].marks_at = at;
        at += f->rings[i].n;
    }
    f->image_bytes = (at + 7) / 8 * 8;
}

int feature_new(const struct recipe *recipe, struct features **ret, struct errmsg *err)
{
    int rc = recipe_check(recipe, err);
    if (rc != 0)
        return rc;
    struct features *f = calloc(1, sizeof *f);
    if (f == NULL)
        return errmsg_set(err, -ENOMEM, "recipe: out of memory");
    f->recipe = *recipe;
    struct buf bytes = {0};
    recipe_encode(recipe, &bytes);
    f->recipe_hash = fnv1a(span_of(bytes.data, bytes.len));
    rc = bytes.error;
    buf_deinit(&bytes);
    place(f);
    f->image = calloc(1, f->image_bytes);
    f->window = calloc(RECIPE_WINDOW_MAX + 1, sizeof(double));
    f->fft = calloc(fft_scratch_doubles(f->fft_n) + 1, sizeof(double));
    if (rc != 0 || f->image == NULL || f->window == NULL || f->fft == NULL) {
        feature_free(f);
        return errmsg_set(err, -ENOMEM, "recipe: out of memory");
    }
    if (f->fft_n > 0)
        fft_prepare(f->fft_n, f->fft);
    feature_reset(f);
    *ret = f;
    return 0;
}

void feature_free(struct features *f)
{
    if (f == NULL)
        return;
    free(f->image);
    free(f->window);
    free(f->fft);
    free(f);
}

void feature_reset(struct features *f)
{
    memset(f->image, 0, f->image_bytes);
    *head_of(f) = (struct head){.magic = MAGIC, .recipe_hash = f->recipe_hash};
}

const struct recipe *feature_recipe(const struct features *f)
{
    return &f->recipe;
}

struct span feature_image(const struct features *f)
{
    return span_of(f->image, f->image_bytes);
}

/* Whatever the numbers are, no step can go beyond the rings: indices are taken modulo their sizes. */
int feature_restore(struct features *f, struct span image, struct errmsg *err)
{
    struct head head;
    if (image.len != f->image_bytes)
        return errmsg_set(err, -EINVAL,
                          "features: the state kept has %zu bytes, this recipe's has %zu: it begins anew",
                          image.len, f->image_bytes);
    memcpy(&head, image.data, sizeof head);
    if (head.magic != MAGIC || head.recipe_hash != f->recipe_hash)
        return errmsg_set(err, -EINVAL, "features: the state kept is of another recipe: it begins anew");
    memcpy(f->image, image.data, image.len);
    return 0;
}

/* What came with this step, into the ring of a channel. */
static void track_step(struct features *f, size_t channel, double value, bool is_there)
{
    struct track *t = track_of(f, channel);
    enum recipe_absent absent = f->recipe.absent;
    if (is_there) {
        t->last = value;
        t->has_last = 1;
    } else if (absent == RECIPE_SKIP || (absent == RECIPE_HOLD && t->has_last == 0)) {
        return;
    }
    size_t at = t->count % f->rings[channel].n;
    values_of(f, channel)[at] = is_there ? value : absent == RECIPE_NAN ? (double)NAN : t->last;
    t->count++;
}

static void smooth_step(struct smooth *s, double alpha, double x)
{
    double d = s->count == 0 ? 0 : x - s->mean;
    s->z = s->variance > 0 ? d / sqrt(s->variance) : 0;
    s->mean = s->count == 0 ? x : s->mean + alpha * d;
    s->variance = (1 - alpha) * (s->variance + alpha * d * d);
    s->count++;
}

/* The last n values in time order, into f->window. */
static void unroll(struct features *f, size_t channel, size_t n)
{
    uint32_t ring = f->rings[channel].n;
    uint64_t first = track_of(f, channel)->count - n;
    const double *values = values_of(f, channel);
    for (size_t i = 0; i < n; i++)
        f->window[i] = values[(first + i) % ring];
}

static double back(const struct features *f, size_t channel, size_t steps)
{
    return values_of(f, channel)[(track_of(f, channel)->count - 1 - steps) % f->rings[channel].n];
}

struct moments {
    size_t n;
    double sum, squares, min, max;
};

static struct moments moments_of(const double *x, size_t n)
{
    struct moments m = {.min = (double)NAN, .max = (double)NAN};
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i]))
            continue;
        m.min = m.n == 0 || x[i] < m.min ? x[i] : m.min;
        m.max = m.n == 0 || x[i] > m.max ? x[i] : m.max;
        m.sum += x[i];
        m.squares += x[i] * x[i];
        m.n++;
    }
    return m;
}

static double stddev_of(const double *x, size_t n, const struct moments *m)
{
    double mean = m->sum / (double)m->n, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)m->n);
}

static double over_window(struct features *f, const struct feature *feature)
{
    unroll(f, feature->channel, feature->n);
    if (feature->kind == FEATURE_BAND)
        return fft_band(f->window, feature->n, feature->low, feature->high, f->fft_n, f->fft);
    struct moments m = moments_of(f->window, feature->n);
    if (m.n == 0)
        return (double)NAN;
    switch (feature->kind) {
    case FEATURE_MEAN:
        return m.sum / (double)m.n;
    case FEATURE_STDDEV:
        return stddev_of(f->window, feature->n, &m);
    case FEATURE_MIN:
        return m.min;
    case FEATURE_MAX:
        return m.max;
    default:
        return sqrt(m.squares / (double)m.n);
    }
}

static double absent_count(const struct features *f, const struct feature *feature)
{
    const uint8_t *marks = marks_of(f, feature->channel);
    uint32_t ring = f->rings[feature->channel].n;
    uint64_t steps = head_of(f)->steps;
    uint64_t n = 0;
    for (uint64_t i = 0; i < feature->n && i < steps; i++)
        n += marks[(steps - 1 - i) % ring] == 0;
    return (double)n;
}

static double one(struct features *f, size_t i)
{
    const struct feature *feature = &f->recipe.features[i];
    const struct smooth *s = smooth_of(f, i);
    switch (feature->kind) {
    case FEATURE_VALUE:
        return back(f, feature->channel, 0);
    case FEATURE_LAG:
        return back(f, feature->channel, feature->n);
    case FEATURE_DIFFERENCE:
        return back(f, feature->channel, 0) - back(f, feature->channel, feature->n);
    case FEATURE_EWMA_MEAN:
        return s->mean;
    case FEATURE_EWMA_STDDEV:
        return sqrt(s->variance);
    case FEATURE_ZSCORE:
        return s->z;
    case FEATURE_ABSENT:
        return absent_count(f, feature);
    default:
        return over_window(f, feature);
    }
}

static bool is_ready(const struct features *f, size_t i)
{
    const struct feature *feature = &f->recipe.features[i];
    if (feature->kind == FEATURE_ABSENT)
        return true;
    if (feature_kind_has_alpha(feature->kind))
        return smooth_of(f, i)->count > 0;
    return track_of(f, feature->channel)->count >= reach(feature);
}

static void take(struct features *f, const double *values, const bool *present)
{
    const struct recipe *r = &f->recipe;
    uint64_t step = head_of(f)->steps++;
    for (size_t c = 0; c < r->n_channels; c++) {
        bool is_there = present[c] && isfinite(values[c]);
        marks_of(f, c)[step % f->rings[c].n] = is_there;
        track_step(f, c, values[c], is_there);
    }
    for (size_t i = 0; i < r->n_features; i++) {
        const struct feature *feature = &r->features[i];
        const struct track *t = track_of(f, feature->channel);
        bool is_there = marks_of(f, feature->channel)[step % f->rings[feature->channel].n] != 0;
        if (feature_kind_has_alpha(feature->kind) &&
            (is_there || (r->absent == RECIPE_HOLD && t->has_last != 0)))
            smooth_step(smooth_of(f, i), feature->alpha, t->last);
    }
}

bool feature_step(struct features *f, const double *values, const bool *present, float *ret)
{
    const struct recipe *r = &f->recipe;
    take(f, values, present);
    if (head_of(f)->steps % r->hop != 0)
        return false;
    for (size_t i = 0; i < r->n_features; i++)
        if (!is_ready(f, i))
            return false;
    for (size_t i = 0; i < r->n_features; i++) {
        const struct feature *feature = &r->features[i];
        if (feature->kind != FEATURE_WINDOW) {
            *ret++ = (float)one(f, i);
            continue;
        }
        unroll(f, feature->channel, feature->n);
        for (size_t k = 0; k < feature->n; k++)
            *ret++ = (float)f->window[k];
    }
    return true;
}
