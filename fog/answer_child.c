/* The child that answers a query. */
#include "archive/query_part.h"
#include "base/cleanup.h"
#include "fog/answer.h"
#include "fog/fog_tier.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MEMORY_MAX_BYTES = 256 << 20, NICENESS = 10, TOO_LARGE = 1 };

struct parts_out {
    unsigned n;
};

static int write_all(struct span s)
{
    while (s.len > 0) {
        ssize_t n = write(STDOUT_FILENO, s.data, s.len);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            s = span_of(s.data + n, s.len - (size_t)n);
    }
    return 0;
}

static int on_part(void *ctx, struct span part)
{
    struct parts_out *out = ctx;
    uint32_t len = (uint32_t)part.len;
    int r;

    if (++out->n > ANSWER_PARTS_MAX)
        return TOO_LARGE;
    r = write_all(span_of(&len, sizeof len));
    return r == 0 ? write_all(part) : r;
}

static int run(struct db *db, const struct query_options *o)
{
    owned(view_freep) struct view *v = NULL;
    owned(buf_deinit) struct buf end = {0};
    struct parts_out out = {.n = 0};
    int r = view_new(&v, db);

    if (r == 0)
        r = query_parts(v, o, on_part, &out);
    if (r != 0)
        return r;
    buf_le32(&end, 0);
    buf_le64(&end, view_faults(v)->blocks_damaged + view_faults(v)->encodings_unknown);
    return end.error != 0 ? end.error : write_all(span_of(end.data, end.len));
}

int answer_child(int argc, char **argv)
{
    const struct rlimit memory = {MEMORY_MAX_BYTES, MEMORY_MAX_BYTES};
    owned(db_closep) struct db *db = NULL;
    struct query_options o;
    struct errmsg err = {""};
    int r;

    if (argc != 4 || !query_order_parse(argv[3], &o) || setrlimit(RLIMIT_DATA, &memory) != 0)
        return ANSWER_CHILD_FAILED;
    (void)setpriority(PRIO_PROCESS, 0, NICENESS);
    r = db_open(
        &db,
        &(struct db_options){
            .path = argv[2], .tables = fog_tables, .n_tables = FOG_TABLES, .role = "fog", .read_only = true},
        &err);
    if (r == 0)
        r = run(db, &o);
    return r == 0 ? ANSWER_CHILD_OK : r == TOO_LARGE ? ANSWER_CHILD_TOO_LARGE : ANSWER_CHILD_FAILED;
}
