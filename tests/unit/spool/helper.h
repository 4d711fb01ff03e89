/* helper.h - folders that go away, small stores, and records whose content follows from their name. */
#ifndef FOGLINE_TESTS_SPOOL_HELPER_H
#define FOGLINE_TESTS_SPOOL_HELPER_H

#include "spool/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { HELPER_PATH_BYTES = 256, HELPER_MAP_BYTES = 1 << 20 };

extern const char *const helper_tables[SPOOL_TABLES];

/* A new folder under $TMPDIR or /tmp. */
void helper_dir_make(char out[HELPER_PATH_BYTES]);
void helper_dir_remove(const char *path);
void helper_join(char out[HELPER_PATH_BYTES], const char *folder, const char *name);
void helper_copy_file(const char *from, const char *to);
void helper_copy_store(const char *from, const char *to); /* data.mdb only, as a backup would */

struct db_options helper_db(const char *path);
struct spool_options helper_spool(const char *path);
struct spool *helper_open(const struct spool_options *o); /* asserts success */

struct span helper_payload(uint64_t seq, size_t len); /* borrowed until the next call */
bool helper_payload_is(uint64_t seq, struct span payload);
struct spool_record helper_record(uint64_t seq, size_t len);
void helper_append(struct spool *sp, unsigned lane, unsigned n,
                   size_t len); /* asserts success, does not commit */
bool helper_intact(struct spool *sp, const struct spool_stream *s, uint64_t seq, int *ret_code);

#endif
