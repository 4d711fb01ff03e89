#include "device/model_tool.h"

int main(int argc, char **argv)
{
    return cmd_main(&model_tool_tier, argc, argv);
}
