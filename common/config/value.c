#include "config/value.h"

#include "base/name.h"
#include "base/numfmt.h"
#include "config/problem.h"
#include "config/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_CHARS = 40 }; /* of the file's text in a message */

struct unit {
    const char *name;
    uint64_t factor;
};

/* The first name of a factor is the one printed, the largest factor first. */
static const struct unit byte_units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"B", 1},
    {NULL, 0},
};
static const struct unit ms_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

/* A number of any type; the row's type says which member counts. */
union number {
    int64_t i;
    uint64_t u;
    double d;
};

static int wrong(struct value_error *e, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int wrong(struct value_error *e, const char *remedy, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(e->message, sizeof(e->message), fmt, ap);
    va_end(ap);
    text_cut(e->remedy, sizeof(e->remedy), "%s", remedy ? remedy : "");
    return CONFIG_BAD;
}

bool value_is_text(enum config_type type)
{
    return type == CONFIG_STRING || type == CONFIG_ENDPOINT || type == CONFIG_NAME || type == CONFIG_PATH ||
           type == CONFIG_PATTERN;
}

static const char *const type_names[] = {
    [CONFIG_STRING] = "text",
    [CONFIG_BOOL] = "true or false",
    [CONFIG_I64] = "whole number",
    [CONFIG_U64] = "whole number",
    [CONFIG_DOUBLE] = "number",
    [CONFIG_BYTES] = "size",
    [CONFIG_MS] = "duration",
    [CONFIG_ENUM] = "choice",
    [CONFIG_ENDPOINT] = "endpoint",
    [CONFIG_NAME] = "name",
    [CONFIG_PATH] = "path",
    [CONFIG_PATTERN] = "pattern",
    [CONFIG_STRINGS] = "list of text",
    [CONFIG_LIST] = "list of maps",
};

const char *value_type_name(const struct config_row *row)
{
    static const char *const list_names[] = {
        [CONFIG_STRING] = "list of texts",       [CONFIG_NAME] = "list of names",
        [CONFIG_ENDPOINT] = "list of endpoints", [CONFIG_PATH] = "list of paths",
        [CONFIG_PATTERN] = "list of patterns",
    };

    return row->type == CONFIG_STRINGS && value_is_text(row->item) ? list_names[row->item]
                                                                   : type_names[row->type];
}

static bool parse_u64(const char *text, uint64_t *ret)
{
    uint64_t v = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
            return false;
    *ret = v;
    return true;
}

static const struct unit *unit_find(const struct unit *units, const char *name)
{
    for (; units->name != NULL; units++)
        if (strcmp(units->name, name) == 0)
            return units;
    return NULL;
}

/* "1.5 GiB": exact integer arithmetic, at most 9 digits behind the point, and the result must be whole. */
static bool parse_scaled(const char *text, const struct unit *units, uint64_t *ret)
{
    unsigned __int128 v = 0, scale = 1;
    unsigned n_digits = 0, n_behind = 0;

    for (; *text >= '0' && *text <= '9'; text++, n_digits++)
        if ((v = v * 10 + (unsigned)(*text - '0')) > UINT64_MAX)
            return false;
    if (*text == '.' && n_digits > 0)
        for (text++; *text >= '0' && *text <= '9' && n_behind <= 9; text++, n_behind++, scale *= 10)
            v = v * 10 + (unsigned)(*text - '0');
    if (n_digits == 0 || n_behind > 9)
        return false;
    while (*text == ' ')
        text++;
    if (*text != '\0') {
        const struct unit *unit = unit_find(units, text);

        if (unit == NULL || v / scale > UINT64_MAX / unit->factor)
            return false;
        v *= unit->factor;
    }
    if (v % scale != 0 || v / scale > UINT64_MAX)
        return false;
    *ret = (uint64_t)(v / scale);
    return true;
}

static bool parse_number(const struct config_row *row, const char *text, union number *ret)
{
    switch (row->type) {
    case CONFIG_I64:
        return numfmt_parse_i64(text, strlen(text), &ret->i);
    case CONFIG_U64:
        return parse_u64(text, &ret->u);
    case CONFIG_DOUBLE:
        return numfmt_parse_double(text, strlen(text), &ret->d);
    case CONFIG_BYTES:
        return parse_scaled(text, byte_units, &ret->u);
    case CONFIG_MS:
        return parse_scaled(text, ms_units, &ret->u) && ret->u <= INT64_MAX;
    default:
        return false;
    }
}

static bool number_less(enum config_type type, union number a, union number b)
{
    switch (type) {
    case CONFIG_I64:
    case CONFIG_MS:
        return a.i < b.i;
    case CONFIG_DOUBLE:
        return a.d < b.d;
    default:
        return a.u < b.u;
    }
}

static const char *number_remedy(enum config_type type)
{
    switch (type) {
    case CONFIG_BYTES:
        return "write a number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, like 64 MiB";
    case CONFIG_MS:
        return "write a number with ms, s, min, h or d, like 250 ms";
    case CONFIG_DOUBLE:
        return "write digits with an optional point and exponent, like 0.5 or 1e-3";
    case CONFIG_U64:
        return "write digits only, zero or more";
    default:
        return "write digits only, with a minus if it is negative";
    }
}

static int parse_checked_number(const struct config_row *row, const char *text, void *at,
                                struct value_error *e)
{
    union number v, limit;
    char range[128];

    if (!parse_number(row, text, &v) || (row->type == CONFIG_DOUBLE && !isfinite(v.d)))
        return wrong(e, number_remedy(row->type), "is not a %s: %.*s", type_names[row->type], SHOWN_CHARS,
                     text);
    if ((row->min != NULL && parse_number(row, row->min, &limit) && number_less(row->type, v, limit)) ||
        (row->max != NULL && parse_number(row, row->max, &limit) && number_less(row->type, limit, v)))
        return wrong(e, "choose a value in this range", "must be %s, is %.*s",
                     value_range(row, range, sizeof(range)), SHOWN_CHARS, text);
    memcpy(at, &v, 8);
    return 0;
}

static int parse_bool(const char *text, bool *at, struct value_error *e)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0) {
            *at = i % 2 == 1;
            return 0;
        }
    return wrong(e, "write true or false", "must be true or false, is %.*s", SHOWN_CHARS, text);
}

