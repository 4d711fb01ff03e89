/* The config module from outside: files in, structs and problems out, and back. */
#include "sample.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static int load(const char *text, struct sample *s, struct config_problems *p)
{
    struct config_text t = {"t.yaml", "/etc/x", span_str(text)};

    return config_load_text(&sample_schema, &t, s, p);
}

static char *problems_text(const struct config_problems *p)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    config_problems_print(p, out);
    fclose(out);
    return text;
}

/* The whole list of problems, line by line. */
static void expect_problems(const char *text, const char *expected)
{
    struct config_problems p = {0};
    struct sample s;

    assert_int_equal(load(text, &s, &p), CONFIG_BAD);
    char *got = problems_text(&p);
    assert_string_equal(got, expected);
    assert_null(s.sources.at);
    free(got);
    config_problems_deinit(&p);
}

/* One problem somewhere in the list. */
static void expect_problem(const char *text, const char *part)
{
    struct config_problems p = {0};
    struct sample s;

    assert_int_equal(load(text, &s, &p), CONFIG_BAD);
    char *got = problems_text(&p);
    if (strstr(got, part) == NULL)
        fail_msg("no \"%s\" in:\n%s", part, got);
    free(got);
    config_problems_deinit(&p);
}

static void load_ok(const char *text, struct sample *s)
{
    struct config_problems p = {0};
    int r = load(text, s, &p);

    if (r != 0) {
        char *got = problems_text(&p);
        fail_msg("%s", got);
    }
    config_problems_deinit(&p);
}

static char *print(const struct sample *s, unsigned flags)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_int_equal(config_print(&sample_schema, s, out, flags), 0);
    fclose(out);
    return text;
}

static void expect_reparses(const struct sample *s)
{
    for (unsigned flags = 0; flags <= CONFIG_PRINT_HELP; flags++) {
        struct config_changes c = {0};
        struct sample again;
        char *text = print(s, flags), *text_again;

        load_ok(text, &again);
        assert_int_equal(config_diff_reloadable(&sample_schema, s, &again, &c), 0);
        if (c.n > 0)
            fail_msg("%s: %s -> %s in:\n%s", c.at[0].field, c.at[0].from, c.at[0].to, text);
        text_again = print(&again, flags);
        assert_string_equal(text, text_again);
        free(text);
        free(text_again);
        config_changes_deinit(&c);
        config_free_values(&sample_schema, &again);
    }
}

#define LEAST "site: s\nlink:\n  up_endpoint: fog:1\n"

static const char full[] = "site: plant.a\n"
                           "node: 'pump-3'\n"
                           "note: \"say \\\"hi\\\"\\n\\u00e9\\u2028\\e\"\n"
                           "verbose: Yes\n"
                           "link:\n"
                           "  up_endpoint: \"[fe80::1]:7001\"\n"
                           "  listen: [\"*:*\", \"tcp://10.0.0.1:65535\"]\n"
                           "  connect:\n"
                           "    timeout: 2 min\n"
                           "spool: {limit: 1.5 GiB, order: newest, folder: ./spool/x}\n"
                           "batch: 1000\n"
                           "offset: -10\n"
                           "ratio: 1e-1\n"
                           "alarm: 12.25\n"
                           "select: \"*/{a,b}/t*\"\n"
                           "tags:\n- yes\n- 'a b'\n"
                           "sources:\n"
                           "  - type: csv\n"
                           "    name: c1\n"
                           "    path: data/a b.csv\n"
                           "    channels: [{name: t1, unit: Cel, limit: {low: -5}}, {name: t2}]\n"
                           "  - {type: sine, name: s1, period: 250, frequency: 50}\n";

static void sample_schema_is_sound(void **state)
{
    struct errmsg err = {0};

    (void)state;
    if (config_schema_check(&sample_schema, &err) != 0)
        fail_msg("%s", err.text);
}

static void absent_keys_take_their_defaults(void **state)
{
    struct sample s;

    (void)state;
    load_ok(LEAST, &s);
    assert_string_equal(s.site, "s");
    assert_string_equal(s.node, "n1");
    assert_string_equal(s.note, "");
    assert_string_equal(s.up_endpoint, "tcp://fog:1");
    assert_int_equal(s.listen.n, 1);
    assert_string_equal(s.listen.at[0], "tcp://*:7001");
    assert_int_equal(s.connect_timeout_ms, 5000);
    assert_int_equal(s.spool_bytes, 64 << 20);
    assert_string_equal(s.state_path, "/etc/x/state");
    assert_int_equal(s.batch_samples, 100);
    assert_int_equal(s.offset, 0);
    assert_true(isnan(s.alarm));
    assert_int_equal(s.sources.n, 0);
    expect_reparses(&s);
    config_free_values(&sample_schema, &s);
}

