#include "device/model_tool.h"

#include "base/cleanup.h"
#include "link/keys.h"

static int run_keygen(struct ctl *ctl)
{
    owned(operator_keys_wipe) struct operator_keys k = {0};
    owned(json_freep) struct json *j = NULL;
    struct errmsg err = {""};
    char hex[2 * KEY_BYTES + 1];
    int code, r;

    if (keys_init() != 0)
        return ctl_fail(ctl, CTL_FAILED, "libsodium does not start");
    operator_keys_generate(&k);
    r = model_keys_save(ctl->args[0], &k, &err);
    if (r != 0)
        return ctl_fail(ctl, ctl_code(r), "%s", err.text);
    model_tool_hex(k.public_key, KEY_BYTES, hex);
    if (!ctl->json) {
        fprintf(ctl->out, "%s\n", hex);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_kstr(j, "file", ctl->args[0]);
    json_kstr(j, "key", hex);
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

const struct cmd model_tool_keygen[] = {
    {"keygen", "KEYFILE", 1, 1, "make a key that signs models, and print its public half",
     "The file is for the machine that signs: mode 0400, and never overwritten. What is printed goes into "
     "`keys` of "
     "the\n"
     "sources of devices that take models signed by it; it stands in the file, too, behind `public`.\n"
     "\n"
     "  fogline-model keygen models.key\n"
     "  fogline-model sign wear.fogmodel --key models.key",
     NULL, run_keygen},
    {0},
};
