/* Bytes that nobody vouches for: cut off, changed, and changed with a checksum that fits again. What is read
 * is run; the sanitizers look. */
#include "base/rng.h"
#include "infer/model_format.h"
#include "unit/infer/sample_model.h"
#include "unit/infer/zoo_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct infer_limits small = {
    .file_bytes = 1 << 20, .arena_bytes = 1 << 20, .operations = 1 << 20};

/* 0, or what reading returned. */
static int try(struct span bytes, char *ret_why)
{
    struct span copy = sample_model_aligned(bytes);
    struct infer_model *m = NULL;
    struct errmsg err = {{0}};
    int r = infer_model_read(copy, &small, &m, &err);

    assert_true(r == 0 ? m != NULL : (r == -EINVAL || r == -EMSGSIZE) && m == NULL && err.text[0] != '\0');
    if (r == 0) {
        infer_model_run(m);
        infer_model_signature(m, NULL, 0);
        infer_model_text(m, "name");
    }
    if (ret_why != NULL)
        strcpy(ret_why, err.text);
    infer_model_free(m);
    free((void *)(uintptr_t)copy.data);
    return r;
}

static void cut_off(void **state)
{
    struct buf file = {0};

    (void)state;
    zoo_model_write(&file);
    assert_int_equal(try(span_of(file.data, file.len), NULL), 0);
    for (size_t len = 0; len < file.len; len++)
        assert_int_equal(try(span_of(file.data, len), NULL), -EINVAL);
    buf_u8(&file, 0);
    assert_int_equal(try(span_of(file.data, file.len), NULL), -EINVAL);
    buf_deinit(&file);
}

static void every_bit_is_covered(void **state)
{
    struct buf file = {0};

    (void)state;
    sample_model_write(&file);
    for (size_t i = 0; i < file.len * 8; i++) {
        file.data[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(try(span_of(file.data, file.len), NULL), -EINVAL);
        file.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    buf_deinit(&file);
}

/* Someone who can make checksums changes a byte, or some. */
static void sealed_again(void **state)
{
    static const uint8_t values[] = {0, 1, 2, 3, 0x7f, 0x80, 0xff};
    struct rng rng = {5};
    int refused = 0, read = 0;
    struct buf file = {0};
    uint8_t *copy;

    (void)state;
    zoo_model_write(&file);
    copy = malloc(file.len);
    assert_non_null(copy);
    for (size_t i = 0; i < file.len - MODEL_CHECKSUM_BYTES; i++)
        for (size_t k = 0; k < sizeof values; k++) {
            memcpy(copy, file.data, file.len);
            copy[i] = values[k];
            zoo_model_seal(copy, file.len);
            *(try(span_of(copy, file.len), NULL) == 0 ? &read : &refused) += 1;
        }
    for (int round = 0; round < 5000; round++) {
        memcpy(copy, file.data, file.len);
        for (uint64_t n = 1 + rng_below(&rng, 6); n > 0; n--)
            copy[rng_below(&rng, file.len)] = (uint8_t)rng_u64(&rng);
        zoo_model_seal(copy, file.len);
        *(try(span_of(copy, file.len), NULL) == 0 ? &read : &refused) += 1;
    }
    assert_true(refused > 5000 && read > 5000);
    free(copy);
    buf_deinit(&file);
}

static void expect_sealed(const struct buf *file, const char *word)
{
    char why[sizeof((struct errmsg *)0)->text];
    uint8_t *copy = malloc(file->len);
    int r;

    assert_non_null(copy);
    memcpy(copy, file->data, file->len);
    zoo_model_seal(copy, file->len);
    r = try(span_of(copy, file->len), why);
    free(copy);
    if (word == NULL)
        assert_int_equal(r, 0);
    else if (r == 0 || strstr(why, word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, word);
}

static void versions(void **state)
{
    struct buf file = {0}, newer = {0};
    size_t table;

    (void)state;
    sample_model_write(&file);
    file.data[8] = 2;
    expect_sealed(&file, "format 2.0, this version reads 1.x");
    file.data[8] = 1;
    file.data[10] = 7; /* 1.7, and all of it is known */
    expect_sealed(&file, NULL);
    /* The last section, the recipe, becomes one that is not known. */
    table = MODEL_HEADER_BYTES + ((size_t)file.data[12] - 1) * MODEL_SECTION_BYTES;
    buf_append(&newer, file.data, file.len);
    assert_int_equal(newer.data[table], MODEL_RECIPE);
    newer.data[table] = 99;
    expect_sealed(&newer, NULL);
    newer.data[10] = 0; /* not in 1.0 */
    expect_sealed(&newer, "no section of kind 99");
    newer.data[table + 16] = newer.data[table + 23] = 0xff;
    expect_sealed(&newer, "lies outside");
    newer.data[table] = 1;
    expect_sealed(&newer, "not in order");
    newer.data[0] = 'x';
    expect_sealed(&newer, "this is no model file");
    buf_deinit(&file);
    buf_deinit(&newer);
}

static void limits(void **state)
{
    struct infer_limits l = {.file_bytes = 100};
    struct buf file = {0};
    struct infer_model *m;
    struct errmsg err;
    struct span bytes;

    (void)state;
    sample_model_write(&file);
    bytes = sample_model_aligned(span_of(file.data, file.len));
    assert_int_equal(infer_model_read(bytes, &l, &m, &err), -EMSGSIZE);
    assert_non_null(strstr(err.text, "at most 100 are allowed"));
    l = (struct infer_limits){.arena_bytes = 64};
    assert_int_equal(infer_model_read(bytes, &l, &m, &err), -EMSGSIZE);
    assert_non_null(strstr(err.text, "it may have 64"));
    l = (struct infer_limits){.operations = 10};
    assert_int_equal(infer_model_read(bytes, &l, &m, &err), -EMSGSIZE);
    assert_non_null(strstr(err.text, "the 10 operations that are allowed"));
    assert_int_equal(infer_model_read(span_of(bytes.data + 1, bytes.len - 1), NULL, &m, &err), -EINVAL);
    assert_non_null(strstr(err.text, "multiple of 64"));
    l = (struct infer_limits){.arena_bytes = 256};
    assert_int_equal(infer_model_read(bytes, &l, &m, &err), 0);
    assert_true(infer_model_arena_bytes(m) <= 256);
    infer_model_free(m);
    free((void *)(uintptr_t)bytes.data);
    buf_deinit(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_off),      cmocka_unit_test(every_bit_is_covered),
        cmocka_unit_test(sealed_again), cmocka_unit_test(versions),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
