/* value.h - one value: text of the file <-> memory of the struct, with its range. Inside common/config only.
 */
#ifndef FOGLINE_CONFIG_VALUE_H
#define FOGLINE_CONFIG_VALUE_H

#include "config/config.h"

struct value_error {
    char message[256], remedy[256];
};

enum { VALUE_CHARS = 64 }; /* longest value_format of a number */

bool value_is_text(enum config_type type);
const char *value_type_name(const struct config_row *row); /* "duration" */
/* "1..1000 samples", "at least 1 s", "" when there is no range. Returns out. */
char *value_range(const struct config_row *row, char *out, size_t out_bytes);

struct value_source {
    const char *text;
    const char *folder; /* of relative paths, or NULL */
};
/* Text to the field at `at` (row->size bytes). The scalar types; a list of texts goes through
 * value_parse_text. 0, or CONFIG_BAD with *e filled and the field untouched. */
must_check int value_parse(const struct config_row *row, struct value_source from, void *at,
                           struct value_error *e);
struct value_text {
    enum config_type type;
    const char *folder;
    char *out;
    size_t out_bytes;
};
must_check int value_parse_text(const struct value_text *v, const char *text, struct value_error *e);
/* The field back as text, so that value_parse gives the same value. Text types: borrowed from the field;
 * others in out.
 */
const char *value_format(const struct config_row *row, const void *at, char out[VALUE_CHARS]);
/* No value: empty text, zero number (or NaN) of a row without default. */
bool value_is_unset(const struct config_row *row, const void *at);
/* min, max of a list: how many. */
void value_count_range(const struct config_row *row, uint64_t *ret_min, uint64_t *ret_max);

#endif