static void every_type_is_read(void **state)
{
    struct sample s;

    (void)state;
    load_ok(full, &s);
    assert_string_equal(s.node, "pump-3");
    assert_string_equal(s.note, "say \"hi\"\n\xc3\xa9\xe2\x80\xa8\x1b");
    assert_true(s.verbose);
    assert_string_equal(s.up_endpoint, "tcp://[fe80::1]:7001");
    assert_string_equal(s.listen.at[0], "tcp://*:*");
    assert_string_equal(s.listen.at[1], "tcp://10.0.0.1:65535");
    assert_int_equal(s.connect_timeout_ms, 120000);
    assert_int_equal(s.spool_bytes, 3 * (UINT64_C(1) << 29));
    assert_int_equal(s.order, SAMPLE_NEWEST);
    assert_string_equal(s.state_path, "/etc/x/spool/x");
    assert_int_equal(s.offset, -10);
    assert_true(s.ratio == 0.1);
    assert_true(s.alarm == 12.25);
    assert_string_equal(s.select, "*/{a,b}/t*");
    assert_int_equal(s.tags.n, 2);
    assert_string_equal(s.tags.at[0], "yes");
    config_free_values(&sample_schema, &s);
}

static void items_are_structs_of_their_kind(void **state)
{
    struct sample s;

    (void)state;
    load_ok(full, &s);
    assert_int_equal(s.sources.n, 2);
    assert_int_equal(s.sources.at[0].kind, SAMPLE_CSV);
    const struct sample_csv *csv = s.sources.at[0].value;
    assert_string_equal(csv->source.name, "c1");
    assert_int_equal(csv->source.period_ms, 1000);
    assert_string_equal(csv->path, "/etc/x/data/a b.csv");
    assert_int_equal(csv->channels.n, 2);
    const struct sample_channel *t1 = csv->channels.at[0].value, *t2 = csv->channels.at[1].value;
    assert_string_equal(t1->unit, "Cel");
    assert_true(t1->low == -5);
    assert_string_equal(t2->unit, "1");
    assert_true(isnan(t2->low));
    assert_int_equal(s.sources.at[1].kind, SAMPLE_SINE);
    const struct sample_sine *sine = s.sources.at[1].value;
    assert_int_equal(sine->source.period_ms, 250);
    assert_true(sine->frequency_hz == 50);
    config_free_values(&sample_schema, &s);
}

static void printed_config_parses_to_the_same_values(void **state)
{
    struct sample s;

    (void)state;
    load_ok(full, &s);
    expect_reparses(&s);
    config_free_values(&sample_schema, &s);
}

static void printed_config_reads_well(void **state)
{
    struct sample s;

    (void)state;
    load_ok(full, &s);
    char *text = print(&s, 0);
    assert_string_equal(text, "site: plant.a\n"
                              "node: pump-3\n"
                              "note: \"say \\\"hi\\\"\\n\xc3\xa9\\u2028\\x1B\"\n"
                              "verbose: true\n"
                              "link:\n"
                              "  up_endpoint: \"tcp://[fe80::1]:7001\"\n"
                              "  listen:\n"
                              "    - \"tcp://*:*\"\n"
                              "    - tcp://10.0.0.1:65535\n"
                              "  connect:\n"
                              "    timeout: 2 min\n"
                              "spool:\n"
                              "  limit: 1536 MiB\n"
                              "  order: newest\n"
                              "  folder: /etc/x/spool/x\n"
                              "batch: 1000\n"
                              "offset: -10\n"
                              "ratio: 0.1\n"
                              "alarm: 12.25\n"
                              "select: \"*/{a,b}/t*\"\n"
                              "tags:\n"
                              "  - \"yes\"\n"
                              "  - \"a b\"\n"
                              "sources:\n"
                              "  - type: csv\n"
                              "    name: c1\n"
                              "    period: 1 s\n"
                              "    path: \"/etc/x/data/a b.csv\"\n"
                              "    loop: false\n"
                              "    channels:\n"
                              "      - name: t1\n"
                              "        unit: Cel\n"
                              "        limit:\n"
                              "          low: -5\n"
                              "      - name: t2\n"
                              "        unit: \"1\"\n"
                              "  - type: sine\n"
                              "    name: s1\n"
                              "    period: 250 ms\n"
                              "    amplitude: 1\n"
                              "    frequency: 50\n");
    free(text);
    config_free_values(&sample_schema, &s);
}

