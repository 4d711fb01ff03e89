/* Recipes as text and as bytes: what is read is printed, encoded and run, and comes back as the same. */
#include "infer/feature.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static void run(const struct recipe *r, struct span noise)
{
    double values[RECIPE_CHANNELS_MAX];
    bool present[RECIPE_CHANNELS_MAX];
    float *out = calloc(recipe_width(r), sizeof *out);
    struct features *f, *again;
    struct errmsg err;

    if (out == NULL || feature_new(r, &f, &err) != 0) {
        free(out);
        return;
    }
    for (size_t step = 0; step < 40; step++) {
        for (size_t c = 0; c < r->n_channels; c++) {
            uint8_t byte = noise.data[(step * 7 + c) % noise.len];

            values[c] = byte;
            present[c] = byte % 5 != 0;
        }
        feature_step(f, values, present, out);
    }
    must(feature_new(r, &again, &err) == 0 && feature_restore(again, feature_image(f), &err) == 0);
    feature_step(again, values, present, out);
    /* Any memory that has the length and the head of one is taken, and hurts nobody. */
    if (feature_image(f).len > 24) {
        uint8_t *image = (uint8_t *)(uintptr_t)feature_image(f).data;

        for (size_t i = 24; i < feature_image(f).len; i++)
            image[i] ^= noise.data[i % noise.len];
        for (size_t step = 0; step < 4; step++)
            feature_step(f, values, present, out);
    }
    feature_free(again);
    feature_free(f);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recipe *r = calloc(1, sizeof *r), *again = calloc(1, sizeof *again);
    struct buf bytes = {.cap_bytes = 1 << 20}, text = {.cap_bytes = 1 << 20};
    struct errmsg err;

    if (r != NULL && again != NULL && size > 0 &&
        (recipe_parse(span_of(data, size), "r", r, &err) == 0 ||
         recipe_decode(span_of(data, size), r, &err) == 0)) {
        must(recipe_check(r, &err) == 0);
        recipe_encode(r, &bytes);
        must(bytes.error == 0 && recipe_decode(span_of(bytes.data, bytes.len), again, &err) == 0);
        recipe_print(r, &text);
        if (text.error == 0 && recipe_parse(span_of(text.data, text.len), "again", again, &err) == 0) {
            buf_reset(&text);
            recipe_encode(again, &text);
            must(span_equal(span_of(bytes.data, bytes.len), span_of(text.data, text.len)));
        }
        if (recipe_width(r) <= 4096)
            run(r, span_of(data, size));
    }
    buf_deinit(&bytes);
    buf_deinit(&text);
    free(r);
    free(again);
    return 0;
}
