/* build_private.h - a graph that is being built. Private to common/infer. */
#ifndef FOGLINE_INFER_BUILD_PRIVATE_H
#define FOGLINE_INFER_BUILD_PRIVATE_H

#include "infer/build.h"
#include "infer/model_format.h"

struct build_text {
    char *key, *text; /* owned */
};

struct infer_build {
    struct infer_graph graph; /* its arrays and constants are owned */
    size_t tensors_alloc, nodes_alloc;
    struct build_text texts[MODEL_TEXTS_MAX];
    size_t n_texts;
    uint8_t *recipe;
    size_t recipe_bytes;
};

#endif
