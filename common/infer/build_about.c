/* What a model file says beside its graph, from one model to the next. */
#include "base/cleanup.h"
#include "infer/build.h"
#include "infer/model_private.h"

static int copy_text(struct infer_build *b, struct reader *r, struct errmsg *err)
{
    size_t key_len = reader_u8(r), text_len;
    const uint8_t *key = reader_take(r, key_len), *text;
    owned(buf_deinit) struct buf copy = {0};
    char name[UINT8_MAX + 1] = "";

    text_len = reader_le32(r);
    text = reader_take(r, text_len);
    if (r->bad)
        return errmsg_set(err, -EINVAL, "the texts of the model are cut off");
    memcpy(name, key, key_len);
    buf_append(&copy, text, text_len);
    buf_u8(&copy, 0);
    if (copy.error != 0)
        return errmsg_set(err, -ENOMEM, "no memory for the text %s", name);
    return infer_build_text(b, name, (const char *)copy.data, err);
}

int infer_build_about(struct infer_build *b, const struct infer_model *from, struct errmsg *err)
{
    struct reader r = reader_of(from->texts);
    int rc = 0;

    for (unsigned n = from->texts.len == 0 ? 0 : reader_le16(&r); n > 0 && rc == 0; n--)
        rc = copy_text(b, &r, err);
    if (rc == 0 && from->recipe.len > 0)
        rc = infer_build_recipe(b, from->recipe, err);
    return rc;
}
