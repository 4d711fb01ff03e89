/* decode_list.c - lists of texts and lists of maps. */
#include "config/decode.h"

#include "config/text.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

static void *list_slots(struct load *l, size_t n, size_t size)
{
    void *at = calloc(n ? n : 1, size);

    if (at == NULL)
        l->no_memory = true;
    return at;
}

/* The list's node, when it is one and has an allowed number of items. */
static bool list_ok(struct load *l, const struct found *f)
{
    uint64_t min, max;
    size_t n = f->node->kind == TREE_LIST ? f->node->n : 0;

    value_count_range(f->row, &min, &max);
    if (f->node->kind != TREE_LIST && !tree_is_null(f->node)) {
        decode_wrong_shape(l, f->node, f->field, SHAPE_LIST);
        l->unsound = true;
        return false;
    }
    if (n < min || n > max) {
        problem_add(l->problems, at_key(f->node, f->field),
                    n < min ? "add items" : "remove items, or use several f->nodes",
                    "must have %zu..%zu items, has %zu", (size_t)min, (size_t)max, n);
        l->unsound = true;
        return n <= max;
    }
    return true;
}

void decode_strings(struct load *l, const struct found *f, struct config_strings *ret)
{
    char value[CONFIG_TEXT_CHARS + 1], item_field[CONFIG_FIELD_CHARS];
    struct value_error e;
    size_t i = 0;

    if (!list_ok(l, f) || f->node->n == 0 || (ret->at = list_slots(l, f->node->n, sizeof(char *))) == NULL)
        return;
    for (unsigned at = f->node->first; at != 0; at = l->tree->at[at].next, i++) {
        const struct tree_node *item = &l->tree->at[at];

        text_cut(item_field, sizeof(item_field), "%s[%zu]", f->field, i);
        if (item->broken)
            continue;
        if (item->kind != TREE_SCALAR) {
            decode_wrong_shape(l, item, item_field, SHAPE_VALUE);
        } else if (item->len == 0 || tree_is_null(item)) {
            problem_add(l->problems, at_value(item, item_field), "write a text, or remove the item",
                        "is empty");
        } else if (value_parse_text(&(struct value_text){f->row->item, l->folder, value, sizeof(value)},
                                    item->text, &e) != 0) {
            problem_add(l->problems, at_value(item, item_field), e.remedy, "%s", e.message);
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
        decode_wrong_shape(l, type, field, SHAPE_VALUE);
        return NULL;
    }
    for (const struct config_kind *k = row->kinds; k->rows != NULL; k++)
        if (strcmp(k->name, type->text) == 0)
            return k;
    complain_kind(l, row, type, at_value(type, field));
    return NULL;
}

static void decode_item(struct load *l, const struct found *f, struct config_list *list)
{
    char prefix[CONFIG_FIELD_CHARS + 1];
    const struct tree_node *item = f->node;
    const struct config_kind *kind;

    text_cut(prefix, sizeof(prefix), "%s.", f->field);
    l->unsound = l->unsound || item->broken;
    if (item->broken)
        return;
    if (item->kind != TREE_MAP && !tree_is_null(item)) {
        decode_wrong_shape(l, item, f->field, SHAPE_MAP);
        l->unsound = true;
        return;
    }
    kind = item_kind(l, f->row, item, prefix);
    if (kind == NULL) {
        l->unsound = true;
        return;
    }
    void *value = list_slots(l, 1, kind->size);
    if (value == NULL)
        return;
    list->at[list->n++] = (struct config_item){.kind = (int)(kind - f->row->kinds), .value = value};

    struct row_table table = table_of_kind(kind);
    decode_map(l, &(struct target){&table, item, value, prefix, kind->name != NULL});
}

static const char *item_text(const struct config_row *row, const struct config_item *item)
{
    struct row_table table = table_of_kind(&row->kinds[item->kind]);

    return row_field_const(table_find(&table, row->unique), item->value);
}

static void check_unique(struct load *l, const struct found *f, const struct config_list *list)
{
    for (size_t i = 1; i < list->n && !l->unsound && !problem_full(l->problems); i++) {
        const char *text = item_text(f->row, &list->at[i]);

        for (size_t j = 0; j < i && text[0] != '\0'; j++) {
            char field[CONFIG_FIELD_CHARS];
            const struct tree_node *item = tree_item(l->tree, f->node, i), *stuck, *value;

            if (strcmp(text, item_text(f->row, &list->at[j])) != 0)
                continue;
            value = decode_lookup(l, item, f->row->unique, &stuck);
            text_cut(field, sizeof(field), "%s[%zu].%s", f->field, i, f->row->unique);
            problem_add(l->problems, at_value(value ? value : item, field), "choose different ones",
                        "%s is already that of %s[%zu]", text, f->field, j);
            break;
        }
    }
}

void decode_list(struct load *l, const struct found *f, struct config_list *ret)
{
    size_t i = 0;

    if (!list_ok(l, f) || f->node->n == 0 ||
        (ret->at = list_slots(l, f->node->n, sizeof(struct config_item))) == NULL)
        return;
    for (unsigned at = f->node->first; at != 0 && !l->no_memory && !problem_full(l->problems);
         at = l->tree->at[at].next, i++) {
        char item_field[CONFIG_FIELD_CHARS];

        text_cut(item_field, sizeof(item_field), "%s[%zu]", f->field, i);
        decode_item(l, &(struct found){f->row, &l->tree->at[at], item_field}, ret);
    }
    if (f->row->unique != NULL)
        check_unique(l, f, ret);
}
