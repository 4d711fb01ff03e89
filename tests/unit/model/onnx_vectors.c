/* Stored tests of ONNX (model.onnx, test_data_set_K/input_K.pb, output_K.pb) through importer, file and
 * engine.
 *
 *   onnx_vectors [--json] LIST PREFIX=FOLDER ...
 *
 * Each folder below FOLDER that has a model.onnx is tried; its name is PREFIX/NAME. LIST has a line for each
 * that is of our operators: `pass NAME`, or `refused NAME` for one that has to be refused. What is not in
 * LIST has to be refused: a pass is reported, so that it gets into LIST. Floats within 1e-5 + 1e-3 of their
 * size, the rest exactly. Exit 0: all as listed; 1: not; 77: FOLDERs are absent and nothing was tried. */
#include "unit/model/onnx_case.h"

#include "base/file.h"
#include "base/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILES_MAX = 64, LINE_MAX = 256 };

struct entry {
    char name[LINE_MAX];
    bool pass, tried;
};

struct state {
    struct entry *list;
    size_t n_list;
    struct json *json; /* NULL: text */
    unsigned n_passed, n_failed, n_skipped, n_refused, n_others, n_bound;
};

struct data {
    struct onnx_tensor_file *inputs[FILES_MAX], *outputs[FILES_MAX];
    struct buf bytes[2 * FILES_MAX];
    size_t n_inputs, n_outputs;
};

static void read_list(struct state *s, const char *path)
{
    FILE *f = fopen(path, "r");
    char line[LINE_MAX], how[16];

    if (f == NULL) {
        perror(path);
        exit(2);
    }
    s->list = calloc(4096, sizeof *s->list);
    while (s->n_list < 4096 && fgets(line, sizeof line, f) != NULL) {
        struct entry *e = &s->list[s->n_list];

        if (line[0] == '#' || sscanf(line, "%15s %200s", how, e->name) != 2)
            continue;
        e->pass = strcmp(how, "pass") == 0;
        s->n_list++;
    }
    fclose(f);
}

static bool read_tensor(const char *folder, const char *kind, size_t k, struct buf *bytes,
                        struct onnx_tensor_file **ret)
{
    struct errmsg err;
    char path[1024];

    snprintf(path, sizeof path, "%s/%s_%zu.pb", folder, kind, k);
    return file_read(path, ONNX_FILE_BYTES_MAX, bytes) == 0 &&
           onnx_tensor_read(span_of(bytes->data, bytes->len), ret, &err) == 0;
}

static void read_data(struct data *d, const char *folder)
{
    while (d->n_inputs < FILES_MAX &&
           read_tensor(folder, "input", d->n_inputs, &d->bytes[d->n_inputs], &d->inputs[d->n_inputs]))
        d->n_inputs++;
    while (d->n_outputs < FILES_MAX &&
           read_tensor(folder, "output", d->n_outputs, &d->bytes[FILES_MAX + d->n_outputs],
                       &d->outputs[d->n_outputs]))
        d->n_outputs++;
}

static void free_data(struct data *d)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        onnx_tensor_free(d->inputs[i]);
        onnx_tensor_free(d->outputs[i]);
        buf_deinit(&d->bytes[i]);
        buf_deinit(&d->bytes[FILES_MAX + i]);
    }
    memset(d, 0, sizeof *d);
}

struct given {
    const struct onnx_model *onnx;
    const struct data *data;
};

static bool is_constant(const struct onnx_graph *g, struct span name)
{
    for (size_t i = 0; i < g->n_initializers; i++)
        if (span_equal(g->initializers[i].name, name))
            return true;
    return false;
}

/* The stored value of an input of the graph: by place among those that are no constants. */
static const struct onnx_tensor *value_of(void *context, const char *input)
{
    const struct given *given = context;
    const struct onnx_graph *g = onnx_model_graph(given->onnx);
    size_t at = 0;

    for (size_t i = 0; i < g->n_inputs; i++) {
        if (is_constant(g, g->inputs[i].name))
            continue;
        if (span_equal(g->inputs[i].name, span_str(input)))
            return at < given->data->n_inputs ? onnx_tensor_of(given->data->inputs[at]) : NULL;
        at++;
    }
    return NULL;
}

