/* check.h - opens a crash state with the real store and says what is wrong with it. May end the process it
 * runs in: a broken page does that. */
#ifndef FOGLINE_TESTS_CRASH_CHECK_H
#define FOGLINE_TESTS_CRASH_CHECK_H

#include "store.h"

enum check_verdict {
    CHECK_GOOD,
    CHECK_LOST,     /* holds an older state than was acknowledged */
    CHECK_HALF,     /* holds no state that ever was */
    CHECK_UNOPENED, /* does not open, or damage is found */
    CHECK_WORSE,    /* opens, but then records are missing or nothing can be written */
    CHECK_VERDICTS
};
extern const char *const check_verdict_name[CHECK_VERDICTS];

struct check_commit {
    bool readable; /* false: the store was not made yet */
    uint8_t digest[STORE_DIGEST_BYTES];
};

/* What the state may be: one of commits[0 .. n_commits - 1], not below `acknowledged`; anything acknowledged
 * at all? */
struct check_allowed {
    const struct check_commit *commits;
    size_t n_commits, acknowledged;
    bool any;
};

/* The digest of what a store at path holds; readable false when there is none. 0 or negative. */
must_check int check_digest(enum store_tier t, const char *path, struct check_commit *ret_c);
/* Opens, compares, opens as a daemon does after a power cut, reads everything, writes something. folder:
 * holds the store under its tier's name; other files may be made in it. err says what. */
enum check_verdict check_state(enum store_tier t, const char *folder, const struct check_allowed *allowed,
                               struct errmsg *err);

#endif
