#include "helper.h"

#include "base/file.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const helper_tables[SPOOL_TABLES] = {SPOOL_TABLE_NAMES};

void helper_dir_make(char out[HELPER_PATH_BYTES])
{
    const char *tmp = getenv("TMPDIR");

    snprintf(out, HELPER_PATH_BYTES, "%s/fogline-spool-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(out));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void helper_dir_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void helper_join(char out[HELPER_PATH_BYTES], const char *folder, const char *name)
{
    assert_true(snprintf(out, HELPER_PATH_BYTES, "%s/%s", folder, name) < HELPER_PATH_BYTES);
}

void helper_copy_file(const char *from, const char *to)
{
    struct buf b = {0};
    int fd;

    assert_int_equal(file_read(from, 64 << 20, &b), 0);
    fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.data, b.len), b.len);
    close(fd);
    buf_deinit(&b);
}

void helper_copy_store(const char *from, const char *to)
{
    char a[HELPER_PATH_BYTES], b[HELPER_PATH_BYTES];

    assert_int_equal(file_mkdirs(to, 0700), 0);
    helper_join(a, from, "data.mdb");
    helper_join(b, to, "data.mdb");
    helper_copy_file(a, b);
    helper_join(b, to, "lock.mdb");
    unlink(b);
}

struct db_options helper_db(const char *path)
{
    return (struct db_options){.path = path,
                               .tables = helper_tables,
                               .n_tables = SPOOL_TABLES,
                               .map_bytes = HELPER_MAP_BYTES,
                               .role = "device",
                               .no_preallocate = true};
}

struct spool_options helper_spool(const char *path)
{
    return (struct spool_options){.db = helper_db(path), .node = "dev-1", .continue_unproven = true};
}

struct spool *helper_open(const struct spool_options *o)
{
    struct errmsg err = {""};
    struct spool *sp = NULL;
    int r = spool_open(&sp, o, &err);

    if (r != 0)
        print_error("spool_open: %d %s\n", r, err.text);
    assert_int_equal(r, 0);
    return sp;
}

struct span helper_payload(uint64_t seq, size_t len)
{
    static uint8_t bytes[SPOOL_PAYLOAD_MAX_BYTES];
    size_t i;

    for (i = 0; i < len; i++)
        bytes[i] = (uint8_t)(seq * 31 + i * 7 + (seq >> 8) + (i >> 8));
    return span_of(bytes, len);
}

bool helper_payload_is(uint64_t seq, struct span payload)
{
    return payload.len <= SPOOL_PAYLOAD_MAX_BYTES && span_equal(payload, helper_payload(seq, payload.len));
}

struct spool_record helper_record(uint64_t seq, size_t len)
{
    struct spool_record r = {.kind = 2,
                             .flags = (uint32_t)(seq & 1),
                             .samples = (uint32_t)(seq % 10),
                             .payload = helper_payload(seq, len)};

    memset(r.tag, (int)(seq & 0xff), sizeof r.tag);
    return r;
}

void helper_append(struct spool *sp, unsigned lane, unsigned n, size_t len)
{
    while (n-- > 0) {
        uint64_t seq = spool_next_seq(sp, lane), got = 0;
        struct spool_record r = helper_record(seq, len);

        assert_int_equal(spool_append(sp, lane, &r, &got), 0);
        assert_true(got == seq);
    }
}

bool helper_intact(struct spool *sp, const struct spool_stream *s, uint64_t seq, int *ret_code)
{
    struct spool_record r = {0}, want;

    *ret_code = spool_get(sp, s, seq, &r);
    if (*ret_code != 0)
        return true;
    want = helper_record(seq, r.payload.len);
    return helper_payload_is(seq, r.payload) && r.kind == want.kind && r.flags == want.flags &&
           r.samples == want.samples && memcmp(r.tag, want.tag, sizeof r.tag) == 0;
}
