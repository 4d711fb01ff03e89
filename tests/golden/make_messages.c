/* Writes the captures of v1/messages: one Hello, one Data with every kind of payload, one State with a mark.
 * Run once for a format, then the files are kept: README.md. Usage: make_messages FOLDER */
#include "../unit/wire/messages.h"

#include "base/cleanup.h"

static int write_message(const char *folder, const char *name, const ProtobufCMessage *m)
{
    char path[512];
    struct buf b = {0};
    owned(close_file) FILE *f = NULL;
    int r;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wbx");
    wire_pack(&b, m);
    r = f != NULL && b.error == 0 && fwrite(b.data, 1, b.len, f) == b.len ? 0 : 1;
    if (r != 0)
        perror(path);
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
           write_message(argv[1], "down-state.bin", &m.down.base);
}
