/* config.h - a YAML file, a table of keys, a plain struct.
 *
 * A tier describes each key once, as a row: path, type, unit, range, default, reloadable, help, place in its
 * struct. From the table come the parser with all problems of a file at once, the printed config (which
 * parses again to the same values), the reference of all keys, the commented starting file and the comparison
 * for a reload. YAML is read by libyaml (YAML 1.1, scalars, lists, maps); anchors, aliases, tags and second
 * documents are refused. Threads: values, no hidden state. Crash: nothing is written by this module. Limits:
 * see the enum below; a list has its own in its row. */
#ifndef FOGLINE_CONFIG_CONFIG_H
#define FOGLINE_CONFIG_CONFIG_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CONFIG_BAD = 1, /* condition: the file has problems, and here they are */

    CONFIG_FILE_BYTES = 1 << 20,
    CONFIG_DEPTH = 16,        /* maps and lists in each other */
    CONFIG_NODES = 1 << 16,   /* keys and values of a file together */
    CONFIG_PROBLEMS = 100,    /* listed; soon after that the search ends */
    CONFIG_FIELD_CHARS = 160, /* "sources[3].channels[0].name" */
    CONFIG_TEXT_CHARS = 1023, /* one string of a CONFIG_STRINGS list */
    CONFIG_LIST_ITEMS = 256,  /* when the row of a list has no max; a max is at most CONFIG_LIST_ITEMS_MAX */
    CONFIG_LIST_ITEMS_MAX = 4096,
};

/* The type of a value, what the file says and what stands in the struct. */
enum config_type {
    CONFIG_STRING,   /* text; char[] (the array's size is the limit); min, max: characters (bytes) */
    CONFIG_BOOL,     /* true/false, yes/no, on/off; bool */
    CONFIG_I64,      /* int64_t */
    CONFIG_U64,      /* uint64_t */
    CONFIG_DOUBLE,   /* finite; double. A default "nan" means "not set" */
    CONFIG_BYTES,    /* "64 MiB", "10 GB", 4096; uint64_t bytes */
    CONFIG_MS,       /* "250 ms", "5 s", "2 min", "1 h", "7 d", 250; int64_t milliseconds, never negative */
    CONFIG_ENUM,     /* one of .choices; int (or an enum): its index in .choices */
    CONFIG_ENDPOINT, /* [tcp://]HOST:PORT; char[], always stored as tcp://HOST:PORT. HOST: name, IPv4, [IPv6]
                        or *; PORT: 1..65535 or * */
    CONFIG_NAME,     /* a name part (base/name.h); char[NAME_PART_CHARS + 1] */
    CONFIG_PATH,     /* char[]; a relative one is resolved against the folder of the config file */
    CONFIG_PATTERN,  /* base/name.h pattern; char[] */
    CONFIG_STRINGS,  /* list of texts of type .item; struct config_strings; min, max: how many */
    CONFIG_LIST,     /* list of maps, see .kinds; struct config_list; min, max: how many */
};

/* One key. The last row of a table has path NULL. Write the place with CONFIG_AT:
 *
 *   {"link.connect_timeout", CONFIG_MS, CONFIG_AT(struct device_config, connect_timeout_ms), .min = "100 ms",
 *    .max = "1 h", .def = "5 s", .reloadable = true, .help = "Give up an attempt after this long."},
 *
 * min, max and def are text of the row's own type (of a list: how many, when the file has it; see also
 * required), so they read as they do in a file. Without def the value is zero (empty) when the file has no
 * such key: an optional text is not set when it is empty (and only there, and in CONFIG_STRING, may a file
 * say so with ""). The def of CONFIG_STRINGS is a comma-separated list. A CONFIG_LIST has no def: it is
 * empty. */
struct config_row {
    const char *path; /* [a-z0-9_] words joined by '.', each dot one map deeper */
    enum config_type type;
    size_t offset, size; /* CONFIG_AT */
    const char *min, *max, *def;
    const char *unit; /* for people, of a bare number: "samples", "Hz"; NULL: none, or clear from the type */
    const char *const *choices;      /* CONFIG_ENUM: NULL-terminated */
    enum config_type item;           /* CONFIG_STRINGS: STRING (default), NAME, ENDPOINT, PATH or PATTERN */
    const struct config_kind *kinds; /* CONFIG_LIST: see below */
    const char *unique;              /* CONFIG_LIST: path of a key that must differ between the items */
    bool required;                   /* the file must have it; then no def */
    bool reloadable;                 /* may change while running; of a list: items with all that is in them */
    const char *help;                /* one or two sentences */
};

/* What an item of a CONFIG_LIST may be; the last one has rows NULL. With name set, each item says which it is
 * by its key `type`; a single kind without a name has no such key. The item's struct is allocated, `size`
 * bytes. */
