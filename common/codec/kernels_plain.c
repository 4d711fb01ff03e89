#include "codec/kernels_body.h"

const struct kernels kernels_plain = KERNELS("plain");
