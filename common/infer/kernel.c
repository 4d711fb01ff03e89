#include "infer/kernel.h"

#include "infer/kernel_private.h"

/* a * b + c, saturating. */
static size_t product(size_t a, size_t b, size_t c)
{
    size_t n;

    return __builtin_mul_overflow(a, b, &n) || __builtin_add_overflow(n, c, &n) ? SIZE_MAX : n;
}

static size_t sum(size_t a, size_t b)
{
    return product(a, 1, b);
}

/* What the sizes of rows are computed from, beyond doubt: else they would have to saturate too. */
static bool is_beyond(const struct kernel_conv1d *c)
{
    size_t reach = product(c->kernel, c->dilation, c->stride),
           n = sum(c->n_out, sum(c->pad_begin, c->length));

    return sum(sum(reach, n), KERNEL_POSITIONS + 1) > SIZE_MAX / 4;
}

/* Of the neediest level: x and the weights in 16 bits, biases and weights for whole blocks of outputs. */
size_t kernel_conv1d_i8_scratch_bytes(const struct kernel_conv1d *c)
{
    enum { BYTES = sizeof(int16_t), PIECE = KERNEL_SLACK_BYTES + 64 };
    size_t k_count, blocks, x, gathered, w;

    if (c->n_out == 0 || c->outputs == 0 || c->kernel == 0)
        return 0;
    if (product(c->kernel, c->channels, 4) == SIZE_MAX || is_beyond(c))
        return SIZE_MAX;
    k_count = kernel_round_up(c->kernel * c->channels, 4);
    blocks = kernel_round_up(c->outputs, KERNEL_BLOCK);
    x = sum(product(c->n_out - 1, c->stride, 1), product(c->kernel - 1, c->dilation, 0));
    x = product(product(x, c->channels, 0), BYTES, PIECE);
    gathered = product(product(k_count, KERNEL_WINDOWS, 0), BYTES, PIECE);
    w = product(sum(product(k_count, BYTES, 0), sizeof(int32_t)), blocks, PIECE);
    return sum(sum(x, gathered), w);
}

static size_t tables_bytes(const struct kernel_conv1d *c)
{
    return kernel_round_up(product(c->kernel, 2 * sizeof(size_t), 0), 64);
}

size_t kernel_conv1d_f32_scratch_bytes(const struct kernel_conv1d *c)
{
    size_t floats;

    if (is_beyond(c))
        return SIZE_MAX;
    floats = product(product(kernel_conv1d_f32_row(c), c->stride, 0), c->channels, 0);

    return product(floats, sizeof(float), tables_bytes(c));
}

size_t kernel_conv1d_transpose_f32_scratch_bytes(const struct kernel_conv1d *c)
{
    size_t floats;

    if (is_beyond(c))
        return SIZE_MAX;
    floats = product(kernel_conv1d_transpose_f32_row(c), c->channels, 0);
    if (c->stride > 1)
        floats = sum(floats, product((c->n_out + c->stride - 1) / c->stride, c->outputs, 0));
    return product(floats, sizeof(float), tables_bytes(c));
}

/* INFER_HAVE_X86, INFER_HAVE_NEON: the files of these levels are part of this build. */
const struct kernel_table *kernel_at(enum kernel_level level)
{
    switch (level) {
    case KERNEL_PLAIN:
        return &kernel_plain;
#ifdef INFER_HAVE_X86
    case KERNEL_AVX2:
        return __builtin_cpu_supports("avx2") ? &kernel_avx2 : NULL;
    case KERNEL_VNNI:
        if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl"))
            return &kernel_avx512_vnni;
        return __builtin_cpu_supports("avxvnni") ? &kernel_avx_vnni : NULL;
#endif
#ifdef INFER_HAVE_NEON
    case KERNEL_NEON:
        return &kernel_neon;
#endif
    default:
        return NULL;
    }
}

/* Set once, to the same by whoever comes first. */
static const struct kernel_table *best;

const struct kernel_table *kernel_best(void)
{
    static const enum kernel_level order[] = {KERNEL_VNNI, KERNEL_AVX2, KERNEL_NEON, KERNEL_PLAIN};
    const struct kernel_table *found = __atomic_load_n(&best, __ATOMIC_RELAXED);

    for (size_t i = 0; found == NULL; i++)
        found = kernel_at(order[i]);
    __atomic_store_n(&best, found, __ATOMIC_RELAXED);
    return found;
}

void kernel_use(enum kernel_level level)
{
    const struct kernel_table *table = kernel_at(level);

    if (table != NULL)
        __atomic_store_n(&best, table, __ATOMIC_RELAXED);
}