static void all_problems_come_at_once_with_their_places(void **state)
{
    (void)state;
    expect_problems(
        "nod: x\n"
        "site: a/b\n"
        "batch: 5000\n"
        "link:\n"
        "  up_endpoint: fog\n"
        "  timeout: 1 s\n"
        "batch: 6\n"
        "spool: {limit: 1 kiB, order: newst}\n"
        "sources:\n"
        "  - {type: cvs, name: x}\n"
        "  - {name: x}\n"
        "  - {type: csv, period: 2 weeks, path: p, channels: []}\n",
        "t.yaml:1:1: nod: unknown key; did you mean node?\n"
        "t.yaml:2:7: site: is not a valid name; use 1 to 64 of the characters A-Z a-z 0-9 . _ -, but not . "
        "or .. alone\n"
        "t.yaml:3:8: batch: must be 1..1000 samples, is 5000; choose a value in this range\n"
        "t.yaml:5:16: link.up_endpoint: has no port; write tcp://HOST:PORT, like tcp://192.168.1.10:7001\n"
        "t.yaml:6:3: link.timeout: unknown key; it belongs to link.connect.timeout, each word before a dot a "
        "map of its own\n"
        "t.yaml:7:1: batch: stands twice, first in line 3; keep one of the two\n"
        "t.yaml:8:16: spool.limit: is not a size: 1 kiB; write a number with B, KiB, MiB, GiB, TiB, kB, MB, "
        "GB or TB, like 64 MiB\n"
        "t.yaml:8:30: spool.order: must be one of oldest, newest, is newst; did you mean newest?\n"
        "t.yaml:10:12: sources[0].type: must be one of csv, sine, is cvs; did you mean csv?\n"
        "t.yaml:11:5: sources[1].type: is missing; it is one of csv, sine; add `type: ` with one of them\n"
        "t.yaml:12:5: sources[2].name: is missing; add it, type: name\n"
        "t.yaml:12:25: sources[2].period: is not a duration: 2 weeks; write a number with ms, s, min, h or "
        "d, like 250 ms\n"
        "t.yaml:12:43: sources[2].channels: must have 1..8 items, has 0; add items\n");
}

static void missing_keys_are_named(void **state)
{
    (void)state;
    expect_problems("", "t.yaml:1:1: site: is missing; add it, type: name\n"
                        "t.yaml:1:1: link.up_endpoint: is missing; add it, type: endpoint\n");
    expect_problem("site: s\nlink:\n", "t.yaml:2:1: link.up_endpoint: is missing");
    expect_problem("site:\nlink: {up_endpoint: ~}\n", "t.yaml:1:6: site: has no value");
    expect_problem("site: ''\n", "site: must not be empty");
}

static void wrong_shapes_are_named(void **state)
{
    (void)state;
    expect_problems(
        "site: [a]\nlink: 5\nsources: {a: b}\ntags: x\n",
        "t.yaml:1:7: site: must be a single value, is a list; write `key: value`\n"
        "t.yaml:2:7: link: must be a map, is a single value; write `key: value` lines, indented below it\n"
        "t.yaml:3:10: sources: must be a list, is a map; write one `- item` per line, indented below it\n"
        "t.yaml:4:7: tags: must be a list, is a single value; write one `- item` per line, indented below "
        "it\n");
    expect_problem("- a\n- b\n", "must be a map, is a list");
    expect_problem("hello\n", "must be a map, is a single value");
    expect_problem(LEAST "tags: [a, b, c, d]\n", "t.yaml:4:1: tags: must have 0..3 items, has 4");
    expect_problem(LEAST "tags: [a, {b: c}]\n", "tags[1]: must be a single value, is a map");
    expect_problem(LEAST "tags: [a, '']\n", "tags[1]: is empty");
    expect_problem(LEAST "sources: [5]\n", "sources[0]: must be a map");
    expect_problem(LEAST "link.listen: []\n", "it belongs to link.listen");
}

