#include "base/json.h"

#include "base/bytes.h"
#include "base/numfmt.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

struct json {
    yajl_gen gen;
    FILE *out;
    bool pretty;
    unsigned depth;
    int error;
    struct buf mended; /* scratch for strings that are not UTF-8 */
};

static void on_print(void *ctx, const char *text, size_t len)
{
    struct json *j = ctx;

    if (j->error == 0 && fwrite(text, 1, len, j->out) != len)
        j->error = errno > 0 ? -errno : -EIO;
}

int json_new(struct json **ret_j, FILE *out, bool pretty)
{
    struct json *j = calloc(1, sizeof *j);

    if (j == NULL)
        return -ENOMEM;
    j->gen = yajl_gen_alloc(NULL);
    if (j->gen == NULL) {
        free(j);
        return -ENOMEM;
    }
    j->out = out;
    j->pretty = pretty;
    yajl_gen_config(j->gen, yajl_gen_print_callback, on_print, j);
    yajl_gen_config(j->gen, yajl_gen_beautify, pretty ? 1 : 0);
    yajl_gen_config(j->gen, yajl_gen_indent_string, "  ");
    *ret_j = j;
    return 0;
}

struct json *json_free(struct json *j)
{
    if (j == NULL)
        return NULL;
    yajl_gen_free(j->gen);
    buf_deinit(&j->mended);
    free(j);
    return NULL;
}

void json_freep(struct json **j)
{
    *j = json_free(*j);
}

static void check(struct json *j, yajl_gen_status status)
{
    if (status != yajl_gen_status_ok && j->error == 0)
        j->error = status == yajl_max_depth_exceeded ? -E2BIG : -EINVAL;
}

void json_object(struct json *j)
{
    check(j, yajl_gen_map_open(j->gen));
    j->depth++;
}

void json_object_end(struct json *j)
{
    check(j, yajl_gen_map_close(j->gen));
    j->depth--;
}

void json_array(struct json *j)
{
    check(j, yajl_gen_array_open(j->gen));
    j->depth++;
}

void json_array_end(struct json *j)
{
    check(j, yajl_gen_array_close(j->gen));
    j->depth--;
}

static bool is_utf8(const uint8_t *s, size_t len)
{
    size_t i, n;

    for (i = 0; i < len; i += n) {
        n = utf8_char(s + i, len - i);
        if (n == 0)
            return false;
    }
    return true;
}

/* Each byte that belongs to no character becomes U+FFFD. */
static struct span mend_utf8(struct json *j, const uint8_t *s, size_t len)
{
    size_t i;

    buf_reset(&j->mended);
    for (i = 0; i < len;) {
        size_t n = utf8_char(s + i, len - i);

        if (n == 0)
            buf_append(&j->mended, "\xef\xbf\xbd", 3);
        else
            buf_append(&j->mended, s + i, n);
        i += n > 0 ? n : 1;
    }
    if (j->mended.error != 0 && j->error == 0)
        j->error = j->mended.error;
    return span_of(j->mended.data, j->mended.len);
}

void json_strn(struct json *j, const char *s, size_t len)
{
    struct span text = span_of(s, len);

    if (!is_utf8(text.data, len))
        text = mend_utf8(j, text.data, len);
    check(j, yajl_gen_string(j->gen, text.data, text.len));
}

void json_str(struct json *j, const char *s)
{
    if (s == NULL)
        json_null(j);
    else
        json_strn(j, s, strlen(s));
}

void json_key(struct json *j, const char *key)
{
    json_strn(j, key, strlen(key));
}

static void number(struct json *j, const char *text, size_t len)
{
    check(j, yajl_gen_number(j->gen, text, len));
}

void json_i64(struct json *j, int64_t v)
{
    char text[24];

    number(j, text, (size_t)snprintf(text, sizeof text, "%" PRId64, v));
}

void json_u64(struct json *j, uint64_t v)
{
    char text[24];

    number(j, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, v));
}

void json_double(struct json *j, double v)
{
    char text[NUMFMT_DOUBLE_CHARS];
    size_t len = numfmt_double(v, text);

    if (isfinite(v))
        number(j, text, len);
    else
        json_strn(j, text, len); /* JSON has no number for it */
}

void json_bool(struct json *j, bool v)
{
    check(j, yajl_gen_bool(j->gen, v));
}

void json_null(struct json *j)
{
    check(j, yajl_gen_null(j->gen));
}

void json_kstr(struct json *j, const char *key, const char *s)
{
    json_key(j, key);
    json_str(j, s);
}

void json_ki64(struct json *j, const char *key, int64_t v)
{
    json_key(j, key);
    json_i64(j, v);
}

void json_ku64(struct json *j, const char *key, uint64_t v)
{
    json_key(j, key);
    json_u64(j, v);
}

void json_kdouble(struct json *j, const char *key, double v)
{
    json_key(j, key);
    json_double(j, v);
}

void json_kbool(struct json *j, const char *key, bool v)
{
    json_key(j, key);
    json_bool(j, v);
}

int json_end(struct json *j)
{
    if (j->depth != 0 && j->error == 0)
        j->error = -EINVAL;
    /* yajl itself ends an indented text with a newline. */
    if (j->error == 0 && !j->pretty)
        on_print(j, "\n", 1);
    if (j->error == 0 && fflush(j->out) != 0)
        j->error = errno > 0 ? -errno : -EIO;
    if (j->error == 0)
        yajl_gen_reset(j->gen, NULL);
    return j->error;
}
