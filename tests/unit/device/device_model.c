#include "device_model.h"

#include "infer/recipe.h"

#include <assert.h>
#include <stdlib.h>

enum { WIDE = 1024, WIDE_LAYERS = 400 };

#define SHAPE(...)                                                                                           \
    (&(struct infer_shape){.rank = sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t),                     \
                           .dim = {__VA_ARGS__}})

const char *const device_model_names[] = {"sum", "root", "windows", "slow", "two", NULL};

static uint16_t constant(struct infer_build *b, uint32_t rows, uint32_t columns, float value)
{
    float *values = calloc((size_t)rows * columns, sizeof *values);
    struct errmsg err;
    uint16_t t;
    int r;

    assert(values != NULL);
    for (size_t i = 0; i < (size_t)rows * columns; i++)
        values[i] = value;
    r = infer_build_constant(b, INFER_F32, SHAPE(rows, columns), values, &t, &err);
    assert(r == 0);
    free(values);
    return t;
}

static uint16_t node(struct infer_build *b, const struct infer_node *n)
{
    struct errmsg err;
    uint16_t t;
    int r = infer_build_node(b, n, &t, &err);

    assert(r == 0);
    return t;
}

/* x [1, columns of weights'] times weights [rows, columns], transposed. */
static uint16_t times(struct infer_build *b, uint16_t x, uint16_t weights)
{
    return node(b, &(struct infer_node){.op = INFER_GEMM,
                                        .n_inputs = 2,
                                        .n_outputs = 1,
                                        .inputs = {x, weights},
                                        .ints = {0, 1},
                                        .floats = {1, 1}});
}

static void add_recipe(struct infer_build *b, uint32_t *ret_width)
{
    static const char text[] =
        "channels a b\nabsent hold\nvalue *\nlag a n=3\nmean b n=8\newma_mean a alpha=0.2\n";
    struct recipe *recipe = calloc(1, sizeof *recipe);
    struct buf bytes = {0};
    struct errmsg err;
    int r;

    assert(recipe != NULL);
    r = recipe_parse(span_str(text), "text", recipe, &err);
    assert(r == 0);
    recipe_encode(recipe, &bytes);
    r = infer_build_recipe(b, span_of(bytes.data, bytes.len), &err);
    assert(r == 0);
    *ret_width = (uint32_t)recipe_width(recipe);
    buf_deinit(&bytes);
    free(recipe);
}

/* Sums, then as many layers of averages as asked for: all values stay what they are. */
static uint16_t layers(struct infer_build *b, uint16_t x, uint32_t width, float gain, unsigned n)
{
    uint16_t wide, average;

    if (n == 0)
        return times(b, x, constant(b, 1, width, gain));
    wide = times(b, x, constant(b, WIDE, width, gain));
    average = constant(b, WIDE, WIDE, 1.0f / WIDE);
    for (unsigned i = 0; i < n; i++)
        wide = times(b, wide, average);
    return times(b, wide, constant(b, 1, WIDE, 1.0f / WIDE));
}

void device_model_write(enum device_model kind, float gain, const uint8_t *secret, struct buf *out)
{
    struct infer_build *b = infer_build_new();
    uint32_t width = 2;
    struct errmsg err;
    uint16_t x, y;
    int r;

    assert(b != NULL);
    if (kind == DEVICE_MODEL_WINDOWS)
        add_recipe(b, &width);
    r = infer_build_input(b, "x", INFER_F32, SHAPE(1, width), &x, &err);
    y = kind == DEVICE_MODEL_TWO
            ? node(b, &(struct infer_node){.op = INFER_RELU, .n_inputs = 1, .n_outputs = 1, .inputs = {x}})
            : layers(b, x, width, gain, kind == DEVICE_MODEL_SLOW ? WIDE_LAYERS : 0);
    if (kind == DEVICE_MODEL_ROOT)
        y = node(b, &(struct infer_node){.op = INFER_SQRT, .n_inputs = 1, .n_outputs = 1, .inputs = {y}});
    r |= infer_build_output(b, "y", y, &err);
    r |= infer_build_text(b, "name", device_model_names[kind], &err);
    r |= infer_build_write(b, out, &err);
    if (secret != NULL)
        r |= infer_sign(out, secret, &err);
    assert(r == 0);
    infer_build_free(b);
}
