/* hop.h - what both sides of the hop protocol share: its defaults, its phases, and the rules a simulator can
 * take away.
 *
 * The protocol is written down in README.md of this folder. outbox (lower side) and inbox (upper side) are a
 * pure core: they decide on bytes and monotonic times handed to them, on top of a real spool; they open no
 * socket and read no clock. */
#ifndef FOGLINE_HOP_HOP_H
#define FOGLINE_HOP_HOP_H

#include <stdint.h>

enum {
    HOP_VERSION = 1,
    HOP_POLL_MS = 5000,       /* Hello while open, +-20 % */
    HOP_HELLO_FIRST_MS = 500, /* backoff of Hello until a State answers */
    HOP_HELLO_CAP_MS = 30000,
    HOP_WATCHDOG_POLLS = 3, /* no State accepted for so many polls: new sockets */
    HOP_RESET_FIRST_MS = 500,
    HOP_RESET_CAP_MS = 60000,
    HOP_RTO_MIN_MS = 2000,
    HOP_RTO_MAX_MS = 60000,
    HOP_LEASE_MS = 15000,
    HOP_LEASE_MARGIN_MS =
        5000, /* the upper side counts a lease longer by this, so that the lower falls first */
    HOP_WINDOW_MIN_BYTES = 64 * 1024 + 512, /* one record of maximum size */
    HOP_BACKLOG_PEERS = 8,                  /* so many give backlog at a time */
    HOP_LOWEST_EVERY_RECORDS = 64,
    HOP_INTERVALS_MAX = 256, /* of one lane's seen rows, at and above what its owner still holds */
    HOP_GAPS_MAX = 4096,     /* of one lane's seen rows in all: then the lowest are forgotten */
    HOP_STREAMS_MAX = 4096,  /* epochs of one origin in a relay: nobody takes the place of others */
    HOP_STREAMS_ARCHIVE_MAX =
        1 << 16,                 /* the same in an archive, which forgets none: a start a day for 180 years */
    HOP_ACCOUNT_ROWS_MAX = 1000, /* on the open account before a ledger record is cut while offline */
    HOP_EPOCHS_PER_DAY_MAX = 4,
    HOP_FORGET_MS = 60000, /* an epoch its owner no longer lists is forgotten after so long in one session */
    HOP_BATCH_BYTES = 4 * 1024 * 1024,
    HOP_MARK_PUSH_MS = 500, /* an upper side volunteers fresh marks at most this often */
};

/* Rules of README.md that can be taken away, for the simulator only: with one gone it must find the fault. */
enum hop_rule {
    HOP_RULE_NO_FREE_RELEASE = 1 << 0, /* nobody deletes on `stored` */
    HOP_RULE_POLL = 1 << 1,            /* the lower side asks again */
    HOP_RULE_STORE_ID = 1 << 2,        /* a State of another store is not believed */
    HOP_RULE_MARK_AFTER_SAFE = 1 << 3, /* settled only when safe in archive.copies places */
    HOP_RULE_ARCHIVED_IS_DUP = 1 << 4, /* duplicates are judged against archived, not explained */
    HOP_RULE_AGAIN = 1 << 5,           /* records another store may have are flagged */
    HOP_RULE_CUT_ON_DISK = 1 << 6,     /* the cut is committed before Data */
    HOP_RULE_RUN_IN_DATA = 1 << 7,     /* Data for another run is dropped */
    HOP_RULE_COVERS_TOGETHER = 1 << 8, /* covers ride with their record or name what they need */
    HOP_RULE_DROP_OLD_FOLD = 1 << 9,   /* a restored fog drops open windows */
    HOP_RULE_NEW_EPOCH = 1 << 10,      /* unproven continuity begins an epoch */
    HOP_RULE_SESSION = 1 << 11,        /* messages of older sessions are dropped */
    HOP_RULE_WINDOW_MIN = 1 << 12,     /* a window is 0 or at least one record */
    HOP_RULE_LEASE = 1 << 13,          /* a window runs out */
    HOP_RULE_WATCHDOG_STATE = 1 << 14, /* the watchdog looks at State, not at progress of Data */
};

#endif
