#include "pack/learn.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

enum {
    PIECES_MAX = 64, /* blocks that are compared: more do not tell more */
    START_BYTES_MAX = 1000,
    ROW_BYTES = 10, /* of a cell with its flags */
    WAIT_DOUBLINGS_MAX = 8,
    SET_OVERHEAD_BYTES = 128, /* of a record, here and in the archive */
};
#define LOOK_AGAIN_NS (INT64_C(3600) * NS_PER_S)

struct learner {
    enum column_type types[BLOCK_COLUMNS_MAX];
    double error_bounds[BLOCK_COLUMNS_MAX];
    uint32_t n_columns;
    enum block_encoding encoding;
    struct block_coder *coder;
    struct learn_budget *budget;

    struct packer *rows; /* NULL: not copying */
    size_t rows_bytes;   /* taken from the budget */
    uint32_t wanted;     /* rows of this look */
    bool is_full;
    unsigned n_looks, n_sets;
    uint64_t rows_seen, copy_from; /* row number to copy from */
    int64_t copy_from_ns;          /* and not before this time */
    uint64_t block_rows, n_blocks; /* since the copy began */
    double share;                  /* rows of a block compared / of a block as they are, at most 1 */
    struct buf learnt, encoded;
};

int learner_new(struct learner **ret_l, const struct learner_options *options)
{
    struct learner *l = calloc(1, sizeof *l);

    if (l == NULL)
        return -ENOMEM;
    l->n_columns = options->n_columns;
    for (uint32_t i = 0; i < l->n_columns; i++) {
        l->types[i] = options->types[i];
        l->error_bounds[i] = options->error_bounds[i];
    }
    l->encoding = options->encoding;
    l->coder = options->coder;
    l->budget = options->budget;
    l->wanted = LEARN_ROWS_FIRST;
    l->copy_from_ns = INT64_MIN;
    if (options->warm) {
        l->wanted = LEARN_ROWS_MAX;
        l->copy_from = LEARN_ROWS_MAX;
        l->n_looks = 2;
    }
    *ret_l = l;
    return 0;
}

/* Between looks a learner holds nothing: of many groups it would be most of what the device holds. */
static void drop_rows(struct learner *l)
{
    l->rows = packer_free(l->rows);
    buf_deinit(&l->encoded);
    l->budget->left_bytes += l->rows_bytes;
    l->rows_bytes = 0;
    l->is_full = false;
}

struct learner *learner_free(struct learner *l)
{
    if (l == NULL)
        return NULL;
    drop_rows(l);
    buf_deinit(&l->learnt);
    free(l);
    return NULL;
}

/* A copy of rows is begun when there is room for it. First looks gain most: later, longer ones leave them
 * half of the budget. */
static int begin(struct learner *l)
{
    size_t row_bytes = 8 + ROW_BYTES * (size_t)l->n_columns;
    size_t reserve = l->wanted > LEARN_ROWS_FIRST ? LEARN_BUDGET_BYTES / 2 : 0;
    uint32_t most = (uint32_t)((LEARN_BUDGET_BYTES - reserve) / row_bytes),
             wanted = l->wanted < most ? l->wanted : most;
    int rc;

    if (row_bytes * wanted + reserve > l->budget->left_bytes)
        return 0;
    rc = packer_new(&l->rows, l->types, l->n_columns, wanted);
    if (rc != 0)
        return rc;
    l->rows_bytes = row_bytes * wanted;
    l->budget->left_bytes -= l->rows_bytes;
    l->block_rows = l->n_blocks = 0;
    return 0;
}

int learner_row(struct learner *l, int64_t time_ns, const struct cell *cells, int64_t now_mono_ns)
{
    int rc;

    l->rows_seen++;
    if (l->encoding == BLOCK_ENCODING_RAW || l->is_full || l->n_sets >= LEARN_SETS_MAX ||
        l->rows_seen <= l->copy_from || now_mono_ns < l->copy_from_ns)
        return 0;
    if (l->rows == NULL) {
        rc = begin(l);
        if (rc != 0 || l->rows == NULL)
            return rc;
    }
    rc = packer_add(l->rows, time_ns, cells);
    l->is_full =
        rc != 0 ||
        (uint64_t)packer_block(l->rows)->n_rows * (8 + ROW_BYTES * (size_t)l->n_columns) >= l->rows_bytes;
    return rc < 0 && rc != -EINVAL ? rc : 0;
}

void learner_block(struct learner *l, uint32_t rows)
{
    l->block_rows += rows;
    l->n_blocks++;
}

bool learner_is_due(const struct learner *l)
{
    return l->is_full;
}

