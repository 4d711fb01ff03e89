/* tree.c - events of libyaml to a tree. The event interface is used, not yaml_parser_load, because it shows
 * anchors, tags and depth before anything is built of them. */
#include "config/tree.h"

#include "base/cleanup.h"
#include "config/problem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reading {
    yaml_parser_t parser;
    struct tree *tree;
    struct config_problems *problems;
    unsigned open[CONFIG_DEPTH]; /* maps and lists we are in */
    size_t depth;
    char *key; /* of the value to come, in a map */
    unsigned key_line, key_column;
    unsigned documents;
    int result; /* sticks */
};

static struct problem_at mark_at(yaml_mark_t m)
{
    return (struct problem_at){(unsigned)m.line + 1, (unsigned)m.column + 1, ""};
}

static void reading_deinit(struct reading *r)
{
    yaml_parser_delete(&r->parser);
    free(r->key);
}

void tree_deinit(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->at[i].key);
        free(t->at[i].text);
    }
    free(t->at);
    *t = (struct tree){0};
}

/* Room for one more node; NULL when the result was set. Indices stay valid, pointers do not. */
static struct tree_node *tree_grow(struct reading *r, yaml_mark_t mark)
{
    struct tree *t = r->tree;

    if (t->n >= CONFIG_NODES) {
        problem_add(r->problems, mark_at(mark), "split the work over several nodes",
                    "the file has more than %d keys and values", CONFIG_NODES);
        r->result = CONFIG_BAD;
        return NULL;
    }
    if (t->n == t->alloc) {
        size_t alloc = t->alloc ? t->alloc * 2 : 64;
        struct tree_node *at = realloc(t->at, alloc * sizeof(*at));

        if (at == NULL) {
            r->result = -ENOMEM;
            return NULL;
        }
        t->at = at;
        t->alloc = alloc;
    }
    t->at[t->n] = (struct tree_node){.line = (unsigned)mark.line + 1, .column = (unsigned)mark.column + 1};
    t->at[t->n].key_line = t->at[t->n].line;
    t->at[t->n].key_column = t->at[t->n].column;
    return &t->at[t->n++];
}

/* A new node, hung below the open map or list. */
static struct tree_node *add_node(struct reading *r, enum tree_kind kind, yaml_mark_t mark)
{
    struct tree_node *node = tree_grow(r, mark);

    if (node == NULL)
        return NULL;
    node->kind = kind;
    if (r->key != NULL) {
        node->key_line = r->key_line;
        node->key_column = r->key_column;
        node->key = TAKE(r->key);
    }
    if (r->depth > 0) {
        struct tree_node *parent = &r->tree->at[r->open[r->depth - 1]];
        unsigned index = (unsigned)(node - r->tree->at);

        if (parent->n++ == 0)
            parent->first = index;
        else
            r->tree->at[parent->last].next = index;
        parent->last = index;
    }
    return node;
}

static bool in_map(const struct reading *r)
{
    return r->depth > 0 && r->tree->at[r->open[r->depth - 1]].kind == TREE_MAP;
}

static void refuse(struct reading *r, yaml_mark_t mark, const char *what, const char *remedy)
{
    problem_add(r->problems, mark_at(mark), remedy, "%s", what);
}

static void check_decoration(struct reading *r, yaml_mark_t mark, const yaml_char_t *anchor,
                             const yaml_char_t *tag)
{
    if (anchor != NULL)
        refuse(r, mark, "anchors (&name) are not allowed",
               "write the value where it is needed; put text that starts with & in quotes");
    if (tag != NULL)
        refuse(r, mark, "tags (!name) are not allowed",
               "remove the tag; put text that starts with ! in quotes");
}

static void on_scalar(struct reading *r, const yaml_event_t *ev)
{
    const char *text = (const char *)ev->data.scalar.value;
    size_t len = ev->data.scalar.length;
    bool broken = ev->data.scalar.tag != NULL || memchr(text, '\0', len) != NULL;

    check_decoration(r, ev->start_mark, ev->data.scalar.anchor, ev->data.scalar.tag);
    if (memchr(text, '\0', len) != NULL)
        refuse(r, ev->start_mark, "the text has a NUL character", "remove \\0 from the text");
    if (in_map(r) && r->key == NULL) {
        r->key = strndup(text, len);
        r->key_line = (unsigned)ev->start_mark.line + 1;
        r->key_column = (unsigned)ev->start_mark.column + 1;
        if (r->key == NULL)
            r->result = -ENOMEM;
        return;
    }
    struct tree_node *node = add_node(r, TREE_SCALAR, ev->start_mark);
    if (node == NULL)
        return;
    node->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->broken = broken;
    node->text = strndup(text, len);
    if (node->text == NULL)
        r->result = -ENOMEM;
    else
        node->len = strlen(node->text);
}

