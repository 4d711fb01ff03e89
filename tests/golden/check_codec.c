/* check_codec FILE ... : reads golden blocks of the codec (v1/codec/README.md) and compares what they decode
 * to with what they say; then encodes that again and decodes it. Needs nothing but the codec, so that it is
 * easily built for other processors. Exit 0 when all are right. */
#include "codec/block.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS_MAX = 16, LINE_MAX_BYTES = 4 << 20 };

struct vector {
    uint32_t encoding, n_rows, n_columns;
    int64_t time_first_ns;
    enum column_type types[COLUMNS_MAX];
    double bounds[COLUMNS_MAX];
    struct span starts[COLUMNS_MAX], time_start, body;
    char *times, *cells[COLUMNS_MAX], *quality[COLUMNS_MAX];
};

static void die(const char *file, const char *what)
{
    fprintf(stderr, "%s: %s\n", file, what);
    exit(1);
}

static struct span from_hex(const char *hex)
{
    size_t n = strlen(hex) / 2, i;
    uint8_t *bytes = malloc(n + 1);

    for (i = 0; bytes != NULL && i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};

        bytes[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return span_of(bytes, bytes == NULL || hex[0] == '-' ? 0 : n);
}

static enum column_type type_of(const char *file, const char *name)
{
    static const char *const names[] = {"", "double", "int64", "bool", "text"};
    unsigned i;

