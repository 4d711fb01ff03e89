/* json_path.h - one value out of a JSON text by its path: "a.b[0].c", "[3]", "" (the whole text).
 *
 * A key is any run of characters but '.', '[' and ']'. Pure; allocates: not for the act thread. Limits: texts
 * of JSON_PATH_TEXT_BYTES, nested JSON_PATH_DEPTH deep. */
#ifndef FOGLINE_DEVICE_JSON_PATH_H
#define FOGLINE_DEVICE_JSON_PATH_H

#include "base/bytes.h"

#include <stdbool.h>

enum { JSON_PATH_TEXT_BYTES = 64 * 1024, JSON_PATH_DEPTH = 64 };

/* NULL, or what is wrong with the path. */
const char *json_path_check(const char *path);

struct json_text;
/* NULL, or why it is not read. Free *ret_t with json_text_free. */
const char *json_text_parse(struct span text, struct json_text **ret_t);
struct json_text *json_text_free(struct json_text *t); /* accepts NULL */

/* The value at the path as text: a number as it is written, true, false, a string without its quotes.
 * Borrowed from t. NULL, or why there is none. path: one that json_path_check takes. */
const char *json_path_get(const struct json_text *t, const char *path, const char **ret_value,
                          bool *ret_is_string);

#endif