/* false: why. */
static bool run_data(struct onnx_case *c, const struct data *d, struct errmsg *why)
{
    const struct onnx_graph *g = onnx_model_graph(c->onnx);
    const struct given given = {c->onnx, d};
    size_t at = 0, n_inputs = infer_model_graph(c->model)->n_inputs;
    char name[ONNX_NAME_TEXT];

    for (size_t i = 0; i < g->n_inputs; i++) {
        const struct onnx_tensor *t =
            value_of((void *)(uintptr_t)&given, onnx_name_text(g->inputs[i].name, name));
        bool bound = is_constant(g, g->inputs[i].name);

        for (size_t k = 0; k < c->n_bound; k++)
            bound |= strcmp(c->bound_names[k], name) == 0;
        if (bound)
            continue;
        if (t == NULL || at >= n_inputs || !onnx_case_set(c, at++, t)) {
            errmsg_set(why, 0, "input %s has no stored value of its type and shape", name);
            return false;
        }
    }
    infer_model_run(c->model);
    if (d->n_outputs == 0 || d->n_outputs != infer_model_graph(c->model)->n_outputs) {
        errmsg_set(why, 0, "%zu stored outputs", d->n_outputs);
        return false;
    }
    for (size_t i = 0; i < d->n_outputs; i++)
        if (!onnx_case_same(c, i, onnx_tensor_of(d->outputs[i]), 1e-3, 1e-5, why))
            return false;
    return true;
}

enum outcome { PASS, FAIL, REFUSED };

static const struct infer_limits limits = {.file_bytes = 512U << 20, .arena_bytes = 512U << 20};

static enum outcome try_folder(const char *folder, struct onnx_case *c, struct errmsg *why)
{
    static struct data d;
    struct given given;
    char path[1024];
    int r;

    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (onnx_case_open(c, path, why) != 0)
        return REFUSED;
    for (unsigned set = 0;; set++) {
        struct stat st;
        bool good;

        snprintf(path, sizeof path, "%s/test_data_set_%u", folder, set);
        if (stat(path, &st) != 0) {
            if (set == 0)
                errmsg_set(why, 0, "no stored inputs and outputs");
            return set > 0 ? PASS : REFUSED;
        }
        read_data(&d, path);
        given = (struct given){c->onnx, &d};
        /* Values that became constants are of this set of inputs. */
        infer_model_free(c->model);
        free(c->file);
        c->model = NULL;
        c->file = NULL;
        c->n_bound = 0;
        r = onnx_case_import(c, (struct onnx_import_options){0}, &limits, value_of, &given, why);
        good = r == 0 && run_data(c, &d, why);
        free_data(&d);
        if (!good)
            return r == ONNX_CASE_REFUSED ? REFUSED : FAIL;
    }
}

static void tell(struct state *s, const char *name, const char *outcome, const struct onnx_case *c,
                 const char *why)
{
    if (s->json != NULL) {
        json_object(s->json);
        json_kstr(s->json, "name", name);
        json_kstr(s->json, "outcome", outcome);
        if (why[0] != '\0')
            json_kstr(s->json, "why", why);
        if (c->n_bound > 0) {
            json_key(s->json, "constants");
            json_array(s->json);
            for (size_t i = 0; i < c->n_bound; i++)
                json_str(s->json, c->bound_names[i]);
            json_array_end(s->json);
        }
        json_object_end(s->json);
        return;
    }
    printf("%-8s %s%s%s", outcome, name, why[0] != '\0' ? ": " : "", why);
    for (size_t i = 0; i < c->n_bound; i++)
        printf("%s%s%s", i == 0 ? " (inputs taken as constants: " : ", ", c->bound_names[i],
               i + 1 == c->n_bound ? ")" : "");
    putchar('\n');
}

static struct entry *find(struct state *s, const char *name)
{
    for (size_t i = 0; i < s->n_list; i++)
        if (strcmp(s->list[i].name, name) == 0)
            return &s->list[i];
    return NULL;
}

