/* verbs_private.h - the functions behind the shared tables; between the verbs_*.c files only. */
#ifndef FOGLINE_CTL_VERBS_PRIVATE_H
#define FOGLINE_CTL_VERBS_PRIVATE_H

#include "ctl/store_walk.h"
#include "ctl/verbs.h"

int verb_key_gen(struct ctl *ctl);
int verb_key_show(struct ctl *ctl);
int verb_store_stat(struct ctl *ctl);
int verb_store_verify(struct ctl *ctl);
int verb_tail(struct ctl *ctl);

/* --origin, --epoch, --kind, --lane. Returns an exit code. */
must_check int verb_read_filter(const struct ctl *ctl, struct walk_filter *ret_f);
/* Prints one record as text or JSON (`lines`: in one line). Returns an exit code. */
must_check int verb_show_record(struct ctl *ctl, struct walk_descriptors *d, const struct walk_record *r,
                                unsigned max_rows, bool lines);

#endif
