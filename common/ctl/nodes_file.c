/* The list on disk, signed or not, and the file of refused keys. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "ctl/nodes_private.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

enum { NODES_FILE_MAX_BYTES = 256 * 1024, NODES_ARENA_BYTES = 2 * 1024 * 1024 };

static void arena_freep(struct wire_arena **a)
{
    *a = wire_arena_free(*a);
}

static bool document_signed(const Fogline__V1__Document *d, const uint8_t operator_public[KEY_BYTES])
{
    struct buf input = {0};
    bool ok;

    wire_document_input(&input, d->kind, d->target, d->version, wire_span(d->body));
    ok = input.error == 0 &&
         operator_verify(operator_public, span_of(input.data, input.len), wire_span(d->signature));
    buf_deinit(&input);
    return ok;
}

int nodes_load(const char *path, const uint8_t operator_public[KEY_BYTES], struct nodes *ret_l,
               struct errmsg *err)
{
    owned(buf_deinit) struct buf text = {0};
    owned(arena_freep) struct wire_arena *a = NULL;
    Fogline__V1__Document *d;
    struct nodes l;
    int r = file_read(path, NODES_FILE_MAX_BYTES, &text);

    *ret_l = (struct nodes){0};
    if (r == -ENOENT)
        return NODES_MISSING;
    if (r == 0)
        r = wire_arena_new(&a, NODES_ARENA_BYTES);
    if (r < 0)
        return errmsg_set(err, r, "%s: %s", path, strerror(-r));
    if (wire_document_unpack(a, span_of(text.data, text.len), &d) != 0 || strcmp(d->kind, "nodes") != 0)
        return errmsg_set(err, NODES_FORGED, "%s: is not a node list", path);
    if (!document_signed(d, operator_public))
        return errmsg_set(err, NODES_FORGED, "%s: is not signed by this node's operator", path);
    r = nodes_of_body(a, wire_span(d->body), &l);
    if (r == -EBADMSG)
        return errmsg_set(err, NODES_FORGED, "%s: holds an entry that is no node", path);
    if (r < 0)
        return errmsg_set(err, r, "%s: %s", path, strerror(-r));
    l.version = d->version;
    *ret_l = l;
    return 0;
}

int nodes_load_local(const char *path, struct nodes *ret_l, struct errmsg *err)
{
    owned(buf_deinit) struct buf text = {0};
    owned(arena_freep) struct wire_arena *a = NULL;
    int r = file_read(path, NODES_FILE_MAX_BYTES, &text);

    *ret_l = (struct nodes){0};
    if (r == -ENOENT)
        return NODES_MISSING;
    if (r == 0)
        r = wire_arena_new(&a, NODES_ARENA_BYTES);
    if (r == 0)
        r = nodes_of_body(a, span_of(text.data, text.len), ret_l);
    if (r < 0)
        return errmsg_set(err, r == -EBADMSG ? -EINVAL : r, "%s: %s", path,
                          r == -EBADMSG ? "is not a node list; remove it and accept again" : strerror(-r));
    ret_l->version = 0;
    for (size_t i = 0; i < ret_l->n; i++)
        ret_l->at[i].provisional = true;
    return 0;
}

int nodes_save(const char *path, struct nodes *l, const struct operator_keys *k, struct errmsg *err)
{
    owned(buf_deinit) struct buf body = {0}, input = {0}, packed = {0};
    Fogline__V1__Document d = FOGLINE__V1__DOCUMENT__INIT;
    uint8_t signature[KEY_SIGNATURE_BYTES];
    uint64_t version = l->version + 1;
    int r = nodes_to_body(l, version, &body);

    if (r == -EFBIG)
        return errmsg_set(err, r, "%s: %zu nodes are too many for one list (%d bytes)", path, l->n,
                          NODES_BODY_MAX_BYTES);
    d.kind = (char *)"nodes";
    d.version = version;
    d.body = wire_bytes(span_of(body.data, body.len));
    wire_document_input(&input, d.kind, d.target, d.version, wire_span(d.body));
    operator_sign(k, span_of(input.data, input.len), signature);
    d.signature = wire_bytes(span_of(signature, sizeof(signature)));
    wire_pack(&packed, &d.base);
    if (r == 0)
        r = input.error < 0 ? input.error : packed.error;
    if (r == 0)
        r = file_write_atomic(path, span_of(packed.data, packed.len), 0600);
    if (r < 0)
        return errmsg_set(err, r, "%s: %s", path, strerror(-r));
    l->version = version;
    return 0;
}

int nodes_save_local(const char *path, const struct nodes *l, struct errmsg *err)
{
    owned(buf_deinit) struct buf body = {0};
    int r = nodes_to_body(l, 1, &body);

    if (r == 0)
        r = file_write_atomic(path, span_of(body.data, body.len), 0600);
    return r < 0 ? errmsg_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

int nodes_take_document(const char *path, const Fogline__V1__Document *d,
                        const uint8_t operator_public[KEY_BYTES], uint64_t version_held, struct errmsg *err)
{
    owned(buf_deinit) struct buf packed = {0};
    owned(arena_freep) struct wire_arena *a = NULL;
    struct nodes l = {0};
    int r;

    if (d->version <= version_held)
        return NODES_OLD;
    if (strcmp(d->kind, "nodes") != 0 || !document_signed(d, operator_public))
        return errmsg_set(err, NODES_FORGED, "node list of version %" PRIu64 " is not signed by the operator",
                          d->version);
    r = wire_arena_new(&a, NODES_ARENA_BYTES);
    if (r == 0)
        r = nodes_of_body(a, wire_span(d->body), &l);
    nodes_deinit(&l);
    if (r == -EBADMSG)
        return errmsg_set(err, NODES_FORGED, "node list of version %" PRIu64 " does not decode", d->version);
    wire_pack(&packed, &d->base);
    if (r == 0)
        r = packed.error;
    if (r == 0)
        r = file_write_atomic(path, span_of(packed.data, packed.len), 0600);
    return r < 0 ? errmsg_set(err, r, "%s: %s", path, strerror(-r)) : 0;
}

int nodes_read_document(const char *path, struct buf *ret_packed, uint64_t *ret_version)
{
    owned(buf_deinit) struct buf text = {0};
    owned(arena_freep) struct wire_arena *a = NULL;
    Fogline__V1__Document *d;
    int r = file_read(path, NODES_FILE_MAX_BYTES, &text);

    if (r == -ENOENT)
        return NODES_MISSING;
    if (r == 0)
        r = wire_arena_new(&a, NODES_ARENA_BYTES);
    if (r < 0)
        return r;
    if (wire_document_unpack(a, span_of(text.data, text.len), &d) != 0)
        return -EBADMSG;
    buf_append(ret_packed, text.data, text.len);
    if (ret_packed->error < 0)
        return ret_packed->error;
    *ret_version = d->version;
    return 0;
}

/* Files are replaced, never edited, so a new inode or time is a change; 0 stands for "not there". */
static uint64_t mark_of(const char *path)
{
    struct stat st;

    if (path == NULL || stat(path, &st) < 0)
        return 0;
    return ((uint64_t)st.st_ino * UINT64_C(0x9e3779b97f4a7c15)) ^ ((uint64_t)st.st_mtim.tv_sec << 30) ^
           (uint64_t)st.st_mtim.tv_nsec ^ ((uint64_t)st.st_size << 48) ^ 1;
}