static void on_alias(struct reading *r, const yaml_event_t *ev)
{
    refuse(r, ev->start_mark, "aliases (*name) are not allowed",
           "write the value in full; put text that starts with * in quotes");
    if (in_map(r) && r->key == NULL) {
        r->result = CONFIG_BAD;
        return;
    }
    struct tree_node *node = add_node(r, TREE_SCALAR, ev->start_mark);
    if (node == NULL)
        return;
    node->broken = true;
    node->text = strdup("");
    if (node->text == NULL)
        r->result = -ENOMEM;
}

static void on_open(struct reading *r, const yaml_event_t *ev, enum tree_kind kind)
{
    if (in_map(r) && r->key == NULL) {
        refuse(r, ev->start_mark, "a map or list cannot be a key",
               "write `key: value`; put text that starts with { or [ in quotes");
        r->result = CONFIG_BAD;
        return;
    }
    if (r->depth == CONFIG_DEPTH) {
        problem_add(r->problems, mark_at(ev->start_mark), NULL, "maps and lists are nested more than %d deep",
                    CONFIG_DEPTH);
        r->result = CONFIG_BAD;
        return;
    }
    struct tree_node *node = add_node(r, kind, ev->start_mark);
    if (node != NULL)
        r->open[r->depth++] = (unsigned)(node - r->tree->at);
}

static void on_event(struct reading *r, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++r->documents > 1) {
            refuse(r, ev->start_mark, "a second document starts here",
                   "keep one document per file, remove `---`");
            r->result = CONFIG_BAD;
        }
        break;
    case YAML_SCALAR_EVENT:
        on_scalar(r, ev);
        break;
    case YAML_ALIAS_EVENT:
        on_alias(r, ev);
        break;
    case YAML_MAPPING_START_EVENT:
        check_decoration(r, ev->start_mark, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
        on_open(r, ev, TREE_MAP);
        break;
    case YAML_SEQUENCE_START_EVENT:
        check_decoration(r, ev->start_mark, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
        on_open(r, ev, TREE_LIST);
        break;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        r->depth--;
        break;
    default:
        break;
    }
}

static void on_syntax_error(struct reading *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "cannot be read";
    const char *remedy = "check the indentation, colons and quotes here and on the line above";

    if (p->error == YAML_MEMORY_ERROR) {
        r->result = -ENOMEM;
        return;
    }
    r->result = CONFIG_BAD;
    if (p->error == YAML_READER_ERROR) {
        problem_add(r->problems, (struct problem_at){0, 0, ""}, "save the file as UTF-8 text",
                    "not YAML text: %s at byte %zu", problem, p->problem_offset);
        return;
    }
    if (p->context != NULL && (strstr(p->context, "alias") != NULL || strstr(p->context, "anchor") != NULL))
        remedy = "put text that starts with * or & in quotes";
    else if (strstr(problem, "tab") != NULL || strstr(problem, "cannot start any token") != NULL)
        remedy = "indent with blanks, not tabs; put text that starts with @, `, % or a tab in quotes";
    problem_add(r->problems, mark_at(p->problem_mark), remedy, "not YAML: %s%s%s",
                p->context ? p->context : "", p->context ? ", " : "", problem);
}

int tree_read(struct tree *t, struct span text, struct config_problems *problems)
{
    owned(reading_deinit) struct reading r = {.tree = t, .problems = problems};
    bool done = false;

    if (!yaml_parser_initialize(&r.parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&r.parser, text.data ? text.data : (const uint8_t *)"", text.len);
    while (!done && r.result == 0) {
        yaml_event_t ev;

        if (!yaml_parser_parse(&r.parser, &ev)) {
            on_syntax_error(&r);
            break;
        }
        done = ev.type == YAML_STREAM_END_EVENT;
        on_event(&r, &ev);
        yaml_event_delete(&ev);
    }
    if (r.result != 0)
        return r.result;
    if (t->n == 0) {
        if (tree_grow(&r, (yaml_mark_t){0}) == NULL)
            return r.result;
        t->at[0].kind = TREE_MAP;
    }
    return 0;
}

bool tree_is_null(const struct tree_node *node)
{
    return node->kind == TREE_SCALAR && node->plain &&
           (node->len == 0 || strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0);
}

const struct tree_node *tree_get(const struct tree *t, const struct tree_node *map, const char *key,
                                 size_t key_len)
{
    if (map->kind != TREE_MAP)
        return NULL;
    for (unsigned i = map->first; i != 0; i = t->at[i].next)
        if (strncmp(t->at[i].key, key, key_len) == 0 && t->at[i].key[key_len] == '\0')
            return &t->at[i];
    return NULL;
}

const struct tree_node *tree_item(const struct tree *t, const struct tree_node *list, size_t i)
{
    unsigned at = list->first;

    if (list->kind != TREE_LIST)
        return NULL;
    while (at != 0 && i-- > 0)
        at = t->at[at].next;
    return at != 0 ? &t->at[at] : NULL;
}
