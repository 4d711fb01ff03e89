#include "device/codec_tool.h"

int main(int argc, char **argv)
{
    return cmd_main(&codec_tool_tier, argc, argv);
}
