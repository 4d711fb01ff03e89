#include "device/device.h"

int main(int argc, char **argv)
{
    return device_main(argc, argv, NULL);
}
