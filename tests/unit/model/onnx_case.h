/* onnx_case.h - an ONNX model run as a device would run it: imported, written, read back, computed. For
 * tests. */
#ifndef FOGLINE_TESTS_ONNX_CASE_H
#define FOGLINE_TESTS_ONNX_CASE_H

#include "infer/model.h"
#include "model/onnx_import.h"

enum { ONNX_CASE_CONSTANTS_MAX = 32 };

struct onnx_case {
    struct buf bytes; /* of the ONNX file */
    struct onnx_model *onnx;
    struct onnx_import_report report;
    void *file; /* of ours */
    struct infer_model *model;
    /* Inputs of the graph that became constants, because shapes or scales come from them. */
    struct onnx_import_constant bound[ONNX_CASE_CONSTANTS_MAX];
    char bound_names[ONNX_CASE_CONSTANTS_MAX][ONNX_NAME_TEXT];
    size_t n_bound;
};

enum { ONNX_CASE_REFUSED = 1 };

/* Reads the file. -EINVAL and the sentence. */
int onnx_case_open(struct onnx_case *c, const char *path, struct errmsg *err);
/* Imports it. Where an input has to be a constant, `value_of` is asked for it; NULL: it is refused.
 * ONNX_CASE_REFUSED and the sentence; negative: what was made of it cannot be run. */
int onnx_case_import(struct onnx_case *c, struct onnx_import_options options,
                     const struct infer_limits *limits,
                     const struct onnx_tensor *(*value_of)(void *context, const char *input), void *context,
                     struct errmsg *err);
void onnx_case_close(struct onnx_case *c); /* accepts zero; the case is zero again */

/* Copies a tensor into input i. false: of another type or size. */
bool onnx_case_set(struct onnx_case *c, size_t i, const struct onnx_tensor *t);
/* Is output i the tensor? Integers exactly, floats within atol + rtol * |expected|. false: why. */
bool onnx_case_same(const struct onnx_case *c, size_t i, const struct onnx_tensor *t, double rtol,
                    double atol, struct errmsg *why);

#endif
