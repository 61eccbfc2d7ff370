/* MONITOR: see monitor.c. */
#pragma once
#include <stdbool.h>

bool monitor_any(void); /* a client is a monitor */
