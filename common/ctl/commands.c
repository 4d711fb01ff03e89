#include "ctl/commands.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/name.h"
#include "base/numfmt.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>

enum { COMMANDS_FILE_MAX_BYTES = 64 * 1024, COMMANDS_ARENA_BYTES = 256 * 1024, COMMANDS_PATH_CHARS = 1024 };

static void arena_freep(struct wire_arena **a)
{
    *a = wire_arena_free(*a);
}

static const char *const type_names[] = {
    [FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_IDENTIFY] = "identify",
    [FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_DRILL] = "drill",
};
enum { TYPES = sizeof type_names / sizeof type_names[0] };

const char *command_type_name(Fogline__V1__CommandType type)
{
    return (unsigned)type < TYPES && type_names[type] != NULL ? type_names[type] : "unknown";
}

bool command_type_parse(const char *name, Fogline__V1__CommandType *ret_type)
{
    for (unsigned i = 0; i < TYPES; i++)
        if (type_names[i] != NULL && strcmp(name, type_names[i]) == 0) {
            *ret_type = (Fogline__V1__CommandType)i;
            return true;
        }
    return false;
}

int command_make(const struct command *c, const uint8_t seal_key[KEY_BYTES], const struct operator_keys *k,
                 struct buf *out)
{
    owned(buf_deinit) struct buf plain = {0}, sealed = {0}, input = {0};
    Fogline__V1__Command m = FOGLINE__V1__COMMAND__INIT;
    Fogline__V1__Document d = FOGLINE__V1__DOCUMENT__INIT;
    uint8_t signature[KEY_SIGNATURE_BYTES];

    m.format = WIRE_FORMAT;
    m.target = (char *)c->target;
    m.counter = c->counter;
    m.type = c->type;
    m.argument = (char *)c->argument;
    wire_pack(&plain, &m.base);
    end_seal(seal_key, span_of(plain.data, plain.len), &sealed);
    d.kind = (char *)"command";
    d.target = (char *)c->target;
    d.version = c->counter;
    d.body = wire_bytes(span_of(sealed.data, sealed.len));
    wire_document_input(&input, d.kind, d.target, d.version, wire_span(d.body));
    if (plain.error < 0 || sealed.error < 0 || input.error < 0)
        return -ENOMEM;
    operator_sign(k, span_of(input.data, input.len), signature);
    d.signature = wire_bytes(span_of(signature, sizeof(signature)));
    wire_pack(out, &d.base);
    return out->error;
}

/* What stands inside must say the same as what is signed outside. */
static int take_inside(struct span plain, const Fogline__V1__Document *d, struct command *ret_c)
{
    owned(arena_freep) struct wire_arena *a = NULL;
    Fogline__V1__Command *m;
    int r = wire_arena_new(&a, COMMANDS_ARENA_BYTES);

    if (r < 0)
        return r;
    if (wire_command_unpack(a, plain, &m) != 0 || strcmp(m->target, d->target) != 0 ||
        m->counter != d->version || strlen(m->argument) >= sizeof(ret_c->argument))
        return COMMAND_FORGED;
    *ret_c = (struct command){.counter = m->counter, .type = m->type};
    snprintf(ret_c->target, sizeof(ret_c->target), "%s", m->target);
    snprintf(ret_c->argument, sizeof(ret_c->argument), "%s", m->argument);
    return 0;
}

int command_open(const Fogline__V1__Document *d, const struct command_trust *t, struct command *ret_c)
{
    owned(buf_deinit) struct buf input = {0}, plain = {0};
    int r;

    if (strcmp(d->kind, "command") != 0 || strcmp(d->target, t->node) != 0)
        return COMMAND_FOREIGN;
    if (d->version <= t->last)
        return COMMAND_OLD;
    wire_document_input(&input, d->kind, d->target, d->version, wire_span(d->body));
    if (input.error < 0)
        return input.error;
    if (!operator_verify(t->operator_public, span_of(input.data, input.len), wire_span(d->signature)))
        return COMMAND_FORGED;
    r = end_open(t->seal_key, wire_span(d->body), &plain);
    if (r == -EBADMSG)
        return COMMAND_FORGED;
    return r < 0 ? r : take_inside(span_of(plain.data, plain.len), d, ret_c);
}