static void anchors_aliases_tags_and_documents_are_refused(void **state)
{
    (void)state;
    expect_problem("site: &a x\n", "t.yaml:1:7: anchors (&name) are not allowed");
    expect_problem("node: &a x\nsite: *a\n", "t.yaml:2:7: aliases (*name) are not allowed");
    expect_problem("site: !!str x\n", "t.yaml:1:7: tags (!name) are not allowed");
    expect_problem("site: x\n---\nsite: y\n", "t.yaml:2:1: a second document starts here");
    expect_problem("link:\n  listen: [*:7001]\n", "put text that starts with * or & in quotes");
    expect_problem("site: \"a\\0b\"\n", "the text has a NUL character");
    expect_problem("? [a]\n: b\n", "a map or list cannot be a key");
}

static void broken_yaml_names_its_place(void **state)
{
    (void)state;
    expect_problem("site: 'x\n", "not YAML: ");
    expect_problem("site: x\n\tnode: y\n", "t.yaml:2:");
    expect_problem("site: \xff\xfe\n", "save the file as UTF-8 text");
    expect_problem("site: x\n  node: y\n", "t.yaml:2:7: not YAML");
}

static void limits_hold(void **state)
{
    struct config_problems p = {0};
    struct sample s;
    char *text = malloc(CONFIG_FILE_BYTES + 2);

    (void)state;
    assert_non_null(text);
    memset(text, '#', CONFIG_FILE_BYTES + 1);
    text[CONFIG_FILE_BYTES + 1] = '\0';
    assert_int_equal(load(text, &s, &p), CONFIG_BAD);
    assert_non_null(strstr(p.at[0].message, "bytes long, more than"));
    config_problems_deinit(&p);

    memset(text, '[', 100);
    text[100] = '\0';
    expect_problem(text, "nested more than 16 deep");

    char *end = stpcpy(text, "tags: [");
    for (int i = 0; i < CONFIG_NODES; i++)
        end = stpcpy(end, "a,");
    expect_problem(text, "more than 65536 keys and values");

    end = text;
    for (int i = 0; i < 1000; i++)
        end += sprintf(end, "k%d: 1\n", i);
    assert_int_equal(load(text, &s, &p), CONFIG_BAD);
    assert_int_equal(p.n, CONFIG_PROBLEMS);
    assert_true(p.n_left_out > 0);
    config_problems_deinit(&p);
    free(text);
}

static void values_out_of_range_are_refused(void **state)
{
    static const char *const bad[] = {
        "batch: 0",
        "batch: 1001",
        "batch: -1",
        "batch: 1.5",
        "batch: 99999999999999999999",
        "offset: -11",
        "offset: 11",
        "ratio: 1.0001",
        "ratio: .nan",
        "ratio: nan",
        "ratio: inf",
        "alarm: nan",
        "spool: {limit: 1 MB}",
        "spool: {limit: 2 TiB}",
        "spool: {limit: 0.0000001 GiB}",
        "spool: {limit: 99999999999 TiB}",
        "verbose: maybe",
        "select: a//b",
        "node: ..",
        "node: ''",
        "tags: {}",
        "note: 0123456789012345678901234567890123",
        "spool: {folder: ~/x}",
        "spool: {folder: \"a\\nb\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct config_problems p = {0};
        struct sample s;
        char text[256];

        snprintf(text, sizeof(text), LEAST "%s\n", bad[i]);
        if (load(text, &s, &p) != CONFIG_BAD)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(p.n, 1);
        assert_int_equal(p.at[0].line, 4);
        config_problems_deinit(&p);
    }
}

static void endpoints_are_checked(void **state)
{
    static const char *const bad[] = {"a",     "a:0",    "a:65536", ":5",   "udp://a:5", "10.0.0.256:1",
                                      "[::1]", "[zz]:1", "a b:1",   "a:+5", "-a:1",      "tcp://",
                                      "::1:5", "a:1/x",  ""};
    static const char *const good[] = {"a:1", "tcp://a.b-c_d:65535", "10.0.0.1:80", "[::1]:5", "*:*"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[128];

        snprintf(text, sizeof(text), "site: s\nlink: {up_endpoint: '%s'}\n", bad[i]);
        expect_problem(text, "t.yaml:2:21: link.up_endpoint: ");
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct sample s;
        char text[128];

        snprintf(text, sizeof(text), "site: s\nlink: {up_endpoint: '%s'}\n", good[i]);
        load_ok(text, &s);
        config_free_values(&sample_schema, &s);
    }
}

