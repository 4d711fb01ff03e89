#include "config/text.h"

#include "config/value.h"

#include <stdarg.h>
#include <string.h>

enum { LINE_CHARS = 100 };

void text_cut(char *out, size_t out_bytes, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(out, out_bytes, fmt, ap);
    va_end(ap);
}

void text_wrap(FILE *out, const char *lead, const char *text)
{
    size_t room = LINE_CHARS - strlen(lead), used = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");

        if (used > 0 && used + 1 + word > room) {
            fputc('\n', out);
            used = 0;
        }
        used += (size_t)fprintf(out, "%s%.*s", used > 0 ? " " : lead, (int)word, text) -
                (used > 0 ? 0 : strlen(lead));
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void add(char *out, size_t out_bytes, const char *before, const char *text)
{
    size_t len = strlen(out);

    text_cut(out + len, out_bytes - len, "%s%s", before, text);
}

char *text_facts(const struct config_row *row, char *out, size_t out_bytes)
{
    char range[128];
    bool list = row->type == CONFIG_LIST || row->type == CONFIG_STRINGS;

    out[0] = '\0';
    add(out, out_bytes, "", value_type_name(row));
    if (row->type == CONFIG_ENUM)
        for (size_t i = 0; row->choices[i] != NULL; i++)
            add(out, out_bytes, i == 0 ? ": " : " | ", row->choices[i]);
    if (value_range(row, range, sizeof(range))[0] != '\0') {
        add(out, out_bytes, ", ", range);
        add(out, out_bytes, "", list ? " items" : value_is_text(row->type) ? " bytes" : "");
    } else if (row->unit != NULL) {
        add(out, out_bytes, " of ", row->unit);
    }
    if (row->unique != NULL)
        add(out, out_bytes, ", each with its own ", row->unique);
    if (row->required)
        add(out, out_bytes, ", required", "");
    else if (row->def != NULL && strcmp(row->def, "nan") != 0)
        add(out, out_bytes, ", default ", row->def[0] != '\0' ? row->def : "empty");
    if (row->reloadable)
        add(out, out_bytes, ", reloadable", "");
    return out;
}
