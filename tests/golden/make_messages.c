/* Writes the captures of v1/messages: one Hello, one Data with every kind of payload, one State with a mark;
 * one Data with blocks in the fast and the small encoding. Run once for a format, then the files are kept:
 * README.md. Files that are there stay. Usage: make_messages FOLDER */
#include "../unit/wire/coded.h"
#include "../unit/wire/messages.h"

#include "base/cleanup.h"

#include <errno.h>

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

static int write_message(const char *folder, const char *name, const ProtobufCMessage *m)
{
    struct buf b = {0};
    int r;

    wire_pack(&b, m);
    r = write_file(folder, name, &b);
    buf_deinit(&b);
    return r;
}

static int write_coded(const char *folder)
{
    static struct coded_rows rows;
    struct buf b = {0};
    int r;

    coded_rows_init(&rows);
    coded_up(&rows, &b);
    r = write_file(folder, "up-data-coded.bin", &b);
    buf_deinit(&b);
    return r;
}

int main(int argc, char **argv)
{
    static struct messages m;

    if (argc != 2) {
        fprintf(stderr, "usage: make_messages FOLDER\n");
        return 2;
    }
    messages_init(&m);
    return write_message(argv[1], "up-hello.bin", &m.up_hello.base) |
           write_message(argv[1], "up-data.bin", &m.up_data.base) |
           write_message(argv[1], "down-state.bin", &m.down.base) | write_coded(argv[1]);
}
