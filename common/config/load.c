/* load.c - from the tree of a file to the struct of a tier, by the rows of its table.
 *
 * Two passes per map: the rows fetch their values (absent ones take the default), then the map's keys are
 * held against the rows (unknown, twice). Each complaint names its place; nothing stops at the first one. */
#include "base/cleanup.h"
#include "base/file.h"
#include "config/problem.h"
#include "config/schema.h"
#include "config/text.h"
#include "config/tree.h"
#include "config/value.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct load {
    const struct tree *tree;
    const char *folder;
    struct config_problems *problems;
    bool unsound; /* lists are not complete: no cross-field checks */
    bool no_memory;
};

static const struct problem_at whole_file = {0, 0, ""};

struct config_check {
    struct load *load;
};

/* One map that fills one struct. */
struct target {
    const struct row_table *table;
    const struct tree_node *node;
    void *values;
    const char *prefix; /* of fields: "", "sources[2]." */
    bool typed;         /* the key `type` belongs to the list */
};

static struct problem_at at_value(const struct tree_node *node, const char *field)
{
    return (struct problem_at){node->line, node->column, field};
}

static struct problem_at at_key(const struct tree_node *node, const char *field)
{
    return (struct problem_at){node->key_line, node->key_column, field};
}

static void decode_map(struct load *l, const struct target *t);

/* Follows a dotted path down. *ret_stuck is the deepest map reached, or the node that is no map. */
static const struct tree_node *lookup(const struct load *l, const struct tree_node *from, const char *path,
                                      const struct tree_node **ret_stuck)
{
    const struct tree_node *at = from;

    while (at != NULL) {
        size_t len = strcspn(path, ".");
        const struct tree_node *next = tree_get(l->tree, at, path, len);

        *ret_stuck = at;
        if (next == NULL || path[len] == '\0')
            return next;
        at = next;
        path += len + 1;
    }
    return NULL;
}

static void complain_value(struct load *l, const struct tree_node *node, const char *field,
                           const struct value_error *e)
{
    problem_add(l->problems, at_value(node, field), e->remedy, "%s", e->message);
}

static void complain_shape(struct load *l, const struct tree_node *node, const char *field, const char *want)
{
    static const char *const names[] = {"a single value", "a map", "a list"};
    static const char *const remedies[] = {"write `key: value`",
                                           "write `key: value` lines, indented below it",
                                           "write one `- item` per line, indented below it"};
    size_t wanted = strcmp(want, "map") == 0 ? 1 : strcmp(want, "list") == 0 ? 2 : 0;

    problem_add(l->problems, at_value(node, field), remedies[wanted], "must be %s, is %s", names[wanted],
                node->kind == TREE_SCALAR ? "a single value" : names[node->kind]);
}

static void *list_slots(struct load *l, size_t n, size_t size)
{
    void *at = calloc(n ? n : 1, size);

    if (at == NULL)
        l->no_memory = true;
    return at;
}

/* The list's node, when it is one and has an allowed number of items. */
static bool list_ok(struct load *l, const struct config_row *row, const struct tree_node *node,
                    const char *field)
{
    uint64_t min, max;
    size_t n = node->kind == TREE_LIST ? node->n : 0;

    value_count_range(row, &min, &max);
    if (node->kind != TREE_LIST && !tree_is_null(node)) {
        complain_shape(l, node, field, "list");
        l->unsound = true;
        return false;
    }
    if (n < min || n > max) {
        problem_add(l->problems, at_key(node, field),
                    n < min ? "add items" : "remove items, or use several nodes",
                    "must have %zu..%zu items, has %zu", (size_t)min, (size_t)max, n);
        l->unsound = true;
        return n <= max;
    }
    return true;
}

