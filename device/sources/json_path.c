#include "device/sources/json_path.h"

#include "ctl/jtree.h"

#include <stdlib.h>

/* A struct json_text is a jtree under a name of ours. */

const char *json_path_check(const char *path)
{
    const char *at = path;

    if (*at == '.')
        return "begins with a dot";
    while (*at != '\0') {
        if (*at == '[') {
            size_t digits = strspn(at + 1, "0123456789");

            if (digits == 0 || digits > 6 || at[1 + digits] != ']')
                return "an index is written [0], [1], ...";
            at += digits + 2;
        } else {
            size_t n;

            at += *at == '.';
            n = strcspn(at, ".[]");
            if (n == 0)
                return "a key is missing at a dot or a bracket";
            at += n;
        }
        if (*at == ']' || (*at != '\0' && *at != '.' && *at != '['))
            return "write it like a.b[0].c";
    }
    return NULL;
}

/* The parser frees its tree recursively: a text nested as deep as it is long would need as much stack. */
static bool is_too_deep(struct span text)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_PATH_DEPTH)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

const char *json_text_parse(struct span text, struct json_text **ret_t)
{
    struct jtree *tree = NULL;
    int rc;

    if (text.len > JSON_PATH_TEXT_BYTES)
        return "longer than 64 KiB";
    if (is_too_deep(text))
        return "nested more than 64 deep";
    if (text.len == 0 || memchr(text.data, '\0', text.len) != NULL)
        return "no JSON";
    rc = jtree_parse(text, &tree);
    if (rc != 0)
        return rc < 0 ? "no memory for it" : "no JSON";
    *ret_t = (struct json_text *)tree;
    return NULL;
}

struct json_text *json_text_free(struct json_text *t)
{
    jtree_free((struct jtree *)t);
    return NULL;
}

static const struct jnode *member(const struct jnode *n, const char *key, size_t key_bytes)
{
    for (size_t i = 0; jnode_kind(n) == J_OBJECT && i < jnode_n(n); i++)
        if (strlen(jnode_key(n, i)) == key_bytes && memcmp(jnode_key(n, i), key, key_bytes) == 0)
            return jnode_at(n, i);
    return NULL;
}

const char *json_path_get(const struct json_text *t, const char *path, const char **ret_value,
                          bool *ret_is_string)
{
    const struct jnode *n = jtree_root((const struct jtree *)t);
    const char *at = path;

    while (*at != '\0' && n != NULL) {
        size_t len;

        if (*at == '[') {
            n = jnode_kind(n) == J_ARRAY ? jnode_at(n, (size_t)strtoul(at + 1, NULL, 10)) : NULL;
            at += strcspn(at, "]") + 1;
            continue;
        }
        at += *at == '.';
        len = strcspn(at, ".[");
        n = member(n, at, len);
        at += len;
    }
    *ret_is_string = jnode_kind(n) == J_STRING;
    switch (jnode_kind(n)) {
    case J_NONE:
        return "has nothing at this path";
    case J_NULL:
        return "has null at this path";
    case J_BOOL:
        *ret_value = jnode_true(n) ? "true" : "false";
        return NULL;
    case J_NUMBER:
    case J_STRING:
        *ret_value = jnode_text(n);
        return NULL;
    case J_ARRAY:
    case J_OBJECT:
        break;
    }
    return "has a list or an object at this path, not a value";
}