struct config_kind {
    const char *name;
    const struct config_row *rows;
    const struct config_row
        *common; /* rows shared by the kinds (their struct comes first in each), or NULL */
    size_t size;
    const char *help;
};

struct config_item {
    int kind;    /* index in .kinds */
    void *value; /* struct of that kind; owned by the list */
};

/* In the caller's struct; filled by config_load, freed by config_free_values. Zero is empty. */
struct config_list {
    struct config_item *at;
    size_t n;
};

struct config_strings {
    char **at;
    size_t n;
};

#define CONFIG_AT(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

struct config_check; /* where a hook reports to */

struct config_schema {
    const char *name; /* "device": title of the reference and the starting file */
    const struct config_row *rows;
    size_t size; /* of the struct */
    /* Cross-field checks, or NULL. Called when the file's structure is sound, even if single values are
     * wrong: such a value holds its default (zero without one) and a complaint at it is dropped, so that
     * nothing is said twice. */
    void (*check)(const void *values, struct config_check *c);
};

/* From a hook: something is wrong at `field` ("link.up_endpoint", "sources[2].path"); the line is looked up.
 * remedy: the next step for the operator, or NULL. */
void config_complain(struct config_check *c, const char *field, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

struct config_problem {
    unsigned line, column; /* from 1; 0: the file as a whole */
    char field[CONFIG_FIELD_CHARS];
    char message[256];
    char remedy[256]; /* may be empty */
};

/* Zero-initialised is empty. Sorted by line. */
struct config_problems {
    char file[256];
    struct config_problem *at;
    size_t n, n_left_out; /* left out: at least so many more */
};

void config_problems_deinit(struct config_problems *p); /* accepts zero */
/* One line each, `file:line:col: field: message; remedy`. */
void config_problems_print(const struct config_problems *p, FILE *out);
/* {"file":..., "problems":[{"line","column","field","message","remedy"}], "left_out":n} in one line. 0 or
 * -errno. */
must_check int config_problems_print_json(const struct config_problems *p, FILE *out);

/* Reads a file into `values`, defaults applied; `problems` is empty before and the caller deinits it in any
 * case. What was in `values` (s->size bytes) is forgotten, not freed. Returns 0; CONFIG_BAD with the problems
 * listed (also when the file cannot be read) and `values` all zero; -ENOMEM. Relative paths start at the
 * file's folder. */
must_check int config_load(const struct config_schema *s, const char *path, void *values,
                           struct config_problems *problems);

/* The same from memory. Borrows until return. */
struct config_text {
    const char *name;   /* for messages */
    const char *folder; /* relative paths are resolved against it; NULL: left as they are */
    struct span text;
};
must_check int config_load_text(const struct config_schema *s, const struct config_text *t, void *values,
                                struct config_problems *problems);

/* Only defaults: the start for `init`. Required values stay empty. 0 or -ENOMEM. */
must_check int config_defaults(const struct config_schema *s, void *values);
/* Frees the lists and zeroes the struct. Accepts zero. */
void config_free_values(const struct config_schema *s, void *values);

enum {
    CONFIG_PRINT_HELP = 1, /* each key with its help; empty lists with a commented example of each kind */
};

/* Prints a complete file. What config_load filled parses again to the same values; keys that are not set are
 * printed as comments. 0 or -EIO, -ENOMEM. */
must_check int config_print(const struct config_schema *s, const void *values, FILE *out, unsigned flags);

enum config_doc_form {
    CONFIG_DOC_TEXT, /* for a terminal */
    CONFIG_DOC_MDOC, /* mdoc(7) list, to be included in a man page */
};

/* Reference of all keys. 0 or -EIO. */
must_check int config_doc(const struct config_schema *s, enum config_doc_form form, FILE *out);

struct config_change {
    char field[CONFIG_FIELD_CHARS];
    char from[64], to[64]; /* cut when longer; lists: "2 items" */
    bool reloadable;
};

/* Zero-initialised is empty. */
struct config_changes {
    struct config_change *at;
    size_t n;
    size_t n_fixed; /* of these, not reloadable: with any, refuse the whole reload */
};

void config_changes_deinit(struct config_changes *c); /* accepts zero */
/* What differs between two loaded structs. Items of a list are compared by position; where their number or
 * kind differs, the list as a whole is the change. Appends. 0 or -ENOMEM. */
must_check int config_diff_reloadable(const struct config_schema *s, const void *old_values,
                                      const void *new_values, struct config_changes *changes);
/* Exchanges what is reloadable. All the rest, with its lists and their items, stays where it is: a tier may
 * hold pointers into it, in other threads too. new_values is to be freed as before. */
void config_take_reloadable(const struct config_schema *s, void *values, void *new_values);

/* Is the table itself sound: paths, sizes, defaults within their ranges, help everywhere? For each schema's
 * unit test. 0, or -EINVAL with *err filled. */
must_check int config_schema_check(const struct config_schema *s, struct errmsg *err);

#endif
