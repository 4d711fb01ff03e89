#include "ctl/jtree.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/numfmt.h"

#include <errno.h>
#include <yajl/yajl_tree.h>

/* A struct jnode is a yajl value under a name of ours; struct jtree is the root's. */

static yajl_val val(const struct jnode *n)
{
    return (yajl_val)(uintptr_t)n;
}

int jtree_parse(struct span text, struct jtree **ret_t)
{
    owned(free_ptr) char *copy = malloc(text.len + 1);
    char error[64];

    if (copy == NULL)
        return -ENOMEM;
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    yajl_val v = yajl_tree_parse(copy, error, sizeof(error));
    if (v == NULL)
        return JTREE_BAD;
    *ret_t = (struct jtree *)v;
    return 0;
}

int jtree_read(const char *path, struct jtree **ret_t)
{
    struct buf text = {0};
    int r = file_read(path, JTREE_MAX_BYTES, &text);

    if (r == 0)
        r = jtree_parse(span_of(text.data, text.len), ret_t);
    buf_deinit(&text);
    return r == -ENOENT ? JTREE_MISSING : r;
}

struct jtree *jtree_free(struct jtree *t)
{
    if (t != NULL)
        yajl_tree_free((yajl_val)t);
    return NULL;
}

void jtree_freep(struct jtree **t)
{
    *t = jtree_free(*t);
}

const struct jnode *jtree_root(const struct jtree *t)
{
    return (const struct jnode *)t;
}

enum jkind jnode_kind(const struct jnode *n)
{
    yajl_val v = val(n);

    if (v == NULL)
        return J_NONE;
    if (YAJL_IS_STRING(v))
        return J_STRING;
    if (v->type == yajl_t_number)
        return J_NUMBER;
    if (YAJL_IS_OBJECT(v))
        return J_OBJECT;
    if (YAJL_IS_ARRAY(v))
        return J_ARRAY;
    return YAJL_IS_NULL(v) ? J_NULL : J_BOOL;
}

size_t jnode_n(const struct jnode *n)
{
    enum jkind kind = jnode_kind(n);

    return kind == J_OBJECT ? val(n)->u.object.len : kind == J_ARRAY ? val(n)->u.array.len : 0;
}

const struct jnode *jnode_at(const struct jnode *n, size_t i)
{
    if (i >= jnode_n(n))
        return NULL;
    return (const struct jnode *)(jnode_kind(n) == J_OBJECT ? val(n)->u.object.values[i]
                                                            : val(n)->u.array.values[i]);
}

const char *jnode_key(const struct jnode *n, size_t i)
{
    return jnode_kind(n) == J_OBJECT && i < jnode_n(n) ? val(n)->u.object.keys[i] : "";
}

const struct jnode *jnode_get(const struct jnode *n, const char *key)
{
    for (size_t i = 0; jnode_kind(n) == J_OBJECT && i < jnode_n(n); i++)
        if (strcmp(jnode_key(n, i), key) == 0)
            return jnode_at(n, i);
    return NULL;
}

const char *jnode_text(const struct jnode *n)
{
    switch (jnode_kind(n)) {
    case J_STRING:
        return val(n)->u.string;
    case J_NUMBER:
        return val(n)->u.number.r;
    default:
        return "";
    }
}

bool jnode_true(const struct jnode *n)
{
    return n != NULL && YAJL_IS_TRUE(val(n));
}

int64_t jnode_i64(const struct jnode *n)
{
    const char *text = jnode_text(n);
    int64_t v;

    return numfmt_parse_i64(text, strlen(text), &v) ? v : 0;
}

static void write_number(const char *text, struct json *j)
{
    int64_t i;
    double d;
    char *end;

    if (numfmt_parse_i64(text, strlen(text), &i)) {
        json_i64(j, i);
        return;
    }
    errno = 0;
    uint64_t u = strtoull(text, &end, 10);
    if (errno == 0 && *end == '\0' && text[0] != '-')
        json_u64(j, u);
    else if (numfmt_parse_double(text, strlen(text), &d))
        json_double(j, d);
    else
        json_null(j);
}

void jnode_write(const struct jnode *n, struct json *j)
{
    switch (jnode_kind(n)) {
    case J_STRING:
        json_str(j, jnode_text(n));
        return;
    case J_NUMBER:
        write_number(jnode_text(n), j);
        return;
    case J_BOOL:
        json_bool(j, jnode_true(n));
        return;
    case J_OBJECT:
        json_object(j);
        for (size_t i = 0; i < jnode_n(n); i++) {
            json_key(j, jnode_key(n, i));
            jnode_write(jnode_at(n, i), j);
        }
        json_object_end(j);
        return;
    case J_ARRAY:
        json_array(j);
        for (size_t i = 0; i < jnode_n(n); i++)
            jnode_write(jnode_at(n, i), j);
        json_array_end(j);
        return;
    default:
        json_null(j);
    }
}