static void same_name_in_a_list_is_refused(void **state)
{
    (void)state;
    expect_problems(LEAST
                    "sources:\n- {type: sine, name: a}\n- {type: sine, name: b}\n- {type: sine, name: a}\n",
                    "t.yaml:7:22: sources[2].name: a is already that of sources[0]; choose different ones\n");
}

static void fields_of_nested_lists_are_named_in_full(void **state)
{
    (void)state;
    expect_problems(
        LEAST "sources:\n- {type: sine, name: a}\n- type: csv\n  name: b\n  path: p\n  channels:\n"
              "  - name: t\n  - {name: u, unti: Cel}\n  - name: t\n",
        "t.yaml:11:15: sources[1].channels[1].unti: unknown key; did you mean unit?\n"
        "t.yaml:12:11: sources[1].channels[2].name: t is already that of sources[1].channels[0]; choose "
        "different ones\n");
}

static void hook_complaints_have_a_line(void **state)
{
    (void)state;
    expect_problems(
        LEAST "batch: 1\nsources:\n- {type: sine, name: slow}\n- {type: sine, name: b}\n",
        "t.yaml:4:1: batch: must be at least the number of sources, 2; make it larger\n"
        "t.yaml:6:3: sources[0].period: a slow source needs a period above the connect timeout\n");
    /* the field is already wrong: said once */
    expect_problems(
        LEAST "sources:\n- {type: sine, name: slow, period: 0}\n",
        "t.yaml:5:36: sources[0].period: must be 1 ms..1 d, is 0; choose a value in this range\n");
}

static void changes_say_what_needs_a_restart(void **state)
{
    struct config_changes c = {0};
    struct sample a, b;

    (void)state;
    load_ok(LEAST "sources: [{type: sine, name: a}]\n", &a);
    load_ok("site: s\nlink: {up_endpoint: fog:2, connect: {timeout: 6 s}}\n"
            "sources: [{type: sine, name: a, period: 2 s}]\ntags: [x]\n",
            &b);
    assert_int_equal(config_diff_reloadable(&sample_schema, &a, &b, &c), 0);
    assert_int_equal(c.n, 4);
    assert_int_equal(c.n_fixed, 2);
    assert_string_equal(c.at[0].field, "link.up_endpoint");
    assert_false(c.at[0].reloadable);
    assert_string_equal(c.at[1].field, "link.connect.timeout");
    assert_string_equal(c.at[1].from, "5 s");
    assert_string_equal(c.at[1].to, "6 s");
    assert_true(c.at[1].reloadable);
    assert_string_equal(c.at[2].field, "tags");
    assert_string_equal(c.at[3].field, "sources[0].period");
    assert_true(c.at[3].reloadable);
    config_changes_deinit(&c);
    config_free_values(&sample_schema, &b);

    load_ok(LEAST, &b);
    assert_int_equal(config_diff_reloadable(&sample_schema, &a, &b, &c), 0);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.at[0].field, "sources");
    assert_string_equal(c.at[0].from, "1 items");
    assert_int_equal(c.n_fixed, 0);
    config_changes_deinit(&c);
    config_free_values(&sample_schema, &a);
    config_free_values(&sample_schema, &b);
}

/* It is exchanged as a whole: what its items hold may be anything. */
static void all_that_is_in_a_reloadable_list_is_reloadable(void **state)
{
    struct config_changes c = {0};
    struct sample a, b;

    (void)state;
    load_ok(LEAST "sources: [{type: sine, name: a, amplitude: 2}]\n", &a);
    load_ok(LEAST "sources: [{type: sine, name: b, amplitude: 3}]\n", &b);
    assert_int_equal(config_diff_reloadable(&sample_schema, &a, &b, &c), 0);
    assert_int_equal(c.n, 2);
    assert_int_equal(c.n_fixed, 0);
    config_changes_deinit(&c);
    config_free_values(&sample_schema, &a);
    config_free_values(&sample_schema, &b);
}

