#include "fog/derived.h"

#include "base/cleanup.h"
#include "ctl/tap.h"
#include "hop/maker.h"
#include "hop/outbox.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { HASH_BYTES = 16, HASH_DIGITS = 8, FACT_CHARS = 32 };

struct derived {
    struct derived_options o;
    struct pack_tools tools;
    struct buf payload;
};

static void packp(struct pack **p)
{
    *p = pack_free(*p);
}

/* head and tail in at most max characters: a head that is too long is cut and ends in '_' and digits of its
 * hash, so that two long ones stay two. */
static void join_cut(const char *head, const char *tail, size_t max, char *out)
{
    size_t tail_chars = strlen(tail), chars = strlen(head);
    uint8_t hash[HASH_BYTES];

    if (chars + tail_chars <= max) {
        snprintf(out, max + 1, "%s%s", head, tail);
        return;
    }
    crypto_generichash(hash, sizeof hash, (const uint8_t *)head, chars, NULL, 0);
    snprintf(out, max + 1, "%.*s_%02x%02x%02x%02x%s", (int)(max - tail_chars - HASH_DIGITS - 1), head,
             hash[0], hash[1], hash[2], hash[3], tail);
}

void derived_channel_name(const char *device, const char *channel, const char *stat,
                          char out[DERIVED_CHANNEL_BYTES])
{
    char whole[4 * PACK_NAME_BYTES], tail[DERIVED_STAT_CHARS + 2] = "";

    if (stat != NULL && stat[0] != '\0')
        snprintf(tail, sizeof tail, ".%.*s", DERIVED_STAT_CHARS, stat);
    snprintf(whole, sizeof whole, "%.*s%s%.*s", NAME_PART_CHARS, device != NULL ? device : "",
             device != NULL ? "." : "", NAME_PART_CHARS, channel);
    join_cut(whole, tail, DERIVED_CHANNEL_BYTES - 1, out);
}

void derived_of_tag(const char *site, const char *device, const char *channel, char out[DERIVED_TAG_BYTES])
{
    char whole[4 * PACK_NAME_BYTES];

    snprintf(whole, sizeof whole, "of=%.*s/%.*s/%.*s", NAME_PART_CHARS, site, NAME_PART_CHARS, device,
             NAME_PART_CHARS, channel);
    join_cut(whole, "", DERIVED_TAG_BYTES - 1, out);
}

int derived_new(struct derived **ret_d, const struct derived_options *options)
{
    struct derived *d = calloc(1, sizeof *d);
    int rc;

    if (d == NULL)
        return -ENOMEM;
    d->o = *options;
    rc = pack_tools_init(&d->tools);
    if (rc != 0) {
        free(d);
        return rc;
    }
    *ret_d = d;
    return 0;
}

struct derived *derived_free(struct derived *d)
{
    if (d == NULL)
        return NULL;
    pack_tools_deinit(&d->tools);
    buf_deinit(&d->payload);
    free(d);
    return NULL;
}

/* ---- records ---- */

int derived_record(struct derived *d, const struct maker_record *r, uint64_t *ret_seq)
{
    struct record made = {.origin = spool_node(d->o.spool),
                          .epoch = spool_own(d->o.spool)->epoch,
                          .kind = r->kind,
                          .samples = r->samples,
                          .payload = r->payload};
    int rc = maker_append(d->o.spool, d->o.outbox, d->o.tag_key, r, &made.seq);

    if (rc == SPOOL_FULL && d->o.outbox != NULL) {
        rc = outbox_make_room(d->o.outbox, r->payload.len + WIRE_RECORD_OVERHEAD_MAX_BYTES);
        if (rc == 0)
            rc = maker_append(d->o.spool, d->o.outbox, d->o.tag_key, r, &made.seq);
    }
    if (rc == SPOOL_FULL || rc == DB_FULL)
        return DERIVED_NO_ROOM;
    if (rc != 0)
        return rc;
    if (ret_seq != NULL)
        *ret_seq = made.seq;
    if (d->o.tap != NULL)
        tap_record(d->o.tap, &made);
    return d->o.history != NULL ? history_put(d->o.history, spool_own(d->o.spool), &made) : 0;
}

