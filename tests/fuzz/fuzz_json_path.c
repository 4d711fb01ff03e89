/* A path and a JSON text of any content: no crash, and what a path finds is a value that the text holds.
 *
 * The path stands before the first newline, the text behind it. */
#include "device/sources/json_path.h"
#include "device/sources/told.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void look(const struct json_text *t, const char *path)
{
    const char *value = NULL, *why;
    struct told_value v;
    bool is_string;

    if (json_path_check(path) != NULL)
        return;
    why = json_path_get(t, path, &value, &is_string);
    if (why != NULL) {
        expect(why[0] != '\0');
        return;
    }
    expect(value != NULL && (is_string || value[0] != '\0'));
    for (int type = TOLD_AUTO; type <= TOLD_TEXT; type++)
        if (told_parse((enum told_type)type, value, strlen(value), &v) && v.type == COLUMN_BOOL)
            expect(v.cell.i64 == 0 || v.cell.i64 == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    struct json_text *t = NULL;
    char path[256] = "";
    size_t n;

    if (newline == NULL)
        return 0;
    n = (size_t)(newline - data);
    if (n < sizeof path)
        memcpy(path, data, n);
    if (json_text_parse(span_of(newline + 1, size - n - 1), &t) != NULL) {
        expect(t == NULL);
        (void)json_path_check(path);
        return 0;
    }
    look(t, path);
    look(t, "");
    look(t, "a.b[0].c");
    json_text_free(t);
    return 0;
}
