/* commands.h - orders to one node: signed by the operator, sealed to the node, carried out at most once.
 *
 * A command is a Document of kind "command": target = the node, version = its counter (grows per node), body
 * = a packed Command sealed with the cloud-node seal key, signature = the operator's over all of it. On the
 * cloud's host each waits in state_dir/commands/NODE-COUNTER.doc until its reply is archived; NODE.last holds
 * the last counter given out. Crash: the counter is on disk before the command, so a number is never used
 * twice. Threads: values. */
#ifndef FOGLINE_CTL_COMMANDS_H
#define FOGLINE_CTL_COMMANDS_H

#include "link/gate.h"
#include "link/keys.h"
#include "wire/wire.h"

enum { COMMAND_ARGUMENT_CHARS = 256 };

struct command {
    char target[GATE_NAME_BYTES];
    uint64_t counter;
    Fogline__V1__CommandType type;
    char argument[COMMAND_ARGUMENT_CHARS];
};

const char *command_type_name(Fogline__V1__CommandType type); /* "identify"; "unknown" */
bool command_type_parse(const char *name, Fogline__V1__CommandType *ret_type);

/* Appends the packed Document to out. seal_key: end_keys.seal of cloud and target. */
must_check int command_make(const struct command *c, const uint8_t seal_key[KEY_BYTES],
                            const struct operator_keys *k, struct buf *out);
enum { COMMAND_FOREIGN = 1, COMMAND_FORGED = 2, COMMAND_OLD = 3 };
/* At the node: is this document a command for `node`, signed by the operator, sealed to us, with a counter
 * above `last`? 0 with *ret_c; COMMAND_FOREIGN: another kind or target; COMMAND_FORGED; COMMAND_OLD: carried
 * out before. The caller makes `last` durable before it acts. */
struct command_trust {
    const char *node;
    const uint8_t *operator_public, *seal_key; /* KEY_BYTES each; borrowed */
    uint64_t last;
};
must_check int command_open(const Fogline__V1__Document *d, const struct command_trust *t,
                            struct command *ret_c);

/* Cloud host: gives the next counter of a node, durable before it returns. */
must_check int commands_next_counter(const char *dir, const char *node, uint64_t *ret_counter);
must_check int commands_save(const char *dir, const char *node, uint64_t counter, struct span packed);
/* The reply is archived: forget it. A missing file is fine. */
must_check int commands_remove(const char *dir, const char *node, uint64_t counter);

/* All waiting commands, as packed Documents sorted by node and counter. Zero-initialised is empty. */
struct commands_item {
    char node[GATE_NAME_BYTES];
    uint64_t counter;
    struct buf packed;
};
struct commands {
    struct commands_item *at;
    size_t n;
};
void commands_deinit(struct commands *c);
enum { COMMANDS_MAX = 1024 };
/* Replaces *c by what is in dir (missing: empty); at most COMMANDS_MAX. */
must_check int commands_load(const char *dir, struct commands *c);

#endif
