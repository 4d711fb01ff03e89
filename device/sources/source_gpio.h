/* source_gpio.h - limits of the source `gpio`, for those who write its configuration. */
#ifndef FOGLINE_DEVICE_SOURCES_SOURCE_GPIO_H
#define FOGLINE_DEVICE_SOURCES_SOURCE_GPIO_H

enum { SOURCE_GPIO_LINES_MAX = 64 };

#endif
