#include "infer/recipe.h"

#include <stddef.h>
#include <string.h>

enum { VERSION = 1, HEAD_BYTES = 12, FEATURE_BYTES = 24 };

static const struct {
    const char *name;
    bool has_n, has_alpha;
} kinds[] = {
    [FEATURE_VALUE] = {"value", false, false},
    [FEATURE_LAG] = {"lag", true, false},
    [FEATURE_DIFFERENCE] = {"difference", true, false},
    [FEATURE_WINDOW] = {"window", true, false},
    [FEATURE_EWMA_MEAN] = {"ewma_mean", false, true},
    [FEATURE_EWMA_STDDEV] = {"ewma_stddev", false, true},
    [FEATURE_ZSCORE] = {"zscore", false, true},
    [FEATURE_MEAN] = {"mean", true, false},
    [FEATURE_STDDEV] = {"stddev", true, false},
    [FEATURE_MIN] = {"min", true, false},
    [FEATURE_MAX] = {"max", true, false},
    [FEATURE_RMS] = {"rms", true, false},
    [FEATURE_BAND] = {"band", true, false},
    [FEATURE_ABSENT] = {"absent", true, false},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

const char *feature_kind_name(enum feature_kind kind)
{
    return (unsigned)kind < N_KINDS ? kinds[kind].name : NULL;
}

bool feature_kind_has_n(enum feature_kind kind)
{
    return (unsigned)kind < N_KINDS && kinds[kind].has_n;
}

bool feature_kind_has_alpha(enum feature_kind kind)
{
    return (unsigned)kind < N_KINDS && kinds[kind].has_alpha;
}

size_t recipe_width(const struct recipe *r)
{
    size_t width = 0;
    for (size_t i = 0; i < r->n_features; i++)
        width += r->features[i].kind == FEATURE_WINDOW ? r->features[i].n : 1;
    return width;
}

static int check_name(const char *name, size_t i, struct errmsg *err)
{
    size_t len = strnlen(name, RECIPE_NAME_BYTES);
    if (len == 0 || len == RECIPE_NAME_BYTES)
        return errmsg_set(err, -EINVAL, "recipe: the name of channel %zu has %zu bytes: 1 to %d are allowed",
                          i + 1, len, RECIPE_NAME_BYTES - 1);
    for (size_t k = 0; k < len; k++)
        if ((unsigned char)name[k] <= ' ' || name[k] == '#' || name[k] == '*' || name[k] == 0x7f)
            return errmsg_set(err, -EINVAL,
                              "recipe: the name of channel %zu has a space, '#', '*' or a control character",
                              i + 1);
    return 0;
}

static int check_feature(const struct recipe *r, size_t i, struct errmsg *err)
{
    const struct feature *f = &r->features[i];
    const char *name = feature_kind_name(f->kind);
    if (name == NULL)
        return errmsg_set(err, -EINVAL, "recipe: feature %zu has the unknown kind %d", i + 1, (int)f->kind);
    if (f->channel >= r->n_channels)
        return errmsg_set(err, -EINVAL, "recipe: feature %zu (%s) is of channel %u of %zu", i + 1, name,
                          f->channel + 1U, r->n_channels);
    if (kinds[f->kind].has_n && (f->n < 1 || f->n > RECIPE_WINDOW_MAX))
        return errmsg_set(err, -EINVAL, "recipe: feature %zu (%s) has n = %u: 1 to %d are allowed", i + 1,
                          name, f->n, RECIPE_WINDOW_MAX);
    if (kinds[f->kind].has_alpha && !(f->alpha > 0 && f->alpha <= 1))
        return errmsg_set(err, -EINVAL,
                          "recipe: feature %zu (%s) has alpha = %g: above 0, up to 1 is allowed", i + 1, name,
                          f->alpha);
    if (f->kind != FEATURE_BAND)
        return 0;
    if (f->n < 4 || (f->n & (f->n - 1)) != 0)
        return errmsg_set(err, -EINVAL,
                          "recipe: feature %zu (band) has n = %u: a power of 2 from 4 is needed", i + 1,
                          f->n);
    if (f->low < 1 || f->low > f->high || f->high > f->n / 2)
        return errmsg_set(
            err, -EINVAL,
            "recipe: feature %zu (band) has bins %u to %u: 1 <= low <= high <= n / 2 = %u is needed", i + 1,
            f->low, f->high, f->n / 2);
    return 0;
}

int recipe_check(const struct recipe *r, struct errmsg *err)
{
    if (r->n_channels < 1 || r->n_channels > RECIPE_CHANNELS_MAX)
        return errmsg_set(err, -EINVAL, "recipe: %zu channels: 1 to %d are allowed", r->n_channels,
                          RECIPE_CHANNELS_MAX);
    if (r->n_features < 1 || r->n_features > RECIPE_FEATURES_MAX)
        return errmsg_set(err, -EINVAL, "recipe: %zu features: 1 to %d are allowed", r->n_features,
                          RECIPE_FEATURES_MAX);
    if (r->absent != RECIPE_HOLD && r->absent != RECIPE_SKIP && r->absent != RECIPE_NAN)
        return errmsg_set(err, -EINVAL, "recipe: %d says nothing about absent readings", (int)r->absent);
    if (r->hop < 1 || r->hop > RECIPE_HOP_MAX)
        return errmsg_set(err, -EINVAL, "recipe: a hop of %u steps: 1 to %d are allowed", r->hop,
                          RECIPE_HOP_MAX);
    int rc = 0;
    for (size_t i = 0; i < r->n_channels && rc == 0; i++)
        rc = check_name(r->channels[i], i, err);
    for (size_t i = 0; i < r->n_features && rc == 0; i++)
        rc = check_feature(r, i, err);
    if (rc == 0 && recipe_width(r) > RECIPE_WIDTH_MAX)
        rc = errmsg_set(err, -EINVAL, "recipe: its windows are %zu numbers together: up to %d are allowed",
                        recipe_width(r), RECIPE_WIDTH_MAX);
    return rc;
}

static void decode_features(struct reader *in, struct recipe *r)
{
    for (size_t i = 0; i < r->n_features; i++) {
        struct feature *f = &r->features[i];
        f->kind = reader_u8(in);
        in->bad |= reader_u8(in) != 0;
        f->channel = reader_le16(in);
        f->n = reader_le32(in);
        f->low = reader_le32(in);
        f->high = reader_le32(in);
        uint64_t bits = reader_le64(in);
        memcpy(&f->alpha, &bits, sizeof bits);
    }
}

int recipe_decode(struct span bytes, struct recipe *ret, struct errmsg *err)
{
    struct reader in = reader_of(bytes);
    memset(ret, 0, sizeof *ret);
    uint16_t version = reader_le16(&in);
    if (!in.bad && version != VERSION)
        return errmsg_set(err, -EINVAL,
                          "recipe: of version %u, this program knows version %d: get a newer one", version,
                          VERSION);
    ret->n_channels = reader_le16(&in);
    ret->n_features = reader_le16(&in);
    ret->absent = reader_u8(&in);
    in.bad |= reader_u8(&in) != 0;
    ret->hop = reader_le32(&in);
    if (in.bad || ret->n_channels > RECIPE_CHANNELS_MAX || ret->n_features > RECIPE_FEATURES_MAX ||
        reader_left(&in) != ret->n_channels * RECIPE_NAME_BYTES + ret->n_features * FEATURE_BYTES)
        return errmsg_set(err, -EINVAL, "recipe: damaged: its %zu bytes are no whole recipe", bytes.len);
    for (size_t i = 0; i < ret->n_channels; i++)
        memcpy(ret->channels[i], reader_take(&in, RECIPE_NAME_BYTES), RECIPE_NAME_BYTES);
    decode_features(&in, ret);
    if (in.bad)
        return errmsg_set(err, -EINVAL, "recipe: damaged: a byte that has to be 0 is not");
    return recipe_check(ret, err);
}

void recipe_encode(const struct recipe *r, struct buf *out)
{
    buf_le16(out, VERSION);
    buf_le16(out, (uint16_t)r->n_channels);
    buf_le16(out, (uint16_t)r->n_features);
    buf_u8(out, (uint8_t)r->absent);
    buf_u8(out, 0);
    buf_le32(out, r->hop);
    for (size_t i = 0; i < r->n_channels; i++) {
        char name[RECIPE_NAME_BYTES] = {0};
        memcpy(name, r->channels[i], strnlen(r->channels[i], RECIPE_NAME_BYTES - 1));
        buf_append(out, name, sizeof name);
    }
    for (size_t i = 0; i < r->n_features; i++) {
        const struct feature *f = &r->features[i];
        uint64_t bits;
        memcpy(&bits, &f->alpha, sizeof bits);
        buf_u8(out, (uint8_t)f->kind);
        buf_u8(out, 0);
        buf_le16(out, f->channel);
        buf_le32(out, f->n);
        buf_le32(out, f->low);
        buf_le32(out, f->high);
        buf_le64(out, bits);
    }
}
