/* print.c - a struct back to YAML. Lists and maps in block form, so that a person can edit what was printed.
 */
#include "base/name.h"
#include "config/schema.h"
#include "config/text.h"
#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct printer {
    FILE *out;
    bool help;
    int indent;       /* of the keys of the map being printed */
    bool in_item;     /* keys that are not set are left out, help too: the reference has it */
    bool dash;        /* the next line opens a list item: "- " stands in its indentation */
    const char *open; /* path of the last row printed, or NULL: its sections are open */
};

static void begin_line(struct printer *p, int extra)
{
    int indent = p->indent + extra;

    if (p->dash) {
        fprintf(p->out, "%*s- ", indent - 2, "");
        p->dash = false;
    } else {
        fprintf(p->out, "%*s", indent, "");
    }
}

static bool plain_safe(const char *s)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/";
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    size_t len = strlen(s);

    if (len == 0 || strchr(letters, s[0]) == NULL || s[len - 1] == ':')
        return false;
    for (size_t i = 0; i < len; i++)
        if (strchr(letters, s[i]) == NULL && strchr("0123456789._-:", s[i]) == NULL)
            return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(s, words[i]) == 0)
            return false;
    return true;
}

/* One character of UTF-8; a byte that is none stands for itself. Returns its length. */
static size_t utf8_take(const unsigned char *s, unsigned *ret)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 1;
    unsigned v = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));

    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            *ret = s[0];
            return 1;
        }
        v = v << 6 | (s[i] & 0x3f);
    }
    *ret = len > 1 && (v < least[len] || v > 0x10ffff) ? s[0] : v;
    return *ret == v ? len : 1;
}

/* Double quotes. Raw are the letters YAML allows raw and does not read as line breaks; the rest is escaped.
 */
static void print_quoted(FILE *out, const char *s)
{
    fputc('"', out);
    while (*s != '\0') {
        unsigned c;
        size_t len = utf8_take((const unsigned char *)s, &c);
        bool raw =
            (c >= 0x20 && c < 0x7f) || (len > 1 && c >= 0xa0 && c <= 0x10ffff && c != 0x2028 && c != 0x2029 &&
                                        c != 0xfeff && (c & 0xfffe) != 0xfffe && (c < 0xd800 || c > 0xdfff));

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", (int)c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c == '\t')
            fputs("\\t", out);
        else if (raw)
            fwrite(s, 1, len, out);
        else
            fprintf(out, c > 0xffff ? "\\U%08X" : c > 0xff ? "\\u%04X" : "\\x%02X", c);
        s += len;
    }
    fputc('"', out);
}

static void print_text(FILE *out, const char *s)
{
    if (plain_safe(s))
        fputs(s, out);
    else
        print_quoted(out, s);
}

/* Opens the sections of the path that are not open yet; returns the indentation of its key and the key
 * itself. */
static int open_sections(struct printer *p, const char *path, const char **ret_key)
{
    int extra = 0;
    bool shared = p->open != NULL;
    size_t at = 0;
    const char *dot;

    for (; (dot = strchr(path + at, '.')) != NULL; at = (size_t)(dot - path) + 1, extra += 2) {
        size_t end = (size_t)(dot - path) + 1;

        shared = shared && strncmp(p->open, path, end) == 0;
        if (shared)
            continue;
        if (p->help && !p->in_item && extra == 0)
            fputc('\n', p->out);
        begin_line(p, extra);
        fprintf(p->out, "%.*s:\n", (int)(end - 1 - at), path + at);
    }
    p->open = path;
    *ret_key = path + at;
    return extra;
}

static void print_table(struct printer *p, const struct row_table *t, const void *values);

static void print_strings(struct printer *p, const struct config_strings *list, int indent)
{
    if (list->n == 0)
        fputs(" []\n", p->out);
    else
        fputc('\n', p->out);
    for (size_t i = 0; i < list->n; i++) {
        fprintf(p->out, "%*s- ", indent + 2, "");
        print_text(p->out, list->at[i]);
        fputc('\n', p->out);
    }
}