static void decode_strings(struct load *l, const struct config_row *row, const struct tree_node *node,
                           const char *field, struct config_strings *ret)
{
    char value[CONFIG_TEXT_CHARS + 1], item_field[CONFIG_FIELD_CHARS];
    struct value_error e;
    size_t i = 0;

    if (!list_ok(l, row, node, field) || node->n == 0 ||
        (ret->at = list_slots(l, node->n, sizeof(char *))) == NULL)
        return;
    for (unsigned at = node->first; at != 0; at = l->tree->at[at].next, i++) {
        const struct tree_node *item = &l->tree->at[at];

        text_cut(item_field, sizeof(item_field), "%s[%zu]", field, i);
        if (item->broken)
            continue;
        if (item->kind != TREE_SCALAR) {
            complain_shape(l, item, item_field, "value");
        } else if (item->len == 0 || tree_is_null(item)) {
            problem_add(l->problems, at_value(item, item_field), "write a text, or remove the item",
                        "is empty");
        } else if (value_parse_text(&(struct value_text){row->item, l->folder, value, sizeof(value)},
                                    item->text, &e) != 0) {
            complain_value(l, item, item_field, &e);
        } else if ((ret->at[ret->n] = strdup(value)) == NULL) {
            l->no_memory = true;
            return;
        } else {
            ret->n++;
            continue;
        }
        l->unsound = true;
    }
}

static void complain_kind(struct load *l, const struct config_row *row, const struct tree_node *type,
                          struct problem_at at)
{
    struct nearest near = {.wanted = type ? type->text : ""};
    char all[160] = "", remedy[128] = "choose one of these";
    size_t len = 0;

    for (const struct config_kind *k = row->kinds; k->rows != NULL; k++) {
        nearest_offer(&near, k->name);
        if (len < sizeof(all))
            len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", len ? ", " : "", k->name);
    }
    if (type == NULL) {
        problem_add(l->problems, at, "add `type: ` with one of them", "is missing; it is one of %s", all);
        return;
    }
    if (near.best != NULL)
        text_cut(remedy, sizeof(remedy), "did you mean %s?", near.best);
    problem_add(l->problems, at, remedy, "must be one of %s, is %.40s", all, type->text);
}

/* Which kind the item says it is; NULL after a complaint. */
static const struct config_kind *item_kind(struct load *l, const struct config_row *row,
                                           const struct tree_node *item, const char *prefix)
{
    const struct tree_node *type = tree_get(l->tree, item, "type", 4);
    char field[CONFIG_FIELD_CHARS];

    if (row->kinds[0].name == NULL)
        return &row->kinds[0];
    text_cut(field, sizeof(field), "%stype", prefix);
    if (type == NULL || tree_is_null(type)) {
        complain_kind(l, row, NULL, at_value(type ? type : item, field));
        return NULL;
    }
    if (type->broken)
        return NULL;
    if (type->kind != TREE_SCALAR) {
        complain_shape(l, type, field, "value");
        return NULL;
    }
    for (const struct config_kind *k = row->kinds; k->rows != NULL; k++)
        if (strcmp(k->name, type->text) == 0)
            return k;
    complain_kind(l, row, type, at_value(type, field));
    return NULL;
}

static void decode_item(struct load *l, const struct config_row *row, const struct tree_node *item,
                        const char *field, struct config_list *list)
{
    char prefix[CONFIG_FIELD_CHARS + 1];
    const struct config_kind *kind;

    text_cut(prefix, sizeof(prefix), "%s.", field);
    l->unsound = l->unsound || item->broken;
    if (item->broken)
        return;
    if (item->kind != TREE_MAP && !tree_is_null(item)) {
        complain_shape(l, item, field, "map");
        l->unsound = true;
        return;
    }
    kind = item_kind(l, row, item, prefix);
    if (kind == NULL) {
        l->unsound = true;
        return;
    }
    void *value = list_slots(l, 1, kind->size);
    if (value == NULL)
        return;
    list->at[list->n++] = (struct config_item){.kind = (int)(kind - row->kinds), .value = value};

    struct row_table table = table_of_kind(kind);
    decode_map(l, &(struct target){&table, item, value, prefix, kind->name != NULL});
}