/* ---- sets ---- */

/* Under which epoch and archive it was sent: what another one of either has to be given anew. */
static int sent_as(const struct derived *d, struct buf *out)
{
    static const char archive_fact[] = "archive";
    owned(buf_deinit) struct buf archive = {0};
    int rc = spool_fact_get(d->o.spool, archive_fact, &archive);

    buf_reset(out);
    buf_append(out, spool_own(d->o.spool)->epoch.bytes, ID128_BYTES);
    if (rc == 0)
        buf_append(out, archive.data, archive.len);
    return rc == DB_NOT_FOUND || rc == 0 ? out->error : rc;
}

static int put_set(struct derived *d, const struct pack *p)
{
    owned(buf_deinit) struct buf now = {0}, was = {0};
    struct maker_record r = {.lane = LANE_ORDINARY,
                             .kind = FOGLINE__V1__KIND__KIND_DESCRIPTOR,
                             .payload = pack_descriptor(p),
                             .carries_covers = true};
    char fact[FACT_CHARS];
    bool is_sent;
    int rc = sent_as(d, &now);

    snprintf(fact, sizeof fact, "derived/%016" PRIx64, pack_set_id(p));
    if (rc == 0)
        rc = spool_fact_get(d->o.spool, fact, &was);
    /* Sent before any archive was agreed on: the first one gets it. */
    is_sent =
        rc == 0 && (was.len == now.len || was.len == ID128_BYTES) && memcmp(was.data, now.data, was.len) == 0;
    if (is_sent && was.len == now.len)
        return 0;
    if (rc < 0)
        return rc;
    rc = is_sent ? 0 : derived_record(d, &r, NULL);
    return rc != 0 ? rc : spool_fact_put(d->o.spool, fact, span_of(now.data, now.len));
}

/* ---- blocks ---- */

static int close_block(struct derived *d, struct pack *p, bool is_needed, const struct pack_covers *covers,
                       uint64_t *ret_seq)
{
    static const struct pack_clock unknown = {0};
    struct pack_block block;
    struct maker_record r = {
        .lane = LANE_ORDINARY, .kind = FOGLINE__V1__KIND__KIND_BLOCK, .carries_covers = is_needed};
    int rc;

    buf_reset(&d->payload);
    rc = pack_close(p, &unknown, covers, &d->payload, &block);
    if (rc != 0)
        return rc;
    r.samples = block.samples;
    r.payload = span_of(d->payload.data, d->payload.len);
    return derived_record(d, &r, ret_seq);
}

int derived_put(struct derived *d, const struct derived_group *g, const struct pack_row *rows, size_t n_rows,
                const struct pack_covers *covers, uint64_t *ret_seq)
{
    owned(packp) struct pack *p = NULL;
    struct pack_options o = {.group = g->name,
                             .channels = g->channels,
                             .n_channels = g->n_channels,
                             .max_rows = n_rows < DERIVED_ROWS ? (uint32_t)n_rows : DERIVED_ROWS,
                             .max_bytes = PACK_BYTES_MAX,
                             .encoding = BLOCK_ENCODING_SMALL,
                             .tags = g->tags,
                             .tools = &d->tools};
    int rc;

    if (n_rows == 0)
        return -EINVAL;
    rc = pack_new(&p, &o);
    if (rc == 0)
        rc = put_set(d, p);
    for (size_t i = 0; rc == 0 && i < n_rows; i++) {
        rc = pack_add(p, &rows[i], 0);
        if (rc == PACK_CLOSE_FIRST) {
            rc = close_block(d, p, covers != NULL, NULL, NULL);
            if (rc == 0)
                rc = pack_add(p, &rows[i], 0);
        }
        if (rc == PACK_TOO_BIG || rc == PACK_CLOSE_FIRST)
            rc = -EMSGSIZE;
    }
    return rc != 0 ? rc : close_block(d, p, covers != NULL, covers, ret_seq);
}
