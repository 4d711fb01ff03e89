/* verbs_private.h - the functions behind the shared tables; between the verbs_*.c files only. */
#ifndef FOGLINE_CTL_VERBS_PRIVATE_H
#define FOGLINE_CTL_VERBS_PRIVATE_H

#include "ctl/store_walk.h"
#include "ctl/verbs.h"

int verb_key_gen(struct ctl *ctl);
int verb_key_show(struct ctl *ctl);
int verb_store_stat(struct ctl *ctl);
int verb_store_verify(struct ctl *ctl);

#endif