static const char *item_text(const struct config_row *row, const struct config_item *item)
{
    struct row_table table = table_of_kind(&row->kinds[item->kind]);

    return row_field_const(table_find(&table, row->unique), item->value);
}

static void check_unique(struct load *l, const struct config_row *row, const struct tree_node *node,
                         const struct config_list *list)
{
    for (size_t i = 1; i < list->n && !l->unsound && !problem_full(l->problems); i++) {
        const char *text = item_text(row, &list->at[i]);

        for (size_t j = 0; j < i && text[0] != '\0'; j++) {
            char field[CONFIG_FIELD_CHARS];
            const struct tree_node *item = tree_item(l->tree, node, i), *stuck, *value;

            if (strcmp(text, item_text(row, &list->at[j])) != 0)
                continue;
            value = lookup(l, item, row->unique, &stuck);
            text_cut(field, sizeof(field), "%s[%zu].%s", row->path, i, row->unique);
            problem_add(l->problems, at_value(value ? value : item, field), "choose different ones",
                        "%s is already that of %s[%zu]", text, row->path, j);
            break;
        }
    }
}

static void decode_list(struct load *l, const struct config_row *row, const struct tree_node *node,
                        const char *field, struct config_list *ret)
{
    size_t i = 0;

    if (!list_ok(l, row, node, field) || node->n == 0 ||
        (ret->at = list_slots(l, node->n, sizeof(struct config_item))) == NULL)
        return;
    for (unsigned at = node->first; at != 0 && !l->no_memory && !problem_full(l->problems);
         at = l->tree->at[at].next, i++) {
        char item_field[CONFIG_FIELD_CHARS];

        text_cut(item_field, sizeof(item_field), "%s[%zu]", field, i);
        decode_item(l, row, &l->tree->at[at], item_field, ret);
    }
    if (row->unique != NULL)
        check_unique(l, row, node, ret);
}

static void decode_scalar(struct load *l, const struct config_row *row, const struct tree_node *node,
                          const char *field, void *values)
{
    struct value_error e;
    char remedy[256] = "write a value";

    if (node->kind != TREE_SCALAR) {
        complain_shape(l, node, field, "value");
    } else if (tree_is_null(node)) {
        if (!row->required)
            text_cut(remedy, sizeof(remedy), "write one, or remove the key%s%.100s",
                     row->def ? " for the default " : "", row->def ? row->def : "");
        problem_add(l->problems, at_value(node, field), remedy, "has no value");
    } else if (value_parse(row, node->text, l->folder, row_field(row, values), &e) == 0) {
        return;
    } else {
        complain_value(l, node, field, &e);
    }
    if (row_default(row, l->folder, values) < 0)
        l->no_memory = true;
}

static void decode_row(struct load *l, const struct target *t, const struct config_row *row)
{
    const struct tree_node *stuck = NULL, *node = lookup(l, t->node, row->path, &stuck);
    char field[CONFIG_FIELD_CHARS], remedy[128];

    text_cut(field, sizeof(field), "%s%s", t->prefix, row->path);
    if (node != NULL && node->broken) {
        node = NULL;
        stuck = NULL;
    }
    if (node == NULL) {
        if (row_default(row, l->folder, t->values) < 0)
            l->no_memory = true;
        /* A section of the wrong shape has its own complaint. */
        if (row->required && stuck != NULL && !stuck->broken &&
            (stuck->kind == TREE_MAP || tree_is_null(stuck))) {
            text_cut(remedy, sizeof(remedy), "add it, type: %s", value_type_name(row));
            problem_add(l->problems, at_key(stuck, field), remedy, "is missing");
        }
        return;
    }
    if (row->type == CONFIG_LIST)
        decode_list(l, row, node, field, row_field(row, t->values));
    else if (row->type == CONFIG_STRINGS)
        decode_strings(l, row, node, field, row_field(row, t->values));
    else
        decode_scalar(l, row, node, field, t->values);
}

