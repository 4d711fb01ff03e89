/* diff.c - what a reload would change, and the change itself. */
#include "config/schema.h"
#include "config/text.h"
#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void config_changes_deinit(struct config_changes *c)
{
    free(c->at);
    *c = (struct config_changes){0};
}

static int add_change(struct config_changes *c, const char *field, bool reloadable,
                      struct config_change **ret)
{
    struct config_change *at = realloc(c->at, (c->n + 1) * sizeof(*at));

    if (at == NULL)
        return -ENOMEM;
    c->at = at;
    *ret = &at[c->n++];
    **ret = (struct config_change){.reloadable = reloadable};
    text_cut((*ret)->field, sizeof((*ret)->field), "%s", field);
    c->n_fixed += !reloadable;
    return 0;
}

static bool strings_equal(const struct config_strings *a, const struct config_strings *b)
{
    bool equal = a->n == b->n;

    for (size_t i = 0; equal && i < a->n; i++)
        equal = strcmp(a->at[i], b->at[i]) == 0;
    return equal;
}

static bool kinds_equal(const struct config_list *a, const struct config_list *b)
{
    bool equal = a->n == b->n;

    for (size_t i = 0; equal && i < a->n; i++)
        equal = a->at[i].kind == b->at[i].kind;
    return equal;
}

struct pair {
    const void *old_values, *new_values;
    bool in_reloadable; /* of a list that is exchanged as a whole */
};

static int diff_table(const struct row_table *t, struct pair v, const char *prefix, struct config_changes *c);

static int diff_list(const struct config_row *row, struct pair v, const char *field, struct config_changes *c)
{
    const struct config_list *a = row_field_const(row, v.old_values), *b = row_field_const(row, v.new_values);
    struct config_change *change;
    int r = 0;

    if (!kinds_equal(a, b)) {
        if ((r = add_change(c, field, row->reloadable || v.in_reloadable, &change)) < 0)
            return r;
        text_cut(change->from, sizeof(change->from), "%zu items", a->n);
        text_cut(change->to, sizeof(change->to), "%zu items", b->n);
        return 0;
    }
    for (size_t i = 0; i < a->n && r == 0; i++) {
        struct row_table table = table_of_kind(&row->kinds[a->at[i].kind]);
        char prefix[CONFIG_FIELD_CHARS + 24];

        text_cut(prefix, sizeof(prefix), "%s[%zu].", field, i);
        r = diff_table(&table,
                       (struct pair){a->at[i].value, b->at[i].value, v.in_reloadable || row->reloadable},
                       prefix, c);
    }
    return r;
}

static int diff_row(const struct config_row *row, struct pair v, const char *field, struct config_changes *c)
{
    const void *a = row_field_const(row, v.old_values), *b = row_field_const(row, v.new_values);
    struct config_change *change;
    char text_a[VALUE_CHARS], text_b[VALUE_CHARS];
    const char *from, *to;
    int r;

    if (row->type == CONFIG_LIST)
        return diff_list(row, v, field, c);
    if (row->type == CONFIG_STRINGS) {
        if (strings_equal(a, b))
            return 0;
        if ((r = add_change(c, field, row->reloadable || v.in_reloadable, &change)) < 0)
            return r;
        text_cut(change->from, sizeof(change->from), "%zu items", ((const struct config_strings *)a)->n);
        text_cut(change->to, sizeof(change->to), "%zu items", ((const struct config_strings *)b)->n);
        return 0;
    }
    from = value_format(row, a, text_a);
    to = value_format(row, b, text_b);
    if (strcmp(from, to) == 0)
        return 0;
    if ((r = add_change(c, field, row->reloadable || v.in_reloadable, &change)) < 0)
        return r;
    text_cut(change->from, sizeof(change->from), "%s", from);
    text_cut(change->to, sizeof(change->to), "%s", to);
    return 0;
}

static int diff_table(const struct row_table *t, struct pair v, const char *prefix, struct config_changes *c)
{
    int r = 0;

    for (size_t i = 0; i < t->n && r == 0; i++) {
        const struct config_row *row = table_row(t, i);
        char field[CONFIG_FIELD_CHARS];

        text_cut(field, sizeof(field), "%s%s", prefix, row->path);
        r = diff_row(row, v, field, c);
    }
    return r;
}

int config_diff_reloadable(const struct config_schema *s, const void *old_values, const void *new_values,
                           struct config_changes *changes)
{
    struct row_table table = table_of_schema(s);

    return diff_table(&table, (struct pair){old_values, new_values, false}, "", changes);
}

static void exchange(uint8_t *a, uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t kept = a[i];

        a[i] = b[i];
        b[i] = kept;
    }
}

static void take_table(const struct row_table *t, void *values, void *new_values)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct config_row *row = table_row(t, i);
        struct config_list *a = row_field(row, values), *b = row_field(row, new_values);

        if (row->reloadable) {
            exchange(row_field(row, values), row_field(row, new_values), row->size);
        } else if (row->type == CONFIG_LIST && kinds_equal(a, b)) {
            for (size_t k = 0; k < a->n; k++) {
                struct row_table items = table_of_kind(&row->kinds[a->at[k].kind]);

                take_table(&items, a->at[k].value, b->at[k].value);
            }
        }
    }
}

void config_take_reloadable(const struct config_schema *s, void *values, void *new_values)
{
    struct row_table table = table_of_schema(s);

    take_table(&table, values, new_values);
}
