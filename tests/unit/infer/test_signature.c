/* Signatures of model files. */
#include "unit/infer/sample_model.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct keys {
    uint8_t public[2][32], secret[2][64];
};

static int set_up(void **state)
{
    static struct keys k;
    uint8_t seed[32] = {0};

    for (int i = 0; i < 2; i++) {
        seed[0] = (uint8_t)i;
        crypto_sign_seed_keypair(k.public[i], k.secret[i], seed);
    }
    *state = &k;
    return 0;
}

/* -1: it is no model. */
static int signature_of(const struct buf *file, const uint8_t (*keys)[32], size_t n)
{
    struct span bytes = sample_model_aligned(span_of(file->data, file->len));
    struct infer_model *m = NULL;
    struct errmsg err;
    int r = infer_model_read(bytes, NULL, &m, &err) == 0 ? (int)infer_model_signature(m, keys, n) : -1;

    if (r == INFER_SIGNATURE_NONE)
        assert_null(infer_model_signer(m));
    else if (r == INFER_SIGNATURE_GOOD && n == 1)
        assert_memory_equal(infer_model_signer(m), keys[0], 32);

    infer_model_free(m);
    free((void *)(uintptr_t)bytes.data);
    return r;
}

static void signatures(void **state)
{
    const struct keys *k = *state;
    struct buf file = {0}, other = {0};
    uint8_t id[32];
    struct errmsg err;
    size_t body;

    sample_model_write(&file);
    body = file.len;
    memcpy(id, file.data + body - 32, 32);
    assert_int_equal(signature_of(&file, k->public, 2), INFER_SIGNATURE_NONE);
    assert_int_equal(infer_sign(&file, k->secret[1], &err), 0);
    assert_int_equal(signature_of(&file, k->public, 2), INFER_SIGNATURE_GOOD);
    assert_int_equal(signature_of(&file, k->public, 1), INFER_SIGNATURE_OTHER_KEY);
    assert_int_equal(signature_of(&file, NULL, 0), INFER_SIGNATURE_OTHER_KEY);
    assert_memory_equal(file.data + body - 32, id, 32); /* it is the same model */

    assert_int_equal(infer_sign(&file, k->secret[0], &err), 0); /* in its place */
    assert_int_equal(file.len, body + 104);
    assert_int_equal(signature_of(&file, k->public, 1), INFER_SIGNATURE_GOOD);

    /* Each bit behind the body: no model, another key, or a wrong signature; never good. */
    for (size_t i = body * 8; i < file.len * 8; i++) {
        int said;

        file.data[i / 8] ^= (uint8_t)(1 << i % 8);
        said = signature_of(&file, k->public, 2);
        assert_int_equal(said, i / 8 < body + 8    ? -1
                               : i / 8 < body + 40 ? (int)INFER_SIGNATURE_OTHER_KEY
                                                   : (int)INFER_SIGNATURE_WRONG);
        file.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t len = body + 1; len < file.len; len++) {
        other.len = 0;
        buf_append(&other, file.data, len);
        assert_int_equal(signature_of(&other, k->public, 2), -1);
    }
    buf_deinit(&file);
    buf_deinit(&other);
}

static void no_file_to_sign(void **state)
{
    const struct keys *k = *state;
    struct buf file = {0};
    struct errmsg err;

    buf_append(&file, "no", 2);
    assert_int_equal(infer_sign(&file, k->secret[0], &err), -EINVAL);
    buf_reset(&file);
    sample_model_write(&file);
    buf_u8(&file, 0);
    assert_int_equal(infer_sign(&file, k->secret[0], &err), -EINVAL);
    buf_deinit(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures),
        cmocka_unit_test(no_file_to_sign),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
