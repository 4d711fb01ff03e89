/* Reading; codec_file_make.c writes. */
#include "device/codec_file_private.h"

#include "base/cleanup.h"

#include <errno.h>

const uint8_t codec_file_magic[CODEC_FILE_MAGIC_BYTES] = {0x89, 'F', 'G', 'L', '\r', '\n', 0x1a, '\n'};

void codec_file_check(struct span bytes, const uint8_t *key, uint8_t *out, size_t out_bytes)
{
    uint8_t whole[crypto_generichash_BYTES_MIN];

    crypto_generichash(whole, sizeof whole, bytes.data, bytes.len, key,
                       key != NULL ? CODEC_FILE_KEY_BYTES : 0);
    memcpy(out, whole, out_bytes);
}

bool codec_file_is(struct span bytes)
{
    return bytes.len >= CODEC_FILE_MAGIC_BYTES &&
           memcmp(bytes.data, codec_file_magic, CODEC_FILE_MAGIC_BYTES) == 0;
}

static struct span take_span(struct reader *r, size_t n)
{
    const uint8_t *at = reader_take(r, n);

    return span_of(at, at != NULL ? n : 0);
}

static double take_double(struct reader *r)
{
    uint64_t bits = reader_le64(r);
    double v;

    memcpy(&v, &bits, sizeof v);
    return v;
}

static bool read_description(struct codec_file *f, struct reader *r)
{
    f->n_columns = reader_le32(r);
    f->rows = reader_le32(r);
    if (f->n_columns < 1 || f->n_columns > BLOCK_COLUMNS_MAX || f->rows < 1 || f->rows > BLOCK_ROWS_MAX)
        return false;
    f->time_name = take_span(r, reader_u8(r));
    f->time_learned = take_span(r, reader_le32(r));
    for (uint32_t i = 0; i < f->n_columns; i++) {
        uint8_t type = reader_u8(r);

        if (type < COLUMN_DOUBLE || type > COLUMN_TEXT)
            return false;
        f->types[i] = (enum column_type)type;
        f->bounds[i] = take_double(r);
        f->names[i] = take_span(r, reader_u8(r));
        f->learned[i] = take_span(r, reader_le32(r));
    }
    return !r->bad && reader_left(r) == 0;
}

int codec_file_open(struct codec_file **ret_f, struct span bytes)
{
    owned(codec_file_freep) struct codec_file *f = NULL;
    struct reader r = reader_of(bytes), description;
    uint8_t check[CODEC_FILE_KEY_BYTES];
    uint32_t version, n;
    const uint8_t *at;
    int rc;

    if (!codec_file_is(bytes))
        return CODEC_FILE_FOREIGN;
    reader_take(&r, CODEC_FILE_MAGIC_BYTES);
    version = reader_le32(&r);
    n = reader_le32(&r);
    if (!r.bad && version > CODEC_FILE_VERSION)
        return CODEC_FILE_NEWER;
    at = n <= CODEC_FILE_HEAD_MAX_BYTES ? reader_take(&r, n) : NULL;
    if (at == NULL || version != CODEC_FILE_VERSION)
        return CODEC_FILE_DAMAGED;
    f = calloc(1, sizeof *f);
    if (f == NULL)
        return -ENOMEM;
    f->bytes = bytes;
    codec_file_check(span_of(bytes.data, (size_t)(r.at - bytes.data)), NULL, check, sizeof check);
    description = reader_of(span_of(at, n));
    at = reader_take(&r, CODEC_FILE_KEY_BYTES);
    if (at == NULL || memcmp(at, check, sizeof check) != 0 || !read_description(f, &description))
        return CODEC_FILE_DAMAGED;
    memcpy(f->key, check, sizeof check);
    f->frames_at = (size_t)(r.at - bytes.data);
    rc = block_starts_new(&f->starts, f->types, f->n_columns,
                          &(struct block_start_bytes){f->bounds, f->learned, f->time_learned});
    if (rc != 0)
        return rc == -ENOMEM ? rc : CODEC_FILE_DAMAGED;
    *ret_f = TAKE(f);
    return 0;
}

struct codec_file *codec_file_free(struct codec_file *f)
{
    if (f == NULL)
        return NULL;
    block_starts_free(f->starts);
    free(f);
    return NULL;
}

void codec_file_freep(struct codec_file **f)
{
    codec_file_free(*f);
}