/* NODE-COUNTER.doc. Node names may hold '-', so the counter is what follows the last one. */
static bool parse_name(const char *name, char node[GATE_NAME_BYTES], uint64_t *ret_counter)
{
    const char *dash = strrchr(name, '-');
    int64_t counter;
    size_t digits;

    if (dash == NULL || !name_part_ok(name, (size_t)(dash - name)))
        return false;
    digits = strspn(dash + 1, "0123456789");
    if (digits == 0 || strcmp(dash + 1 + digits, ".doc") != 0 ||
        !numfmt_parse_i64(dash + 1, digits, &counter))
        return false;
    memcpy(node, name, (size_t)(dash - name));
    node[dash - name] = '\0';
    *ret_counter = (uint64_t)counter;
    return true;
}

static void doc_path(char out[COMMANDS_PATH_CHARS], const char *dir, const char *node, uint64_t counter)
{
    snprintf(out, COMMANDS_PATH_CHARS, "%s/%s-%" PRIu64 ".doc", dir, node, counter);
}

int commands_next_counter(const char *dir, const char *node, uint64_t *ret_counter)
{
    owned(buf_deinit) struct buf text = {0};
    char path[COMMANDS_PATH_CHARS], line[32];
    int64_t last = 0;
    int r = file_mkdirs(dir, 0700);

    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/%s.last", dir, node);
    r = file_read(path, sizeof(line), &text);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0 && (!numfmt_parse_i64((const char *)text.data, text.len - (text.len > 0), &last) || last < 0))
        return -EBADMSG;
    snprintf(line, sizeof(line), "%" PRId64 "\n", last + 1);
    r = file_write_atomic(path, span_str(line), 0600);
    if (r == 0)
        *ret_counter = (uint64_t)last + 1;
    return r;
}

int commands_save(const char *dir, const char *node, uint64_t counter, struct span packed)
{
    char path[COMMANDS_PATH_CHARS];
    int r = file_mkdirs(dir, 0700);

    doc_path(path, dir, node, counter);
    return r < 0 ? r : file_write_atomic(path, packed, 0600);
}

int commands_remove(const char *dir, const char *node, uint64_t counter)
{
    char path[COMMANDS_PATH_CHARS];

    doc_path(path, dir, node, counter);
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

void commands_deinit(struct commands *c)
{
    for (size_t i = 0; i < c->n; i++)
        buf_deinit(&c->at[i].packed);
    free(c->at);
    *c = (struct commands){0};
}

static int by_node_and_counter(const void *a, const void *b)
{
    const struct commands_item *x = a, *y = b;
    int order = strcmp(x->node, y->node);

    return order != 0 ? order : (x->counter > y->counter) - (x->counter < y->counter);
}

static int load_one(struct commands *c, const char *dir, const char *name)
{
    struct commands_item item = {0};
    char path[COMMANDS_PATH_CHARS];
    int r;

    if (c->n == COMMANDS_MAX || !parse_name(name, item.node, &item.counter))
        return 0;
    doc_path(path, dir, item.node, item.counter);
    r = file_read(path, COMMANDS_FILE_MAX_BYTES, &item.packed);
    if (r < 0) {
        buf_deinit(&item.packed);
        return r == -ENOENT ? 0 : r;
    }
    struct commands_item *at = realloc(c->at, (c->n + 1) * sizeof(*at));
    if (at == NULL) {
        buf_deinit(&item.packed);
        return -ENOMEM;
    }
    c->at = at;
    c->at[c->n++] = item;
    return 0;
}

int commands_load(const char *dir, struct commands *c)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int r = 0;

    commands_deinit(c);
    if (d == NULL)
        return errno == ENOENT ? 0 : -errno;
    while (r == 0 && (e = readdir(d)) != NULL)
        r = load_one(c, dir, e->d_name);
    closedir(d);
    if (r < 0) {
        commands_deinit(c);
        return r;
    }
    if (c->n > 1)
        qsort(c->at, c->n, sizeof(c->at[0]), by_node_and_counter);
    return 0;
}