static int parse_enum(const struct config_row *row, const char *text, int *at, struct value_error *e)
{
    struct nearest near = {.wanted = text};
    char all[160] = "";
    size_t len = 0;

    for (int i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            *at = i;
            return 0;
        }
        nearest_offer(&near, row->choices[i]);
        if (len < sizeof(all))
            len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "", row->choices[i]);
    }
    wrong(e, NULL, "must be one of %s, is %.*s", all, SHOWN_CHARS, text);
    if (near.best != NULL)
        text_cut(e->remedy, sizeof(e->remedy), "did you mean %s?", near.best);
    else
        text_cut(e->remedy, sizeof(e->remedy), "choose one of these");
    return CONFIG_BAD;
}

void value_count_range(const struct config_row *row, uint64_t *ret_min, uint64_t *ret_max)
{
    bool texts = value_is_text(row->type);

    *ret_min = 0;
    *ret_max = texts ? row->size - 1 : CONFIG_LIST_ITEMS;
    if (row->min != NULL)
        parse_u64(row->min, ret_min);
    if (row->max != NULL)
        parse_u64(row->max, ret_max);
    if (!texts && *ret_max > CONFIG_LIST_ITEMS_MAX)
        *ret_max = CONFIG_LIST_ITEMS_MAX;
}

