/* cmd_private.h - between cmd.c and cmd_help.c only. */
#ifndef FOGLINE_CTL_CMD_PRIVATE_H
#define FOGLINE_CTL_CMD_PRIVATE_H

#include "ctl/cmd.h"

struct cmd_given {
    const char *name, *value;
};

/* Those of every command of the tool; without a configuration there is none to name. */
const struct cmd_option *cmd_common_options(const struct ctl_tier *tier);

/* Calls fn for each command of the tier once (the first of each name); stops when it returns true, then true.
 */
bool cmd_each(const struct ctl_tier *tier, bool (*fn)(void *ctx, const struct cmd *c), void *ctx);
/* How many words a name has, and whether argv-like words begin with it. */
unsigned cmd_words(const char *name);

void cmd_help_tool(const struct ctl_tier *tier, FILE *out);
void cmd_help_group(const struct ctl_tier *tier, const char *group, FILE *out);
void cmd_help_command(const struct ctl_tier *tier, const struct cmd *c, FILE *out);

#endif
