/* load.c - a file, its problems, and the hook of the tier. */
#include "base/cleanup.h"
#include "base/file.h"
#include "config/decode.h"
#include "config/text.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const struct problem_at whole_file = {0, 0, ""};

struct config_check {
    struct load *load;
};

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
        decode_wrong_shape(l, root, "", SHAPE_MAP);
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
