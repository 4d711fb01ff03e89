/* decode.c - maps and single values. */
#include "config/decode.h"

#include "config/text.h"
#include "config/value.h"

#include <string.h>

const struct tree_node *decode_lookup(const struct load *l, const struct tree_node *from, const char *path,
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

void decode_wrong_shape(struct load *l, const struct tree_node *node, const char *field, enum shape want)
{
    static const char *const names[] = {"a single value", "a map", "a list"};
    static const char *const remedies[] = {"write `key: value`",
                                           "write `key: value` lines, indented below it",
                                           "write one `- item` per line, indented below it"};

    problem_add(l->problems, at_value(node, field), remedies[want], "must be %s, is %s", names[want],
                node->kind == TREE_SCALAR ? "a single value" : names[node->kind]);
}

static void decode_scalar(struct load *l, const struct found *f, void *values)
{
    const struct config_row *row = f->row;
    const struct tree_node *node = f->node;
    struct value_error e;
    char remedy[256] = "write a value";

    if (node->kind != TREE_SCALAR) {
        decode_wrong_shape(l, node, f->field, SHAPE_VALUE);
    } else if (tree_is_null(node)) {
        if (!row->required)
            text_cut(remedy, sizeof(remedy), "write one, or remove the key%s%.100s",
                     row->def ? " for the default " : "", row->def ? row->def : "");
        problem_add(l->problems, at_value(node, f->field), remedy, "has no value");
    } else if (value_parse(row, (struct value_source){node->text, l->folder}, row_field(row, values), &e) ==
               0) {
        return;
    } else {
        problem_add(l->problems, at_value(node, f->field), e.remedy, "%s", e.message);
    }
    if (row_default(row, l->folder, values) < 0)
        l->no_memory = true;
}

static void decode_row(struct load *l, const struct target *t, const struct config_row *row)
{
    const struct tree_node *stuck = NULL, *node = decode_lookup(l, t->node, row->path, &stuck);
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
    struct found f = {row, node, field};
    if (row->type == CONFIG_LIST)
        decode_list(l, &f, row_field(row, t->values));
    else if (row->type == CONFIG_STRINGS)
        decode_strings(l, &f, row_field(row, t->values));
    else
        decode_scalar(l, &f, t->values);
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
            decode_wrong_shape(l, entry, field, SHAPE_MAP);
        }
    }
}

void decode_map(struct load *l, const struct target *t)
{
    for (size_t i = 0; i < t->table->n && !l->no_memory; i++)
        decode_row(l, t, table_row(t->table, i));
    if (t->node->kind == TREE_MAP)
        check_keys(l, t, t->node, "");
}