static void a_reload_moves_nothing_that_needs_a_restart(void **state)
{
    struct sample a, b;
    char **tags;
    void *items;

    (void)state;
    load_ok(LEAST "tags: [x, y]\nnote: old\n", &a);
    load_ok(LEAST "tags: [x, y]\nnote: new\nsources: [{type: sine, name: a}]\n", &b);
    tags = a.tags.at;
    items = b.sources.at;
    config_take_reloadable(&sample_schema, &a, &b);
    config_free_values(&sample_schema, &b);
    assert_ptr_equal(a.tags.at, tags);
    assert_string_equal(a.tags.at[1], "y");
    assert_string_equal(a.note, "new");
    assert_int_equal(a.sources.n, 1); /* a list that may change comes as a whole */
    assert_ptr_equal(a.sources.at, items);
    config_free_values(&sample_schema, &a);
}

static void an_item_keeps_its_place_when_one_of_its_keys_changes(void **state)
{
    struct config_row rows[32] = {0};
    struct config_schema schema = sample_schema;
    struct sample a, b;
    struct sample_sine *item;
    size_t n = 0;

    (void)state;
    for (; sample_schema.rows[n].path != NULL; n++) {
        rows[n] = sample_schema.rows[n];
        rows[n].reloadable &= strcmp(rows[n].path, "sources") != 0;
    }
    schema.rows = rows;
    load_ok(LEAST "sources: [{type: sine, name: a, period: 1 s, amplitude: 2}]\n", &a);
    load_ok(LEAST "sources: [{type: sine, name: a, period: 2 s, amplitude: 3}]\n", &b);
    item = a.sources.at[0].value;
    config_take_reloadable(&schema, &a, &b);
    config_free_values(&schema, &b);
    assert_ptr_equal(a.sources.at[0].value, item);
    assert_int_equal(item->source.period_ms, 2000);
    assert_true(item->amplitude == 2);
    config_free_values(&schema, &a);
}

static void starting_file_needs_only_the_required_keys(void **state)
{
    struct sample s;

    (void)state;
    assert_int_equal(config_defaults(&sample_schema, &s), 0);
    char *text = print(&s, CONFIG_PRINT_HELP);
    assert_non_null(strstr(text, "# site:\n"));
    assert_non_null(strstr(text, "#   - type: csv\n"));
    expect_problem(text, "link.up_endpoint: is missing");
    free(text);
    strcpy(s.site, "s");
    strcpy(s.up_endpoint, "tcp://fog:1");
    text = print(&s, CONFIG_PRINT_HELP);
    struct sample again;
    load_ok(text, &again);
    free(text);
    config_free_values(&sample_schema, &again);
    config_free_values(&sample_schema, &s);
}

static char *doc(enum config_doc_form form)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    assert_int_equal(config_doc(&sample_schema, form, out), 0);
    fclose(out);
    return text;
}

static void reference_lists_every_key(void **state)
{
    char *text = doc(CONFIG_DOC_TEXT), *mdoc = doc(CONFIG_DOC_MDOC);

    (void)state;
    assert_non_null(strstr(text, "link.connect.timeout\n"
                                 "    duration, 100 ms..1 h, default 5 s, reloadable\n"
                                 "    Give up an attempt after this long.\n"));
    assert_non_null(strstr(text, "sources[].channels[].limit.low\n"));
    assert_non_null(strstr(text, "    choice: oldest | newest, default oldest\n"));
    assert_non_null(strstr(mdoc, ".It Cm batch\nReadings per batch.\n"
                                 "(whole number, 1..1000 samples, default 100)\n"));
    free(text);
    free(mdoc);
}

static void problems_come_as_json_too(void **state)
{
    struct config_problems p = {0};
    struct sample s;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_int_equal(load(LEAST "bacth: 1\n", &s, &p), CONFIG_BAD);
    assert_int_equal(config_problems_print_json(&p, out), 0);
    fclose(out);
    assert_string_equal(text,
                        "{\"file\":\"t.yaml\",\"problems\":[{\"line\":4,\"column\":1,\"field\":\"bacth\","
                        "\"message\":\"unknown key\",\"remedy\":\"did you mean batch?\"}],\"left_out\":0}\n");
    free(text);
    config_problems_deinit(&p);
}

