/* Model files: made, read, run. */
#include "base/file.h"
#include "base/rng.h"
#include "lib/tmpdir.h"
#include "unit/infer/run_op.h"
#include "unit/infer/sample_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_model_runs(void **state)
{
    struct errmsg err;
    struct buf file = {0};
    struct infer_model *m;
    struct span bytes;

    (void)state;
    sample_model_write(&file);
    bytes = sample_model_aligned(span_of(file.data, file.len));
    if (infer_model_read(bytes, NULL, &m, &err) != 0)
        fail_msg("%s", err.text);
    assert_memory_equal(infer_model_input(m, 0), ((const float[3]){0}), 12);
    memcpy(infer_model_input(m, 0), (const float[]){1, -2, 3}, 12);
    for (int i = 0; i < 3; i++) {
        if (i < 2)
            infer_model_run(m);
        for (size_t k = 0; i == 2 && k < infer_model_graph(m)->n_nodes; k++)
            infer_model_run_node(m, k);
        assert_memory_equal(infer_model_output(m, 0), ((const float[]){2.5f, 0}), 8);
        assert_memory_equal(infer_model_output(m, 1), ((const float[]){5, 0}), 8);
        assert_memory_equal(infer_model_input(m, 0), ((const float[]){1, -2, 3}), 12);
    }
    infer_model_free(m);
    free((void *)(uintptr_t)bytes.data);
    buf_deinit(&file);
}

static void what_it_says(void **state)
{
    static const uint8_t zeros[32];
    struct buf file = {0}, again = {0};
    struct infer_model *m;
    struct errmsg err;
    struct span bytes, key, text;

    (void)state;
    sample_model_write(&file);
    sample_model_write(&again);
    assert_int_equal(file.len, again.len);
    assert_memory_equal(file.data, again.data, file.len);
    bytes = sample_model_aligned(span_of(file.data, file.len));
    assert_int_equal(infer_model_read(bytes, NULL, &m, &err), 0);
    assert_true(span_equal(infer_model_text(m, "name"), span_str("sample")));
    assert_true(span_equal(infer_model_text(m, "labels"), span_str("low,high")));
    assert_int_equal(infer_model_text(m, "source").len, 0);
    assert_true(infer_model_text_at(m, 0, &key, &text) && span_equal(key, span_str("labels")) &&
                span_equal(text, span_str("low,high")));
    assert_true(infer_model_text_at(m, 1, &key, &text) && span_equal(key, span_str("name")));
    assert_false(infer_model_text_at(m, 2, &key, &text));
    assert_true(span_equal(infer_model_recipe(m), span_str("recipe")));
    assert_int_equal(infer_model_file_bytes(m), file.len);
    assert_memory_equal(infer_model_hash(m), file.data + file.len - 32, 32);
    assert_memory_not_equal(infer_model_hash(m), zeros, 32);
    /* What no output needs was left out: a constant, a node. */
    assert_int_equal(infer_model_graph(m)->n_nodes, 4);
    assert_int_equal(infer_model_graph(m)->n_tensors, 7);
    assert_string_equal(infer_model_graph(m)->outputs[1].name, "z");
    infer_model_free(m);
    free((void *)(uintptr_t)bytes.data);
    buf_deinit(&file);
    buf_deinit(&again);
}

