/* fixture.h - a small archive in a temporary folder, and devices whose records it takes. */
#ifndef FOGLINE_TESTS_CLOUD_FIXTURE_H
#define FOGLINE_TESTS_CLOUD_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive/view.h"
#include "cloud/intake.h"
#include "codec/block.h"
#include "lib/tmpdir.h"
#include "link/keys.h"

enum { FIXTURE_DEVICES = 3, FIXTURE_MAP_BYTES = 96 * 1024 * 1024 };

struct fixture_device {
    char name[32], site[32];
    struct node_keys keys;
    struct end_keys end;
    struct id128 epoch;
    uint64_t next[SPOOL_LANES];
};

struct fixture {
    struct tmpdir dir;
    char path[256], proof[256];
    struct clock_fake fake;
    struct clock clock;
    struct node_keys cloud;
    struct fixture_device device[FIXTURE_DEVICES]; /* pump-0 at north, pump-1 at north, fan-2 at south */
    struct upper_port_node nodes[FIXTURE_DEVICES];
    struct archive *archive;
    struct intake *intake;
    struct db *db;
    struct view *view;
    struct buf payload; /* of the last record made */
    uint64_t last_reply;
    const char *reduce[1];
};

void fixture_init(struct fixture *f);
/* The same with the archive in a given folder, which stays. */
void fixture_init_at(struct fixture *f, const char *path);
void fixture_deinit(struct fixture *f);
void fixture_open(struct fixture *f); /* archive and intake */
void fixture_close(struct fixture *f);
void fixture_commit(struct fixture *f);
/* Closes the archive and opens it for reading. */
struct view *fixture_view(struct fixture *f);

/* Columns of the sets the tests use: temperature double, count int64, on bool, note text. */
enum { COLUMNS = 4 };
extern const enum column_type fixture_types[COLUMNS];
/* A packed DescriptorSet; `unit` is of the first channel, and makes sets differ. */
void fixture_descriptor(struct buf *out, const char *unit);
uint64_t fixture_set_id(const char *unit);

struct fixture_row {
    int64_t time_ns;
    struct cell cells[COLUMNS];
};
/* A packed Block. */
void fixture_block(struct buf *out, uint64_t set_id, const struct fixture_row *rows, uint32_t n,
                   uint32_t *ret_samples);

struct fixture_record {
    unsigned lane;
    uint32_t kind, samples, flags;
    struct span payload;
    uint64_t count; /* 0: the next of the lane */
    bool forged;    /* a wrong tag */
};
/* Makes the record and hands it to the intake as the inbox would: not when seen before. Returns what the
 * intake said, or INBOX_DUPLICATE. ret_seq may be NULL. */
int fixture_put(struct fixture *f, unsigned device, const struct fixture_record *r, uint64_t *ret_seq);
/* A block of one row: temperature only. */
int fixture_put_value(struct fixture *f, unsigned device, int64_t time_ns, double value);
void fixture_put_descriptor(struct fixture *f, unsigned device, const char *unit);
struct spool_stream *fixture_stream(struct fixture *f, unsigned device);
/* What the device says it holds; held NULL: nothing. */
void fixture_report(struct fixture *f, unsigned device, unsigned lane, uint64_t samples_produced,
                    const struct interval_set *held);

#endif
