/* json.h - writes JSON with yajl's streaming generator. Doubles go out as our shortest text, 64-bit integers
 * exactly, NaN and infinities as strings, invalid UTF-8 replaced. Memory or I/O errors stick; json_end
 * reports them. */
#ifndef FOGLINE_BASE_JSON_H
#define FOGLINE_BASE_JSON_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json;

/* out: borrowed until json_free. pretty: indented for people. */
must_check int json_new(struct json **ret_j, FILE *out, bool pretty);
struct json *json_free(struct json *j); /* accepts NULL */
void json_freep(struct json **j);       /* for owned() */

void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key);
void json_str(struct json *j, const char *s); /* NULL: null */
void json_strn(struct json *j, const char *s, size_t len);
void json_i64(struct json *j, int64_t v);
void json_u64(struct json *j, uint64_t v);
void json_double(struct json *j, double v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
/* Key and value in one. */
void json_kstr(struct json *j, const char *key, const char *s);
void json_ki64(struct json *j, const char *key, int64_t v);
void json_ku64(struct json *j, const char *key, uint64_t v);
void json_kdouble(struct json *j, const char *key, double v);
void json_kbool(struct json *j, const char *key, bool v);
/* Ends the outermost value with a newline, flushes, and makes ready for the next line of a JSON-lines stream.
 * The first error since json_new: -EINVAL for a value misplaced or unfinished, -E2BIG for too deep a nesting
 * (128), or that of the memory or the stream. */
must_check int json_end(struct json *j);

#endif
