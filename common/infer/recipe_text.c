/* The text form of recipes (recipe.h). */

#include "infer/recipe.h"

#include "base/numfmt.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = RECIPE_CHANNELS_MAX + 1 };

struct line {
    const char *file;
    unsigned number;
    struct span words[WORDS_MAX];
    size_t n_words;
};

static int fail(const struct line *l, struct errmsg *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(const struct line *l, struct errmsg *err, const char *fmt, ...)
{
    char what[384];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return errmsg_set(err, -EINVAL, "%s:%u: %s", l->file, l->number, what);
}

static bool is(struct span word, const char *s)
{
    return span_equal(word, span_str(s));
}

/* Cuts a line into words; false: too many. */
static bool cut(struct span text, struct line *l)
{
    l->n_words = 0;
    for (size_t i = 0; i < text.len && text.data[i] != '#';) {
        if (text.data[i] == ' ' || text.data[i] == '\t' || text.data[i] == '\r') {
            i++;
            continue;
        }
        size_t begin = i;
        while (i < text.len && text.data[i] != ' ' && text.data[i] != '\t' && text.data[i] != '\r' &&
               text.data[i] != '#')
            i++;
        if (l->n_words == WORDS_MAX)
            return false;
        l->words[l->n_words++] = span_of(text.data + begin, i - begin);
    }
    return true;
}

static int parse_channels(const struct line *l, struct recipe *r, struct errmsg *err)
{
    if (r->n_channels > 0)
        return fail(l, err, "a second line `channels`: name all in one");
    for (size_t i = 1; i < l->n_words; i++) {
        struct span w = l->words[i];
        if (w.len >= RECIPE_NAME_BYTES)
            return fail(l, err, "the name '%.*s' has %zu bytes: up to %d are allowed", (int)w.len,
                        (const char *)w.data, w.len, RECIPE_NAME_BYTES - 1);
        for (size_t k = 1; k < i; k++)
            if (span_equal(w, l->words[k]))
                return fail(l, err, "the channel '%.*s' is named twice", (int)w.len, (const char *)w.data);
        memcpy(r->channels[r->n_channels++], w.data, w.len);
    }
    return r->n_channels > 0 ? 0 : fail(l, err, "`channels` needs names");
}

static int parse_uint(const struct line *l, struct span text, const char *key, uint32_t *ret,
                      struct errmsg *err)
{
    int64_t v;
    if (!numfmt_parse_i64((const char *)text.data, text.len, &v) || v < 0 || v > UINT32_MAX)
        return fail(l, err, "%s: '%.*s' is no whole number", key, (int)text.len, (const char *)text.data);
    *ret = (uint32_t)v;
    return 0;
}

static int parse_setting(const struct line *l, struct span word, struct feature *f, struct errmsg *err)
{
    const uint8_t *sign = memchr(word.data, '=', word.len);
    if (sign == NULL)
        return fail(l, err, "'%.*s' is no setting: write key=value", (int)word.len, (const char *)word.data);
    struct span key = span_of(word.data, (size_t)(sign - word.data));
    struct span value = span_of(sign + 1, word.len - key.len - 1);
    if (feature_kind_has_n(f->kind) && is(key, "n"))
        return parse_uint(l, value, "n", &f->n, err);
    if (f->kind == FEATURE_BAND && is(key, "low"))
        return parse_uint(l, value, "low", &f->low, err);
    if (f->kind == FEATURE_BAND && is(key, "high"))
        return parse_uint(l, value, "high", &f->high, err);
    if (feature_kind_has_alpha(f->kind) && is(key, "alpha")) {
        if (!numfmt_parse_double((const char *)value.data, value.len, &f->alpha))
            return fail(l, err, "alpha: '%.*s' is no number", (int)value.len, (const char *)value.data);
        return 0;
    }
    return fail(l, err, "%s has no setting '%.*s': it has %s", feature_kind_name(f->kind), (int)key.len,
                (const char *)key.data,
                f->kind == FEATURE_BAND           ? "n, low and high"
                : feature_kind_has_n(f->kind)     ? "n"
                : feature_kind_has_alpha(f->kind) ? "alpha"
                                                  : "none");
}

static enum feature_kind kind_of(struct span word)
{
    for (int kind = FEATURE_VALUE; feature_kind_name(kind) != NULL; kind++)
        if (is(word, feature_kind_name(kind)))
            return kind;
    return 0;
}

static int add_feature(const struct line *l, const struct feature *f, struct recipe *r, struct errmsg *err)
{
    if (r->n_features == RECIPE_FEATURES_MAX)
        return fail(l, err, "more than %d features", RECIPE_FEATURES_MAX);
    r->features[r->n_features++] = *f;
    struct errmsg why;
    if (recipe_check(r, &why) != 0)
        return fail(l, err, "%s", why.text);
    return 0;
}

static int parse_feature(const struct line *l, enum feature_kind kind, struct recipe *r, struct errmsg *err)
{
    if (r->n_channels == 0)
        return fail(l, err, "a line `channels NAME ...` has to come first");
    if (l->n_words < 2)
        return fail(l, err, "%s needs a channel, or * for all", feature_kind_name(kind));
    struct feature f = {.kind = kind};
    int rc = 0;
    for (size_t i = 2; i < l->n_words && rc == 0; i++)
        rc = parse_setting(l, l->words[i], &f, err);
    bool is_all = is(l->words[1], "*"), is_known = false;
    for (size_t c = 0; c < r->n_channels && rc == 0; c++)
        if (is_all || is(l->words[1], r->channels[c])) {
            is_known = true;
            f.channel = (uint16_t)c;
            rc = add_feature(l, &f, r, err);
        }
    if (rc == 0 && !is_known)
        return fail(l, err, "no channel '%.*s': the line `channels` names those there are",
                    (int)l->words[1].len, (const char *)l->words[1].data);
    return rc;
}

static int parse_absent(const struct line *l, struct recipe *r, struct errmsg *err)
{
    if (l->n_words != 2)
        return fail(l, err, "absent: one of hold, skip, nan is needed");
    r->absent = is(l->words[1], "hold") ? RECIPE_HOLD : is(l->words[1], "skip") ? RECIPE_SKIP : RECIPE_NAN;
    return 0;
}

/* `absent hold` is the setting, `absent hold n=4` the feature of a channel of that name. */
static bool is_absent_setting(const struct line *l)
{
    return is(l->words[0], "absent") &&
           (l->n_words < 2 || (l->n_words == 2 && (is(l->words[1], "hold") || is(l->words[1], "skip") ||
                                                   is(l->words[1], "nan"))));
}

static int parse_hop(const struct line *l, struct recipe *r, struct errmsg *err)
{
    if (l->n_words != 2)
        return fail(l, err, "hop: one number is needed");
    int rc = parse_uint(l, l->words[1], "hop", &r->hop, err);
    if (rc == 0 && (r->hop < 1 || r->hop > RECIPE_HOP_MAX))
        rc = fail(l, err, "hop: %u is not among 1 to %d", r->hop, RECIPE_HOP_MAX);
    return rc;
}

static int parse_line(const struct line *l, struct recipe *r, struct errmsg *err)
{
    struct span first = l->words[0];
    if (is(first, "channels"))
        return parse_channels(l, r, err);
    if (is(first, "hop"))
        return parse_hop(l, r, err);
    if (is_absent_setting(l))
        return parse_absent(l, r, err);
    enum feature_kind kind = kind_of(first);
    if (kind == 0)
        return fail(l, err,
                    "'%.*s' is no feature: value, lag, difference, window, ewma_mean, ewma_stddev, zscore, "
                    "mean, stddev, min, max, "
                    "rms, band, absent; or channels, hop, absent",
                    (int)first.len, (const char *)first.data);
    return parse_feature(l, kind, r, err);
}

int recipe_parse(struct span text, const char *file, struct recipe *ret, struct errmsg *err)
{
    memset(ret, 0, sizeof *ret);
    ret->hop = 1;
    struct line l = {.file = file};
    for (size_t at = 0; at < text.len;) {
        const uint8_t *end = memchr(text.data + at, '\n', text.len - at);
        size_t len = end != NULL ? (size_t)(end - text.data) - at : text.len - at;
        l.number++;
        if (!cut(span_of(text.data + at, len), &l))
            return fail(&l, err, "more than %d words", WORDS_MAX);
        int rc = l.n_words > 0 ? parse_line(&l, ret, err) : 0;
        if (rc != 0)
            return rc;
        at += len + 1;
    }
    struct errmsg why;
    if (recipe_check(ret, &why) != 0)
        return errmsg_set(err, -EINVAL, "%s: %s", file, why.text);
    return 0;
}

void recipe_print(const struct recipe *r, struct buf *out)
{
    static const char *const absent[] = {"hold", "skip", "nan"};
    buf_printf(out, "channels");
    for (size_t i = 0; i < r->n_channels; i++)
        buf_printf(out, " %s", r->channels[i]);
    buf_printf(out, "\nhop %u\nabsent %s\n", r->hop, absent[r->absent]);
    for (size_t i = 0; i < r->n_features; i++) {
        const struct feature *f = &r->features[i];
        buf_printf(out, "%s %s", feature_kind_name(f->kind), r->channels[f->channel]);
        if (feature_kind_has_n(f->kind))
            buf_printf(out, " n=%u", f->n);
        if (f->kind == FEATURE_BAND)
            buf_printf(out, " low=%u high=%u", f->low, f->high);
        if (feature_kind_has_alpha(f->kind)) {
            char number[NUMFMT_DOUBLE_CHARS];
            numfmt_double(f->alpha, number);
            buf_printf(out, " alpha=%s", number);
        }
        buf_printf(out, "\n");
    }
}
