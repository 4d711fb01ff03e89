/* make_device_model KIND GAIN FILE: writes one of the models of device_model.h, for tests in other languages.
 */
#include "device_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct buf file = {0};
    int kind = 0;
    FILE *f;

    if (argc != 4)
        return 2;
    while (device_model_names[kind] != NULL && strcmp(device_model_names[kind], argv[1]) != 0)
        kind++;
    if (device_model_names[kind] == NULL)
        return 2;
    device_model_write((enum device_model)kind, strtof(argv[2], NULL), NULL, &file);
    f = fopen(argv[3], "wb");
    if (f == NULL || fwrite(file.data, 1, file.len, f) != file.len || fclose(f) != 0)
        return 1;
    buf_deinit(&file);
    return 0;
}
