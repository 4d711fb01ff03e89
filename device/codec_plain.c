/* The one user of zstd, which is only compared with. */
#include "device/codec_measure.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>

#ifdef FOGLINE_HAVE_ZSTD
#include <zstd.h>

enum { LEVEL = 3 };

struct codec_zstd {
    ZSTD_CCtx *packer;
    ZSTD_DCtx *unpacker;
};

int codec_zstd_new(struct codec_zstd **ret_z)
{
    struct codec_zstd *z = calloc(1, sizeof *z);

    if (z == NULL)
        return -ENOMEM;
    z->packer = ZSTD_createCCtx();
    z->unpacker = ZSTD_createDCtx();
    if (z->packer == NULL || z->unpacker == NULL) {
        codec_zstd_free(z);
        return -ENOMEM;
    }
    *ret_z = z;
    return 0;
}

struct codec_zstd *codec_zstd_free(struct codec_zstd *z)
{
    if (z == NULL)
        return NULL;
    ZSTD_freeCCtx(z->packer);
    ZSTD_freeDCtx(z->unpacker);
    free(z);
    return NULL;
}

int codec_zstd_pack(struct codec_zstd *z, struct span in, struct buf *out)
{
    size_t room = ZSTD_compressBound(in.len), n;
    uint8_t *at = buf_grow(out, room);

    if (at == NULL)
        return out->error;
    n = ZSTD_compressCCtx(z->packer, at, room, in.data, in.len, LEVEL);
    if (ZSTD_isError(n))
        return -ENOMEM; /* the one thing that can fail with enough room */
    out->len -= room - n;
    return 0;
}

static must_check int unpack(struct codec_zstd *z, struct span in, uint8_t *out, size_t out_bytes)
{
    size_t n = ZSTD_decompressDCtx(z->unpacker, out, out_bytes, in.data, in.len);

    return ZSTD_isError(n) || n != out_bytes ? -EBADMSG : 0;
}
#else
int codec_zstd_new(struct codec_zstd **ret_z)
{
    (void)ret_z;
    return CODEC_NO_ZSTD;
}

struct codec_zstd *codec_zstd_free(struct codec_zstd *z)
{
    (void)z;
    return NULL;
}

int codec_zstd_pack(struct codec_zstd *z, struct span in, struct buf *out)
{
    (void)z;
    (void)in;
    (void)out;
    return CODEC_NO_ZSTD;
}

static must_check int unpack(struct codec_zstd *z, struct span in, uint8_t *out, size_t out_bytes)
{
    (void)z;
    (void)in;
    (void)out;
    (void)out_bytes;
    return CODEC_NO_ZSTD;
}
#endif

void codec_zstd_freep(struct codec_zstd **z)
{
    codec_zstd_free(*z);
}

/* Ends of the blocks in a run of bytes. */
struct cuts {
    size_t *end, n, alloc;
};

static void cuts_deinit(struct cuts *c)
{
    free(c->end);
}

static must_check int cuts_add(struct cuts *c, size_t end)
{
    if (c->n == c->alloc) {
        size_t alloc = c->alloc == 0 ? 256 : c->alloc * 2, *at = realloc(c->end, alloc * sizeof *at);

        if (at == NULL)
            return -ENOMEM;
        c->end = at;
        c->alloc = alloc;
    }
    c->end[c->n++] = end;
    return 0;
}

static void put_column(struct buf *out, const struct block *b, const struct column *c, bool with_times)
{
    for (uint32_t row = 0; row < b->n_rows; row++) {
        if (c->absent != NULL && c->absent[row])
            continue;
        if (with_times)
            buf_le64(out, (uint64_t)b->time_ns[row]);
        if (c->type == COLUMN_TEXT) {
            buf_u8(out, (uint8_t)c->text[row].len);
            buf_append(out, c->text[row].data, c->text[row].len);
        } else {
            buf_le64(out, (uint64_t)c->i64[row]);
        }
    }
}

static must_check int put_all(const struct codec_set *s, uint32_t rows, bool with_times, struct buf *plain,
                              struct cuts *cuts)
{
    struct column columns[BLOCK_COLUMNS_MAX];
    struct block b;
    int r = 0;

    for (size_t i = 0; i < s->n_members; i++) {
        const struct codec_table *t = s->members[i].table;

        for (uint64_t row = 0; row < t->n_rows && r == 0; row += b.n_rows) {
            codec_table_block(t, row, rows, columns, &b);
            for (uint32_t c = 0; c < b.n_columns; c++)
                put_column(plain, &b, &columns[c], with_times);
            r = cuts_add(cuts, plain->len);
        }
    }
    return r != 0 ? r : plain->error;
}

static must_check int pack_all(struct codec_zstd *z, struct span plain, const struct cuts *in,
                               struct buf *packed, struct cuts *out)
{
    buf_reset(packed);
    out->n = 0;
    for (size_t i = 0, from = 0; i < in->n; from = in->end[i++]) {
        int r = codec_zstd_pack(z, span_of(plain.data + from, in->end[i] - from), packed);

        if (r == 0)
            r = cuts_add(out, packed->len);
        if (r != 0)
            return r;
    }
    return 0;
}

static must_check int unpack_all(struct codec_zstd *z, struct span packed, const struct cuts *in,
                                 const struct cuts *plain, uint8_t *to)
{
    for (size_t i = 0, from = 0, at = 0; i < in->n; from = in->end[i], at = plain->end[i++]) {
        int r = unpack(z, span_of(packed.data + from, in->end[i] - from), to + at, plain->end[i] - at);

        if (r != 0)
            return r;
    }
    return 0;
}

int codec_measure_plain(const struct codec_set *s, uint32_t rows, bool with_times, unsigned rounds,
                        struct codec_measured_plain *ret_m)
{
    owned(buf_deinit) struct buf plain = {0}, packed = {0}, back = {0};
    owned(cuts_deinit) struct cuts cuts = {0}, packed_cuts = {0};
    double encode_s[CODEC_ROUNDS_MAX], decode_s[CODEC_ROUNDS_MAX];
    struct codec_measured_plain m = {0};
    unsigned n = rounds < 1 ? 1 : rounds < CODEC_ROUNDS_MAX ? rounds : CODEC_ROUNDS_MAX;
    owned(codec_zstd_freep) struct codec_zstd *z = NULL;
    int r = put_all(s, rows, with_times, &plain, &cuts);

    m.plain_bytes = plain.len;
    if (r == 0)
        r = codec_zstd_new(&z);
    if (r == 0 && buf_grow(&back, plain.len + 1) == NULL)
        r = back.error;
    for (unsigned i = 0; i < n && r == 0; i++) {
        int64_t began_ns = clock_mono_ns(&clock_real), packed_ns;

        r = pack_all(z, span_of(plain.data, plain.len), &cuts, &packed, &packed_cuts);
        packed_ns = clock_mono_ns(&clock_real);
        if (r == 0)
            r = unpack_all(z, span_of(packed.data, packed.len), &packed_cuts, &cuts, back.data);
        encode_s[i] = (double)(packed_ns - began_ns) / 1e9;
        decode_s[i] = (double)(clock_mono_ns(&clock_real) - packed_ns) / 1e9;
    }
    if (r < 0)
        return r;
    m.bytes = packed.len;
    m.encode_s = codec_median(encode_s, r == 0 ? n : 0);
    m.decode_s = codec_median(decode_s, r == 0 ? n : 0);
    *ret_m = m;
    return r;
}
