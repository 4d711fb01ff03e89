#include "device/codec_csv.h"
#include "device/codec_tool.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { BAD_LISTED = 100 };

struct bad_block {
    uint64_t number;
    size_t offset;
    const char *why; /* static */
};

struct decoding {
    struct ctl *ctl;
    const char *input;
    const struct codec_file *f;
    FILE *out;
    uint64_t n_rows, n_blocks, n_bad, n_lost;
    struct bad_block bad[BAD_LISTED];
};

static void tell(struct decoding *d, const struct codec_frame *frame, const char *why)
{
    if (d->n_bad < BAD_LISTED) {
        d->bad[d->n_bad] = (struct bad_block){frame->number, frame->offset, why};
        if (!d->ctl->json)
            ctl_note(d->ctl, "%s: block %" PRIu64 " at byte %zu: %s: skipped", d->input, frame->number,
                     frame->offset, why);
    }
    d->n_bad++;
}

/* 0, or negative errno: no memory. */
static must_check int decode_block(struct decoding *d, struct block_store *store,
                                   const struct codec_frame *frame)
{
    const struct block_shape shape = {.encoding = frame->encoding,
                                      .types = d->f->types,
                                      .n_columns = d->f->n_columns,
                                      .n_rows = frame->n_rows,
                                      .only_column = -1,
                                      .time_first_ns = frame->time_first_ns,
                                      .starts = d->f->starts};
    const struct block *b;
    int r = block_decode(&shape, frame->body, store, &b);

    if (r < 0)
        return r;
    if (r != 0) {
        tell(d, frame, r == BLOCK_ENCODING_UNKNOWN ? "in an encoding this program does not know" : "damaged");
        d->n_lost++;
        return 0;
    }
    codec_csv_rows(d->out, b);
    d->n_rows += b->n_rows;
    d->n_blocks++;
    return 0;
}

static must_check int decode_all(struct decoding *d)
{
    struct codec_cursor cursor = codec_cursor_of(d->f);
    struct block_store *store;
    struct codec_frame frame;
    const char *why;
    int r = block_store_new(&store);

    if (r != 0)
        return r;
    codec_csv_header(d->out, d->f);
    while (r == 0 && (r = codec_file_next(d->f, &cursor, &frame, &why)) != CODEC_FRAME_END) {
        if (r == CODEC_FRAME_DAMAGED) {
            tell(d, &frame, why);
            r = 0;
        } else if (r == 0) {
            r = decode_block(d, store, &frame);
        }
    }
    d->n_lost += cursor.n_lost;
    block_store_free(store);
    if (ferror(d->out) != 0)
        return errno != 0 ? -errno : -EIO;
    return r == CODEC_FRAME_END ? 0 : r;
}

static must_check int close_synced(FILE **out)
{
    int r = fflush(*out) != 0 || fsync(fileno(*out)) != 0 ? -errno : 0;

    if (fclose(TAKE(*out)) != 0 && r == 0)
        r = -errno;
    return r;
}

/* Under a name of its own first: whoever finds the file finds all of it. */
static must_check int decode_to(struct decoding *d, const char *path)
{
    owned(close_file) FILE *out = NULL;
    char tmp[PATH_MAX], folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int n = snprintf(tmp, sizeof tmp, "%s.tmp-%ld", path, (long)getpid()), fd, r;

    if (n < 0 || (size_t)n >= sizeof tmp)
        return -ENAMETOOLONG;
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    d->out = out = fdopen(fd, "w");
    if (out == NULL) {
        close(fd);
        unlink(tmp);
        return -ENOMEM;
    }
    r = decode_all(d);
    if (r == 0)
        r = close_synced(&out);
    if (r == 0 && rename(tmp, path) != 0)
        r = -errno;
    if (r != 0) {
        unlink(tmp);
        return r;
    }
    snprintf(folder, sizeof folder, "%.*s",
             slash == NULL   ? 1
             : slash == path ? 1
                             : (int)(slash - path),
             slash == NULL ? "." : path);
    return file_sync_dir(folder);
}

static int show_json(struct decoding *d, const char *path)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(d->ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", path);
    json_ku64(j, "rows", d->n_rows);
    json_ku64(j, "blocks", d->n_blocks);
    json_ku64(j, "lost_blocks", d->n_lost);
    json_key(j, "damaged");
    json_array(j);
    for (size_t i = 0; i < d->n_bad && i < BAD_LISTED; i++) {
        json_object(j);
        json_ku64(j, "block", d->bad[i].number);
        json_ku64(j, "offset", d->bad[i].offset);
        json_kstr(j, "why", d->bad[i].why);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(d->ctl, j);
}

static int finish(struct decoding *d, const char *path)
{
    int code = CTL_OK;

    if (d->ctl->json)
        code = show_json(d, path);
    else if (path != NULL)
        fprintf(d->ctl->out, "%s: %" PRIu64 " rows of %" PRIu64 " block%s\n", path, d->n_rows, d->n_blocks,
                d->n_blocks == 1 ? "" : "s");
    if (code != CTL_OK || d->n_bad == 0)
        return code;
    return ctl_fail(d->ctl, CTL_DAMAGED,
                    "%s: damaged in %" PRIu64 " places; at least %" PRIu64
                    " blocks are missing, the other %" PRIu64
                    " are written; another copy of the file may have them",
                    d->input, d->n_bad, d->n_lost, d->n_blocks);
}

static int run_decode(struct ctl *ctl)
{
    owned(buf_deinit) struct buf bytes = {0};
    owned(codec_file_freep) struct codec_file *f = NULL;
    owned(free_ptr) struct decoding *d = calloc(1, sizeof *d);
    const char *path = NULL;
    int code = CTL_OK, r;

    if (d == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    if (ctl_option(ctl, "output") != NULL)
        code = codec_tool_output(ctl, ctl->args[0], &path);
    else if (ctl->json)
        code = ctl_fail(ctl, CTL_USAGE, "--json tells of a file that was written: add -o FILE");
    if (code == CTL_OK)
        code = codec_tool_open(ctl, ctl->args[0], &bytes, &f);
    if (code != CTL_OK)
        return code;
    d->ctl = ctl;
    d->input = ctl->args[0];
    d->f = f;
    d->out = ctl->out;
    r = path != NULL ? decode_to(d, path) : decode_all(d);
    if (r != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: cannot be written: %s", path != NULL ? path : "standard output",
                        strerror(-r));
    return finish(d, path);
}

static const struct cmd_option options[] = {
    {"output", 'o', "FILE", "where to; standard output when not given"},
    {0},
};

const struct cmd codec_tool_decode[] = {
    {"decode", "FILE.fgl", 1, 1, "make CSV of a file of blocks",
     "Numbers are printed so that they read back to the same bits, times as ISO 8601 in UTC. A damaged block "
     "is named,\n"
     "skipped and counted; the rest is written, and the exit code is 7.\n"
     "\n"
     "  fogline-codec decode pump.fgl -o pump.csv\n"
     "  fogline-codec decode pump.fgl | head",
     options, run_decode},
    {0},
};
