/* schema.c - walking tables and structs: defaults, freeing, and the check of a table itself. */
#include "config/schema.h"

#include "base/name.h"
#include "config/text.h"
#include "config/value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t rows_count(const struct config_row *rows)
{
    size_t n = 0;

    while (rows != NULL && rows[n].path != NULL)
        n++;
    return n;
}

static struct row_table table_of(const struct config_row *common, const struct config_row *rows)
{
    size_t n_common = rows_count(common);

    return (struct row_table){common, rows, n_common, n_common + rows_count(rows)};
}

struct row_table table_of_schema(const struct config_schema *s)
{
    return table_of(NULL, s->rows);
}

struct row_table table_of_kind(const struct config_kind *k)
{
    return table_of(k->common, k->rows);
}

const struct config_row *table_find(const struct row_table *t, const char *path)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(table_row(t, i)->path, path) == 0)
            return table_row(t, i);
    return NULL;
}

/* A comma-separated default of a list of texts. */
static int strings_default(const struct config_row *row, const char *folder, struct config_strings *list)
{
    char text[CONFIG_TEXT_CHARS + 1], value[CONFIG_TEXT_CHARS + 1];
    char *rest = NULL, *word;
    struct value_error e;

    text_cut(text, sizeof(text), "%s", row->def);
    for (word = strtok_r(text, ", ", &rest); word != NULL; word = strtok_r(NULL, ", ", &rest)) {
        char **at = realloc(list->at, (list->n + 1) * sizeof(*at));

        if (at == NULL)
            return -ENOMEM;
        list->at = at;
        if (value_parse_text(&(struct value_text){row->item, folder, value, sizeof(value)}, word, &e) != 0)
            continue;
        if ((list->at[list->n] = strdup(value)) == NULL)
            return -ENOMEM;
        list->n++;
    }
    return 0;
}

int row_default(const struct config_row *row, const char *folder, void *values)
{
    struct value_error e;
    double *number = row_field(row, values);

    if (row->def == NULL || row->type == CONFIG_LIST)
        return 0;
    if (row->type == CONFIG_STRINGS)
        return strings_default(row, folder, row_field(row, values));
    if (row->type == CONFIG_DOUBLE && strcmp(row->def, "nan") == 0) {
        *number = NAN;
        return 0;
    }
    if (value_parse(row, (struct value_source){row->def, folder}, row_field(row, values), &e) != 0)
        memset(row_field(row, values), 0, row->size);
    return 0;
}

static void free_list(const struct config_row *row, struct config_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        struct row_table t = table_of_kind(&row->kinds[list->at[i].kind]);

        table_free_values(&t, list->at[i].value);
        free(list->at[i].value);
    }
    free(list->at);
    *list = (struct config_list){0};
}

static void free_strings(struct config_strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->at[i]);
    free(list->at);
    *list = (struct config_strings){0};
}

void table_free_values(const struct row_table *t, void *values)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct config_row *row = table_row(t, i);

        if (row->type == CONFIG_LIST)
            free_list(row, row_field(row, values));
        else if (row->type == CONFIG_STRINGS)
            free_strings(row_field(row, values));
    }
}

void config_free_values(const struct config_schema *s, void *values)
{
    struct row_table t = table_of_schema(s);

    table_free_values(&t, values);
    memset(values, 0, s->size);
}

int config_defaults(const struct config_schema *s, void *values)
{
    struct row_table t = table_of_schema(s);

    memset(values, 0, s->size);
    for (size_t i = 0; i < t.n; i++) {
        int r = row_default(table_row(&t, i), NULL, values);

        if (r < 0) {
            config_free_values(s, values);
            return r;
        }
    }
    return 0;
}

static bool path_ok(const char *path)
{
    size_t len = strlen(path);

    return len > 0 && len <= 64 && strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789_.") == len &&
           path[0] != '.' && path[len - 1] != '.' && strstr(path, "..") == NULL;
}

static bool size_ok(const struct config_row *row, size_t struct_size)
{
    static const size_t sizes[] = {
        [CONFIG_BOOL] = sizeof(bool),
        [CONFIG_I64] = 8,
        [CONFIG_U64] = 8,
        [CONFIG_DOUBLE] = 8,
        [CONFIG_BYTES] = 8,
        [CONFIG_MS] = 8,
        [CONFIG_ENUM] = sizeof(int),
        [CONFIG_NAME] = NAME_PART_CHARS + 1,
        [CONFIG_LIST] = sizeof(struct config_list),
        [CONFIG_STRINGS] = sizeof(struct config_strings),
    };
    size_t want = row->type <= CONFIG_LIST ? sizes[row->type] : 0;

    if (row->offset > struct_size || row->size > struct_size - row->offset)
        return false;
    return want != 0 ? row->size == want : row->size >= 8;
}

/* min and max must parse as the type; where the type has none, they must be absent. */
static bool limits_ok(const struct config_row *row)
{
    const char *limits[] = {row->min, row->max};
    struct config_row open = *row;
    struct value_error e;
    char value[8];

    open.min = open.max = NULL;
    if (value_is_text(row->type) || row->type == CONFIG_STRINGS || row->type == CONFIG_LIST)
        open.type = CONFIG_U64;
    else if (row->type == CONFIG_BOOL || row->type == CONFIG_ENUM)
        return row->min == NULL && row->max == NULL;
    for (size_t i = 0; i < 2; i++)
        if (limits[i] != NULL && value_parse(&open, (struct value_source){limits[i], NULL}, value, &e) != 0)
            return false;
    return true;
}

