/* Names, hashes and signatures of model files: what is there of libsodium. */
#include "infer/build.h"
#include "infer/model_format.h"
#include "infer/model_private.h"

#include <sodium.h>

bool model_name_ok(const char *name, size_t len)
{
    if (len == 0 || len > MODEL_NAME_CHARS)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
              c == '_' || c == '/' || c == ':' || c == '-'))
            return false;
    }
    return true;
}

void model_hash(const void *data, size_t len, uint8_t ret_hash[MODEL_CHECKSUM_BYTES])
{
    crypto_generichash(ret_hash, MODEL_CHECKSUM_BYTES, data, len, NULL, 0);
}

enum { MAGIC_BYTES = sizeof MODEL_SIGNATURE_MAGIC - 1 };

enum infer_signature infer_model_signature(const struct infer_model *model, const uint8_t (*public_keys)[32],
                                           size_t n_keys)
{
    const uint8_t *key = model->signature.data + MAGIC_BYTES, *signature = key + 32;

    if (model->signature.len == 0)
        return INFER_SIGNATURE_NONE;
    for (size_t i = 0; i < n_keys; i++)
        if (memcmp(public_keys[i], key, 32) == 0)
            return crypto_sign_verify_detached(signature, model->file.data, model->file.len - 64, key) == 0
                       ? INFER_SIGNATURE_GOOD
                       : INFER_SIGNATURE_WRONG;
    return INFER_SIGNATURE_OTHER_KEY;
}

const uint8_t *infer_model_signer(const struct infer_model *model)
{
    return model->signature.len == 0 ? NULL : model->signature.data + MAGIC_BYTES;
}

int infer_sign(struct buf *file, const uint8_t secret_key[64], struct errmsg *err)
{
    struct reader r = reader_of(span_of(file->data, file->len));
    uint8_t signature[64];
    uint64_t body_bytes;

    if (file->len < MODEL_HEADER_BYTES || memcmp(file->data, MODEL_MAGIC, sizeof MODEL_MAGIC - 1) != 0)
        return errmsg_set(err, -EINVAL, "this is no model file: it does not begin with %s", MODEL_MAGIC);
    reader_take(&r, 16);
    body_bytes = reader_le64(&r);
    if (body_bytes != file->len &&
        (file->len < MODEL_TRAILER_BYTES || body_bytes != file->len - MODEL_TRAILER_BYTES))
        return errmsg_set(err, -EINVAL, "the model file is damaged: its length is not what it says");
    file->len = (size_t)body_bytes;
    buf_append(file, MODEL_SIGNATURE_MAGIC, MAGIC_BYTES);
    buf_append(file, secret_key + 32, 32); /* libsodium keeps the public key there */
    if (file->error == 0)
        crypto_sign_detached(signature, NULL, file->data, file->len, secret_key);
    buf_append(file, signature, sizeof signature);
    return file->error == 0 ? 0 : errmsg_set(err, file->error, "no memory for the signature");
}
