/* cloud.h - the collector: takes records of devices and fogs, archives them once, answers with marks.
 *
 * One thread, one loop: messages in, one transaction per round, States out. Records that arrive are checked
 * and laid down by intake.h; this joins it with sockets, files and time. Exits when the store fails; what was
 * acknowledged is on disk. */
#ifndef FOGLINE_CLOUD_CLOUD_H
#define FOGLINE_CLOUD_CLOUD_H

#include "ctl/daemon.h"

struct cloud;

/* Opens everything and listens. d is borrowed for the life of the cloud. 0; negative errno with *err. */
must_check int cloud_new(struct cloud **ret_c, struct daemon *d, struct errmsg *err);
struct cloud *cloud_free(struct cloud *c); /* accepts NULL */
int cloud_run(struct cloud *c);            /* until a signal or a failure; returns enum ctl_exit */

#endif