static void file_is_read_and_paths_start_at_its_folder(void **state)
{
    struct config_problems p = {0};
    char folder[] = "/tmp/config-XXXXXX", path[64], expected[64];
    struct sample s;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/a.yaml", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(LEAST, f);
    fclose(f);
    assert_int_equal(config_load(&sample_schema, path, &s, &p), 0);
    snprintf(expected, sizeof(expected), "%s/state", folder);
    assert_string_equal(s.state_path, expected);
    config_free_values(&sample_schema, &s);
    unlink(path);
    assert_int_equal(config_load(&sample_schema, path, &s, &p), CONFIG_BAD);
    assert_int_equal(p.n, 1);
    assert_string_equal(p.at[0].message, "cannot be read: No such file or directory");
    assert_string_equal(p.file, path);
    config_problems_deinit(&p);
    rmdir(folder);
}

static int check_rows(const struct config_row *rows, const char *part)
{
    struct config_schema s = {"x", rows, sizeof(struct sample), NULL};
    struct errmsg err = {0};

    assert_int_equal(config_schema_check(&s, &err), -EINVAL);
    if (strstr(err.text, part) == NULL)
        fail_msg("no \"%s\" in: %s", part, err.text);
    return 0;
}

static void faults_of_a_table_are_found(void **state)
{
    (void)state;
#define ROWS(...) ((const struct config_row[]){__VA_ARGS__, {0}})
    check_rows(ROWS({"A b", CONFIG_BOOL, CONFIG_AT(struct sample, verbose), .help = "x"}), "not a path");
    check_rows(ROWS({"a", CONFIG_I64, CONFIG_AT(struct sample, verbose), .help = "x"}),
               "does not fit the type");
    check_rows(ROWS({"a", CONFIG_I64, CONFIG_AT(struct sample, offset)}), "no help");
    check_rows(ROWS({"a", CONFIG_I64, CONFIG_AT(struct sample, offset), .max = "5 s", .help = "x"}),
               "min or max");
    check_rows(ROWS({"a", CONFIG_I64, CONFIG_AT(struct sample, offset), .max = "5", .def = "6", .help = "x"}),
               "default 6: must be at most 5");
    check_rows(ROWS({"a", CONFIG_BOOL, CONFIG_AT(struct sample, verbose), .help = "x"},
                    {"a", CONFIG_BOOL, CONFIG_AT(struct sample, verbose), .help = "x"}),
               "stands twice");
    check_rows(ROWS({"a.x", CONFIG_BOOL, CONFIG_AT(struct sample, verbose), .help = "x"},
                    {"b", CONFIG_BOOL, CONFIG_AT(struct sample, verbose), .help = "x"},
                    {"a.y", CONFIG_BOOL, CONFIG_AT(struct sample, verbose), .help = "x"}),
               "stands apart");
    check_rows(ROWS({"a", CONFIG_LIST, CONFIG_AT(struct sample, sources), .help = "x"}), "no kinds");
#undef ROWS
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_schema_is_sound),
        cmocka_unit_test(absent_keys_take_their_defaults),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(items_are_structs_of_their_kind),
        cmocka_unit_test(printed_config_parses_to_the_same_values),
        cmocka_unit_test(printed_config_reads_well),
        cmocka_unit_test(all_problems_come_at_once_with_their_places),
        cmocka_unit_test(missing_keys_are_named),
        cmocka_unit_test(wrong_shapes_are_named),
        cmocka_unit_test(anchors_aliases_tags_and_documents_are_refused),
        cmocka_unit_test(broken_yaml_names_its_place),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(endpoints_are_checked),
        cmocka_unit_test(same_name_in_a_list_is_refused),
        cmocka_unit_test(fields_of_nested_lists_are_named_in_full),
        cmocka_unit_test(hook_complaints_have_a_line),
        cmocka_unit_test(changes_say_what_needs_a_restart),
        cmocka_unit_test(all_that_is_in_a_reloadable_list_is_reloadable),
        cmocka_unit_test(a_reload_moves_nothing_that_needs_a_restart),
        cmocka_unit_test(an_item_keeps_its_place_when_one_of_its_keys_changes),
        cmocka_unit_test(starting_file_needs_only_the_required_keys),
        cmocka_unit_test(reference_lists_every_key),
        cmocka_unit_test(problems_come_as_json_too),
        cmocka_unit_test(file_is_read_and_paths_start_at_its_folder),
        cmocka_unit_test(faults_of_a_table_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
