/* Writes the model of v1/model and what it gives. Run once for a format, then the files are kept: README.md.
 * Files that are there stay. Usage: make_model FOLDER */
#include "infer/model.h"
#include "unit/infer/golden_model.h"
#include "unit/infer/sample_model.h"
#include "unit/infer/zoo_model.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>

static int write_file(const char *folder, const char *name, const struct buf *b)
{
    char path[512];
    owned(close_file) FILE *f = NULL;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wbx");
    if (f == NULL && errno == EEXIST)
        return 0;
    if (f != NULL && b->error == 0 && fwrite(b->data, 1, b->len, f) == b->len)
        return 0;
    perror(path);
    return 1;
}

int main(int argc, char **argv)
{
    struct buf file = {0}, text = {0};
    struct infer_model *m;
    uint8_t public[32], secret[64];
    struct errmsg err;
    int r;

    if (argc != 2) {
        fprintf(stderr, "usage: make_model FOLDER\n");
        return 2;
    }
    golden_model_keys(public, secret);
    zoo_model_write(&file);
    r = infer_sign(&file, secret, &err);
    if (r == 0)
        r = infer_model_read(sample_model_aligned(span_of(file.data, file.len)), NULL, &m, &err);
    if (r != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    golden_model_fill(m);
    infer_model_run(m);
    golden_model_print(m, &text);
    return write_file(argv[1], "zoo.model", &file) | write_file(argv[1], "zoo.txt", &text);
}
