#include "infer/kernel.h"

#include "infer/kernel_private.h"

#include <stddef.h>

const struct kernel_table *kernel_best(void)
{
    return &kernel_plain;
}

const struct kernel_table *kernel_at(enum kernel_level level)
{
    return level == KERNEL_PLAIN ? &kernel_plain : NULL;
}