bool nodes_watch_changed(struct nodes_watch *w, const char *path_a, const char *path_b)
{
    uint64_t a = mark_of(path_a), b = mark_of(path_b);
    bool changed = !w->known || a != w->mark_a || b != w->mark_b;

    *w = (struct nodes_watch){a, b, true};
    return changed;
}

int nodes_write_refused(const char *path, const struct nodes_refused_view *v)
{
    owned(close_file) FILE *f = NULL;
    owned(json_freep) struct json *j = NULL;
    char temporary[1024], fingerprint[KEY_FINGERPRINT_CHARS + 1], accept[1024];
    int r;

    snprintf(temporary, sizeof(temporary), "%s.new", path);
    snprintf(accept, sizeof(accept), "%s -c %s enroll accept NODE KEY", v->cli, v->config);
    f = fopen(temporary, "we");
    if (f == NULL)
        return -errno;
    r = json_new(&j, f, false);
    if (r < 0)
        return r;
    json_object(j);
    json_key(j, "refused");
    json_array(j);
    for (size_t i = 0; i < v->n; i++) {
        key_fingerprint(v->at[i].transport, fingerprint);
        json_object(j);
        json_kstr(j, "fingerprint", fingerprint);
        json_kstr(j, "address", v->at[i].address);
        json_ku64(j, "count", v->at[i].count);
        json_ki64(j, "first_unix_ns", v->at[i].first_unix_ns);
        json_ki64(j, "last_unix_ns", v->at[i].last_unix_ns);
        json_kbool(j, "revoked", v->at[i].revoked);
        json_kstr(j, "accept", accept);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    r = json_end(j);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    return r;
}
