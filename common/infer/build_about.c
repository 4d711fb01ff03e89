/* What a model file says beside its graph, from one model to the next. */
#include "base/cleanup.h"
#include "infer/build.h"
#include "infer/model.h"

static int copy_text(struct infer_build *b, struct span key, struct span text, struct errmsg *err)
{
    owned(buf_deinit) struct buf copy = {0};

    buf_append(&copy, key.data, key.len);
    buf_u8(&copy, 0);
    buf_append(&copy, text.data, text.len);
    buf_u8(&copy, 0);
    if (copy.error != 0)
        return errmsg_set(err, -ENOMEM, "no memory for the texts of the model");
    return infer_build_text(b, (const char *)copy.data, (const char *)copy.data + key.len + 1, err);
}

int infer_build_about(struct infer_build *b, const struct infer_model *from, struct errmsg *err)
{
    struct span key, text, recipe = infer_model_recipe(from);
    int r = 0;

    for (size_t i = 0; r == 0 && infer_model_text_at(from, i, &key, &text); i++)
        r = copy_text(b, key, text, err);
    if (r == 0 && recipe.len > 0)
        r = infer_build_recipe(b, recipe, err);
    return r;
}