/* The names that may stand at this level, for the nearest one; a name known at another level comes as its
 * full path. */
static void complain_unknown(struct load *l, const struct target *t, const struct tree_node *entry,
                             const char *section)
{
    struct nearest near = {.wanted = entry->key};
    char words[2][72], field[CONFIG_FIELD_CHARS], remedy[256];
    const char *elsewhere = NULL;
    size_t section_len = strlen(section);

    text_cut(field, sizeof(field), "%s%s%.64s", t->prefix, section, entry->key);
    for (size_t i = 0; i < t->table->n; i++) {
        const char *path = table_row(t->table, i)->path, *last = strrchr(path, '.');
        char *word = words[near.best == words[0] ? 1 : 0];

        if (strcmp(last ? last + 1 : path, entry->key) == 0 || strcmp(path, entry->key) == 0)
            elsewhere = path;
        if (strncmp(path, section, section_len) != 0)
            continue;
        text_cut(word, sizeof(words[0]), "%.*s", (int)strcspn(path + section_len, "."), path + section_len);
        nearest_offer(&near, word);
    }
    if (elsewhere != NULL)
        text_cut(remedy, sizeof(remedy), "it belongs to %s%s, each word before a dot a map of its own",
                 t->prefix, elsewhere);
    else if (near.best != NULL)
        text_cut(remedy, sizeof(remedy), "did you mean %s?", near.best);
    else
        text_cut(remedy, sizeof(remedy), "remove it, or look it up in the list of keys");
    problem_add(l->problems, at_key(entry, field), remedy, "unknown key");
}

enum key_use { KEY_UNKNOWN, KEY_VALUE, KEY_SECTION };

static enum key_use key_use(const struct target *t, const char *section, const char *key)
{
    size_t section_len = strlen(section), len = strlen(key);

    if (section_len == 0 && t->typed && strcmp(key, "type") == 0)
        return KEY_VALUE;
    for (size_t i = 0; i < t->table->n && len > 0 && strchr(key, '.') == NULL; i++) {
        const char *path = table_row(t->table, i)->path;

        if (strncmp(path, section, section_len) != 0 || strncmp(path + section_len, key, len) != 0)
            continue;
        if (path[section_len + len] == '\0')
            return KEY_VALUE;
        if (path[section_len + len] == '.')
            return KEY_SECTION;
    }
    return KEY_UNKNOWN;
}

/* Every key of a map must be a row or a section, and stand once. Sections are followed, at most CONFIG_DEPTH.
 */
static void check_keys(struct load *l, const struct target *t, const struct tree_node *map,
                       const char *section)
{
    for (unsigned i = map->first; i != 0 && !problem_full(l->problems); i = l->tree->at[i].next) {
        const struct tree_node *entry = &l->tree->at[i];
        const struct tree_node *earlier = tree_get(l->tree, map, entry->key, strlen(entry->key));
        enum key_use use = key_use(t, section, entry->key);
        char inner[CONFIG_FIELD_CHARS], field[2 * CONFIG_FIELD_CHARS];

        text_cut(field, sizeof(field), "%s%s%.64s", t->prefix, section, entry->key);
        if (use == KEY_UNKNOWN) {
            complain_unknown(l, t, entry, section);
        } else if (earlier != entry) {
            problem_add(l->problems, at_key(entry, field), "keep one of the two",
                        "stands twice, first in line %u", earlier->key_line);
        } else if (use == KEY_SECTION && entry->kind == TREE_MAP) {
            text_cut(inner, sizeof(inner), "%s%.64s.", section, entry->key);
            check_keys(l, t, entry, inner);
        } else if (use == KEY_SECTION && !tree_is_null(entry) && !entry->broken) {
            complain_shape(l, entry, field, "map");
        }
    }
}

static void decode_map(struct load *l, const struct target *t)
{
    for (size_t i = 0; i < t->table->n && !l->no_memory; i++)
        decode_row(l, t, table_row(t->table, i));
    if (t->node->kind == TREE_MAP)
        check_keys(l, t, t->node, "");
}

