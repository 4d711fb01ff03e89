/* tap.h - shows records to a `tail` while they pass, since a settled record is gone from the store before
 * anyone looks.
 *
 * A `tail` binds a datagram socket run_dir/tap-PID.sock; the daemon looks for such sockets once a second and
 * sends each a copy of every record, never waiting: what a slow reader does not take is dropped and counted.
 * A record is shown when it is taken in, before its commit. A datagram: u8 1, u8 length of origin, origin,
 * epoch[16], le64 seq, le32 kind, le32 flags, le32 samples, payload. Threads: one owner. Limits:
 * TAP_READERS_MAX. */
#ifndef FOGLINE_CTL_TAP_H
#define FOGLINE_CTL_TAP_H

#include "base/bytes.h"
#include "wire/wire.h"

enum { TAP_READERS_MAX = 4, TAP_MAX_BYTES = WIRE_PAYLOAD_MAX_BYTES + 256 };

struct tap; /* the daemon's end */

must_check int tap_new(struct tap **ret_t, const char *run_dir); /* copies */
struct tap *tap_free(struct tap *t);                             /* accepts NULL */
void tap_look(struct tap *t); /* for readers; once a second. Sockets nobody reads any more are removed */
/* Cheap when nobody reads. Borrows r. */
void tap_record(struct tap *t, const struct record *r);
uint64_t tap_dropped(const struct tap *t);

/* The reader's end. */
struct tap_reader;
must_check int tap_reader_new(struct tap_reader **ret_r, const char *run_dir);
struct tap_reader *tap_reader_free(struct tap_reader *r); /* removes the socket */
int tap_reader_fd(const struct tap_reader *r);
enum { TAP_EMPTY = 1 };
/* Next record, borrowed until the next call. Never blocks. 0, TAP_EMPTY, negative errno. */
must_check int tap_reader_next(struct tap_reader *r, struct record *ret_record);

#endif
