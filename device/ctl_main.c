#include "device/ctl_device.h"
#include "device/device_config.h"

#include <stdio.h>

static const struct cmd *const cmds[] = {
    ctl_device_init,  ctl_device_send, ctl_device_csv,  ctl_device_keep,
    ctl_device_probe, ctl_verbs,       ctl_verbs_spool, NULL,
};

int main(int argc, char **argv)
{
    struct device_tier tier;
    struct errmsg err;

    if (device_tier_init(&tier, NULL, cmds, &err) != 0) {
        fprintf(stderr, "devicectl: %s\n", err.text);
        return CTL_FAILED;
    }
    return cmd_main(&tier.tier, argc, argv);
}