/* The node of a field, or the deepest one on the way to it. */
static const struct tree_node *field_node(const struct load *l, const char *field)
{
    const struct tree_node *at = &l->tree->at[0], *next;

    while (*field != '\0') {
        if (*field == '[') {
            char *end;

            next = tree_item(l->tree, at, strtoul(field + 1, &end, 10));
            field = *end == ']' ? end + 1 : end;
        } else {
            size_t len = strcspn(field, ".[");

            next = tree_get(l->tree, at, field, len);
            field += len;
        }
        field += *field == '.';
        if (next == NULL)
            break;
        at = next;
    }
    return at;
}

void config_complain(struct config_check *c, const char *field, const char *remedy, const char *fmt, ...)
{
    va_list ap;

    if (problem_at_field(c->load->problems, field))
        return;
    va_start(ap, fmt);
    problem_vadd(c->load->problems, at_key(field_node(c->load, field), field), remedy, fmt, ap);
    va_end(ap);
}

static int load_tree(const struct config_schema *s, struct load *l, void *values)
{
    struct row_table table = table_of_schema(s);
    const struct tree_node *root = &l->tree->at[0];

    if (root->broken)
        return CONFIG_BAD;
    if (root->kind != TREE_MAP && !tree_is_null(root)) {
        complain_shape(l, root, "", "map");
        return CONFIG_BAD;
    }
    decode_map(l, &(struct target){&table, root, values, "", false});
    if (l->no_memory)
        return -ENOMEM;
    if (s->check != NULL && !l->unsound && !problem_full(l->problems))
        s->check(values, &(struct config_check){l});
    return 0;
}

int config_load_text(const struct config_schema *s, const struct config_text *t, void *values,
                     struct config_problems *problems)
{
    owned(tree_deinit) struct tree tree = {0};
    struct load l = {.tree = &tree, .folder = t->folder, .problems = problems};
    int r = 0;

    memset(values, 0, s->size);
    text_cut(problems->file, sizeof(problems->file), "%s", t->name);
    if (t->text.len > CONFIG_FILE_BYTES) {
        problem_add(problems, whole_file, "is this the right file?", "is %zu bytes long, more than %d",
                    t->text.len, CONFIG_FILE_BYTES);
        return CONFIG_BAD;
    }
    r = tree_read(&tree, t->text, problems);
    l.unsound = problem_any(problems);
    if (r == 0)
        r = load_tree(s, &l, values);
    if (r == 0 && problem_any(problems))
        r = CONFIG_BAD;
    if (r != 0)
        config_free_values(s, values);
    problem_sort(problems);
    return r;
}

/* The folder of the file, absolute, so that a printed config means the same wherever it is saved. */
static char *folder_of(const char *path)
{
    owned(free_ptr) char *copy = strdup(path);
    char *folder = copy ? dirname(copy) : NULL, *absolute;

    if (folder == NULL)
        return NULL;
    absolute = realpath(folder, NULL);
    return absolute != NULL ? absolute : strdup(folder);
}

int config_load(const struct config_schema *s, const char *path, void *values,
                struct config_problems *problems)
{
    owned(buf_deinit) struct buf text = {0};
    owned(free_ptr) char *folder = folder_of(path);
    int r;

    memset(values, 0, s->size);
    if (folder == NULL)
        return -ENOMEM;
    r = file_read(path, CONFIG_FILE_BYTES, &text);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        text_cut(problems->file, sizeof(problems->file), "%s", path);
        if (r == -EFBIG)
            problem_add(problems, whole_file, "is this the right file?", "is longer than %d bytes",
                        CONFIG_FILE_BYTES);
        else
            problem_add(problems, whole_file, "check the path and its permissions", "cannot be read: %s",
                        strerror(-r));
        return CONFIG_BAD;
    }
    return config_load_text(s, &(struct config_text){path, folder, span_of(text.data, text.len)}, values,
                            problems);
}
