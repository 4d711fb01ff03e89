#include "unit/infer/golden_model.h"

#include <inttypes.h>
#include <sodium.h>

void golden_model_keys(uint8_t ret_public[32], uint8_t ret_secret[64])
{
    static const uint8_t seed[32] = "golden model";

    crypto_sign_seed_keypair(ret_public, ret_secret, seed);
}

void golden_model_fill(struct infer_model *m)
{
    static const float x[16] = {0.5f, -1, 2, 0.25f, 3, -2.5f, 1, 0, 1, 1, -0.5f, 4, -3, 2, 0.75f, -0.125f};
    static const int64_t k[2] = {10, -1};

    memcpy(infer_model_input(m, 0), x, sizeof x);
    memcpy(infer_model_input(m, 1), k, sizeof k);
}

static void print_value(struct buf *out, const void *values, enum infer_type type, size_t i)
{
    switch (type) {
    case INFER_F32:
        buf_printf(out, " %.9g", ((const float *)values)[i]);
        break;
    case INFER_I8:
        buf_printf(out, " %d", ((const int8_t *)values)[i]);
        break;
    case INFER_U8:
        buf_printf(out, " %u", ((const uint8_t *)values)[i]);
        break;
    case INFER_I32:
        buf_printf(out, " %" PRId32, ((const int32_t *)values)[i]);
        break;
    case INFER_I64:
        buf_printf(out, " %" PRId64, ((const int64_t *)values)[i]);
        break;
    default:
        buf_printf(out, " %s", (const char *)values + i * INFER_TEXT_BYTES);
        break;
    }
}

void golden_model_print(const struct infer_model *m, struct buf *out)
{
    const struct infer_graph *g = infer_model_graph(m);

    for (size_t i = 0; i < g->n_outputs; i++) {
        const struct infer_tensor *t = &g->tensors[g->outputs[i].tensor];

        buf_printf(out, "%s %s", g->outputs[i].name, infer_type_name(t->type));
        for (size_t k = 0; k < infer_shape_elements(&t->shape); k++)
            print_value(out, infer_model_output(m, i), t->type, k);
        buf_printf(out, "\n");
    }
}