static void opened_by_path(void **state)
{
    struct buf file = {0};
    struct infer_model *m;
    struct tmpdir dir;
    struct errmsg err;

    (void)state;
    tmpdir_init(&dir);
    sample_model_write(&file);
    assert_int_equal(file_write_atomic(tmpdir_path(&dir, "m"), span_of(file.data, file.len), 0644), 0);
    assert_int_equal(infer_model_open(tmpdir_path(&dir, "m"), NULL, &m, &err), 0);
    /* Shortened while it is open: its pages would be gone, were they the file's. */
    assert_int_equal(truncate(tmpdir_path(&dir, "m"), 0), 0);
    infer_model_run(m);
    infer_model_run(m);
    assert_memory_equal(infer_model_output(m, 0), ((const float[]){1, 0.25f}), 8);
    infer_model_free(m);
    infer_model_free(NULL);

    assert_int_equal(infer_model_open(tmpdir_path(&dir, "none"), NULL, &m, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/none: No such file"));
    assert_int_equal(mkfifo(tmpdir_path(&dir, "pipe"), 0600), 0);
    assert_int_equal(infer_model_open(tmpdir_path(&dir, "pipe"), NULL, &m, &err), -EINVAL);
    assert_int_equal(file_write_atomic(tmpdir_path(&dir, "m"), span_of(file.data, 0), 0644), 0);
    assert_int_equal(infer_model_open(tmpdir_path(&dir, "m"), NULL, &m, &err), -EINVAL);
    assert_int_equal(file_write_atomic(tmpdir_path(&dir, "m"), span_of(file.data, 99), 0644), 0);
    assert_int_equal(infer_model_open(tmpdir_path(&dir, "m"), NULL, &m, &err), -EINVAL);
    assert_non_null(strstr(err.text, "/m: the model file is damaged: it has 99 bytes"));
    assert_int_equal(infer_model_open(dir.path, NULL, &m, &err), -EINVAL);
    buf_deinit(&file);
    tmpdir_deinit(&dir);
}

static void builders_refuse(void **state)
{
    struct infer_build *b = infer_build_new();
    struct infer_node node = {.op = INFER_RELU, .n_inputs = 1, .n_outputs = 1, .inputs = {9}};
    const char long_text[INFER_TEXT_BYTES + 1] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    struct buf out = {0};
    struct errmsg err;
    uint16_t t, y[3];

    (void)state;
    assert_int_equal(infer_build_write(b, &out, &err), -EINVAL);
    assert_string_equal(err.text, "the model has no output");
    assert_int_equal(infer_build_input(b, "x y", INFER_F32, &SHAPE(1), &t, &err), -EINVAL);
    assert_int_equal(infer_build_input(b, "", INFER_F32, &SHAPE(1), &t, &err), -EINVAL);
    assert_int_equal(infer_build_input(b, long_text, INFER_F32, &SHAPE(1), &t, &err), -EINVAL);
    assert_int_equal(infer_build_input(b, "x", (enum infer_type)77, &SHAPE(1), &t, &err), -EINVAL);
    assert_int_equal(infer_build_input(b, "x", INFER_F32, &SHAPE(1 << 20, 1 << 20), &t, &err), -EINVAL);
    assert_int_equal(infer_build_input(b, "x", INFER_F32, &SHAPE(0, 1 << 20, 1 << 20), &t, &err), -EINVAL);
    assert_int_equal(infer_build_input(b, "x", INFER_F32, &SHAPE(1), &t, &err), 0);
    assert_int_equal(infer_build_input(b, "x", INFER_F32, &SHAPE(1), &t, &err), -EINVAL);
    assert_int_equal(infer_build_constant(b, INFER_TEXT, &SHAPE(1), long_text, &t, &err), -EINVAL);
    assert_int_equal(infer_build_node(b, &node, y, &err), -EINVAL);
    assert_string_equal(err.text, "Relu: input 0 is tensor 9 of 1");
    node.op = 999;
    assert_int_equal(infer_build_node(b, &node, y, &err), -EINVAL);
    assert_int_equal(infer_build_output(b, "y", 5, &err), -EINVAL);
    assert_int_equal(infer_build_text(b, "a key", "v", &err), -EINVAL);
    for (size_t i = 1; i < INFER_IO_MAX; i++) {
        char name[16];

        snprintf(name, sizeof name, "x%zu", i);
        assert_int_equal(infer_build_input(b, name, INFER_F32, &SHAPE(1), &t, &err), 0);
    }
    assert_int_equal(infer_build_input(b, "one-more", INFER_F32, &SHAPE(1), &t, &err), -EMSGSIZE);
    assert_int_equal(infer_build_graph(b)->n_inputs, INFER_IO_MAX);
    infer_build_free(b);
    infer_build_free(NULL);
    buf_deinit(&out);
}

/* Operators and their names: a number stands in files for ever. */
static void facts(void **state)
{
    size_t n = 0;

    (void)state;
    assert_string_equal(infer_op_facts(INFER_ADD)->name, "Add");
    assert_string_equal(infer_op_facts(42)->name, "Conv");
    assert_string_equal(infer_op_facts(90)->name, "DenseI8");
    assert_null(infer_op_facts(0));
    assert_null(infer_op_facts(infer_op_count()));
    assert_null(infer_op_facts(UINT16_MAX));
    for (uint16_t i = 0; i < infer_op_count(); i++)
        n += infer_op_facts(i) != NULL;
    assert_int_equal(n, 62);
}

/* ---- the arena against memory of its own for each tensor ---- */

enum { WIDTH = 24, NODES = 40 };

static struct infer_build *random_graph(struct rng *rng)
{
    static const uint8_t unary[] = {INFER_RELU, INFER_NEG, INFER_ABS, INFER_TANH, INFER_SOFTMAX};
    static const uint8_t binary[] = {INFER_ADD, INFER_SUB, INFER_MUL, INFER_MIN, INFER_MAX};
    struct infer_build *b = infer_build_new();
    uint16_t tensors[NODES + 4];
    size_t n = 0, n_outputs = 0;
    float values[WIDTH];
    struct errmsg err;
    char name[8];

    for (; n < 3; n++) {
        snprintf(name, sizeof name, "x%zu", n);
        assert_int_equal(infer_build_input(b, name, INFER_F32, &SHAPE(WIDTH), &tensors[n], &err), 0);
    }
    for (size_t i = 0; i < WIDTH; i++)
        values[i] = (float)i;
    assert_int_equal(infer_build_constant(b, INFER_F32, &SHAPE(WIDTH), values, &tensors[n++], &err), 0);
    for (size_t i = 0; i < NODES; i++) {
        bool two = rng_below(rng, 2);
        struct infer_node node = {.op = two ? binary[rng_below(rng, sizeof binary)]
                                            : unary[rng_below(rng, sizeof unary)],
                                  .n_inputs = two ? 2 : 1,
                                  .n_outputs = 1};

        node.inputs[0] = tensors[n - 1 - rng_below(rng, n < 8 ? n : 8)];
        node.inputs[1] = tensors[rng_below(rng, n)];
        assert_int_equal(infer_build_node(b, &node, &tensors[n++], &err), 0);
    }
    for (size_t i = 0; i < n; i++)
        if (i == n - 1 || rng_below(rng, 10) == 0) {
            snprintf(name, sizeof name, "y%zu", n_outputs++);
            assert_int_equal(infer_build_output(b, name, tensors[i], &err), 0);
        }
    return b;
}

static void random_graphs(void **state)
{
    struct rng rng = {2};

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct infer_build *b = random_graph(&rng);
        const struct infer_graph *g = infer_build_graph(b);
        float(*own)[WIDTH] = calloc(g->n_tensors, sizeof *own);
        struct buf file = {0};
        struct infer_model *m;
        struct errmsg err;
        struct span bytes;

        assert_int_equal(infer_build_write(b, &file, &err), 0);
        bytes = sample_model_aligned(span_of(file.data, file.len));
        if (infer_model_read(bytes, NULL, &m, &err) != 0)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < g->n_inputs; i++) {
            for (size_t k = 0; k < WIDTH; k++)
                own[g->inputs[i].tensor][k] = (float)((int)rng_below(&rng, 200) - 100) / 64;
            memcpy(infer_model_input(m, i), own[g->inputs[i].tensor], sizeof *own);
        }
        for (size_t i = 0; i < g->n_tensors; i++)
            if (g->tensors[i].constant != NULL)
                memcpy(own[i], g->tensors[i].constant, sizeof *own);
        for (size_t i = 0; i < g->n_nodes; i++) {
            const struct infer_node *n = &g->nodes[i];

            infer_op_run(n, g->tensors,
                         (const void *[]){own[n->inputs[0]], n->n_inputs > 1 ? own[n->inputs[1]] : NULL},
                         (void *[]){own[n->outputs[0]]}, NULL);
        }
        for (int run = 0; run < 2; run++) {
            infer_model_run(m);
            for (size_t i = 0; i < g->n_outputs; i++)
                assert_memory_equal(infer_model_output(m, i), own[g->outputs[i].tensor], sizeof *own);
            for (size_t i = 0; i < g->n_inputs; i++)
                assert_memory_equal(infer_model_input(m, i), own[g->inputs[i].tensor], sizeof *own);
        }
        assert_true(infer_model_arena_bytes(m) < g->n_tensors * 128);
        infer_model_free(m);
        free((void *)(uintptr_t)bytes.data);
        free(own);
        buf_deinit(&file);
        infer_build_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_runs),    cmocka_unit_test(what_it_says), cmocka_unit_test(opened_by_path),
        cmocka_unit_test(builders_refuse), cmocka_unit_test(facts),        cmocka_unit_test(random_graphs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