/* Bytes a row of bodies of piece rows each, from row `from` on. */
static int body_bytes(struct learner *l, const struct block_starts *starts, uint32_t from, uint32_t piece,
                      double *ret_bytes)
{
    const struct block *all = packer_block(l->rows);
    struct column columns[BLOCK_COLUMNS_MAX];
    uint32_t n_pieces = (all->n_rows - from + piece - 1) / piece, step = (n_pieces - 1) / PIECES_MAX + 1;
    uint64_t rows = 0, bytes = 0;

    for (uint32_t p = 0; p < n_pieces; p += step) {
        uint32_t at = from + p * piece, n = all->n_rows - at < piece ? all->n_rows - at : piece;
        struct block one;
        int rc;

        block_slice(all, at, n, columns, &one);
        buf_reset(&l->encoded);
        rc = block_encode(l->coder, l->encoding, starts, &one, &l->encoded);
        if (rc != 0)
            return rc;
        rows += n;
        bytes += l->encoded.len;
    }
    *ret_bytes = (double)bytes / (double)rows;
    return 0;
}

/* Starts from the rows before `to`. */
static int learn(struct learner *l, uint32_t to, struct learnt *ret, struct block_starts **ret_starts)
{
    struct column columns[BLOCK_COLUMNS_MAX];
    struct block_start_bytes bytes = {l->error_bounds, ret->columns, {0}};
    struct block rows;
    int rc;

    block_slice(packer_block(l->rows), 0, to, columns, &rows);
    buf_reset(&l->learnt);
    rc = block_learn(l->coder, &rows, l->error_bounds, &l->learnt, ret->columns, &ret->time);
    if (rc != 0)
        return rc;
    /* One that no descriptor may hold starts cold. */
    for (uint32_t i = 0; i < l->n_columns; i++)
        if (ret->columns[i].len > START_BYTES_MAX)
            ret->columns[i] = (struct span){0};
    if (ret->time.len > START_BYTES_MAX)
        ret->time = (struct span){0};
    bytes.time = ret->time;
    return block_starts_new(ret_starts, l->types, l->n_columns, &bytes);
}

/* What was learnt from rows is judged by others where there are enough of them: starts may know the very
 * values of the rows they were made from. */
static int compare(struct learner *l, const struct block_starts *old, struct learnt *ret)
{
    uint32_t n = packer_block(l->rows)->n_rows;
    uint32_t piece = l->n_blocks > 0 ? (uint32_t)((l->block_rows + l->n_blocks / 2) / l->n_blocks) : n;
    uint32_t from = 0;
    struct block_starts *starts = NULL;
    int rc;

    piece = piece < 1 ? 1 : piece;
    l->share = piece > n ? (double)n / piece : 1;
    piece = piece > n ? n : piece;
    if (n / 4 >= piece)
        from = n - n / 4;
    rc = learn(l, from > 0 ? from : n, ret, &starts);
    if (rc == 0)
        rc = body_bytes(l, old, from, piece, &ret->old_bytes);
    if (rc == 0)
        rc = body_bytes(l, starts, from, piece, &ret->new_bytes);
    block_starts_free(starts);
    if (rc != 0 || from == 0)
        return rc;
    starts = NULL;
    rc = learn(l, n, ret, &starts);
    block_starts_free(starts);
    return rc;
}

/* A start saves at the beginning of a block: less of a longer one. */
static bool pays(const struct learner *l, size_t set_bytes, const struct learnt *t)
{
    double saved = (t->old_bytes - t->new_bytes) * l->share,
           cost = (double)(set_bytes + SET_OVERHEAD_BYTES + l->learnt.len);

    return saved * 100 >= LEARN_GAIN_PERCENT * t->old_bytes &&
           saved * LEARN_HORIZON * (double)l->rows_seen > cost;
}

static void plan_next(struct learner *l, int64_t now_mono_ns)
{
    unsigned doublings;

    l->n_looks++;
    if (l->n_looks < 3) {
        l->wanted *= 4;
        l->copy_from = l->rows_seen;
        return;
    }
    doublings = l->n_looks - 3;
    l->wanted = LEARN_ROWS_MAX;
    l->copy_from = l->rows_seen + ((uint64_t)LEARN_WAIT_ROWS
                                   << (doublings < WAIT_DOUBLINGS_MAX ? doublings : WAIT_DOUBLINGS_MAX));
    l->copy_from_ns = now_mono_ns + LOOK_AGAIN_NS;
}

int learner_look(struct learner *l, const struct block_starts *starts, size_t set_bytes, int64_t now_mono_ns,
                 struct learnt *ret)
{
    bool better = false;
    int rc = 0;

    if (packer_block(l->rows)->n_rows >= LEARN_ROWS_MIN) {
        rc = compare(l, starts, ret);
        better = rc == 0 && pays(l, set_bytes, ret);
    }
    drop_rows(l);
    plan_next(l, now_mono_ns);
    l->n_sets += better;
    return rc != 0 ? rc : better ? LEARN_PAYS : 0;
}
