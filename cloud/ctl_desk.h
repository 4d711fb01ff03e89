/* ctl_desk.h - where commands are made: the list of nodes and the keys that sign and seal. Inside cloudctl
 * only. */
#ifndef FOGLINE_CLOUD_CTL_DESK_H
#define FOGLINE_CLOUD_CTL_DESK_H

#include "ctl/commands.h"
#include "ctl/verbs.h"

/* Zero-initialised is empty. */
struct desk {
    struct nodes nodes;
    struct node_keys cloud;
    struct operator_keys operator;
};

/* Exit codes, said on ctl->err. */
must_check int desk_open(struct ctl *ctl, struct desk *d);
void desk_deinit(struct desk *d);
/* Gives the command target and counter, signs and seals it, and lays it where the daemon takes it from. */
must_check int desk_issue(struct ctl *ctl, const struct desk *d, const struct upper_port_node *n,
                          struct command *c);

static inline bool desk_is_fog(const struct upper_port_node *n)
{
    return strcmp(n->role, "fog") == 0 && !n->revoked;
}

#endif
