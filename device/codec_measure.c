#include "device/codec_measure.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <math.h>

/* One encoded block. */
struct piece {
    size_t member;
    uint64_t row;
    uint32_t n_rows;
    int64_t time_first_ns;
    size_t at, len; /* in the bytes */
};

struct run {
    const struct codec_set *set;
    enum block_encoding encoding;
    struct block_coder *coder;
    struct block_store *store;
    struct column columns[BLOCK_COLUMNS_MAX];
    struct piece *pieces;
    size_t n_pieces, alloc;
    struct buf bytes;
};

static void run_deinit(struct run *r)
{
    block_coder_free(r->coder);
    block_store_free(r->store);
    free(r->pieces);
    buf_deinit(&r->bytes);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double codec_median(double *values, unsigned n)
{
    if (n == 0)
        return 0;
    qsort(values, n, sizeof *values, by_size);
    return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static must_check int add_piece(struct run *r, size_t member, uint64_t row, const struct block *b)
{
    struct piece *p;

    if (r->n_pieces == r->alloc) {
        size_t alloc = r->alloc == 0 ? 256 : r->alloc * 2;
        struct piece *pieces = realloc(r->pieces, alloc * sizeof *pieces);

        if (pieces == NULL)
            return -ENOMEM;
        r->pieces = pieces;
        r->alloc = alloc;
    }
    p = &r->pieces[r->n_pieces++];
    *p = (struct piece){.member = member, .row = row, .n_rows = b->n_rows, .time_first_ns = b->time_ns[0]};
    for (uint32_t i = 1; i < b->n_rows; i++)
        p->time_first_ns = b->time_ns[i] < p->time_first_ns ? b->time_ns[i] : p->time_first_ns;
    return 0;
}

static must_check int cut(struct run *r, uint32_t rows)
{
    struct block b;
    int rc = 0;

    for (size_t i = 0; i < r->set->n_members; i++) {
        const struct codec_table *t = r->set->members[i].table;

        for (uint64_t row = 0; row < t->n_rows && rc == 0; row += b.n_rows) {
            codec_table_block(t, row, rows, r->columns, &b);
            rc = add_piece(r, i, row, &b);
        }
    }
    return rc;
}

static void piece_block(struct run *r, const struct piece *p, struct block *ret_b)
{
    const struct codec_table *t = r->set->members[p->member].table;
    struct block whole = {(uint32_t)(p->row + p->n_rows), t->n_columns, t->time_ns, t->columns};

    /* Rows beyond 2^32 do not fit a block's count: those go the long way. */
    if (p->row + p->n_rows <= UINT32_MAX)
        block_slice(&whole, (uint32_t)p->row, p->n_rows, r->columns, ret_b);
    else
        codec_table_block(t, p->row, p->n_rows, r->columns, ret_b);
}

static must_check int encode_all(struct run *r)
{
    struct block b;

    buf_reset(&r->bytes);
    for (size_t i = 0; i < r->n_pieces; i++) {
        struct piece *p = &r->pieces[i];
        int rc;

        piece_block(r, p, &b);
        p->at = r->bytes.len;
        rc = block_encode(r->coder, r->encoding, r->set->members[p->member].starts, &b, &r->bytes);
        if (rc != 0)
            return rc;
        p->len = r->bytes.len - p->at;
    }
    return 0;
}

static must_check int decode_one(struct run *r, const struct piece *p, const struct block **ret_b)
{
    const struct codec_member *m = &r->set->members[p->member];
    const struct block_shape shape = {.encoding = r->encoding,
                                      .types = m->table->types,
                                      .n_columns = m->table->n_columns,
                                      .n_rows = p->n_rows,
                                      .only_column = -1,
                                      .time_first_ns = p->time_first_ns,
                                      .starts = m->starts};

    return block_decode(&shape, span_of(r->bytes.data + p->at, p->len), r->store, ret_b);
}

/* ---- comparing ---- */

static bool same_flags(const struct column *a, const struct column *b, uint32_t row)
{
    return (a->absent != NULL && a->absent[row]) == (b->absent != NULL && b->absent[row]) &&
           (a->quality != NULL ? a->quality[row] : QUALITY_GOOD) ==
               (b->quality != NULL ? b->quality[row] : QUALITY_GOOD);
}

static bool same_cell(const struct column *a, const struct column *b, uint32_t row, double bound,
                      double *largest)
{
    double error;

    if (a->type == COLUMN_TEXT)
        return span_equal(a->text[row], b->text[row]);
    if (a->i64[row] == b->i64[row])
        return true;
    if (a->type != COLUMN_DOUBLE)
        return false;
    error = fabs(a->f64[row] - b->f64[row]);
    if (error > *largest)
        *largest = error;
    /* NaN compares as false. */
    return error <= bound;
}

static bool same_column(const struct column *a, const struct column *b, uint32_t n_rows,
                        struct codec_measured_channel *c)
{
    bool same = true;

    for (uint32_t row = 0; row < n_rows; row++) {
        if (!same_flags(a, b, row))
            return false;
        if (a->absent != NULL && a->absent[row])
            continue;
        c->n_cells++;
        same &= same_cell(a, b, row, c->bound, &c->largest_error);
    }
    return same;
}

static void compare(struct run *r, const struct piece *p, const struct block *got, struct codec_measured *m)
{
    const struct codec_member *member = &r->set->members[p->member];
    struct block want;
    struct column_facts facts;

    piece_block(r, p, &want);
    for (uint32_t row = 0; row < p->n_rows; row++)
        m->exact &= want.time_ns[row] == got->time_ns[row];
    block_store_facts(r->store, -1, &facts);
    m->time_bytes += facts.body_bytes;
    for (uint32_t i = 0; i < want.n_columns; i++) {
        struct codec_measured_channel *c = &m->channels[member->channel[i]];

        c->bound = member->bounds != NULL ? member->bounds[i] : 0;
        m->exact &= same_column(&want.columns[i], &got->columns[i], p->n_rows, c);
        block_store_facts(r->store, (int)i, &facts);
        c->body_bytes += facts.body_bytes;
    }
}

static must_check int check_all(struct run *r, struct codec_measured *m)
{
    const struct block *b;

    m->exact = true;
    m->n_blocks = r->n_pieces;
    m->bytes = r->bytes.len;
    for (size_t i = 0; i < r->n_pieces; i++) {
        int rc = decode_one(r, &r->pieces[i], &b);

        if (rc < 0)
            return rc;
        if (rc != 0)
            m->exact = false;
        else
            compare(r, &r->pieces[i], b, m);
    }
    for (size_t i = 0; i < r->set->n_channels; i++) {
        const struct codec_measured_channel *c = &m->channels[i];

        if (c->bound > 0 && c->largest_error / c->bound > m->largest_of_bound) {
            m->largest_of_bound = c->largest_error / c->bound;
            m->largest_channel = i;
        }
    }
    return 0;
}

/* ---- time ---- */

static double seconds_since(int64_t began_ns)
{
    return (double)(clock_mono_ns(&clock_real) - began_ns) / 1e9;
}

static must_check int time_all(struct run *r, unsigned rounds, struct codec_measured *m)
{
    double encode_s[CODEC_ROUNDS_MAX], decode_s[CODEC_ROUNDS_MAX];
    const struct block *b;

    for (unsigned i = 0; i < rounds; i++) {
        int64_t began_ns = clock_mono_ns(&clock_real);
        int rc = encode_all(r);

        if (rc != 0)
            return rc;
        encode_s[i] = seconds_since(began_ns);
        began_ns = clock_mono_ns(&clock_real);
        for (size_t k = 0; k < r->n_pieces; k++) {
            rc = decode_one(r, &r->pieces[k], &b);
            if (rc < 0)
                return rc;
        }
        decode_s[i] = seconds_since(began_ns);
    }
    m->encode_s = codec_median(encode_s, rounds);
    m->decode_s = codec_median(decode_s, rounds);
    return 0;
}

void codec_measured_deinit(struct codec_measured *m)
{
    free(m->channels);
    *m = (struct codec_measured){0};
}

int codec_measure(const struct codec_set *s, enum block_encoding encoding, uint32_t rows, unsigned rounds,
                  struct codec_measured *ret_m)
{
    owned(run_deinit) struct run r = {.set = s, .encoding = encoding};
    owned(codec_measured_deinit) struct codec_measured m = {
        .channels = calloc(s->n_channels + 1, sizeof *m.channels)};
    int rc = m.channels == NULL ? -ENOMEM : block_coder_new(&r.coder);

    if (rc == 0)
        rc = block_store_new(&r.store);
    if (rc == 0)
        rc = cut(&r, rows);
    if (rc == 0)
        rc = encode_all(&r);
    if (rc == 0)
        rc = check_all(&r, &m);
    if (rc == 0)
        rc = time_all(&r, rounds < CODEC_ROUNDS_MAX ? rounds : CODEC_ROUNDS_MAX, &m);
    if (rc != 0)
        return rc;
    *ret_m = m;
    m.channels = NULL;
    return 0;
}