static void judge(struct state *s, const char *name, const char *folder)
{
    struct onnx_case c = {0};
    struct errmsg why = {""};
    struct entry *e = find(s, name);
    enum outcome outcome = try_folder(folder, &c, &why);

    s->n_bound += outcome == PASS && c.n_bound > 0;
    if (e != NULL)
        e->tried = true;
    if (e == NULL && outcome != PASS) {
        s->n_others++;
        if (getenv("FOGLINE_ONNX_ALL") != NULL)
            tell(s, name, outcome == FAIL ? "wrong" : "other", &c, why.text);
    } else if (e == NULL) {
        s->n_failed++;
        tell(s, name, "failed", &c, "it passes and is not in the list");
    } else if (e->pass && outcome == PASS) {
        s->n_passed++;
        tell(s, name, "passed", &c, "");
    } else if (!e->pass && outcome == REFUSED) {
        s->n_refused++;
        tell(s, name, "refused", &c, why.text);
    } else {
        s->n_failed++;
        tell(s, name, "failed", &c, outcome == PASS ? "it passes and is listed as refused" : why.text);
    }
    onnx_case_close(&c);
}

static int is_test(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static unsigned judge_all(struct state *s, const char *prefix, const char *folder)
{
    struct dirent **names;
    int n = scandir(folder, &names, is_test, alphasort);
    unsigned n_tried = 0;

    for (int i = 0; i < n; i++) {
        char path[1024], model[1100], name[LINE_MAX];
        struct stat st;

        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        snprintf(model, sizeof model, "%s/model.onnx", path);
        snprintf(name, sizeof name, "%s/%s", prefix, names[i]->d_name);
        if (stat(model, &st) == 0) {
            judge(s, name, path);
            n_tried++;
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return n_tried;
}

/* Listed, but not there: each is named. */
static void skip_rest(struct state *s)
{
    static const struct onnx_case none;

    for (size_t i = 0; i < s->n_list; i++) {
        if (s->list[i].tried)
            continue;
        s->n_skipped++;
        if (s->json != NULL || s->n_skipped < 4)
            tell(s, s->list[i].name, "skipped", &none, "its folder is not there");
    }
}

int main(int argc, char **argv)
{
    struct state s = {0};
    unsigned n_tried = 0;
    int first = 1;

    if (argc > 1 && strcmp(argv[1], "--json") == 0) {
        first = 2;
        if (json_new(&s.json, stdout, false) != 0)
            return 2;
        json_object(s.json);
        json_key(s.json, "list");
        json_array(s.json);
    }
    if (argc <= first)
        return 2;
    read_list(&s, argv[first]);
    for (int i = first + 1; i < argc; i++) {
        char *folder = strchr(argv[i], '=');
        unsigned n;

        if (folder == NULL)
            return 2;
        *folder++ = '\0';
        n = judge_all(&s, argv[i], folder);
        n_tried += n;
        if (n == 0)
            fprintf(stderr, "no stored tests in %s: skipped%s\n", folder,
                    strstr(folder, "libonnx") != NULL ? "; they are in the package libonnx-testdata" : "");
    }
    skip_rest(&s);
    if (s.json != NULL) {
        json_array_end(s.json);
        json_ku64(s.json, "passed", s.n_passed);
        json_ku64(s.json, "failed", s.n_failed);
        json_ku64(s.json, "skipped", s.n_skipped);
        json_ku64(s.json, "refused", s.n_refused);
        json_ku64(s.json, "of_other_operators", s.n_others);
        json_ku64(s.json, "with_constants", s.n_bound);
        json_object_end(s.json);
        if (json_end(s.json) != 0)
            return 2;
        json_free(s.json);
    }
    fprintf(stderr,
            "%u passed, %u failed, %u skipped, %u refused as listed, %u of other operators; in %u inputs "
            "were taken as "
            "constants\n",
            s.n_passed, s.n_failed, s.n_skipped, s.n_refused, s.n_others, s.n_bound);
    free(s.list);
    return n_tried == 0 ? 77 : s.n_failed > 0;
}