    for (i = 1; i <= COLUMN_TEXT; i++)
        if (strcmp(names[i], name) == 0)
            return (enum column_type)i;
    die(file, "unknown type");
    return COLUMN_DOUBLE;
}

static void read_line(const char *file, struct vector *v, char *key, char *rest)
{
    char *end, *word;
    unsigned long column = 0, i = 0;

    if (strcmp(key, "start") == 0 || strcmp(key, "cells") == 0 || strcmp(key, "quality") == 0) {
        column = strtoul(rest, &end, 10);
        if (column >= COLUMNS_MAX || *end++ != ' ')
            die(file, "bad column");
        rest = end;
    }
    if (strcmp(key, "encoding") == 0)
        v->encoding = strcmp(rest, "fast") == 0 ? BLOCK_ENCODING_FAST : BLOCK_ENCODING_SMALL;
    else if (strcmp(key, "rows") == 0)
        v->n_rows = (uint32_t)strtoul(rest, NULL, 10);
    else if (strcmp(key, "time_first") == 0)
        v->time_first_ns = strtoll(rest, NULL, 10);
    else if (strcmp(key, "types") == 0)
        for (word = strtok(rest, " "); word != NULL && v->n_columns < COLUMNS_MAX; word = strtok(NULL, " "))
            v->types[v->n_columns++] = type_of(file, word);
    else if (strcmp(key, "bounds") == 0)
        for (word = strtok(rest, " "); word != NULL && i < COLUMNS_MAX; word = strtok(NULL, " "), i++) {
            uint64_t bits = strtoull(word, NULL, 16);

            memcpy(&v->bounds[i], &bits, sizeof bits);
        }
    else if (strcmp(key, "time_start") == 0)
        v->time_start = from_hex(rest);
    else if (strcmp(key, "start") == 0)
        v->starts[column] = from_hex(rest);
    else if (strcmp(key, "body") == 0)
        v->body = from_hex(rest);
    else if (strcmp(key, "times") == 0)
        v->times = strdup(rest);
    else if (strcmp(key, "cells") == 0)
        v->cells[column] = strdup(rest);
    else if (strcmp(key, "quality") == 0)
        v->quality[column] = strdup(rest);
    else
        die(file, "unknown line");
}

static void read_vector(const char *file, struct vector *v)
{
    static char line[LINE_MAX_BYTES];
    FILE *f = fopen(file, "r");

    *v = (struct vector){0};
    if (f == NULL)
        die(file, "cannot be opened");
    while (fgets(line, sizeof line, f) != NULL) {
        char *rest = strchr(line, ' ');

        line[strcspn(line, "\n")] = 0;
        if (rest == NULL)
            die(file, "a line without a value");
        *rest++ = 0;
        read_line(file, v, line, rest);
    }
    fclose(f);
    if (v->n_rows == 0 || v->n_columns == 0 || v->body.len == 0 || v->times == NULL)
        die(file, "not whole");
}

static void check_cell(const char *file, const struct column *c, uint32_t row, const char *told)
{
    bool absent = c->absent != NULL && c->absent[row];
    char is[2 * BLOCK_TEXT_MAX_BYTES + 8];
    size_t i;

    if (absent) {
        snprintf(is, sizeof is, "-");
    } else if (c->type == COLUMN_TEXT) {
        is[0] = 't';
        is[1] = 0;
        for (i = 0; i < c->text[row].len; i++)
            snprintf(is + 1 + 2 * i, 3, "%02x", c->text[row].data[i]);
    } else if (c->type == COLUMN_BOOL) {
        snprintf(is, sizeof is, "%d", (int)c->i64[row]);
    } else {
        snprintf(is, sizeof is, "%016llx", (unsigned long long)c->i64[row]);
    }
    if (strcmp(is, told) != 0) {
        fprintf(stderr, "%s: row %u is %s, not %s\n", file, row, is, told);
        exit(1);
    }
}

static void check_block(const char *file, const struct vector *v, const struct block *b)
{
    uint32_t i, k;
    char *word, *copy;

    copy = strdup(v->times);
    for (word = strtok(copy, " "), i = 0; i < v->n_rows; word = strtok(NULL, " "), i++)
        if (word == NULL || strtoll(word, NULL, 10) != b->time_ns[i])
            die(file, "another time");
    free(copy);
    for (k = 0; k < v->n_columns; k++) {
        if (v->cells[k] == NULL)
            die(file, "a column without cells");
        copy = strdup(v->cells[k]);
        for (word = strtok(copy, " "), i = 0; i < v->n_rows; word = strtok(NULL, " "), i++) {
            if (word == NULL)
                die(file, "too few cells");
            check_cell(file, &b->columns[k], i, word);
        }
        free(copy);
        for (i = 0; i < v->n_rows; i++) {
            int is = b->columns[k].quality == NULL ? 0 : b->columns[k].quality[i];

            if (is != (v->quality[k] == NULL ? 0 : v->quality[k][i] - '0'))
                die(file, "another quality");
        }
    }
}

static void check_file(const char *file, struct block_coder *coder, struct block_store *stores[2])
{
    struct vector v;
    struct block_starts *starts;
    const struct block *b, *again;
    struct buf out = {0};
    uint32_t i;

    read_vector(file, &v);
    if (block_starts_new(&starts, v.types, v.n_columns,
                         &(struct block_start_bytes){v.bounds, v.starts, v.time_start}) != 0)
        die(file, "its starts are refused");
    struct block_shape shape = {v.encoding, v.types, v.n_columns, v.n_rows, -1, v.time_first_ns, starts};
    if (block_decode(&shape, v.body, stores[0], &b) != 0)
        die(file, "its body is refused");
    check_block(file, &v, b);
    for (i = BLOCK_ENCODING_FAST; i <= BLOCK_ENCODING_SMALL; i++) {
        buf_reset(&out);
        shape.encoding = i;
        if (block_encode(coder, (enum block_encoding)i, starts, b, &out) != 0 ||
            block_decode(&shape, span_of(out.data, out.len), stores[1], &again) != 0)
            die(file, "cannot be coded again");
        check_block(file, &v, again);
    }
    buf_deinit(&out);
    block_starts_free(starts);
    free((void *)v.body.data);
    free((void *)v.time_start.data);
    free(v.times);
    for (i = 0; i < COLUMNS_MAX; i++) {
        free((void *)v.starts[i].data);
        free(v.cells[i]);
        free(v.quality[i]);
    }
}

int main(int argc, char **argv)
{
    struct block_coder *coder;
    struct block_store *stores[2];
    int i;

    if (argc < 2 || block_coder_new(&coder) != 0 || block_store_new(&stores[0]) != 0 ||
        block_store_new(&stores[1]) != 0) {
        fprintf(stderr, "usage: check_codec FILE ...\n");
        return 2;
    }
    for (i = 1; i < argc; i++)
        check_file(argv[i], coder, stores);
    block_store_free(stores[0]);
    block_store_free(stores[1]);
    block_coder_free(coder);
    printf("%d golden blocks are right\n", argc - 1);
    return 0;
}
