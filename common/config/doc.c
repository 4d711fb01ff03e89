/* doc.c - the reference of all keys, as text or as a list of mdoc(7). */
#include "config/schema.h"
#include "config/text.h"
#include "config/value.h"

#include <errno.h>
#include <string.h>

struct doc {
    FILE *out;
    enum config_doc_form form;
};

/* roff reads lines that begin with . or ' as requests, and \ as its own. */
static void roff_line(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
    }
    fputc('\n', out);
}

static void entry(const struct doc *d, const char *field, const char *facts, const char *help)
{
    if (d->form == CONFIG_DOC_MDOC) {
        fprintf(d->out, ".It Cm %s\n", field);
        roff_line(d->out, help);
        if (facts[0] != '\0') {
            char line[520];

            text_cut(line, sizeof(line), "(%s)", facts); /* no .Pq: its arguments may be taken for macros */
            roff_line(d->out, line);
        }
        return;
    }
    fprintf(d->out, "%s\n", field);
    if (facts[0] != '\0')
        text_wrap(d->out, "    ", facts);
    text_wrap(d->out, "    ", help);
    fputc('\n', d->out);
}

static void doc_table(const struct doc *d, const struct row_table *t, const char *prefix)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct config_row *row = table_row(t, i);
        char field[CONFIG_FIELD_CHARS], inner[CONFIG_FIELD_CHARS + 8], facts[512];

        text_cut(field, sizeof(field), "%s%s", prefix, row->path);
        entry(d, field, text_facts(row, facts, sizeof(facts)), row->help);
        text_cut(inner, sizeof(inner), "%s[].", field);
        for (const struct config_kind *k = row->kinds; row->type == CONFIG_LIST && k->rows != NULL; k++) {
            struct row_table kind = table_of_kind(k);
            char title[CONFIG_FIELD_CHARS + 80];

            text_cut(title, sizeof(title), "%stype: %s", inner, k->name ? k->name : "");
            if (k->name != NULL)
                entry(d, title, "", k->help ? k->help : "An item of this kind has the keys below.");
            doc_table(d, &kind, inner);
        }
    }
}

int config_doc(const struct config_schema *s, enum config_doc_form form, FILE *out)
{
    struct row_table table = table_of_schema(s);

    if (form == CONFIG_DOC_MDOC)
        fputs(".Bl -tag -width Ds\n", out);
    doc_table(&(struct doc){out, form}, &table, "");
    if (form == CONFIG_DOC_MDOC)
        fputs(".El\n", out);
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
