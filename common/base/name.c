#include "base/name.h"

#include "base/bytes.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum {
    N_NAME_PARTS = 3,
    TEXT_MAX = 255, /* longest text a part of a pattern is held against */
    PATTERN_MAX = 1024,
};

static bool name_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static bool is_dots(const char *part, size_t len)
{
    return (len == 1 && part[0] == '.') || (len == 2 && part[0] == '.' && part[1] == '.');
}

bool name_part_ok(const char *part, size_t len)
{
    size_t i;

    if (len == 0 || len > NAME_PART_CHARS || is_dots(part, len))
        return false;
    for (i = 0; i < len; i++)
        if (!name_char(part[i]))
            return false;
    return true;
}

bool name_part_mend(const char *raw, size_t len, char out[NAME_PART_CHARS + 1])
{
    bool changed = len > NAME_PART_CHARS || len == 0;
    size_t i;

    if (len > NAME_PART_CHARS)
        len = NAME_PART_CHARS;
    for (i = 0; i < len; i++) {
        out[i] = name_char(raw[i]) ? raw[i] : '_';
        changed |= out[i] != raw[i];
    }
    if (len == 0)
        out[len++] = '_';
    if (is_dots(out, len)) {
        memset(out, '_', len);
        changed = true;
    }
    out[len] = '\0';
    return changed;
}

static bool is_any_parts(struct span part)
{
    return span_equal(part, span_str("**"));
}

static bool is_tag(struct span part)
{
    return memchr(part.data, '=', part.len) != NULL;
}

/* Cuts the next part off; false at the end. */
static bool next_part(const char **at, struct span *ret_part)
{
    const char *slash;

    if (*at == NULL)
        return false;
    slash = strchr(*at, '/');
    *ret_part = span_of(*at, slash == NULL ? strlen(*at) : (size_t)(slash - *at));
    *at = slash == NULL ? NULL : slash + 1;
    return true;
}

/* The places 0..len of a text that the pattern read so far can end at. Following all of them at once keeps
 * the work linear in the pattern, whatever stars and alternatives it has. */
struct places {
    uint8_t at[TEXT_MAX + 1];
};

static void places_literal(struct places *p, struct span text, uint8_t c)
{
    size_t i;

    for (i = text.len; i > 0; i--)
        p->at[i] = p->at[i - 1] && text.data[i - 1] == c;
    p->at[0] = 0;
}

static void places_star(struct places *p, struct span text)
{
    size_t i;

    for (i = 1; i <= text.len; i++)
        p->at[i] |= p->at[i - 1];
}

/* From behind '{': returns behind '}', or NULL when it is not closed. */
static const uint8_t *places_choice(struct places *p, struct span text, const uint8_t *at, const uint8_t *end)
{
    struct places all = {{0}}, one = *p;
    size_t i;

    for (; at < end; at++) {
        if (*at == ',' || *at == '}') {
            for (i = 0; i <= text.len; i++)
                all.at[i] |= one.at[i];
            one = *p;
            if (*at == '}') {
                *p = all;
                return at + 1;
            }
        } else if (*at == '*') {
            places_star(&one, text);
        } else {
            places_literal(&one, text, *at);
        }
    }
    return NULL;
}

static bool part_match(struct span pattern, struct span text)
{
    const uint8_t *at = pattern.data, *end = pattern.data + pattern.len;
    struct places p;

    /* Plain beginnings decide most comparisons. */
    while (at < end && *at != '*' && *at != '{') {
        if (text.len == 0 || *text.data != *at)
            return false;
        text = span_of(text.data + 1, text.len - 1);
        at++;
    }
    if (at == end)
        return text.len == 0;
    if (end - at == 1 && *at == '*')
        return true;
    if (text.len > TEXT_MAX)
        return false;
    memset(p.at, 0, text.len + 1);
    p.at[0] = 1;
    while (at < end) {
        if (*at == '{') {
            at = places_choice(&p, text, at + 1, end);
            if (at == NULL)
                return false;
        } else if (*at++ == '*') {
            places_star(&p, text);
        } else {
            places_literal(&p, text, at[-1]);
        }
    }
    return p.at[text.len] != 0;
}

static bool tag_match(struct span pattern, const char *const *tags)
{
    for (; tags != NULL && *tags != NULL; tags++)
        if (part_match(pattern, span_str(*tags)))
            return true;
    return false;
}