/* A frame's 48 bytes, when they are good by themselves. */
static bool read_frame(const struct codec_file *f, size_t at, struct codec_frame *frame, bool *ret_last)
{
    struct reader r = reader_of(span_of(f->bytes.data + at, f->bytes.len - at));
    const uint8_t *mark = reader_take(&r, 4);
    uint8_t check[CODEC_FILE_CHECK_BYTES];
    uint32_t body_bytes;

    if (mark == NULL || memcmp(mark, "FGL", 3) != 0 || (mark[3] != 'B' && mark[3] != 'E') ||
        f->bytes.len - at < CODEC_FILE_FRAME_BYTES)
        return false;
    codec_file_check(span_of(mark, CODEC_FILE_FRAME_BYTES - CODEC_FILE_CHECK_BYTES), f->key, check,
                     sizeof check);
    if (memcmp(check, mark + CODEC_FILE_FRAME_BYTES - CODEC_FILE_CHECK_BYTES, sizeof check) != 0)
        return false;
    body_bytes = reader_le32(&r);
    frame->offset = at;
    frame->number = reader_le64(&r);
    frame->n_rows = reader_le32(&r);
    frame->encoding = reader_le32(&r);
    frame->time_first_ns = (int64_t)reader_le64(&r);
    frame->body = span_of(mark + CODEC_FILE_FRAME_BYTES, body_bytes);
    *ret_last = mark[3] == 'E';
    return body_bytes <= CODEC_FILE_BODY_MAX_BYTES;
}

/* Where the next good frame begins from `at` on; the end of the file when there is none. */
static size_t find_frame(const struct codec_file *f, size_t at)
{
    struct codec_frame frame;
    bool last;

    while (at < f->bytes.len) {
        const uint8_t *mark = memchr(f->bytes.data + at, 'F', f->bytes.len - at);

        if (mark == NULL)
            break;
        at = (size_t)(mark - f->bytes.data);
        if (read_frame(f, at, &frame, &last))
            return at;
        at++;
    }
    return f->bytes.len;
}

static int damaged(struct codec_cursor *c, size_t next, const char *why, const char **ret_why)
{
    c->at = next;
    *ret_why = why;
    return CODEC_FRAME_DAMAGED;
}

static int end_of(const struct codec_file *f, struct codec_cursor *c, const struct codec_frame *frame,
                  const char **ret_why)
{
    c->ended = true;
    if (frame->number >= c->number)
        c->n_lost += frame->number - c->number + 1;
    c->number = frame->number + 1;
    if (c->at + CODEC_FILE_FRAME_BYTES < f->bytes.len)
        return damaged(c, f->bytes.len, "bytes behind the end", ret_why);
    c->at = f->bytes.len;
    return CODEC_FRAME_END;
}

int codec_file_next(const struct codec_file *f, struct codec_cursor *c, struct codec_frame *ret_frame,
                    const char **ret_why)
{
    struct codec_frame frame;
    uint8_t check[CODEC_FILE_CHECK_BYTES];
    bool last;

    if (c->ended)
        return CODEC_FRAME_END;
    *ret_frame = (struct codec_frame){.number = c->number, .offset = c->at};
    if (c->at >= f->bytes.len) {
        c->ended = true;
        return damaged(c, c->at, "the file is cut off here", ret_why);
    }
    if (!read_frame(f, c->at, &frame, &last)) {
        c->gap_told = true;
        return damaged(c, find_frame(f, c->at + 1), "no good frame", ret_why);
    }
    if (!c->gap_told && (last ? frame.number >= c->number : frame.number > c->number)) {
        c->gap_told = true;
        return damaged(c, c->at, "missing here", ret_why);
    }
    c->gap_told = false;
    if (last)
        return end_of(f, c, &frame, ret_why);
    *ret_frame = frame;
    if (frame.body.len > f->bytes.len - c->at - CODEC_FILE_FRAME_BYTES) {
        c->ended = true;
        return damaged(c, f->bytes.len, "the file is cut off within it", ret_why);
    }
    if (frame.number < c->number)
        return damaged(c, c->at + CODEC_FILE_FRAME_BYTES + frame.body.len, "out of its place", ret_why);
    c->n_lost += frame.number - c->number;
    c->number = frame.number + 1;
    codec_file_check(frame.body, NULL, check, sizeof check);
    if (memcmp(check, f->bytes.data + c->at + CODEC_FILE_FRAME_CHECK_AT, sizeof check) != 0) {
        c->n_lost++;
        return damaged(c, c->at + CODEC_FILE_FRAME_BYTES + frame.body.len, "its bytes do not fit their check",
                       ret_why);
    }
    c->at += CODEC_FILE_FRAME_BYTES + frame.body.len;
    return 0;
}
