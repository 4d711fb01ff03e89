/* The command `status`: whatever facts a tier gave, readable. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/numfmt.h"
#include "ctl/jtree.h"
#include "ctl/status.h"
#include "ctl/table.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { STATUS_TEXT_CHARS = 256, STATUS_COLUMNS_MAX = 24 };

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static void duration(int64_t ms, char *out, size_t out_bytes)
{
    int64_t s = ms / 1000;

    if (ms < 0)
        snprintf(out, out_bytes, "-");
    else if (ms < 10000)
        snprintf(out, out_bytes, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
    else if (s < 120)
        snprintf(out, out_bytes, "%" PRId64 " s", s);
    else if (s < 7200)
        snprintf(out, out_bytes, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else if (s < 172800)
        snprintf(out, out_bytes, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    else
        snprintf(out, out_bytes, "%" PRId64 " d %" PRId64 " h", s / 86400, s % 86400 / 3600);
}

static const char *value_text(const char *key, const struct jnode *v, char out[STATUS_TEXT_CHARS])
{
    switch (jnode_kind(v)) {
    case J_BOOL:
        return jnode_true(v) ? "yes" : "no";
    case J_NUMBER:
        if (ends_with(key, "_unix_ns")) {
            if (jnode_i64(v) == 0)
                return "-";
            return clock_format_utc(jnode_i64(v) / NS_PER_S * NS_PER_S, out);
        }
        if (ends_with(key, "_ms"))
            duration(jnode_i64(v), out, STATUS_TEXT_CHARS);
        else if (ends_with(key, "_bytes") && jnode_i64(v) >= 0)
            numfmt_bytes((uint64_t)jnode_i64(v), out);
        else
            return jnode_text(v);
        return out;
    case J_STRING:
        return jnode_text(v);
    default:
        return "-";
    }
}

/* "last_heard_unix_ns" -> "last heard": the unit is seen from the value. */
static const char *title_of(const char *key, char out[STATUS_TEXT_CHARS])
{
    static const char *const units[] = {"_unix_ns", "_bytes", "_ms"};

    snprintf(out, STATUS_TEXT_CHARS, "%s", key);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (ends_with(out, units[i])) {
            out[strlen(out) - strlen(units[i])] = '\0';
            break;
        }
    for (char *c = out; *c != '\0'; c++)
        if (*c == '_')
            *c = ' ';
    return out;
}

/* Columns are the keys of the first object: all objects of one list have the same. */
static int print_list(const struct ctl *ctl, const char *key, const struct jnode *list)
{
    struct table_column columns[STATUS_COLUMNS_MAX];
    char titles[STATUS_COLUMNS_MAX][STATUS_TEXT_CHARS], text[STATUS_TEXT_CHARS];
    owned(table_freep) struct table *t = NULL;
    const struct jnode *first = jnode_at(list, 0);
    unsigned n = (unsigned)jnode_n(first);

    if (jnode_kind(first) != J_OBJECT || n == 0)
        return CTL_OK;
    n = n > STATUS_COLUMNS_MAX ? STATUS_COLUMNS_MAX : n;
    for (unsigned c = 0; c < n; c++) {
        title_of(jnode_key(first, c), titles[c]);
        for (char *p = titles[c]; *p != '\0'; p++)
            *p = (char)toupper((unsigned char)*p);
        columns[c] = (struct table_column){titles[c], jnode_kind(jnode_at(first, c)) == J_NUMBER};
    }
    if (table_new(&t, columns, n) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < jnode_n(list); i++)
        for (unsigned c = 0; c < n; c++) {
            const char *name = jnode_key(first, c);
            table_cell(t, value_text(name, jnode_get(jnode_at(list, i), name), text));
        }
    fprintf(ctl->out, "\n%s\n", title_of(key, text));
    return table_print(t, ctl->out, ctl->color) < 0 ? ctl_fail(ctl, CTL_FAILED, "cannot print the table")
                                                    : CTL_OK;
}

static void print_line(const struct ctl *ctl, const char *key, const struct jnode *v)
{
    char title[STATUS_TEXT_CHARS], text[STATUS_TEXT_CHARS];

    fprintf(ctl->out, "%-20s %s\n", title_of(key, title), value_text(key, v, text));
}