/* `ends` has bit i set when the pattern read so far can end behind i parts of the name. */
static unsigned spread(unsigned ends)
{
    int i;

    for (i = 0; i < N_NAME_PARTS; i++)
        ends |= (ends & (1u << i)) << 1;
    return ends;
}

bool pattern_match(const char *pattern, const char *site, const char *device, const char *channel,
                   const char *const *tags)
{
    const struct span name[N_NAME_PARTS] = {span_str(site), span_str(device), span_str(channel)};
    const char *at = pattern;
    struct span part;
    unsigned ends = 1, next;
    size_t i, n_parts = 0;

    while (next_part(&at, &part)) {
        if (is_tag(part)) {
            if (!tag_match(part, tags))
                return false;
            continue;
        }
        n_parts++;
        if (is_any_parts(part)) {
            ends = spread(ends);
            continue;
        }
        next = 0;
        for (i = 0; i < N_NAME_PARTS; i++)
            if ((ends & (1u << i)) != 0 && part_match(part, name[i]))
                next |= 1u << (i + 1);
        ends = next;
        if (ends == 0)
            return false;
    }
    if (n_parts < N_NAME_PARTS)
        ends = spread(ends);
    return (ends & (1u << N_NAME_PARTS)) != 0;
}

/* A tag's value is free text but for the signs of the pattern itself. */
static bool pattern_char(char c, bool in_tag)
{
    return name_char(c) || c == '*' || (in_tag && (unsigned char)c >= ' ' && c != 0x7f);
}

static must_check int check_part(const char *pattern, struct span part, struct errmsg *err)
{
    bool in_tag = is_tag(part), in_braces = false;
    size_t i;

    if (part.len == 0)
        return errmsg_set(err, -EINVAL, "pattern \"%s\" has an empty part: write '*' for any", pattern);
    if (part.len > TEXT_MAX)
        return errmsg_set(err, -EINVAL, "pattern \"%s\" has a part of more than %d characters", pattern,
                          TEXT_MAX);
    if (in_tag && part.data[0] == '=')
        return errmsg_set(err, -EINVAL, "pattern \"%s\" has a tag without a key: write key=value", pattern);
    for (i = 0; i < part.len; i++) {
        char c = (char)part.data[i];

        if (c == '{') {
            if (in_braces)
                return errmsg_set(err, -EINVAL, "pattern \"%s\" has braces inside braces", pattern);
            in_braces = true;
        } else if (c == '}') {
            if (!in_braces)
                return errmsg_set(err, -EINVAL, "pattern \"%s\" has '}' without '{'", pattern);
            in_braces = false;
        } else if (!(c == ',' && in_braces) && !pattern_char(c, in_tag)) {
            return errmsg_set(err, -EINVAL,
                              "pattern \"%s\" has the character 0x%02x, which no name can hold: use letters, "
                              "digits, '.', '_', '-', '*' and {a,b}",
                              pattern, (unsigned)(unsigned char)c);
        }
    }
    if (in_braces)
        return errmsg_set(err, -EINVAL, "pattern \"%s\" has '{' without '}' in the same part", pattern);
    if (!in_tag && part.len > 2 && memmem(part.data, part.len, "**", 2) != NULL)
        return errmsg_set(err, -EINVAL,
                          "pattern \"%s\" has \"**\" beside other text: it must be a whole part", pattern);
    return 0;
}

int pattern_check(const char *pattern, struct errmsg *err)
{
    const char *at = pattern;
    struct span part;
    size_t n_fixed = 0;
    int r;

    if (pattern[0] == '\0')
        return errmsg_set(err, -EINVAL, "empty pattern: write '**' for everything");
    if (strlen(pattern) > PATTERN_MAX)
        return errmsg_set(err, -EINVAL, "pattern of more than %d characters", PATTERN_MAX);
    while (next_part(&at, &part)) {
        r = check_part(pattern, part, err);
        if (r < 0)
            return r;
        n_fixed += !is_tag(part) && !is_any_parts(part);
    }
    if (n_fixed > N_NAME_PARTS)
        return errmsg_set(err, -EINVAL, "pattern \"%s\" has %zu parts, but names are site/device/channel",
                          pattern, n_fixed);
    return 0;
}
