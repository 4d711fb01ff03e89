/* fog.h - a fog: takes what devices bring, holds it, gives it to the cloud.
 *
 *   devices -> upper_port (inbox) -> stages -> spool -> lower_port (outbox) -> cloud
 *   devices <- marks, letters     <-----------------------------------------  cloud
 *
 * One loop round is one batch: everything that arrived, through the stages, one commit, then acknowledgements
 * down and records up. What arrived during the commit is the next batch. Crash: what was acknowledged is in
 * the spool; marks and letters are asked for again. Threads: the loop's. */
#ifndef FOGLINE_FOG_FOG_H
#define FOGLINE_FOG_FOG_H

#include "base/err.h"
#include "ctl/daemon.h"

struct fog;

/* Borrows d until fog_free. Opens the store (a damaged one is moved away first) and both ports. */
must_check int fog_new(struct fog **ret_f, struct daemon *d, struct errmsg *err);
/* Says that it stops (a last record), closes everything. Accepts NULL. */
struct fog *fog_free(struct fog *f);
/* Until a signal or a failure. The exit code of the program. */
int fog_run(struct fog *f);

/* For tests: the port that devices connect to. */
uint16_t fog_port(const struct fog *f);

#endif
