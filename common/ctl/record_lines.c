/* The text form: the JSON form, laid out for people. One decoder serves both, so they cannot disagree. */
#include "base/cleanup.h"
#include "ctl/jtree.h"
#include "ctl/record_private.h"
#include "ctl/table.h"

#include <errno.h>

enum { LINES_COLUMNS_MAX = 257 };

static void print_scalar(const char *key, const struct jnode *v, FILE *out)
{
    const char *text = jnode_kind(v) == J_BOOL ? jnode_true(v) ? "yes" : "no" : jnode_text(v);

    fprintf(out, "%-16s ", key);
    for (; *text != '\0'; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
    fputc('\n', out);
}

static const char *cell_text(const struct jnode *v)
{
    return jnode_kind(v) == J_BOOL ? jnode_true(v) ? "true" : "false" : jnode_text(v);
}

static int print_rows(const struct jnode *columns, const struct jnode *rows, FILE *out)
{
    struct table_column titles[LINES_COLUMNS_MAX];
    owned(table_freep) struct table *t = NULL;
    unsigned n = (unsigned)jnode_n(columns);
    int r;

    if (n == 0 || n > LINES_COLUMNS_MAX)
        return 0;
    for (unsigned c = 0; c < n; c++)
        titles[c] = (struct table_column){jnode_text(jnode_at(columns, c)), c > 0};
    r = table_new(&t, titles, n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < jnode_n(rows); i++)
        for (unsigned c = 0; c < n; c++)
            table_cell(t, cell_text(jnode_at(jnode_at(rows, i), c)));
    return table_print(t, out, false);
}

static void print_object(const struct jnode *o, FILE *out)
{
    fputs(" ", out);
    for (size_t i = 0; i < jnode_n(o); i++) {
        const struct jnode *v = jnode_at(o, i);
        fprintf(out, " %s=", jnode_key(o, i));
        for (size_t k = 0; k < jnode_n(v); k++)
            fprintf(out, "%s%s", k > 0 ? "," : "", cell_text(jnode_at(v, k)));
        if (jnode_kind(v) != J_ARRAY)
            fputs(cell_text(v), out);
    }
    fputc('\n', out);
}

int record_text(const struct record_view *v, FILE *out)
{
    owned(free_ptr) char *text = NULL;
    owned(json_freep) struct json *j = NULL;
    owned(jtree_freep) struct jtree *t = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    int code, r;

    if (f == NULL)
        return -ENOMEM;
    code = json_new(&j, f, false);
    if (code == 0)
        code = record_json(v, j);
    r = code < 0 ? code : json_end(j);
    j = json_free(j);
    if (fclose(f) != 0 || r < 0)
        return r < 0 ? r : -ENOMEM;
    r = jtree_parse(span_of(text, len), &t);
    if (r != 0)
        return r < 0 ? r : -EBADMSG;
    const struct jnode *root = jtree_root(t);
    for (size_t i = 0; i < jnode_n(root); i++) {
        const struct jnode *value = jnode_at(root, i);
        const char *key = jnode_key(root, i);
        if (jnode_kind(value) != J_ARRAY && jnode_kind(value) != J_OBJECT) {
            print_scalar(key, value, out);
            continue;
        }
        if (strcmp(key, "columns") == 0 || strcmp(key, "rows") == 0)
            continue;
        fprintf(out, "%s\n", key);
        for (size_t k = 0; jnode_kind(value) == J_ARRAY && k < jnode_n(value); k++)
            print_object(jnode_at(value, k), out);
        for (size_t k = 0; jnode_kind(value) == J_OBJECT && k < jnode_n(value); k++)
            fprintf(out, "  %s %s\n", jnode_key(value, k), cell_text(jnode_at(value, k)));
    }
    r = print_rows(jnode_get(root, "columns"), jnode_get(root, "rows"), out);
    return r < 0 ? r : code;
}
