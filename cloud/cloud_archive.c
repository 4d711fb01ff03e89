/* Which archive counts: the operator's signed word, handed down, and what is said while nodes believe another
 * one. */
#include "cloud/cloud_private.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "cloud/cloud_tier.h"
#include "hop/archive_word.h"

#include <errno.h>
#include <inttypes.h>

enum { PATH_CHARS = CTL_FILE_CHARS + 32, OTHER_ARCHIVE_SHOWN_MS = 60000 };

void cloud_word_deinit(struct cloud_word *w)
{
    buf_deinit(&w->packed);
    *w = (struct cloud_word){0};
}

static void arena_freep(struct wire_arena **a)
{
    *a = wire_arena_free(*a);
}

int cloud_word_load(const char *state_dir, const uint8_t operator_public[KEY_BYTES], struct cloud_word *ret_w,
                    struct errmsg *err)
{
    owned(arena_freep) struct wire_arena *a = NULL;
    owned(cloud_word_deinit) struct cloud_word w = {0};
    char path[PATH_CHARS];
    Fogline__V1__Document *d;
    int r;

    snprintf(path, sizeof path, "%s/" CLOUD_ARCHIVE_DOC, state_dir);
    r = file_read(path, CLOUD_WORD_MAX_BYTES, &w.packed);
    if (r == -ENOENT)
        return CLOUD_WORD_NONE;
    if (r == 0)
        r = wire_arena_new(&a, CLOUD_WORD_ARENA_BYTES);
    if (r < 0)
        return errmsg_set(err, r, "%s: %s", path, strerror(-r));
    if (wire_document_unpack(a, span_of(w.packed.data, w.packed.len), &d) != 0)
        return errmsg_set(err, -EBADMSG, "%s: is not a document", path);
    r = archive_word_check(d, operator_public, &w.archive_id);
    if (r != 0)
        return errmsg_set(err, r < 0 ? r : -EBADMSG, "%s: is not signed by this cloud's operator", path);
    w.version = d->version;
    *ret_w = w;
    w = (struct cloud_word){0};
    return 0;
}

static bool word_names_us(const struct cloud *c)
{
    return c->word.version != 0 && id128_equal(&c->word.archive_id, archive_id(c->archive));
}

void cloud_archive_start(struct cloud *c)
{
    struct errmsg err = {""};
    int r = cloud_word_load(c->d->paths.state_dir, c->operator_public, &c->word, &err);

    c->other_archive_ms = INT64_MIN;
    if (r < 0)
        log_error("archive_word_refused", "msg=%s", log_quote(err.text));
    if (word_names_us(c))
        log_info("archive_word", "version=%" PRIu64, c->word.version);
    else if (c->word.version != 0)
        log_warn("archive_word_of_another",
                 "version=%" PRIu64 " msg=\"the operator's last word names another archive; "
                 "nodes that have it keep their records; stop, run `cloudctl store restored`, start\"",
                 c->word.version);
}

/* A node that knows another archive holds its records for ever unless the operator's word reaches it. */
static void look_at(struct cloud *c, const char *peer, const Fogline__V1__Hello *hello)
{
    struct id128 known;

    if (!wire_id128(hello->archive_id, &known) || id128_is_zero(&known) ||
        id128_equal(&known, archive_id(c->archive)) ||
        (word_names_us(c) && archive_word_held(hello) < c->word.version))
        return;
    c->counter[CLOUD_HELLOS_OTHER_ARCHIVE]++;
    c->other_archive_ms = loop_now_ms(c->d->loop);
    if (log_latch_open(&c->other_latch, clock_mono_ns(&c->d->clock), NULL))
        log_error("node_knows_another_archive",
                  "node=%s msg=\"it believes no mark of this archive and keeps its records; stop, run "
                  "`cloudctl store "
                  "restored`, start\"",
                  peer);
}

size_t cloud_archive_word(struct cloud *c, const char *peer, const Fogline__V1__Hello *hello,
                          const struct buf **ret_packed)
{
    look_at(c, peer, hello);
    *ret_packed = &c->word.packed;
    return word_names_us(c) && archive_word_held(hello) < c->word.version;
}

void cloud_archive_status(const struct cloud *c, struct json *j)
{
    int64_t since = c->other_archive_ms;

    if (word_names_us(c))
        json_ku64(j, "archive_word", c->word.version);
    if (since != INT64_MIN && loop_now_ms(c->d->loop) - since < OTHER_ARCHIVE_SHOWN_MS)
        json_kstr(j, "archive_hint",
                  "nodes know another archive and keep their records: stop the cloud, run `cloudctl store "
                  "restored`, "
                  "start it");
    else if (c->counter[CLOUD_STORES_QUARANTINED] > 0 && !word_names_us(c))
        json_kstr(
            j, "archive_hint",
            "a damaged archive was moved away: stop the cloud, run `cloudctl store restored`, start it");
}
