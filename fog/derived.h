/* derived.h - what the fog computes becomes records of its own: rows of a group to a DescriptorSet and
 * Blocks, into the spool for the cloud and into the history for the site.
 *
 * All of it belongs to the spool's open transaction, and nothing is remembered between two calls: a block is
 * whole when derived_put returns, so a crash or a rollback leaves all of the rows or none. The descriptor set
 * of the same channels is the same bytes at any time; the fact "derived/SET" says under which epoch and
 * archive it was sent, so that a restart sends none again. Its record is never evicted: blocks rest on it.
 *
 * Threads: the spool's owner. */
#ifndef FOGLINE_FOG_DERIVED_H
#define FOGLINE_FOG_DERIVED_H

#include "fog/history.h"
#include "pack/pack.h"

struct outbox;
struct tap;

enum {
    DERIVED_CHANNEL_BYTES = PACK_NAME_BYTES,
    DERIVED_STAT_CHARS = 24,
    DERIVED_TAG_BYTES = WIRE_LABEL_MAX_BYTES + 1,
    DERIVED_ROWS = 256, /* of a block */
};

/* "pump-3.temperature.mean" of pump-3, temperature, mean. A name of more than 64 bytes is cut: the part
 * before the stat ends in '_' and 8 hexadecimal digits of a hash of the whole, so that two long names stay
 * two. stat: at most DERIVED_STAT_CHARS, longer ones are cut; NULL or "": none. device NULL: none. */
void derived_channel_name(const char *device, const char *channel, const char *stat,
                          char out[DERIVED_CHANNEL_BYTES]);
/* "of=plant-a/pump-3/temperature", cut as above where a tag has no room for it. */
void derived_of_tag(const char *site, const char *device, const char *channel, char out[DERIVED_TAG_BYTES]);

struct derived;

struct derived_options {
    struct spool *spool;     /* all borrowed */
    struct outbox *outbox;   /* NULL: nobody is told, and nothing makes room */
    struct history *history; /* NULL: none */
    struct tap *tap;         /* NULL: none */
    const uint8_t *tag_key;  /* KEY_BYTES; all zero: the outbox makes the tags once a cloud is known */
};
must_check int derived_new(struct derived **ret_d, const struct derived_options *options);
struct derived *derived_free(struct derived *d); /* accepts NULL */

struct derived_group {
    const char *name; /* of the window, filter, rule or model: DescriptorSet.group */
    const struct pack_channel *channels;
    uint32_t n_channels;
    const char *const *const *tags; /* as in pack_options: "of=SITE/DEVICE/CHANNEL" and the like */
};

enum { DERIVED_NO_ROOM = 1 };
/* Writes the rows as blocks; the last of them carries the covers, at most PACK_COVERS_MAX_BYTES of them.
 * covers not NULL, if empty: what records were withheld for stands in these blocks (covers.h), so none of
 * them is ever evicted; NULL: they go as any reading when the quota is met. *ret_seq (may be NULL): full
 * sequence number of the last block. 0; DERIVED_NO_ROOM: the quota is met and nothing can go: what was
 * written of it stays in the transaction, so roll back or say it again later under other rows; negative
 * errno. */
must_check int derived_put(struct derived *d, const struct derived_group *g, const struct pack_row *rows,
                           size_t n_rows, const struct pack_covers *covers, uint64_t *ret_seq);

/* Any other record of the fog, in the same way: event, ledger. 0; DERIVED_NO_ROOM; negative errno. */
struct maker_record;
must_check int derived_record(struct derived *d, const struct maker_record *r, uint64_t *ret_seq);

#endif
