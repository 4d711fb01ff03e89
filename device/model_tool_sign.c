#include "device/model_tool.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "link/keys.h"

#include <string.h>

enum { MODEL_FILE_BYTES_MAX = 64 << 20 };

static int show(struct ctl *ctl, const char *path, const uint8_t key[KEY_BYTES])
{
    owned(json_freep) struct json *j = NULL;
    char hex[2 * KEY_BYTES + 1];
    int code;

    model_tool_hex(key, KEY_BYTES, hex);
    if (!ctl->json) {
        fprintf(ctl->out, "%s: signed by %s\n", path, hex);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", path);
    json_kstr(j, "key", hex);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int run_sign(struct ctl *ctl)
{
    owned(infer_model_freep) struct infer_model *m = NULL;
    owned(operator_keys_wipe) struct operator_keys k = {0};
    owned(buf_deinit) struct buf bytes = {0};
    const char *input = ctl->args[0], *key = ctl_option(ctl, "key"), *output = ctl_option(ctl, "output");
    struct errmsg err = {""};
    int code, r;

    if (key == NULL)
        return ctl_fail(ctl, CTL_USAGE, "say with which key: --key KEYFILE; %s keygen KEYFILE makes one",
                        ctl->tier->cli);
    if (keys_init() != 0)
        return ctl_fail(ctl, CTL_FAILED, "libsodium does not start");
    /* Only what a device can read is signed. */
    code = model_tool_open(ctl, input, &m);
    if (code != CTL_OK)
        return code;
    r = model_keys_load(key, &k, &err);
    if (r != 0)
        return ctl_fail(ctl, r == -ENOENT ? CTL_NOT_FOUND : ctl_code(r), "%s", err.text);
    r = file_read(input, MODEL_FILE_BYTES_MAX, &bytes);
    if (r != 0)
        return ctl_fail(ctl, ctl_code(r), "%s: cannot be read: %s", input, strerror(-r));
    if (infer_sign(&bytes, k.secret_key, &err) != 0)
        return ctl_fail(ctl, CTL_FAILED, "%s: %s", input, err.text);
    code = model_tool_write(ctl, output != NULL ? output : input, &bytes);
    return code == CTL_OK ? show(ctl, output != NULL ? output : input, k.public_key) : code;
}

static const struct cmd_option options[] = {
    {"key", 'k', "KEYFILE", "the key, as keygen makes it"},
    {"output", 'o', "FILE", "where to (the model itself); replaced whole, or not at all"},
    {0},
};

const struct cmd model_tool_sign[] = {
    {"sign", "MODEL", 1, 1, "sign a model, in place of a signature that it has",
     "The signature is Ed25519 over the whole file. Devices take a model only when one of the `keys` of its "
     "source "
     "has\n"
     "signed it, unless they are told to allow unsigned ones.\n"
     "\n"
     "  fogline-model sign wear.fogmodel --key models.key",
     options, run_sign},
    {0},
};
