/* cloud_tier.h - what the collector's daemon and its tool both are. */
#ifndef FOGLINE_CLOUD_CLOUD_TIER_H
#define FOGLINE_CLOUD_CLOUD_TIER_H

#include "base/id.h"
#include "ctl/cmd.h"
#include "link/keys.h"

extern const struct ctl_tier cloud_tier_daemon; /* without commands */

/* state_dir/archive.doc: the operator's signed word on which archive counts (hop/archive_word.h), kept for
 * ever. Then state_dir/restored: 32 hex digits, the archive id in it, to go on with. Both written by
 * `cloudctl store restored` in this order; the daemon takes the second at its next start and removes it after
 * the commit. A crash in between leaves either a word that names no archive, which is not handed down, or a
 * step that is repeated with the same id. The word alone never renames an archive: one made anew must not be
 * taken for the one that word was about. */
#define CLOUD_ARCHIVE_DOC "archive.doc"
#define CLOUD_RESTORED_FILE "restored"

enum { CLOUD_WORD_NONE = 1, CLOUD_WORD_MAX_BYTES = 4096, CLOUD_WORD_ARENA_BYTES = 64 * 1024 };

struct cloud_word {
    struct buf packed;
    struct id128 archive_id;
    uint64_t version; /* 0: none */
};

void cloud_word_deinit(struct cloud_word *w);
/* 0; CLOUD_WORD_NONE: no such file; -EBADMSG: not the operator's; negative errno, *err filled. */
must_check int cloud_word_load(const char *state_dir, const uint8_t operator_public[KEY_BYTES],
                               struct cloud_word *ret_w, struct errmsg *err);

#endif