static void print_list(struct printer *p, const struct config_row *row, const struct config_list *list,
                       int indent)
{
    if (list->n == 0)
        fputs(" []\n", p->out);
    else
        fputc('\n', p->out);
    for (size_t i = 0; i < list->n; i++) {
        const struct config_kind *kind = &row->kinds[list->at[i].kind];
        struct row_table table = table_of_kind(kind);
        struct printer item = {.out = p->out, .indent = indent + 4, .in_item = true, .dash = true};

        if (kind->name != NULL) {
            begin_line(&item, 0);
            fputs("type: ", p->out);
            print_text(p->out, kind->name);
            fputc('\n', p->out);
        }
        print_table(&item, &table, list->at[i].value);
        if (item.dash)
            fprintf(p->out, "%*s- {}\n", indent + 2, "");
    }
}

/* An item of each kind as comments: what is required, and what has a default, with it. */
static void print_examples(struct printer *p, const struct config_row *row, int indent)
{
    for (const struct config_kind *k = row->kinds; k->rows != NULL; k++) {
        struct row_table t = table_of_kind(k);
        char lead[48];
        const char *dash = "- ";

        text_cut(lead, sizeof(lead), "%*s# ", indent, "");
        if (k->help != NULL)
            text_wrap(p->out, lead, k->help);
        if (k->name != NULL) {
            fprintf(p->out, "%*s#   - type: %s\n", indent, "", k->name);
            dash = "  ";
        }
        for (size_t i = 0; i < t.n; i++) {
            const struct config_row *key = table_row(&t, i);

            if (strchr(key->path, '.') != NULL || (!key->required && key->def == NULL))
                continue;
            fprintf(p->out, "%*s#   %s%s: %s\n", indent, "", dash, key->path, key->def ? key->def : "...");
            dash = "  ";
        }
    }
}

static void print_help(struct printer *p, const struct config_row *row, int indent)
{
    char lead[48], facts[512];

    if (indent == 0)
        fputc('\n', p->out);
    text_cut(lead, sizeof(lead), "%*s# ", p->indent + indent, "");
    text_wrap(p->out, lead, row->help);
    text_facts(row, facts, sizeof(facts));
    fprintf(p->out, "%s(%s)\n", lead, facts);
}

static void print_row(struct printer *p, const struct config_row *row, const void *values)
{
    const void *at = row_field_const(row, values);
    bool unset = value_is_unset(row, at);
    char text[VALUE_CHARS];
    const char *key;
    int extra;

    if (unset && (p->in_item || row->type == CONFIG_LIST) && !p->help)
        return;
    extra = open_sections(p, row->path, &key);
    if (p->help)
        print_help(p, row, extra);
    if (unset && row->type == CONFIG_LIST)
        print_examples(p, row, p->indent + extra);
    begin_line(p, extra);
    if (unset && row->type != CONFIG_LIST) {
        fprintf(p->out, "# %s:\n", key);
        return;
    }
    fprintf(p->out, "%s:", key);
    if (row->type == CONFIG_LIST) {
        print_list(p, row, at, p->indent + extra);
    } else if (row->type == CONFIG_STRINGS) {
        print_strings(p, at, p->indent + extra);
    } else {
        fputc(' ', p->out);
        if (value_is_text(row->type) || row->type == CONFIG_ENUM)
            print_text(p->out, value_format(row, at, text));
        else
            fputs(value_format(row, at, text), p->out);
        fputc('\n', p->out);
    }
}

static void print_table(struct printer *p, const struct row_table *t, const void *values)
{
    for (size_t i = 0; i < t->n; i++)
        print_row(p, table_row(t, i), values);
}

int config_print(const struct config_schema *s, const void *values, FILE *out, unsigned flags)
{
    struct row_table table = table_of_schema(s);
    struct printer p = {.out = out, .help = flags & CONFIG_PRINT_HELP};

    if (p.help)
        fprintf(out, "# Configuration of a %s. Keys behind # are not set.\n", s->name);
    print_table(&p, &table, values);
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
