/* answer.h - queries of the cloud over what this fog knows: aggregates of its history, packed to be joined
 * with those of other fogs (common/archive/query_part.h).
 *
 * A query may read the whole history, so a child process does: this program again with --answer, on the store
 * read-only, of low priority, with a limit of memory and ANSWER_MS of time. One at a time, ANSWER_WAITING
 * more wait. What it gives becomes replies of the fog in one transaction. Nothing of it is on disk before: a
 * query that is under way when the fog is killed is not answered, and whoever asked says so. Threads: the
 * loop's. */
#ifndef FOGLINE_FOG_ANSWER_H
#define FOGLINE_FOG_ANSWER_H

#include "base/counter.h"
#include "base/loop.h"
#include "ctl/commands.h"

enum { ANSWER_WAITING = 8, ANSWER_MS = 30000, ANSWER_PARTS_MAX = 64 };

struct answer_options {
    struct loop *loop;   /* borrowed, as the rest */
    const char *store;   /* folder */
    const char *program; /* NULL: this one */
    /* Replies, in the open transaction. 0; ANSWER_NO_ROOM; negative errno. result: empty where ok is false.
     */
    int (*reply)(void *ctx, uint64_t counter, bool ok, const char *text, struct span result, uint32_t part,
                 uint32_t parts);
    void *ctx;
};

struct answer;

must_check int answer_new(struct answer **ret_a, const struct answer_options *options);
struct answer *answer_free(struct answer *a); /* accepts NULL; ends the child */

enum { ANSWER_NO_ROOM = 1 };
/* Begins, puts in line, or replies why not. 0; ANSWER_NO_ROOM; negative errno. */
must_check int answer_take(struct answer *a, const struct command *c);
bool answer_wants_round(const struct answer *a);
/* Before a commit: what the child gave, as replies. Without room for it nobody is answered. 0 or negative
 * errno. */
must_check int answer_round(struct answer *a);

enum answer_counter { ANSWER_QUERIES, ANSWER_REFUSED, ANSWER_FAILED, ANSWER_ANSWERED, ANSWER_COUNTERS };
extern const struct counter_info answer_counter_info[ANSWER_COUNTERS];
const uint64_t *answer_counters(const struct answer *a);

/* The child: reads the store, writes parts to standard output, each behind its length (le32), then the length
 * 0, le64 blocks left out since they may have been given to another store, le64 blocks that do not decode.
 * The exit code. */
enum { ANSWER_CHILD_OK = 0, ANSWER_CHILD_FAILED = 1, ANSWER_CHILD_TOO_LARGE = 3 };
#define ANSWER_FLAG "--answer"
int answer_child(int argc, char **argv); /* PROGRAM --answer STORE QUERY */

#endif
