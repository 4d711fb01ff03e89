#include "device/codec_file_private.h"

#include "base/cleanup.h"

#include <errno.h>

struct maker {
    const struct codec_table *t;
    const struct codec_file_options *o;
    struct block_coder *coder;
    struct block_starts *starts;
    struct column *columns; /* of the block at hand */
    struct span *learned;
    struct span time_learned;
    struct buf learned_bytes;
    struct codec_file_made made;
};

static void maker_deinit(struct maker *m)
{
    block_coder_free(m->coder);
    block_starts_free(m->starts);
    free(m->columns);
    free(m->learned);
    buf_deinit(&m->learned_bytes);
}

static must_check int learn(struct maker *m)
{
    struct block b;
    int r = 0;

    if (!m->o->cold && m->o->encoding != BLOCK_ENCODING_RAW && m->t->n_rows > 0) {
        codec_table_block(m->t, 0, BLOCK_ROWS_MAX, m->columns, &b);
        r = block_learn(m->coder, &b, m->o->bounds, &m->learned_bytes, m->learned, &m->time_learned);
        m->made.start_bytes = m->learned_bytes.len;
    }
    if (r != 0)
        return r;
    return block_starts_new(&m->starts, m->t->types, m->t->n_columns,
                            &(struct block_start_bytes){m->o->bounds, m->learned, m->time_learned});
}

static must_check int maker_init(struct maker *m)
{
    int r = block_coder_new(&m->coder);

    if (r != 0)
        return r;
    m->columns = calloc(m->t->n_columns, sizeof *m->columns);
    m->learned = calloc(m->t->n_columns, sizeof *m->learned);
    if (m->columns == NULL || m->learned == NULL)
        return -ENOMEM;
    return learn(m);
}

static void put_named(struct buf *out, const char *name, struct span start)
{
    size_t n = strlen(name);

    buf_u8(out, (uint8_t)n);
    buf_append(out, name, n);
    buf_le32(out, (uint32_t)start.len);
    buf_append(out, start.data, start.len);
}

static void put_head(const struct maker *m, struct buf *out, uint8_t key[CODEC_FILE_KEY_BYTES])
{
    owned(buf_deinit) struct buf d = {0};

    buf_le32(&d, m->t->n_columns);
    buf_le32(&d, m->o->rows);
    put_named(&d, m->t->time_header, m->time_learned);
    for (uint32_t i = 0; i < m->t->n_columns; i++) {
        double bound = m->o->bounds != NULL ? m->o->bounds[i] : 0;
        uint64_t bits;

        memcpy(&bits, &bound, sizeof bits);
        buf_u8(&d, (uint8_t)m->t->types[i]);
        buf_le64(&d, bits);
        put_named(&d, m->t->about[i].header, m->learned[i]);
    }
    if (d.error != 0)
        out->error = d.error;
    buf_append(out, codec_file_magic, CODEC_FILE_MAGIC_BYTES);
    buf_le32(out, CODEC_FILE_VERSION);
    buf_le32(out, (uint32_t)d.len);
    buf_append(out, d.data, d.len);
    if (out->error != 0)
        return;
    codec_file_check(span_of(out->data, out->len), NULL, key, CODEC_FILE_KEY_BYTES);
    buf_append(out, key, CODEC_FILE_KEY_BYTES);
}

/* Fills in the frame at `at`, whose body stands behind it. */
static void put_frame(struct buf *out, size_t at, const uint8_t *key, bool last,
                      const struct codec_frame *frame)
{
    size_t body_bytes = out->len - at - CODEC_FILE_FRAME_BYTES;
    uint8_t *p = out->data + at;
    uint32_t length = (uint32_t)body_bytes;

    memcpy(p, last ? "FGLE" : "FGLB", 4);
    memcpy(p + 4, &length, 4);
    store_le64(p + 8, frame->number);
    memcpy(p + 16, &frame->n_rows, 4);
    memcpy(p + 20, &frame->encoding, 4);
    store_le64(p + 24, (uint64_t)frame->time_first_ns);
    codec_file_check(span_of(p + CODEC_FILE_FRAME_BYTES, body_bytes), NULL, p + CODEC_FILE_FRAME_CHECK_AT,
                     CODEC_FILE_CHECK_BYTES);
    codec_file_check(span_of(p, CODEC_FILE_FRAME_BYTES - CODEC_FILE_CHECK_BYTES), key,
                     p + CODEC_FILE_FRAME_BYTES - CODEC_FILE_CHECK_BYTES, CODEC_FILE_CHECK_BYTES);
}

static int64_t lowest(const struct block *b)
{
    int64_t low = b->time_ns[0];

    for (uint32_t i = 1; i < b->n_rows; i++)
        low = b->time_ns[i] < low ? b->time_ns[i] : low;
    return low;
}

static must_check int put_block(struct maker *m, const struct block *b, const uint8_t *key, struct buf *out)
{
    size_t at = out->len;
    int r;

    if (buf_grow(out, CODEC_FILE_FRAME_BYTES) == NULL)
        return out->error;
    r = block_encode(m->coder, m->o->encoding, m->starts, b, out);
    if (r != 0)
        return r;
    put_frame(out, at, key, false,
              &(struct codec_frame){.number = ++m->made.n_blocks,
                                    .n_rows = b->n_rows,
                                    .encoding = m->o->encoding,
                                    .time_first_ns = lowest(b)});
    m->made.body_bytes += out->len - at - CODEC_FILE_FRAME_BYTES;
    return 0;
}

int codec_file_make(const struct codec_table *t, const struct codec_file_options *o, struct buf *out,
                    struct codec_file_made *ret_made)
{
    owned(maker_deinit) struct maker m = {.t = t, .o = o};
    uint8_t key[CODEC_FILE_KEY_BYTES];
    struct block b;
    size_t at;
    int r = maker_init(&m);

    if (r != 0)
        return r;
    put_head(&m, out, key);
    if (out->error != 0)
        return out->error;
    for (uint64_t row = 0; row < t->n_rows; row += b.n_rows) {
        codec_table_block(t, row, o->rows, m.columns, &b);
        r = put_block(&m, &b, key, out);
        if (r != 0)
            return r;
    }
    at = out->len;
    if (buf_grow(out, CODEC_FILE_FRAME_BYTES) == NULL)
        return out->error;
    put_frame(out, at, key, true,
              &(struct codec_frame){.number = m.made.n_blocks, .time_first_ns = (int64_t)t->n_rows});
    *ret_made = m.made;
    return 0;
}
