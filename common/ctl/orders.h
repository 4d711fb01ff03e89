/* orders.h - the node's end of commands.h: commands that came for this node, in the order of their counters,
 * each carried out at most once.
 *
 * Documents come from within the link and are only checked and kept; the node carries them out at the end of
 * its round. The fact "command/last" in the spool holds the last counter: put there in the transaction of
 * what the command does, it is done exactly once; committed before it acts on the world, at most once. What
 * is not kept (no room, dropped) is announced again until its reply is archived. Threads: one owner. */
#ifndef FOGLINE_CTL_ORDERS_H
#define FOGLINE_CTL_ORDERS_H

#include "ctl/commands.h"
#include "spool/spool.h"

enum { ORDERS_MAX = 8 };

/* Zero-initialised but for spool and who is empty. */
struct orders {
    struct spool *spool;      /* borrowed */
    struct command_trust who; /* node and keys, borrowed; last is not looked at */
    struct command at[ORDERS_MAX];
    unsigned n;
};

/* 0: kept, or nothing to do (for another node, known, no room); COMMAND_FORGED; negative errno. */
must_check int orders_take(struct orders *o, const Fogline__V1__Document *d);
/* The next one to carry out; NULL: none. Until orders_done or orders_drop. */
const struct command *orders_first(const struct orders *o);
/* It is done by the open transaction. It leaves the list whatever this returns: 0; DB_FULL: the transaction
 * is lost; negative errno. */
must_check int orders_done(struct orders *o);
void orders_drop(struct orders *o); /* not now */

#endif