static int print_facts(const struct ctl *ctl, const struct jnode *facts)
{
    int code = CTL_OK;

    for (size_t i = 0; i < jnode_n(facts); i++) {
        const struct jnode *v = jnode_at(facts, i);
        if (jnode_kind(v) != J_ARRAY && jnode_kind(v) != J_OBJECT)
            print_line(ctl, jnode_key(facts, i), v);
        for (size_t k = 0; jnode_kind(v) == J_OBJECT && k < jnode_n(v); k++) {
            char key[STATUS_TEXT_CHARS];
            snprintf(key, sizeof(key), "%s_%s", jnode_key(facts, i), jnode_key(v, k));
            print_line(ctl, key, jnode_at(v, k));
        }
    }
    for (size_t i = 0; i < jnode_n(facts) && code == CTL_OK; i++)
        if (jnode_kind(jnode_at(facts, i)) == J_ARRAY)
            code = print_list(ctl, jnode_key(facts, i), jnode_at(facts, i));
    return code;
}

static int print_counters(const struct ctl *ctl, const struct jnode *counters)
{
    static const struct table_column columns[] = {{"COUNTER", false}, {"VALUE", true}};
    owned(table_freep) struct table *t = NULL;

    if (table_new(&t, columns, 2) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < jnode_n(counters); i++) {
        table_cell(t, jnode_key(counters, i));
        table_cell(t, jnode_text(jnode_at(counters, i)));
    }
    fputc('\n', ctl->out);
    return table_print(t, ctl->out, ctl->color) < 0 ? ctl_fail(ctl, CTL_FAILED, "cannot print the table")
                                                    : CTL_OK;
}

static int status_json(const struct ctl *ctl, const struct jnode *root, enum status_life life, int64_t age_ms)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kbool(j, "running", life == STATUS_RUNNING);
    json_kbool(j, "silent", life == STATUS_SILENT);
    json_ki64(j, "age_ms", age_ms);
    for (size_t i = 0; i < jnode_n(root); i++) {
        json_key(j, jnode_key(root, i));
        jnode_write(jnode_at(root, i), j);
    }
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

int status_command(struct ctl *ctl)
{
    owned(jtree_freep) struct jtree *t = NULL;
    char text[STATUS_TEXT_CHARS];
    int64_t age_ms, now = clock_wall_unix_ns(&clock_real);
    static const char *const words[] = {"not running, was", "silent,", "running,"};
    enum status_life life;
    int code = ctl_load(ctl), r;

    if (code != CTL_OK)
        return code;
    r = jtree_read(ctl->paths.status, &t);
    if (r == JTREE_MISSING)
        return ctl_fail(ctl, CTL_NOT_FOUND, "%s has not run since the last boot (no %s); start it: %s -c %s",
                        ctl->tier->daemon, ctl->paths.status, ctl->tier->daemon, ctl->config_path);
    if (r != 0)
        return ctl_fail(ctl, ctl_code(r), "%s: %s", ctl->paths.status, r < 0 ? strerror(-r) : "is not JSON");
    life = status_life(ctl->paths.status, now, &age_ms);
    const struct jnode *root = jtree_root(t);
    if (ctl->json)
        return status_json(ctl, root, life, age_ms);
    duration(age_ms, text, sizeof(text));
    fprintf(ctl->out, "%-20s %s\n", "node", jnode_text(jnode_get(root, "node")));
    if (jnode_text(jnode_get(root, "site"))[0] != '\0')
        fprintf(ctl->out, "%-20s %s\n", "site", jnode_text(jnode_get(root, "site")));
    fprintf(ctl->out, "%-20s %s %s, %s pid %s, last report %s ago\n", "daemon", ctl->tier->daemon,
            jnode_text(jnode_get(root, "software")), words[life], jnode_text(jnode_get(root, "pid")), text);
    duration(jnode_i64(jnode_get(root, "up_ms")), text, sizeof(text));
    fprintf(ctl->out, "%-20s %s\n", life != STATUS_DEAD ? "up" : "had been up", text);
    code = print_facts(ctl, jnode_get(root, "facts"));
    if (code == CTL_OK && ctl_option(ctl, "counters") != NULL)
        code = print_counters(ctl, jnode_get(root, "counters"));
    return code;
}