static bool default_ok(const struct config_row *row, struct value_error *e)
{
    struct config_strings list = {0};
    uint64_t min, max;
    size_t n = 0;
    int r;

    *e = (struct value_error){.message = "does not fit"};
    if (row->def == NULL || (row->type == CONFIG_DOUBLE && strcmp(row->def, "nan") == 0))
        return true;
    if (row->required || row->type == CONFIG_LIST)
        return false;
    if (row->type == CONFIG_STRINGS) {
        char text[CONFIG_TEXT_CHARS + 1], *rest = NULL;

        text_cut(text, sizeof(text), "%s", row->def);
        for (char *word = strtok_r(text, ", ", &rest); word != NULL; word = strtok_r(NULL, ", ", &rest))
            n++;
        r = strings_default(row, NULL, &list);
        value_count_range(row, &min, &max);
        r = r < 0 || list.n != n || n < min || n > max;
        free_strings(&list);
        return r == 0;
    }
    char *value = calloc(1, row->size);
    r = value == NULL ? -ENOMEM : value_parse(row, (struct value_source){row->def, NULL}, value, e);
    free(value);
    return r == 0;
}

/* The rows of one section stand together, else it would be printed twice; and no key is a section too. */
static const char *order_problem(const struct row_table *t, size_t i)
{
    const char *path = table_row(t, i)->path;
    const char *last_dot = strrchr(path, '.');
    size_t len = strlen(path), section = last_dot ? (size_t)(last_dot - path) + 1 : 0;
    bool left = false;

    for (size_t j = 0; j < t->n; j++) {
        const char *other = table_row(t, j)->path;

        if (j != i && strcmp(other, path) == 0)
            return "stands twice";
        if (strncmp(other, path, len) == 0 && other[len] == '.')
            return "is a key and a section";
    }
    for (size_t j = i; section > 0 && j-- > 0;) {
        bool same = strncmp(table_row(t, j)->path, path, section) == 0;

        if (same && left)
            return "stands apart from the other rows of its section";
        left = left || !same;
    }
    return NULL;
}

static int check_table(const struct row_table *t, size_t struct_size, int depth, struct errmsg *err);

static int check_kinds(const struct config_row *row, int depth, struct errmsg *err)
{
    const struct config_kind *k = row->kinds;

    if (k == NULL || k[0].rows == NULL || depth > 4)
        return errmsg_set(err, -EINVAL, "%s: no kinds, or lists too deep", row->path);
    for (; k->rows != NULL; k++) {
        struct row_table t = table_of_kind(k);
        const struct config_row *key = row->unique ? table_find(&t, row->unique) : NULL;
        int r;

        if (k->name == NULL && (k != row->kinds || k[1].rows != NULL))
            return errmsg_set(err, -EINVAL, "%s: several kinds, one without a name", row->path);
        if (k->name != NULL && table_find(&t, "type") != NULL)
            return errmsg_set(err, -EINVAL, "%s: kind %s: `type` is the kind itself", row->path, k->name);
        if (row->unique != NULL && (key == NULL || !value_is_text(key->type)))
            return errmsg_set(err, -EINVAL, "%s: unique key %s is no text of each kind", row->path,
                              row->unique);
        if ((r = check_table(&t, k->size, depth + 1, err)) < 0)
            return r;
    }
    return 0;
}

static int check_table(const struct row_table *t, size_t struct_size, int depth, struct errmsg *err)
{
    struct value_error e;

    for (size_t i = 0; i < t->n; i++) {
        const struct config_row *row = table_row(t, i);
        const char *order = order_problem(t, i);
        int r;

        if (!path_ok(row->path))
            return errmsg_set(err, -EINVAL, "%s: not a path of a-z 0-9 _ joined by dots", row->path);
        if (order != NULL)
            return errmsg_set(err, -EINVAL, "%s: %s", row->path, order);
        if (!size_ok(row, struct_size))
            return errmsg_set(err, -EINVAL, "%s: the member in the struct does not fit the type", row->path);
        if (row->help == NULL || row->help[0] == '\0')
            return errmsg_set(err, -EINVAL, "%s: has no help", row->path);
        if (row->type == CONFIG_ENUM && (row->choices == NULL || row->choices[0] == NULL))
            return errmsg_set(err, -EINVAL, "%s: has no choices", row->path);
        if (row->type == CONFIG_STRINGS && !value_is_text(row->item))
            return errmsg_set(err, -EINVAL, "%s: items must be of a text type", row->path);
        if (!limits_ok(row))
            return errmsg_set(err, -EINVAL, "%s: min or max is not of its type", row->path);
        if (!default_ok(row, &e))
            return errmsg_set(err, -EINVAL, "%s: default %s: %s", row->path, row->def, e.message);
        if (row->type == CONFIG_LIST && (r = check_kinds(row, depth, err)) < 0)
            return r;
    }
    return 0;
}

int config_schema_check(const struct config_schema *s, struct errmsg *err)
{
    struct row_table t = table_of_schema(s);

    return check_table(&t, s->size, 0, err);
}