static int parse_text(const struct config_row *row, struct value_source from, void *at, struct value_error *e)
{
    const char *text = from.text;
    uint64_t min, max;

    value_count_range(row, &min, &max);
    if (text[0] == '\0' && (row->required || min > 0 || (row->def != NULL && row->type != CONFIG_STRING)))
        return wrong(e, "write a value in the quotes", "must not be empty");
    if (row->type == CONFIG_STRING && (strlen(text) < min || strlen(text) > max))
        return wrong(e, min > strlen(text) ? "write more" : "shorten it",
                     "must be %" PRIu64 "..%" PRIu64 " bytes long, is %zu", min, max, strlen(text));
    if (text[0] == '\0') {
        ((char *)at)[0] = '\0';
        return 0;
    }
    return value_parse_text(&(struct value_text){row->type, from.folder, at, row->size}, text, e);
}

int value_parse(const struct config_row *row, struct value_source from, void *at, struct value_error *e)
{
    switch (row->type) {
    case CONFIG_BOOL:
        return parse_bool(from.text, at, e);
    case CONFIG_ENUM:
        return parse_enum(row, from.text, at, e);
    case CONFIG_I64:
    case CONFIG_U64:
    case CONFIG_DOUBLE:
    case CONFIG_BYTES:
    case CONFIG_MS:
        return parse_checked_number(row, from.text, at, e);
    default:
        return parse_text(row, from, at, e);
    }
}

static void format_scaled(uint64_t v, const struct unit *units, char out[VALUE_CHARS])
{
    const struct unit *best = units;

    /* Binary sizes and whole units only; "B" and "ms" divide everything. */
    while (v % best->factor != 0 || v == 0) {
        if (best->factor == 1)
            break;
        best++;
    }
    text_cut(out, VALUE_CHARS, "%" PRIu64 " %s", v / best->factor, best->name);
}

const char *value_format(const struct config_row *row, const void *at, char out[VALUE_CHARS])
{
    union number v = {0};

    switch (row->type) {
    case CONFIG_BOOL:
        return *(const bool *)at ? "true" : "false";
    case CONFIG_ENUM:
        for (int i = 0; row->choices[i] != NULL; i++)
            if (i == *(const int *)at)
                return row->choices[i];
        return "";
    case CONFIG_I64:
        text_cut(out, VALUE_CHARS, "%" PRId64, *(const int64_t *)at);
        return out;
    case CONFIG_U64:
        text_cut(out, VALUE_CHARS, "%" PRIu64, *(const uint64_t *)at);
        return out;
    case CONFIG_DOUBLE:
        numfmt_double(*(const double *)at, out);
        return out;
    case CONFIG_BYTES:
    case CONFIG_MS:
        memcpy(&v, at, 8);
        format_scaled(v.u, row->type == CONFIG_BYTES ? byte_units : ms_units, out);
        return out;
    default:
        return at;
    }
}

bool value_is_unset(const struct config_row *row, const void *at)
{
    union number v = {0};

    switch (row->type) {
    case CONFIG_STRINGS:
        return row->def == NULL && ((const struct config_strings *)at)->n == 0;
    case CONFIG_LIST:
        return ((const struct config_list *)at)->n == 0;
    case CONFIG_BOOL:
    case CONFIG_ENUM:
        return false;
    case CONFIG_I64:
    case CONFIG_U64:
    case CONFIG_BYTES:
    case CONFIG_MS:
        memcpy(&v, at, 8);
        return row->def == NULL && v.u == 0;
    case CONFIG_DOUBLE:
        memcpy(&v, at, 8);
        return isnan(v.d) || (row->def == NULL && v.u == 0);
    default:
        return row->def == NULL && ((const char *)at)[0] == '\0';
    }
}

char *value_range(const struct config_row *row, char *out, size_t out_bytes)
{
    const char *unit = row->unit ? row->unit : "", *blank = row->unit ? " " : "";

    out[0] = '\0';
    if (row->min != NULL && row->max != NULL)
        text_cut(out, out_bytes, "%s..%s%s%s", row->min, row->max, blank, unit);
    else if (row->min != NULL)
        text_cut(out, out_bytes, "at least %s%s%s", row->min, blank, unit);
    else if (row->max != NULL)
        text_cut(out, out_bytes, "at most %s%s%s", row->max, blank, unit);
    return out;
}
