/* name.h - names and patterns: site/device/channel.
 *
 * A part is [A-Za-z0-9._-]{1,64} and neither "." nor "..". Deeper sites and tenants are joined by '.' in the
 * first part. A pattern has '/' between parts; '*' matches any run within a part, "**" as a whole part
 * matches any number of parts (none too), {a,b} one of the alternatives (no nesting). A part `tag=value` is a
 * condition: some tag of the descriptor must match it ('*' and {a,b} work in it too); it takes no part of the
 * name and may stand anywhere: "plant-a/kind=pump". A pattern with fewer than three parts, conditions not
 * counted, is completed at the end by "**". This is the one implementation, used wherever a pattern is. */
#ifndef FOGLINE_BASE_NAME_H
#define FOGLINE_BASE_NAME_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { NAME_PART_CHARS = 64 };

bool name_part_ok(const char *part, size_t len);
/* Replaces each character outside the grammar by '_' and cuts to 64; empty becomes "_". true when something
 * changed. */
bool name_part_mend(const char *raw, size_t len, char out[NAME_PART_CHARS + 1]);

/* Checks the pattern's syntax. 0, or -EINVAL with *err filled. */
must_check int pattern_check(const char *pattern, struct errmsg *err);
/* Tags as "key=value" strings, NULL-terminated list or NULL. Time is linear in the pattern. A pattern that
 * pattern_check refuses is safe here, but what it matches is not defined. A tag over 255 bytes matches only
 * plain text or a '*' at the end of it. */
bool pattern_match(const char *pattern, const char *site, const char *device, const char *channel,
                   const char *const *tags);

#endif
