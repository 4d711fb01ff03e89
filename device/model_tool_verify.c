#include "device/model_tool.h"

#include "base/cleanup.h"
#include "link/keys.h"

#include <string.h>

enum { KEYS_MAX = 16 };

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static int take_keys(struct ctl *ctl, uint8_t keys[KEYS_MAX][KEY_BYTES], size_t *ret_n)
{
    const char *given;

    for (*ret_n = 0; (given = ctl_option_n(ctl, "key", (unsigned)*ret_n)) != NULL; ++*ret_n) {
        if (*ret_n == KEYS_MAX)
            return ctl_fail(ctl, CTL_USAGE, "--key: at most %d", KEYS_MAX);
        for (size_t i = 0; i < 2 * KEY_BYTES; i++) {
            if (hex_digit(given[i]) < 0)
                return ctl_fail(ctl, CTL_USAGE,
                                "--key %.80s: write the %d hexadecimal digits that %s keygen printed", given,
                                2 * KEY_BYTES, ctl->tier->cli);
            keys[*ret_n][i / 2] =
                (uint8_t)(i % 2 == 0 ? hex_digit(given[i]) << 4 : keys[*ret_n][i / 2] | hex_digit(given[i]));
        }
        if (given[2 * KEY_BYTES] != '\0')
            return ctl_fail(ctl, CTL_USAGE, "--key %.80s: longer than the %d hexadecimal digits of a key",
                            given, 2 * KEY_BYTES);
    }
    return *ret_n > 0 ? CTL_OK
                      : ctl_fail(ctl, CTL_USAGE, "say whose signature: --key HEX, as keygen printed it");
}

static int judge(struct ctl *ctl, const struct infer_model *m, const char *path, const uint8_t (*keys)[32],
                 size_t n)
{
    char hex[2 * KEY_BYTES + 1];

    switch (infer_model_signature(m, keys, n)) {
    case INFER_SIGNATURE_GOOD:
        return CTL_OK;
    case INFER_SIGNATURE_NONE:
        return ctl_fail(ctl, CTL_UNAUTHORISED, "%s: is not signed; sign it with: %s sign %s --key KEYFILE",
                        path, ctl->tier->cli, path);
    case INFER_SIGNATURE_OTHER_KEY:
        model_tool_hex(infer_model_signer(m), KEY_BYTES, hex);
        return ctl_fail(ctl, CTL_UNAUTHORISED, "%s: is signed by another key, %s", path, hex);
    default:
        return ctl_fail(ctl, CTL_DAMAGED,
                        "%s: the signature is wrong: the file was changed after it was signed; "
                        "take another copy",
                        path);
    }
}

static int run_verify(struct ctl *ctl)
{
    owned(infer_model_freep) struct infer_model *m = NULL;
    owned(json_freep) struct json *j = NULL;
    uint8_t keys[KEYS_MAX][KEY_BYTES];
    char hex[2 * KEY_BYTES + 1];
    const char *path = ctl->args[0];
    size_t n;
    int code = take_keys(ctl, keys, &n);

    if (code == CTL_OK && keys_init() != 0)
        return ctl_fail(ctl, CTL_FAILED, "libsodium does not start");
    if (code == CTL_OK)
        code = model_tool_open(ctl, path, &m);
    if (code == CTL_OK)
        code = judge(ctl, m, path, keys, n);
    if (code != CTL_OK)
        return code;
    model_tool_hex(infer_model_signer(m), KEY_BYTES, hex);
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

static const struct cmd_option options[] = {
    {"key", 'k', "HEX", "a public key, as keygen printed it; again for others"},
    {0},
};

const struct cmd model_tool_verify[] = {
    {"verify", "MODEL", 1, 1, "was a model signed by one of these keys?",
     "Exit code 0: it was; 4: it is not signed, or by another key; 7: it was changed since, or is damaged.\n"
     "\n"
     "  fogline-model verify wear.fogmodel --key 0f3a...",
     options, run_verify},
    {0},
};
